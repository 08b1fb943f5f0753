//! What our own program puts into the cluster: the Secrets with our CA and our signing keys, and the
//! ClusterInterceptor with its caBundle. The latter is never plain YAML: one with an empty bundle takes every
//! EventListener of the cluster down (FACTS 5).

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tracing::info;

use crate::{
    api::{INSTANCE_LABEL, tekton::ClusterInterceptor},
    cluster::is_conflict,
    keys::{KeyDocument, KeyError},
};

/// Why our own objects are not there.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// An API server said no.
    #[error("{doing}: {source}")]
    Kubernetes {
        /// What was being done.
        doing: String,
        /// What it said.
        source: Box<kube::Error>,
    },
    /// The keys are not to be read or made.
    #[error(transparent)]
    Keys(#[from] KeyError),
}

impl InstallError {
    fn kubernetes(doing: String) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Kubernetes { doing, source: Box::new(source) }
    }
}

/// The document in a Secret; whoever comes first makes it.
pub async fn load_or_make<T: KeyDocument>(
    client: &Client,
    namespace: &str,
    name: &str,
    instance: &str,
    make: impl FnOnce() -> Result<T, KeyError>,
) -> Result<T, InstallError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let place = format!("Secret {namespace}/{name}");
    let read = || async { secrets.get_opt(name).await.map_err(InstallError::kubernetes(format!("reading {place}"))) };
    if let Some(secret) = read().await? {
        return parse(&secret);
    }
    let fresh = make()?;
    let document = fresh.to_document()?;
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            // Without it, the API server lets our account write no Secret.
            labels: Some(BTreeMap::from([(INSTANCE_LABEL.to_owned(), instance.to_owned())])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(T::NAME.to_owned(), ByteString(document.expose_secret().as_bytes().to_vec()))])),
        ..Secret::default()
    };
    match secrets.create(&PostParams::default(), &secret).await {
        Ok(_) => {
            info!(secret = place, "made");
            Ok(fresh)
        }
        // Another replica was faster: its keys are ours.
        Err(error) if is_conflict(&error) => match read().await? {
            Some(secret) => parse(&secret),
            None => Err(InstallError::kubernetes(format!("making {place}"))(error)),
        },
        Err(error) => Err(InstallError::kubernetes(format!("making {place}"))(error)),
    }
}

fn parse<T: KeyDocument>(secret: &Secret) -> Result<T, InstallError> {
    let bytes = secret.data.as_ref().and_then(|data| data.get(T::NAME));
    let text = bytes.and_then(|bytes| String::from_utf8(bytes.0.clone()).ok()).unwrap_or_default();
    Ok(T::from_document(&SecretString::from(text))?)
}

/// Where EventListeners reach us.
pub enum Reach {
    /// A Service of the install namespace.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
    },
    /// A URL.
    Url(String),
}

/// Makes or mends the ClusterInterceptor, by server-side apply.
pub async fn apply_cluster_interceptor(
    client: &Client,
    name: &str,
    reach: &Reach,
    ca_pem: &str,
) -> Result<(), InstallError> {
    let mut config = match reach {
        Reach::Service { namespace, name, port } => {
            json!({"service": {"name": name, "namespace": namespace, "port": port, "path": "/"}})
        }
        Reach::Url(url) => json!({"url": url}),
    };
    if let Some(config) = config.as_object_mut() {
        config.insert("caBundle".into(), json!(BASE64_STANDARD.encode(ca_pem)));
    }
    let object = json!({
        "apiVersion": "triggers.tekton.dev/v1alpha1",
        "kind": "ClusterInterceptor",
        // Without the label, Triggers takes it for plain http and replaces its labels.
        "metadata": {"name": name, "labels": {"server/type": "https"}},
        "spec": {"clientConfig": config},
    });
    let interceptors: Api<ClusterInterceptor> = Api::all(client.clone());
    let params = PatchParams::apply("scim-tekton").force();
    interceptors
        .patch(name, &params, &Patch::Apply(object))
        .await
        .map_err(InstallError::kubernetes(format!("making ClusterInterceptor {name}")))?;
    info!(name, "ClusterInterceptor in place");
    Ok(())
}
