//! The same YAML without a cluster: `serve` with a folder of policies, `explain --event`, and a policy repository's CI.
//!
//! Our kinds are read strictly: what the API server would refuse is refused with the same sentence, and a field that
//! it would drop is an error, for a misspelt field in a policy must not pass a repository's tests. Of Tekton's kinds only
//! Trigger and EventListener matter; all else is passed over, so that a folder may hold a whole installation.

use aws_lc_rs::digest;
use imbl::OrdSet;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Catalog, rules};
use crate::api::{
    AccessPolicy, CredentialTemplate, EventSource, GROUP, GroupRoleBinding, SecretKeyRef, VERSION,
    tekton::{EventListener, Trigger},
};

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {what}")]
pub struct FolderError {
    /// The file.
    pub file: String,
    /// Which object of it, and what was expected.
    pub what: String,
}

/// A catalog from documents: (file name, its YAML, of one or many documents). `secrets` reads a webhook's secret; one
/// that can't be read leaves its source not ready, as in a cluster.
pub fn catalog_from_documents(
    documents: impl IntoIterator<Item = (String, String)>,
    secrets: impl Fn(&SecretKeyRef) -> Result<SecretString, String>,
) -> Result<Catalog, FolderError> {
    let mut folder = Folder { catalog: Catalog::default(), seen: OrdSet::new(), secrets };
    for (file, text) in documents {
        let fail = |what| FolderError { file: file.clone(), what };
        let values = serde_saphyr::from_multiple::<Value>(&text).map_err(|error| fail(error.to_string()))?;
        for value in values {
            folder.take(value).map_err(fail)?;
        }
    }
    Ok(folder.catalog)
}

struct Folder<S> {
    catalog: Catalog,
    seen: OrdSet<(String, String, String)>,
    secrets: S,
}

impl<S: Fn(&SecretKeyRef) -> Result<SecretString, String>> Folder<S> {
    fn take(&mut self, mut value: Value) -> Result<(), String> {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (api_version, kind) = (text(&value, "apiVersion"), text(&value, "kind"));
        if kind.is_empty() || api_version.is_empty() {
            return Err("expected Kubernetes objects, with apiVersion and kind".into());
        }
        if kind == "List" && api_version == "v1" {
            let items = value.get_mut("items").map(Value::take);
            let Some(Value::Array(items)) = items else { return Err("List: expected items".into()) };
            return items.into_iter().try_for_each(|item| self.take(item));
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        if group == GROUP && version != VERSION {
            return Err(format!("{kind}: expected apiVersion {GROUP}/{VERSION}, got {api_version}"));
        }
        match (group, kind.as_str()) {
            (GROUP, "EventSource") => {
                let object: EventSource =
                    self.ours(value, false, |object: &EventSource| rules::event_source(&object.spec))?;
                let secrets = object.spec.webhook.secret_refs.iter().map(&self.secrets).collect();
                self.catalog.put_event_source(&object, secrets);
            }
            (GROUP, "AccessPolicy") => {
                let object = self.ours(value, true, |object: &AccessPolicy| rules::access_policy(&object.spec))?;
                self.catalog.put_policy(object);
            }
            (GROUP, "CredentialTemplate") => {
                let check = |object: &CredentialTemplate| rules::credential_template(&object.spec);
                let object = self.ours(value, true, check)?;
                self.catalog.put_template(object);
            }
            (GROUP, "GroupRoleBinding") => {
                let check = |object: &GroupRoleBinding| rules::group_role_binding(&object.spec);
                let object = self.ours(value, false, check)?;
                self.catalog.put_group_role_binding(object);
            }
            (GROUP, other) => {
                return Err(format!(
                    "expected EventSource, AccessPolicy, CredentialTemplate or GroupRoleBinding, got {other}"
                ));
            }
            ("triggers.tekton.dev", "Trigger") => {
                self.identify(&mut value, &kind, true)?;
                let object: Trigger = serde_json::from_value(value).map_err(|error| format!("{kind}: {error}"))?;
                self.catalog.put_trigger(object);
            }
            ("triggers.tekton.dev", "EventListener") => {
                self.identify(&mut value, &kind, true)?;
                let object: EventListener =
                    serde_json::from_value(value).map_err(|error| format!("{kind}: {error}"))?;
                self.catalog.put_event_listener(object);
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads an object of ours: every field known, every rule kept.
    fn ours<T: DeserializeOwned>(
        &mut self,
        mut value: Value,
        namespaced: bool,
        check: impl FnOnce(&T) -> Option<&'static str>,
    ) -> Result<T, String> {
        let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = self.identify(&mut value, &kind, namespaced)?;
        // They have told which type this is, and are no fields of it.
        if let Some(object) = value.as_object_mut() {
            object.remove("apiVersion");
            object.remove("kind");
        }
        let mut unknown = None;
        let object = serde_ignored::deserialize(value, |path| {
            unknown.get_or_insert(path.to_string());
        })
        .map_err(|error| format!("{kind} {name}: {error}"))?;
        if let Some(path) = unknown {
            return Err(format!("{kind} {name}: unknown field {path}"));
        }
        match check(&object) {
            Some(fault) => Err(format!("{kind} {name}: {fault}")),
            None => Ok(object),
        }
    }

    /// Gives an object what the API server would: a uid (here a stable one, from what names the object) and a
    /// generation. Refuses a second object of the same name, of which the API server would keep the last alone.
    fn identify(&mut self, value: &mut Value, kind: &str, namespaced: bool) -> Result<String, String> {
        let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else {
            return Err(format!("{kind}: expected metadata"));
        };
        let text = |key| metadata.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (name, namespace) = (text("name"), text("namespace"));
        if name.is_empty() {
            return Err(format!("{kind}: expected metadata.name"));
        }
        if namespaced && namespace.is_empty() {
            return Err(format!("{kind} {name}: expected metadata.namespace"));
        }
        let namespace = if namespaced { namespace } else { String::new() };
        metadata.insert("uid".into(), stable_uid(&namespace, kind, &name).into());
        metadata.insert("generation".into(), 1.into());
        let shown = if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") };
        if self.seen.insert((kind.into(), namespace, name)).is_some() {
            return Err(format!("{kind} {shown}: there is another of this name"));
        }
        Ok(shown)
    }
}

/// A uid that is the same at every start (RFC 9562 version 8).
fn stable_uid(namespace: &str, kind: &str, name: &str) -> String {
    let hash = digest::digest(&digest::SHA256, format!("{namespace}/{kind}/{name}").as_bytes());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "
apiVersion: scim-tekton.dev/v1alpha1
kind: EventSource
metadata: {name: github-acme}
spec:
  type: github
  host: github.com
  webhook: {secretRefs: [{name: github-webhook, key: secret}]}
  namespaces: [prod]
";
    const POLICY: &str = "
apiVersion: scim-tekton.dev/v1alpha1
kind: AccessPolicy
metadata: {name: deploy-prod, namespace: prod}
spec:
  source: github-acme
  subjects: [{group: {displayName: deployers}}]
  pipelines: [{name: deploy}]
";
    const TRIGGERS: &str = "
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: hooks, namespace: prod}
spec:
  resources: {kubernetesResource: {}}
  triggers:
  - name: push
    interceptors: [{ref: {name: scim}, params: [{name: policy, value: deploy-prod}]}]
    template: {ref: t}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: passed-over}
---
apiVersion: v1
kind: List
items:
- apiVersion: triggers.tekton.dev/v1beta1
  kind: Trigger
  metadata: {name: other, namespace: prod}
  spec: {interceptors: [], template: {ref: t}}
";

    fn read(texts: &[&str]) -> Result<Catalog, FolderError> {
        let documents = texts.iter().map(|text| ("a.yaml".to_owned(), (*text).to_owned()));
        catalog_from_documents(documents, |key| match key.name.as_str() {
            "github-webhook" => Ok("hunter2".into()),
            other => Err(format!("no file for {other}")),
        })
    }

    fn error(text: &str) -> String {
        read(&[text]).unwrap_err().to_string()
    }

    #[test]
    fn a_folder_becomes_a_catalog() {
        let catalog = read(&[&format!("{SOURCE}---{POLICY}"), TRIGGERS]).unwrap();
        assert!(catalog.source("github-acme").unwrap().secrets.is_ok());
        let policy = catalog.policy("prod", "deploy-prod").unwrap();
        assert_eq!(policy.metadata.generation, Some(1));
        assert_eq!(policy.metadata.uid, read(&[POLICY]).unwrap().policy("prod", "deploy-prod").unwrap().metadata.uid);
        assert_eq!(catalog.policies_in("prod").count(), 1);
        assert!(catalog.trigger("prod", "other").is_some());
        assert_eq!(catalog.listeners_in("prod").next().unwrap().spec.triggers[0].name.as_deref(), Some("push"));
    }

    #[test]
    fn a_secret_that_cannot_be_read_leaves_its_source_not_ready() {
        let catalog = read(&[&SOURCE.replace("name: github-webhook", "name: lost")]).unwrap();
        assert_eq!(catalog.source("github-acme").unwrap().secrets.as_ref().unwrap_err(), "no file for lost");
    }

    #[test]
    fn what_the_api_server_would_refuse_or_drop_is_an_error_that_names_it() {
        assert_eq!(
            error(&format!("{POLICY}  mode: Audit\n")),
            "a.yaml: AccessPolicy prod/deploy-prod: spec.mode: Audit is not supported yet"
        );
        assert_eq!(
            error(&format!("{POLICY}  maxStartDely: 1h\n")),
            "a.yaml: AccessPolicy prod/deploy-prod: unknown field spec.maxStartDely"
        );
        assert_eq!(
            error(&format!("{POLICY}---{POLICY}")),
            "a.yaml: AccessPolicy prod/deploy-prod: there is another of this name"
        );
        assert_eq!(
            error(&POLICY.replace(", namespace: prod", "")),
            "a.yaml: AccessPolicy deploy-prod: expected metadata.namespace"
        );
        assert_eq!(
            error(&POLICY.replace("v1alpha1", "v1")),
            "a.yaml: AccessPolicy: expected apiVersion scim-tekton.dev/v1alpha1, got scim-tekton.dev/v1"
        );
        assert!(error(&POLICY.replace("kind: AccessPolicy", "kind: Grant")).ends_with("got Grant"));
        assert_eq!(error("just: text"), "a.yaml: expected Kubernetes objects, with apiVersion and kind");
        assert!(error("a: [").starts_with("a.yaml: "));
    }
}
