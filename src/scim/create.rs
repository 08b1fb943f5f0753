//! POST (RFC 7644 §3.3).

use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{ScimState, answer, auth::Caller, body::Json, error::Failure, params::Params, write::settle};
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

/// Okta assigns a deactivated person anew by a POST: the user who is there, inactive, with the same `userName` and the
/// same non-empty `externalId` becomes active again under the same id, as it is sent now. With another `externalId` it is
/// another person of the same name: that stays a conflict.
///
/// Memberships and Agents go first, while the user is inactive: a crash in between leaves nobody with more than they had.
async fn revive(state: &ScimState, caller: &Caller, whole: Whole) -> Result<Option<Provisioned>, Failure> {
    let (Some(name), Some(external_id)) = (whole.name(), whole.external_id()) else { return Ok(None) };
    let external_id = external_id.to_owned();
    let path = AttrPath { schema: None, name: "userName".into(), sub: None };
    let query = ListQuery {
        idp: caller.idp.clone(),
        kind: ResourceKind::User,
        filter: Some(Filter::Compare(path, CompareOp::Eq, name.into())),
        start: Start::Index(1),
        count: 1,
        related: true,
    };
    let is_same = move |user: &Resource| !user.active() && user.external_id.as_ref() == Some(&external_id);
    let found = state.store.list(&query).await?;
    let mut found = found.resources.into_iter().zip(found.relations);
    let Some((user, groups)) = found.find(|(user, _)| is_same(user)) else { return Ok(None) };
    for group in groups {
        leave(state, caller, group.id, user.id).await?;
    }
    disown(state, caller, user.id).await?;
    let (idp, id) = (caller.idp.clone(), user.id);
    let edit = Box::new(move |current: &Resource| {
        if is_same(current) {
            return whole.revive(current);
        }
        let detail = "the user that has this userName is active";
        Err(ScimError { status: 409, scim_type: Some(ScimType::Uniqueness), detail: detail.into() })
    });
    let revived = settle(state, |store| async move { store.edit(&idp, ResourceKind::User, id, edit).await }).await?;
    tracing::info!(%id, "an inactive user was assigned anew and is active again, without old memberships and Agents");
    Ok(Some(revived))
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
