//! Delivery `Secret`: the copy in the run's namespace that steps mount.
//!
//! A Secret volume is refreshed by the kubelet after 60–90 s; annotating the pod makes that a second (measured). The
//! Secret is owned by the PipelineRun, so that it goes with it even while we are down; that it is useless by then is
//! the revocation's doing, not the garbage collector's.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
};
use secrecy::ExposeSecret;

use super::Material;
use crate::{
    api::{GRANT_LABEL, INSTANCE_LABEL},
    cluster::{is_conflict, is_not_found, is_not_ours},
    store::{GrantId, GrantRecord},
};

/// Name of the Secret that holds a Grant's credential.
pub fn secret_name(grant: GrantId) -> String {
    format!("grant-{grant}")
}

/// The PipelineRun as the owner of what is made for it.
pub fn owner(grant: &GrantRecord) -> OwnerReference {
    OwnerReference {
        api_version: "tekton.dev/v1".into(),
        kind: "PipelineRun".into(),
        name: grant.run_name.clone(),
        uid: grant.run_uid.clone(),
        controller: Some(false),
        block_owner_deletion: Some(false),
    }
}

/// The labels of everything that belongs to a Grant.
pub fn labels(grant: GrantId, instance: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(GRANT_LABEL.to_owned(), grant.to_string()), (INSTANCE_LABEL.to_owned(), instance.to_owned())])
}

/// Hands a credential out. The name is never used twice, so an existing one is this Grant's own, from before a crash:
/// its content is replaced.
pub async fn deliver(client: &Client, grant: &GrantRecord, instance: &str, material: &Material) -> kube::Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &grant.namespace);
    match secrets.create(&PostParams::default(), &secret(grant, instance, data(material))).await {
        Err(error) if is_conflict(&error) => replace(client, grant, instance, material).await,
        other => other.map(drop),
    }
}

/// Puts a renewed credential into the Secret; one that somebody deleted is not made here (404). The Secret is written
/// whole: we may not patch Secrets, since a patch's answer would show what another one holds.
pub async fn replace(client: &Client, grant: &GrantRecord, instance: &str, material: &Material) -> kube::Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &grant.namespace);
    let secret = secret(grant, instance, data(material));
    secrets.replace(&secret_name(grant.id), &PostParams::default(), &secret).await.map(drop)
}

/// Whether the copy is gone, found out by a dry run of making it: we may not read it.
pub async fn is_gone(client: &Client, grant: &GrantRecord, instance: &str) -> kube::Result<bool> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &grant.namespace);
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    match secrets.create(&dry_run, &secret(grant, instance, BTreeMap::new())).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(false),
        Err(error) => Err(error),
    }
}

fn secret(grant: &GrantRecord, instance: &str, data: BTreeMap<String, ByteString>) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(secret_name(grant.id)),
            labels: Some(labels(grant.id, instance)),
            owner_references: Some(vec![owner(grant)]),
            ..ObjectMeta::default()
        },
        type_: Some("scim-tekton.dev/grant".into()),
        data: Some(data),
        ..Secret::default()
    }
}

/// Takes the copy away; one that is gone already, or whose name somebody else has taken since, is no error.
pub async fn withdraw(client: &Client, grant: &GrantRecord) -> kube::Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &grant.namespace);
    match secrets.delete(&secret_name(grant.id), &DeleteParams::default()).await {
        Err(error) if !is_not_found(&error) && !is_not_ours(&error) => Err(error),
        _ => Ok(()),
    }
}

fn data(material: &Material) -> BTreeMap<String, ByteString> {
    material
        .files
        .iter()
        .map(|(name, content)| ((*name).to_owned(), ByteString(content.expose_secret().as_bytes().to_vec())))
        .collect()
}
