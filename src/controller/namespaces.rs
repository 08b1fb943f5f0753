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

    /// Whose a namespace is.
    pub async fn whose(&self, namespace: &str) -> kube::Result<Whose> {
        if self.selects(namespace).await? {
            return Ok(Whose::Ours);
        }
        let there = Api::<Namespace>::all(self.client.clone()).get_metadata_opt(namespace).await?;
        Ok(if there.is_some() { Whose::Others } else { Whose::Nobodys })
    }
}

/// Whose a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This instance acts in it.
    Ours,
    /// It is there, and left to others.
    Others,
    /// It isn't there.
    Nobodys,
}
