//! That they refuse: a forged child, and a Secret of ours without our label, tried at every API server as a dry run.

use std::{fmt::Debug, sync::Arc};

use futures::future::join_all;
use k8s_openapi::{
    NamespaceResourceScope, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta,
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{Api, Client, Resource, api::PostParams};
use serde::{Serialize, de::DeserializeOwned};

use super::verdict::Look;
use crate::{
    api::{
        GROUP, VERSION,
        tekton::{CustomRun, CustomRunSpec, TaskRef},
    },
    cluster::ApiServer,
};

/// The run that the forged child claims: nobody's.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// In the grants namespace, where alone we may create CustomRuns, and where no run ever is.
pub(super) async fn look(servers: &[Arc<ApiServer>], namespace: &str) -> Look {
    let (forged, unlabelled) = (forged_child(), unlabelled());
    let tried = join_all(servers.iter().map(|server| {
        futures::future::join(
            is_refused("scim-tekton-children", &server.client, namespace, &forged),
            is_refused("scim-tekton-own-accounts", &server.client, namespace, &unlabelled),
        )
    }));
    let nobody = || Look::Unclear("no API server is known".into());
    let (mut child, mut secret) = (nobody(), nobody());
    for (one, other) in tried.await {
        (child, secret) = (child.or_silent(one), secret.or_silent(other));
    }
    child.and(secret)
}

fn forged_child() -> CustomRun {
    let template = TaskRef {
        api_version: Some(format!("{GROUP}/{VERSION}")),
        kind: Some("CredentialTemplate".into()),
        name: Some("forged".into()),
    };
    let mut child = CustomRun::new("forged", CustomRunSpec { custom_ref: Some(template), ..CustomRunSpec::default() });
    child.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "tekton.dev/v1".into(),
        kind: "PipelineRun".into(),
        name: "nobodys".into(),
        uid: NOBODY.into(),
        controller: Some(true),
        block_owner_deletion: None,
    }]);
    child
}

fn unlabelled() -> Secret {
    Secret { metadata: ObjectMeta { name: Some("forged".into()), ..ObjectMeta::default() }, ..Secret::default() }
}

async fn is_refused<K>(policy: &str, client: &Client, namespace: &str, object: &K) -> Look
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let answer = Api::<K>::namespaced(client.clone(), namespace).create(&params, object).await;
    judge(policy, answer.map(drop))
}

/// Only a refusal by this very policy shows that it holds. Tekton's webhook may be down, a quota may be used up, or RBAC
/// may say no before: then it can't be told.
fn judge(policy: &str, answer: kube::Result<()>) -> Look {
    match answer {
        Ok(()) => Look::Open(format!("{policy} admits what it should refuse")),
        Err(kube::Error::Api(status))
            if matches!(status.code, 403 | 422)
                && status.message.contains(&format!("ValidatingAdmissionPolicy '{policy}'")) =>
        {
            Look::Holds
        }
        Err(error) => Look::Unclear(format!("{policy} can't be tried: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn only_a_refusal_by_this_very_policy_shows_that_it_holds() {
        let said = |code, message: &str| {
            let status = Status { code, message: message.into(), ..Status::default() };
            judge("scim-tekton-children", Err(kube::Error::Api(Box::new(status))))
        };
        let by = |policy: &str| {
            format!(
                "\"forged\" is forbidden: ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: …"
            )
        };
        assert_eq!(said(403, &by("scim-tekton-children")), Look::Holds);
        assert!(matches!(said(403, &by("another")), Look::Unclear(_)));
        let rbac = "customruns.tekton.dev is forbidden: User \"scim-tekton-children\" cannot create resource";
        assert!(matches!(said(403, rbac), Look::Unclear(_)));
        assert!(matches!(said(500, "failed calling webhook \"webhook.pipeline.tekton.dev\""), Look::Unclear(_)));
        assert!(matches!(judge("scim-tekton-children", Ok(())), Look::Open(_)));
    }
}
