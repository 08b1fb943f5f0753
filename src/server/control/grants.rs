//! Grants: who holds what now, and the kill switch.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    ControlState, Refusal,
    people::find_holder,
    wire::{GrantQuery, RevokeAnswer, RevokeRequest},
};
use crate::{
    api::{GrantPhase, ObjectRef, RevocationReason},
    identity::ResourceId,
    store::{GrantId, GrantRecord, GrantSelect, Revocations, RunRecord},
};

/// The store commits what comes at the same time as one.
const AT_ONCE: usize = 64;

pub(super) async fn list(
    State(control): State<ControlState>,
    asked: Result<Query<GrantQuery>, QueryRejection>,
) -> Result<Json<Vec<GrantRecord>>, Refusal> {
    let Query(query) = asked?;
    let user = match &query.user {
        Some(name) => Some(find_holder(&control.directory.load(), name, query.idp.as_deref())?.id),
        None => None,
    };
    let phases = if query.all { vec![] } else { vec![GrantPhase::Pending, GrantPhase::Active, GrantPhase::Revoking] };
    Ok(Json(control.store.grants(&GrantSelect { phases, user, ..GrantSelect::default() }).await?))
}

pub(super) async fn show(
    State(control): State<ControlState>,
    Path(id): Path<String>,
) -> Result<Json<GrantRecord>, Refusal> {
    let unknown = || Refusal::not_found(format!("there is no Grant {id:?}: see `scim-tekton grants list --all`"));
    let grant: GrantId = id.parse().map_err(|_| unknown())?;
    control.store.grant(grant).await?.map(Json).ok_or_else(unknown)
}

pub(super) async fn revoke(
    State(control): State<ControlState>,
    request: Result<Json<RevokeRequest>, JsonRejection>,
) -> Result<Json<RevokeAnswer>, Refusal> {
    let Json(request) = request?;
    let which = Which::of(&control, &request)?;
    let revocations = intend(&control, &which).await?;
    let ids: Vec<_> = revocations.grants.iter().map(|grant| grant.id).collect();
    let runs = revocations.runs.iter().map(|(run, _)| run.path()).collect();
    control.effects.revoke(revocations).await;
    let grants = stream::iter(ids)
        .map(|id| {
            let store = Arc::clone(&control.store);
            async move { store.grant(id).await }
        })
        .buffered(AT_ONCE)
        .try_filter_map(|grant| async move { Ok(grant) })
        .try_collect()
        .await?;
    Ok(Json(RevokeAnswer { grants, runs }))
}

/// What a person wants revoked.
enum Which {
    Ids(Vec<GrantId>),
    User(ResourceId),
    Run(String),
    Policy(String),
    All,
}

impl Which {
    fn of(control: &ControlState, request: &RevokeRequest) -> Result<Self, Refusal> {
        let mut all = Vec::new();
        if !request.ids.is_empty() {
            all.push(Self::Ids(request.ids.clone()));
        }
        if let Some(name) = &request.user {
            // Someone who was deleted has no name any more, but may still be called by id.
            let user = match find_holder(&control.directory.load(), name, request.idp.as_deref()) {
                Ok(user) => user.id,
                Err(refusal) => name.parse().map_err(|_| refusal)?,
            };
            all.push(Self::User(user));
        }
        all.extend(request.run.clone().map(Self::Run));
        all.extend(request.policy.clone().map(Self::Policy));
        if request.all {
            all.push(Self::All);
        }
        match (all.pop(), all.is_empty()) {
            (Some(one), true) => Ok(one),
            _ => Err(Refusal::bad("say what to revoke by exactly one of: ids, --user, --run, --policy, --all")),
        }
    }

    fn has_grant(&self, grant: &GrantRecord) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(&grant.id),
            Self::User(user) => grant.user == *user,
            Self::Run(run) => is_run(run, &grant.run_uid, &grant.namespace, &grant.run_name),
            Self::Policy(policy) => is_policy(policy, &grant.namespace, &grant.policy),
            Self::All => true,
        }
    }

    fn has_run(&self, run: &RunRecord) -> bool {
        match self {
            Self::Ids(_) => false,
            Self::User(user) => run.user == *user,
            Self::Run(wanted) => is_run(wanted, &run.uid, &run.namespace, &run.name),
            Self::Policy(policy) => is_policy(policy, &run.namespace, &run.policy),
            Self::All => true,
        }
    }
}

fn is_run(wanted: &str, uid: &str, namespace: &str, name: &str) -> bool {
    wanted == uid || wanted.split_once('/') == Some((namespace, name))
}

fn is_policy(wanted: &str, namespace: &str, policy: &ObjectRef) -> bool {
    wanted == policy.uid || wanted.split_once('/') == Some((namespace, policy.name.as_str()))
}

/// Records the intents. Runs go first: a run that ends can begin no further Grant.
async fn intend(control: &ControlState, which: &Which) -> Result<Revocations, Refusal> {
    let store = &control.store;
    let runs: Vec<_> = store.live_runs().await?.into_iter().filter(|run| which.has_run(run)).collect();
    let uids: Vec<_> = runs.iter().map(|run| run.uid.clone()).collect();
    let mut intents: Vec<Revocations> = stream::iter(uids)
        .map(|uid| {
            let store = Arc::clone(store);
            async move { store.run_ended(&uid, RevocationReason::Manual).await }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let live = GrantSelect { phases: vec![GrantPhase::Pending, GrantPhase::Active], ..GrantSelect::default() };
    let grants: Vec<GrantId> = match which {
        // Asked for by id: the store says so if there is none.
        Which::Ids(ids) => ids.clone(),
        _ => store.grants(&live).await?.iter().filter(|grant| which.has_grant(grant)).map(|grant| grant.id).collect(),
    };
    let more: Vec<Revocations> = stream::iter(grants)
        .map(|id| {
            let store = Arc::clone(store);
            async move { store.revoke_grant(id, RevocationReason::Manual).await }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    intents.extend(more);
    let stopped = runs.into_iter().map(|run| (run, RevocationReason::Manual)).collect();
    intents.push(Revocations { grants: Vec::new(), runs: stopped });
    Ok(merged(intents))
}

/// The run and its Grants each brought the other along: each once is enough.
fn merged(intents: Vec<Revocations>) -> Revocations {
    let (mut grants, mut runs) = (BTreeSet::new(), BTreeSet::new());
    let mut whole = Revocations::default();
    for intent in intents {
        whole.grants.extend(intent.grants.into_iter().filter(|grant| grants.insert(grant.id)));
        whole.runs.extend(intent.runs.into_iter().filter(|(run, _)| runs.insert(run.uid.clone())));
    }
    whole
}
