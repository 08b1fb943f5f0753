//! Somebody with the cluster admin's rights who mints a token for each Grant's account the moment that it appears, and
//! tries it after the account should be powerless: not bound to our Secret, so nothing but the loss of its rights stops it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::PostParams,
    runtime::{WatchStreamExt as _, watcher},
};
use scim_tekton::api::{GRANT_LABEL, INSTANCE_LABEL};
use tokio::task::JoinHandle;

use super::{OUR_TIME, Outcome, World, eventually};
use crate::ensure;

/// Where Grants' accounts are.
pub const GRANTS_NAMESPACE: &str = "scim-tekton-grants";

/// The witness.
pub struct Witness {
    tokens: Arc<Mutex<BTreeMap<String, String>>>,
    task: JoinHandle<()>,
}

impl Witness {
    /// Begins to watch an instance's Grants.
    pub fn of(kube: &Client, instance: &str) -> Self {
        let tokens = Arc::new(Mutex::new(BTreeMap::new()));
        let accounts: Api<ServiceAccount> = Api::namespaced(kube.clone(), GRANTS_NAMESPACE);
        let ours = watcher::Config::default().labels(&format!("{INSTANCE_LABEL}={instance}"));
        let kept = Arc::clone(&tokens);
        let task = tokio::spawn(async move {
            let seen = watcher(accounts.clone(), ours).default_backoff().applied_objects();
            pin_mut!(seen);
            while let Some(account) = seen.next().await {
                let Ok(account) = account else { continue };
                let Some(grant) = account.labels().get(GRANT_LABEL) else { continue };
                // It may be gone again already; then there is nothing to try.
                if let Some(token) = mint(&accounts, &account.name_any()).await {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).entry(grant.clone()).or_insert(token);
                }
            }
        });
        Self { tokens, task }
    }

    /// The token of a Grant, if its account lived long enough.
    pub fn token(&self, grant: &str) -> Option<String> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(grant).cloned()
    }

    /// At how many Grants it has minted.
    pub fn minted(&self) -> usize {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Asked once, now: both API servers deny the Grant's account, and refuse the token that was minted for it.
    pub async fn refused(&self, world: &World, namespace: &str, grant: &str) -> Outcome {
        let account = format!("grant-{grant}");
        let client = reqwest::Client::builder().tls_certs_only([world.cluster_ca()?]).build()?;
        for server in world.api_servers() {
            let user = format!("system:serviceaccount:{GRANTS_NAMESPACE}:{account}");
            ensure!(!may(world, &server, &user, namespace).await?, "{server} still allows {account} in {namespace}");
            let Some(token) = self.token(grant) else { continue };
            let url = format!("{server}/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt");
            let status = client.get(url).bearer_auth(token).send().await?.status().as_u16();
            ensure!(status == 401 || status == 403, "{server} answers {status} to a token of {account}");
        }
        Ok(())
    }

    /// The same, within a moment.
    pub async fn soon_refused(&self, world: &World, namespace: &str, grant: &str) -> Outcome {
        eventually(&format!("Grant {grant} is refused everywhere"), OUR_TIME, || async {
            self.refused(world, namespace, grant).await.map(Some)
        })
        .await
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a `SubjectAccessReview` at one API server says of reading `ConfigMap`s, which is what the team's role allows.
pub async fn may(world: &World, server: &str, user: &str, namespace: &str) -> Outcome<bool> {
    let review = serde_json::json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {
            "user": user,
            "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{GRANTS_NAMESPACE}"), "system:authenticated"],
            "resourceAttributes": {"verb": "get", "resource": "configmaps", "namespace": namespace},
        },
    });
    let request = http::Request::post("/apis/authorization.k8s.io/v1/subjectaccessreviews")
        .header("content-type", "application/json")
        .body(serde_json::to_vec(&review)?)?;
    let answer: serde_json::Value = world.kube_at(server)?.request(request).await?;
    Ok(answer["status"]["allowed"] == true)
}

async fn mint(accounts: &Api<ServiceAccount>, account: &str) -> Option<String> {
    let request = TokenRequest {
        spec: Some(TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() }),
        ..TokenRequest::default()
    };
    accounts.create_token_request(account, &PostParams::default(), &request).await.ok()?.status?.token
}
