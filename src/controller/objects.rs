//! The Grants' objects against their rows. A Grant whose RoleBinding is missing is ended, never repaired: else whoever
//! took it away would have taken nothing. An object whose Grant does not live is removed: a request of a process that
//! died may land after the Grant's end, and a restored store knows nothing of what was issued since.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt as _, stream};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::{Api, ResourceExt as _, core::PartialObjectMeta};
use tracing::{info, warn};

use super::{Context, ControllerError};
use crate::{
    api::{GRANT_LABEL, GrantPhase, RevocationReason, tekton::PipelineRun},
    credential::kubernetes::{Kind, Labelled, Object},
    store::{GrantId, GrantRecord, GrantSelect, Revocations},
};

/// Objects that are removed at once.
const AT_ONCE: usize = 16;

/// Every Active Grant against what is there now, and the other way round.
pub async fn compare(context: &Arc<Context>) -> Result<(), ControllerError> {
    // Before the objects are listed: what is Active now has had all of them for a while.
    let active = GrantSelect { phases: vec![GrantPhase::Active], ..GrantSelect::default() };
    let active = context.store.grants(&active).await?;
    let there = context.kubernetes.labelled().await.map_err(ControllerError::kubernetes("listing Grants' objects"))?;
    let mut revocations = Revocations::default();
    for (grant, missing) in incomplete(&active, &there, |grant| context.kubernetes.objects(grant)) {
        info!(grant = %grant.id, ?missing, "an object of a Grant is gone: revoking");
        let reason = why_deleted(context, grant).await;
        revocations.grants.append(&mut context.store.revoke_grant(grant.id, reason).await?.grants);
    }
    context.revoker.revoke(revocations).await;
    remove_orphans(context, &active, there).await
}

/// A Grant's RoleBinding that somebody deleted.
pub async fn role_binding_deleted(context: &Arc<Context>, binding: &PartialObjectMeta<RoleBinding>) {
    let Some(id) = binding.labels().get(GRANT_LABEL).and_then(|id| id.parse().ok()) else { return };
    let object = Object {
        kind: Kind::RoleBinding,
        namespace: binding.namespace().unwrap_or_default(),
        name: binding.name_any(),
    };
    // Whoever may make RoleBindings may write our labels on them: the name tells whether it was the Grant's own.
    let is_own = |grant: &GrantRecord| context.kubernetes.objects(grant).contains(&object);
    revoke_deleted(context, id, is_own).await;
}

/// An object that stands for a Grant was deleted: that is a request to revoke it, unless we are doing so already.
pub async fn revoke_deleted(context: &Arc<Context>, id: GrantId, is_own: impl Fn(&GrantRecord) -> bool) {
    let grant = match context.store.grant(id).await {
        Ok(Some(grant)) if grant.phase == GrantPhase::Active && is_own(&grant) => grant,
        Ok(_) => return,
        Err(error) => return warn!(grant = %id, %error, "can't look whose object was deleted"),
    };
    let reason = why_deleted(context, &grant).await;
    info!(grant = %id, reason = reason.as_str(), "an object of a Grant was deleted: revoking");
    match context.store.revoke_grant(id, reason).await {
        Ok(revocations) => context.revoker.revoke(revocations).await,
        Err(error) => warn!(grant = %id, %error, "can't record the revocation"),
    }
}

/// With its run a Grant's objects are deleted by the garbage collector, else by hand.
async fn why_deleted(context: &Context, grant: &GrantRecord) -> RevocationReason {
    let runs: Api<PipelineRun> = Api::namespaced(context.cluster.direct.clone(), &grant.namespace);
    match runs.get_metadata_opt(&grant.run_name).await {
        Ok(None) => RevocationReason::RunDeleted,
        Ok(Some(run)) if run.uid().as_deref() != Some(&grant.run_uid) => RevocationReason::RunDeleted,
        Ok(Some(run)) if run.metadata.deletion_timestamp.is_some() => RevocationReason::RunDeleted,
        _ => RevocationReason::Manual,
    }
}

async fn remove_orphans(
    context: &Arc<Context>,
    active: &[GrantRecord],
    there: Vec<Labelled>,
) -> Result<(), ControllerError> {
    let mut rows: HashMap<GrantId, GrantRecord> = active.iter().map(|grant| (grant.id, grant.clone())).collect();
    let others: HashSet<_> = there.iter().filter_map(|found| found.grant).filter(|id| !rows.contains_key(id)).collect();
    for id in others {
        // After the objects were listed: a row stands before the first object of its Grant.
        rows.extend(context.store.grant(id).await?.map(|grant| (id, grant)));
    }
    let is_orphan = |found: &Labelled| {
        let row = found.grant.and_then(|id| rows.get(&id));
        is_orphan(&found.object, row, |grant| context.kubernetes.objects(grant))
    };
    let mut orphans: Vec<_> = there.into_iter().filter(is_orphan).collect();
    orphans.sort_by(|left, right| left.object.cmp(&right.object));
    let all = stream::iter(orphans).map(|orphan| async move {
        let Object { kind, namespace, name } = &orphan.object;
        match context.kubernetes.remove(&orphan).await {
            Ok(()) => {
                metrics::counter!(crate::telemetry::metric::ORPHANS_REMOVED).increment(1);
                warn!(?kind, namespace, name, "removed: its Grant does not live");
            }
            Err(error) => warn!(?kind, namespace, name, %error, "can't remove what has no Grant; tried again"),
        }
    });
    all.buffered(AT_ONCE).collect::<()>().await;
    Ok(())
}

/// Grants of which something is not there, and what.
fn incomplete<'a>(
    active: &'a [GrantRecord],
    there: &[Labelled],
    objects: impl Fn(&GrantRecord) -> HashSet<Object>,
) -> Vec<(&'a GrantRecord, Object)> {
    let there: HashSet<_> = there.iter().map(|labelled| &labelled.object).collect();
    let missing = |grant| objects(grant).into_iter().find(|object| !there.contains(object));
    active.iter().filter_map(|grant| Some((grant, missing(grant)?))).collect()
}

/// Whether an object belongs to no Grant that lives or is being ended.
fn is_orphan(object: &Object, row: Option<&GrantRecord>, objects: impl Fn(&GrantRecord) -> HashSet<Object>) -> bool {
    let Some(grant) = row else { return true };
    match grant.phase {
        GrantPhase::Pending | GrantPhase::Active => !objects(grant).contains(object),
        // Its revocation, or the sweep, is about to take it.
        GrantPhase::Revoking => false,
        GrantPhase::Failed | GrantPhase::Revoked => grant.revoked_at.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::{fake::run_and_grant, identity::ResourceId};

    fn object(kind: Kind, name: String) -> Object {
        Object { kind, namespace: "ns".into(), name }
    }

    /// As the provider: an account and a RoleBinding.
    fn objects(grant: &GrantRecord) -> HashSet<Object> {
        let name = format!("grant-{}", grant.id);
        let binding = object(Kind::RoleBinding, format!("{name}-0"));
        HashSet::from([object(Kind::ServiceAccount, name), binding])
    }

    fn grant(phase: GrantPhase) -> GrantRecord {
        let user = ResourceId(uuid::Uuid::nil());
        GrantRecord { phase, ..run_and_grant("run", user, DateTime::UNIX_EPOCH).1 }
    }

    fn labelled(object: Object, grant: &GrantRecord) -> Labelled {
        Labelled { object, uid: None, grant: Some(grant.id) }
    }

    #[test]
    fn a_grant_that_lacks_an_object_is_incomplete() {
        let (whole, lacking) = (grant(GrantPhase::Active), grant(GrantPhase::Active));
        let mut there: Vec<_> = objects(&whole).into_iter().map(|object| labelled(object, &whole)).collect();
        let rest = objects(&lacking).into_iter().filter(|object| object.kind != Kind::RoleBinding);
        there.extend(rest.map(|object| labelled(object, &lacking)));
        let active = [whole, lacking];
        let found = incomplete(&active, &there, objects);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0.id, found[0].1.kind), (active[1].id, Kind::RoleBinding));
    }

    #[test]
    fn what_belongs_to_no_living_grant_is_an_orphan() {
        let own = |grant: &GrantRecord| object(Kind::ServiceAccount, format!("grant-{}", grant.id));
        for (phase, done, expected) in [
            (GrantPhase::Pending, false, false),
            (GrantPhase::Active, false, false),
            (GrantPhase::Revoking, false, false),
            (GrantPhase::Failed, false, false),
            (GrantPhase::Failed, true, true),
            (GrantPhase::Revoked, true, true),
        ] {
            let grant = GrantRecord { revoked_at: done.then_some(DateTime::UNIX_EPOCH), ..grant(phase) };
            assert_eq!(is_orphan(&own(&grant), Some(&grant), objects), expected, "{phase:?}, done: {done}");
        }
        let active = grant(GrantPhase::Active);
        assert!(is_orphan(&own(&active), None, objects), "no row at all");
        assert!(is_orphan(&object(Kind::RoleBinding, "by-hand".into()), Some(&active), objects), "a foreign name");
    }
}
