//! The Grant object that `kubectl get grants` shows: a projection of the store's row, never read back as truth.

use std::{sync::Arc, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::sync::mpsc;
use tracing::warn;

use super::delivery;
use crate::{
    api::{Grant, GrantIdentity, GrantPhase, GrantSpec, GrantStatus, ObjectRef},
    clock::rfc3339,
    cluster::{is_conflict, is_not_found},
    store::{GrantId, GrantRecord, Store},
};

/// Name of a Grant object.
pub fn name(grant: GrantId) -> String {
    format!("grant-{grant}")
}

/// The id of a Grant object's row.
pub fn id(name: &str) -> Option<GrantId> {
    name.strip_prefix("grant-")?.parse().ok()
}

/// Makes the object; one that exists is left as it is.
pub async fn create(client: &Client, grant: &GrantRecord, instance: &str) -> kube::Result<()> {
    let grants: Api<Grant> = Api::namespaced(client.clone(), &grant.namespace);
    let mut object = Grant::new(&name(grant.id), spec(grant));
    object.metadata = ObjectMeta {
        name: Some(name(grant.id)),
        labels: Some(delivery::labels(grant.id, instance)),
        owner_references: Some(vec![delivery::owner(grant)]),
        ..ObjectMeta::default()
    };
    match grants.create(&PostParams::default(), &object).await {
        Err(error) if !is_conflict(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Brings the object's status up to the row; an object that is gone stays gone.
pub async fn update(client: &Client, grant: &GrantRecord) -> kube::Result<()> {
    let grants: Api<Grant> = Api::namespaced(client.clone(), &grant.namespace);
    let patch = Patch::Merge(json!({ "status": status(grant) }));
    match grants.patch_status(&name(grant.id), &PatchParams::default(), &patch).await {
        Err(error) if !is_not_found(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Whether the object tells what its row says, as far as it changes.
pub fn tells(object: &Grant, grant: &GrantRecord) -> bool {
    let (shown, row) = (object.status.clone().unwrap_or_default(), status(grant));
    (shown.phase, shown.renewals, shown.expires_at) == (row.phase, row.renewals, row.expires_at)
}

/// Keeps Grant objects up with their rows, one after another, so that no older state is written over a newer one.
/// Nobody waits for it: the rows are the truth, the objects are for people's eyes.
#[derive(Clone)]
pub struct Projector {
    queue: mpsc::UnboundedSender<(GrantId, u8)>,
}

/// How often an object that can't be written is tried.
const TRIES: u8 = 30;

impl Projector {
    /// Starts the one that writes.
    pub fn start(store: Arc<dyn Store>, client: Client) -> Self {
        let (queue, mut next) = mpsc::unbounded_channel();
        let projector = Self { queue };
        let again = projector.clone();
        tokio::spawn(async move {
            while let Some((id, tries)) = next.recv().await {
                let grant = match store.grant(id).await {
                    Ok(Some(grant)) => grant,
                    Ok(None) => continue,
                    Err(error) => {
                        warn!(grant = %id, %error, "can't read a Grant to show it");
                        continue;
                    }
                };
                if let Err(error) = update(&client, &grant).await {
                    warn!(grant = %id, %error, "can't update the Grant object");
                    again.later(id, tries);
                }
            }
        });
        projector
    }

    /// Shows a Grant's row, soon.
    pub fn show(&self, id: GrantId) {
        let _ = self.queue.send((id, 0));
    }

    fn later(&self, id: GrantId, tries: u8) {
        if tries < TRIES {
            let queue = self.queue.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                let _ = queue.send((id, tries + 1));
            });
        }
    }
}

fn spec(grant: &GrantRecord) -> GrantSpec {
    GrantSpec {
        identity: GrantIdentity {
            idp: grant.idp.to_string(),
            id: grant.user.to_string(),
            user_name: grant.user_name.clone(),
        },
        pipeline_run: ObjectRef { name: grant.run_name.clone(), uid: grant.run_uid.clone(), generation: None },
        task: grant.task.clone(),
        template: grant.template.clone(),
        policy: grant.policy.clone(),
        decision_id: grant.decision_id.clone(),
        not_after: rfc3339(grant.not_after),
    }
}

fn status(grant: &GrantRecord) -> GrantStatus {
    GrantStatus {
        phase: grant.phase,
        secret_name: grant.secret_name.clone().filter(|_| grant.phase == GrantPhase::Active),
        issued_at: grant.issued_at.map(rfc3339),
        expires_at: grant.expires_at.map(rfc3339),
        renewals: grant.renewals,
        revoked_at: grant.revoked_at.map(rfc3339),
        reason: grant.reason.map(|reason| reason.as_str().to_owned()).or_else(|| grant.failure.clone()),
        receipt: grant.receipt.clone(),
        conditions: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::{fake::run_and_grant, identity::ResourceId};

    #[test]
    fn an_object_that_tells_of_what_was_is_told_from_one_that_is_up_to_its_row() {
        let row = run_and_grant("run", ResourceId(Uuid::nil()), DateTime::UNIX_EPOCH).1;
        let shown = |row: &GrantRecord| {
            let mut object = Grant::new(&name(row.id), spec(row));
            object.status = Some(status(row));
            object
        };
        let with = |phase, renewals| GrantRecord { phase, renewals, ..row.clone() };
        let (pending, active) = (with(GrantPhase::Pending, 0), with(GrantPhase::Active, 0));
        assert!(tells(&Grant::new("g", spec(&row)), &GrantRecord { expires_at: None, ..pending.clone() }));
        for row in [&pending, &active, &with(GrantPhase::Active, 1), &with(GrantPhase::Revoked, 0)] {
            for other in [&pending, &active, &with(GrantPhase::Active, 1), &with(GrantPhase::Revoked, 0)] {
                let same = (row.phase, row.renewals) == (other.phase, other.renewals);
                assert_eq!(tells(&shown(row), other), same, "{:?} {:?}", row.phase, other.phase);
            }
        }
        let later =
            GrantRecord { expires_at: Some(DateTime::UNIX_EPOCH + chrono::Duration::hours(9)), ..active.clone() };
        assert!(!tells(&shown(&active), &later));
    }
}
