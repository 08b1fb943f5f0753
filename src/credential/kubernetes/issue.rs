//! Making a Grant's account, its token and its bindings.

use std::collections::BTreeMap;

use chrono::Duration;
use futures::future::join_all;
use k8s_openapi::{
    api::{
        authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
        core::v1::{Secret, ServiceAccount},
        rbac::v1::{RoleBinding, RoleRef as KubernetesRoleRef, Subject},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, api::PostParams};
use secrecy::SecretString;

use super::{Facts, KubernetesProvider};
use crate::{
    cluster::{is_conflict, time},
    credential::{IssueError, Material, delivery},
    store::GrantRecord,
};

/// The API server refuses shorter ones (422).
const SHORTEST: Duration = Duration::minutes(10);

/// How far our clock may be behind an API server's.
const MOST_BEHIND: Duration = Duration::seconds(60);

impl KubernetesProvider {
    /// Makes all of a Pending Grant, and hands nothing out. Create only: names are never used twice, so what exists
    /// already is this Grant's own, from before a crash.
    pub async fn issue(&self, grant: &GrantRecord, ttl: Duration) -> Result<Material, IssueError> {
        let facts = facts(grant)?;
        let secret_uid = self.make_account(grant).await?;
        fail::fail_point!("issue::account_made");
        // The token comes last: a binding whose creation was given up, and which comes about after the revocation, binds
        // an account for which no token was ever made.
        self.make_bindings(grant, &facts).await?;
        fail::fail_point!("issue::bindings_made");
        let (token, expires_at) = self.request_token(grant, &secret_uid, ttl).await?;
        self.remember(grant.id, token.clone());
        fail::fail_point!("issue::token_made");
        Ok(self.material(grant, &token, expires_at, &facts))
    }

    /// A fresh token for an Active Grant, bound to the same Secret.
    pub async fn renew(&self, grant: &GrantRecord, ttl: Duration) -> Result<Material, IssueError> {
        let secrets: Api<Secret> = Api::namespaced(self.cluster.direct.clone(), &self.grants_namespace);
        let secret = secrets
            .get(&Self::account_name(grant.id))
            .await
            .map_err(|error| IssueError::from_kubernetes(&error, "reading the grant's bound Secret"))?;
        let uid = secret.metadata.uid.unwrap_or_default();
        let (token, expires_at) = self.request_token(grant, &uid, ttl).await?;
        self.remember(grant.id, token.clone());
        Ok(self.material(grant, &token, expires_at, &facts(grant)?))
    }

    async fn make_account(&self, grant: &GrantRecord) -> Result<String, IssueError> {
        let client = &self.cluster.direct;
        let metadata = ObjectMeta {
            name: Some(Self::account_name(grant.id)),
            labels: Some(delivery::labels(grant.id, &self.instance)),
            ..ObjectMeta::default()
        };
        let account = ServiceAccount {
            metadata: metadata.clone(),
            automount_service_account_token: Some(false),
            ..ServiceAccount::default()
        };
        // No finalizer on the bound Secret: while it is only marked for deletion, its token is honoured (FACTS 17).
        let secret = Secret { metadata, type_: Some("scim-tekton.dev/bound".into()), ..Secret::default() };
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &self.grants_namespace);
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &self.grants_namespace);
        let post = PostParams::default();
        let (account, secret) = tokio::join!(accounts.create(&post, &account), secrets.create(&post, &secret));
        match account {
            Err(error) if !is_conflict(&error) => {
                return Err(IssueError::from_kubernetes(&error, "making the grant's ServiceAccount"));
            }
            _ => {}
        }
        let secret = match secret {
            Err(error) if is_conflict(&error) => secrets.get(&Self::account_name(grant.id)).await,
            other => other,
        };
        secret
            .map(|secret| secret.metadata.uid.unwrap_or_default())
            .map_err(|error| IssueError::from_kubernetes(&error, "making the grant's bound Secret"))
    }

    async fn request_token(
        &self,
        grant: &GrantRecord,
        secret_uid: &str,
        ttl: Duration,
    ) -> Result<(SecretString, chrono::DateTime<chrono::Utc>), IssueError> {
        let name = Self::account_name(grant.id);
        let now = (self.clock)();
        // A credential that would outlive its `notAfter` is still dead then: the revocation sees to it.
        let life = ttl.min(grant.not_after - now).max(SHORTEST);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: None,
                expiration_seconds: Some(life.num_seconds()),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".into()),
                    kind: Some("Secret".into()),
                    name: Some(name.clone()),
                    uid: Some(secret_uid.to_owned()),
                }),
            }),
            ..TokenRequest::default()
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.cluster.direct.clone(), &self.grants_namespace);
        let status = accounts
            .create_token_request(&name, &PostParams::default(), &request)
            .await
            .map_err(|error| IssueError::from_kubernetes(&error, "asking for the grant's token"))?
            .status
            .ok_or_else(|| IssueError::Unavailable("the API server's TokenRequest has no status".into()))?;
        let (Some(token), Some(expires_at)) = (status.token, status.expiration_timestamp) else {
            return Err(IssueError::Unavailable("the API server's TokenRequest has no token".into()));
        };
        let expires_at = time::from_kubernetes(&expires_at);
        // Its end tells the API server's time. While ours is behind, all that we end in time would end too late.
        match expires_at - life - now {
            behind if behind > MOST_BEHIND => Err(IssueError::Unavailable(format!(
                "scim-tekton's clock is {} s behind the API server's, and so would be the end of this credential; ask \
                 the cluster's admin to set the clocks right",
                behind.num_seconds()
            ))),
            _ => Ok((token.into(), expires_at)),
        }
    }

    async fn make_bindings(&self, grant: &GrantRecord, facts: &Facts) -> Result<(), IssueError> {
        let bindings: Api<RoleBinding> = Api::namespaced(self.cluster.direct.clone(), &grant.namespace);
        let post = PostParams::default();
        let all = facts.roles.iter().enumerate().map(|(index, bound)| {
            let binding = RoleBinding {
                metadata: ObjectMeta {
                    name: Some(Self::binding_name(grant.id, index)),
                    labels: Some(delivery::labels(grant.id, &self.instance)),
                    owner_references: Some(vec![delivery::owner(grant)]),
                    ..ObjectMeta::default()
                },
                role_ref: KubernetesRoleRef {
                    api_group: Some("rbac.authorization.k8s.io".into()),
                    kind: bound.role.kind.as_str().into(),
                    name: bound.role.name.clone(),
                },
                subjects: Some(vec![Subject {
                    kind: "ServiceAccount".into(),
                    name: Self::account_name(grant.id),
                    namespace: Some(self.grants_namespace.clone()),
                    ..Subject::default()
                }]),
            };
            let (bindings, post) = (&bindings, &post);
            async move {
                match bindings.create(post, &binding).await {
                    Err(error) if !is_conflict(&error) => Err(IssueError::from_kubernetes(
                        &error,
                        &format!("binding {} {}", bound.role.kind.as_str(), bound.role.name),
                    )),
                    _ => Ok(()),
                }
            }
        });
        // All to their end: one that is dropped in flight could land after the Grant's objects were removed.
        join_all(all).await.into_iter().collect()
    }

    fn material(
        &self,
        grant: &GrantRecord,
        token: &SecretString,
        expires_at: chrono::DateTime<chrono::Utc>,
        facts: &Facts,
    ) -> Material {
        let ca = self.cluster.ca_pem();
        let files = BTreeMap::from([
            ("kubeconfig", kubeconfig(&grant.namespace).into()),
            ("token", token.clone()),
            ("ca.crt", ca.into()),
            ("namespace", grant.namespace.clone().into()),
        ]);
        Material { files, expires_at, facts: facts.to_value() }
    }
}

fn facts(grant: &GrantRecord) -> Result<Facts, IssueError> {
    Facts::of(grant).map_err(|error| IssueError::Refused(format!("the Grant's row can't be read: {error}")))
}

/// A kubeconfig that reads the token from the file beside it, so that a renewed one is taken up.
fn kubeconfig(namespace: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: grant
contexts:
- name: grant
  context: {{cluster: this, user: grant, namespace: {namespace}}}
clusters:
- name: this
  cluster: {{server: \"https://kubernetes.default.svc\", certificate-authority: ca.crt}}
users:
- name: grant
  user: {{tokenFile: token}}
"
    )
}
