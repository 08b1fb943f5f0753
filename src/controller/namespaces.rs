//! Where this instance acts: the namespaces that `controller.namespaceSelector` selects.

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, api::ListParams};

/// Selects namespaces; an empty selector selects all.
#[derive(Clone)]
pub struct Namespaces {
    client: Client,
    selector: String,
}

impl Namespaces {
    /// The namespaces of this selector.
    pub fn new(client: Client, selector: &str) -> Self {
        Self { client, selector: selector.trim().to_owned() }
    }

    /// Whether this instance acts in a namespace. Asked of the API server, so that a namespace labelled a moment ago
    /// counts.
    pub async fn selects(&self, namespace: &str) -> kube::Result<bool> {
        if self.selector.is_empty() {
            return Ok(true);
        }
        let one = ListParams::default().labels(&self.selector).fields(&format!("metadata.name={namespace}"));
        let found = Api::<Namespace>::all(self.client.clone()).list_metadata(&one).await?;
        Ok(!found.items.is_empty())
    }

    /// Whether a namespace is there, whosever it is.
    pub async fn exist(&self, namespace: &str) -> kube::Result<bool> {
        Ok(Api::<Namespace>::all(self.client.clone()).get_metadata_opt(namespace).await?.is_some())
    }
}
