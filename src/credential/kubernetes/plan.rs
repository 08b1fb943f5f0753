//! Before a Grant is begun: do its roles exist, and how will we see that they no longer work?

use futures::future::{join_all, try_join_all};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::{Api, Client};

use super::{BoundRole, Facts, KubernetesProvider, Read};
use crate::{
    api::{KubernetesCredential, RoleKind, RoleRef},
    cluster::{Action, Verdict, is_not_found},
    credential::IssueError,
};

/// Name of an object that need not exist.
const NO_SUCH: &str = "scim-tekton-probe";

/// Versions of the API groups that a read-only request can be made in without asking the API server's discovery.
const VERSIONS: [(&str, &str); 7] = [
    ("", "v1"),
    ("apps", "v1"),
    ("batch", "v1"),
    ("networking.k8s.io", "v1"),
    ("rbac.authorization.k8s.io", "v1"),
    ("coordination.k8s.io", "v1"),
    ("tekton.dev", "v1"),
];

impl KubernetesProvider {
    /// Looks the template's roles up, finds what each allows, and sets aside what every account may do anyway: that is
    /// no work of ours and can't be taken back by us, so it is named as residue and not waited for. Asked about an
    /// account that is never bound, so that a Grant's own bindings are never taken for it.
    pub async fn plan(&self, credential: &KubernetesCredential, namespace: &str) -> Result<Facts, IssueError> {
        let roles = credential.role_refs.iter().map(|role| async move {
            let rules = rules(&self.cluster.direct, role, namespace).await?;
            let mut residue = Vec::new();
            let mut probe = rules.iter().find_map(|rule| action(rule, namespace));
            if let Some(action) = &probe
                && self.everyone_may(action).await
            {
                residue.push(format!("every authenticated account may {} {}", action.verb, action.resource));
                probe = None;
            }
            let mut read = rules.iter().find_map(|rule| read(rule, namespace));
            if let Some(request) = &read
                && self.everyone_may(&request.action).await
            {
                residue.push(format!("every authenticated account may read {}", request.path));
                read = None;
            }
            Ok::<_, IssueError>((BoundRole { role: role.clone(), probe, read }, residue))
        });
        let mut facts = Facts::default();
        for (role, residue) in try_join_all(roles).await? {
            facts.roles.push(role);
            facts.residue.extend(residue);
        }
        Ok(facts)
    }

    /// Whether an account with no bindings of its own may do this, at every API server.
    async fn everyone_may(&self, action: &Action) -> bool {
        let nobody = format!("system:serviceaccount:{}:nobody", self.grants_namespace);
        let (servers, groups) = (self.cluster.servers(), self.groups());
        let answers = join_all(servers.iter().map(|server| server.may_account(&nobody, &groups, action))).await;
        !answers.is_empty() && answers.iter().all(|verdict| matches!(verdict, Verdict::Allowed(_)))
    }
}

/// For each of these roles that has a rule, an action that it allows.
pub async fn actions(client: &Client, role: &RoleRef, namespace: &str) -> Result<Option<Action>, IssueError> {
    Ok(rules(client, role, namespace).await?.iter().find_map(|rule| action(rule, namespace)))
}

async fn rules(client: &Client, role: &RoleRef, namespace: &str) -> Result<Vec<PolicyRule>, IssueError> {
    let found = match role.kind {
        RoleKind::Role => {
            Api::<Role>::namespaced(client.clone(), namespace).get(&role.name).await.map(|role| role.rules)
        }
        RoleKind::ClusterRole => Api::<ClusterRole>::all(client.clone()).get(&role.name).await.map(|role| role.rules),
    };
    match found {
        Ok(rules) => Ok(rules.unwrap_or_default()),
        Err(error) if is_not_found(&error) => Err(IssueError::Failed(format!(
            "the credential template names {} {}, which does not exist in namespace {namespace}",
            role.kind.as_str(),
            role.name
        ))),
        Err(error) => Err(IssueError::from_kubernetes(&error, &format!("reading role {}", role.name))),
    }
}

/// One action that a rule allows.
fn action(rule: &PolicyRule, namespace: &str) -> Option<Action> {
    let resource = rule.resources.as_ref()?.first()?;
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Some(Action {
        verb: star(rule.verbs.first()?, "get"),
        group: star(rule.api_groups.as_ref()?.first()?, ""),
        resource: star(resource, "pods"),
        subresource: subresource.to_owned(),
        name: rule.resource_names.as_ref().and_then(|names| names.first()).cloned().unwrap_or_default(),
        namespace: namespace.to_owned(),
    })
}

/// A read-only request that a rule allows: one object if it names one, else an object that need not exist (404 is an
/// answer to somebody who may read), else a list of one. All at resource version 0: a consistent list waits up to
/// 100 ms for the API server's watch cache, and what is in it does not matter here.
fn read(rule: &PolicyRule, namespace: &str) -> Option<Read> {
    let allows = |verb| rule.verbs.iter().any(|allowed| allowed == verb || allowed == "*");
    let group = star(rule.api_groups.as_ref()?.first()?, "");
    let resource = rule.resources.as_ref()?.iter().find(|resource| !resource.contains('/'))?;
    let resource = star(resource, "pods");
    let (_, version) = VERSIONS.iter().find(|(known, _)| *known == group)?;
    let base = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let base = format!("{base}/namespaces/{namespace}/{resource}");
    let (verb, name, path) = match rule.resource_names.as_deref().and_then(<[String]>::first) {
        Some(name) if allows("get") => ("get", name.as_str(), format!("{base}/{name}?resourceVersion=0")),
        None if allows("get") => ("get", NO_SUCH, format!("{base}/{NO_SUCH}?resourceVersion=0")),
        None if allows("list") => ("list", "", format!("{base}?limit=1&resourceVersion=0")),
        _ => return None,
    };
    let action = Action {
        verb: verb.to_owned(),
        group,
        resource,
        subresource: String::new(),
        name: name.to_owned(),
        namespace: namespace.to_owned(),
    };
    Some(Read { path, action })
}

fn star(text: &str, instead: &str) -> String {
    if text == "*" { instead.to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> PolicyRule {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        PolicyRule {
            verbs: owned(verbs),
            api_groups: Some(owned(groups)),
            resources: Some(owned(resources)),
            resource_names: (!names.is_empty()).then(|| owned(names)),
            non_resource_urls: None,
        }
    }

    #[test]
    fn a_rule_gives_an_action_and_a_read_only_request() {
        let rule = rule(&["create", "get"], &[""], &["pods/exec", "configmaps"], &[]);
        let action = action(&rule, "prod").unwrap();
        assert_eq!(
            (action.verb.as_str(), action.resource.as_str(), action.subresource.as_str()),
            ("create", "pods", "exec")
        );
        assert_eq!(
            read(&rule, "prod").unwrap().path,
            "/api/v1/namespaces/prod/configmaps/scim-tekton-probe?resourceVersion=0"
        );
    }

    #[test]
    fn named_objects_are_read_by_their_name_and_wildcards_by_a_list() {
        let named = rule(&["get"], &["apps"], &["deployments"], &["shop"]);
        assert_eq!(
            read(&named, "prod").unwrap().path,
            "/apis/apps/v1/namespaces/prod/deployments/shop?resourceVersion=0"
        );
        let wild = rule(&["*"], &["*"], &["*"], &[]);
        assert_eq!(
            read(&wild, "prod").unwrap().path,
            "/api/v1/namespaces/prod/pods/scim-tekton-probe?resourceVersion=0"
        );
        assert_eq!(action(&wild, "prod").unwrap().verb, "get");
    }

    #[test]
    fn what_cannot_be_read_has_no_request() {
        assert_eq!(read(&rule(&["create"], &[""], &["configmaps"], &[]), "prod"), None);
        assert_eq!(read(&rule(&["get"], &["example.com"], &["things"], &[]), "prod"), None);
    }
}
