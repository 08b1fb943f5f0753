//! POST (RFC 7644 §3.3).

use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{ScimState, answer, auth::Caller, body::Json, error::Failure, find::find, params::Params, write::settle};
use crate::{
    identity::{
        AttrPath, CompareOp, Edit, Filter, MemberOp, Resource, ResourceId, ResourceKind, ScimError, ScimType, Whole,
    },
    store::{ListQuery, Provisioned, Start, StoreError},
};

/// Marks the answer to a POST that created nobody: who was there is active again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Revived;

pub(super) async fn create(
    kind: ResourceKind,
    State(state): State<ScimState>,
    caller: Caller,
    params: Params,
    Json(body): Json,
) -> Result<Response, Failure> {
    let whole = Whole::read(state.settings.limits.text, body, kind, caller.mode)?;
    let (idp, mut edit) = (caller.idp.clone(), whole.clone().create());
    edit.skip_unknown_members = state.settings.of(&idp).skip_unknown_members;
    let created = settle(&state, |store| async move { store.create(&idp, kind, edit).await }).await;
    let (provisioned, revived) = match created {
        Err(taken @ StoreError::Uniqueness { .. }) if kind == ResourceKind::User => {
            (revive(&state, &caller, whole).await?.ok_or(taken)?, Some(Revived))
        }
        created => (created?, None),
    };
    let projection = params.projection(kind);
    let mut response = answer::resource(&state, StatusCode::CREATED, provisioned.resource, &projection).await?;
    if let Some(revived) = revived {
        response.extensions_mut().insert(revived);
    }
    Ok(response)
}

/// Okta assigns a deactivated person anew by a POST: the user who is there, inactive, with the same non-empty
/// `externalId` becomes active again under the same id, as it is sent now, maybe with another `userName`. The same
/// `userName` with another `externalId` is another person of that name: that stays a conflict.
///
/// What is sent is stored first, so that a conflict changes nothing. Memberships and Agents go next, while the user is
/// still inactive: a crash in between leaves nobody with more than they had.
async fn revive(state: &ScimState, caller: &Caller, whole: Whole) -> Result<Option<Provisioned>, Failure> {
    let Some(external_id) = whole.external_id().map(str::to_owned) else { return Ok(None) };
    let found = find(state, &caller.idp, ResourceKind::User, "externalId", &external_id).await?;
    let Some(user) = found.filter(|user| !user.active()) else { return Ok(None) };
    let active = whole.is_active();
    let stays = external_id.clone();
    change(state, caller, user.id, move |current| {
        still_inactive(current, &stays)?;
        whole.revive(current)
    })
    .await?;
    for group in state.store.groups_of(user.id).await? {
        leave(state, caller, group.id, user.id).await?;
    }
    disown(state, caller, user.id).await?;
    let revived = change(state, caller, user.id, move |current| {
        still_inactive(current, &external_id)?;
        Ok(current.with_active(active))
    })
    .await?;
    let id = user.id;
    tracing::info!(%id, "an inactive user was assigned anew and is active again, without old memberships and Agents");
    Ok(Some(revived))
}

async fn change(
    state: &ScimState,
    caller: &Caller,
    user: ResourceId,
    edit: impl FnOnce(&Resource) -> Result<Edit, ScimError> + Send + 'static,
) -> Result<Provisioned, StoreError> {
    let idp = caller.idp.clone();
    settle(state, |store| async move { store.edit(&idp, ResourceKind::User, user, Box::new(edit)).await }).await
}

fn still_inactive(user: &Resource, external_id: &str) -> Result<(), ScimError> {
    if !user.active() && user.external_id.as_deref() == Some(external_id) {
        return Ok(());
    }
    let detail = "the user that has this externalId is active";
    Err(ScimError { status: 409, scim_type: Some(ScimType::Uniqueness), detail: detail.into() })
}

async fn leave(state: &ScimState, caller: &Caller, group: ResourceId, user: ResourceId) -> Result<(), Failure> {
    let idp = caller.idp.clone();
    let edit = Box::new(move |current: &Resource| {
        Ok(Edit {
            external_id: current.external_id.clone(),
            attributes: current.attributes.clone(),
            members: vec![MemberOp::Remove(vec![user])],
            skip_unknown_members: false,
        })
    });
    let left = settle(state, |store| async move { store.edit(&idp, ResourceKind::Group, group, edit).await }).await;
    unless_gone(left)
}

/// Whoever comes back answers for no Agent until their identity provider says so anew.
async fn disown(state: &ScimState, caller: &Caller, user: ResourceId) -> Result<(), Failure> {
    if !state.settings.agents {
        return Ok(());
    }
    let path = AttrPath { schema: None, name: "owners".into(), sub: Some("value".into()) };
    let query = ListQuery {
        idp: caller.idp.clone(),
        kind: ResourceKind::Agent,
        filter: Some(Filter::Compare(path, CompareOp::Eq, user.to_string().into())),
        start: Start::Index(1),
        count: usize::MAX,
        related: false,
    };
    for agent in state.store.list(&query).await?.resources {
        let idp = caller.idp.clone();
        let edit = Box::new(move |current: &Resource| Ok(current.without_owner(user)));
        let left = settle(state, |store| async move { store.edit(&idp, ResourceKind::Agent, agent.id, edit).await });
        unless_gone(left.await)?;
    }
    Ok(())
}

fn unless_gone(done: Result<Provisioned, StoreError>) -> Result<(), Failure> {
    match done {
        Ok(_) | Err(StoreError::NotFound(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
