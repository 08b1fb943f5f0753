//! What an import would do with one resource, found out without a write. It sees what is there now: not what lines before
//! it in the same file would have created, and not whether an extension's unique value is taken.

use std::collections::HashSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use super::{
    Imported, MembersBy,
    one::{Wish, operation},
};
use crate::{
    identity::{IdpName, Resource, ResourceId, ResourceKind, fold, patch},
    scim::{ScimState, find::find},
    store::StoreError,
};

/// How many are looked up at once.
const AT_ONCE: usize = 16;

pub(super) async fn upsert(
    state: &ScimState,
    idp: &IdpName,
    kind: ResourceKind,
    body: Value,
    by: MembersBy,
) -> Result<Imported, StoreError> {
    let Wish { body, whole, there, members } = Wish::read(state, idp, kind, body, by).await?;
    let members = match members {
        Some(members) => Some(known(state, idp, members).await?),
        None => None,
    };
    let (limits, mode) = (state.settings.limits.text, state.settings.of(idp).mode);
    let edit = match &there {
        Some(there) => patch::apply(limits, patch::read(limits, operation(&body), kind, mode)?, there, mode)?,
        None => whole.create(),
    };
    let now = (state.clock)();
    let after = Resource {
        id: there.as_ref().map_or(ResourceId::NOBODY, |there| there.id),
        kind,
        idp: idp.clone(),
        external_id: edit.external_id,
        attributes: edit.attributes,
        version: 1,
        created: now,
        last_modified: now,
    };
    stands(state, there.as_ref(), &after).await?;
    let Some(before) = there else { return Ok(Imported::Created(after.id)) };
    let same = before.attributes == after.attributes && before.external_id == after.external_id;
    let same_members = match members {
        Some(members) => {
            let now: HashSet<_> = state.store.members(before.id).await?.iter().map(|member| member.id).collect();
            now == members
        }
        None => true,
    };
    Ok(if same && same_members { Imported::Unchanged(after.id) } else { Imported::Changed(after.id) })
}

/// Whether its name is free, and its owners are somebody.
async fn stands(state: &ScimState, before: Option<&Resource>, after: &Resource) -> Result<(), StoreError> {
    let (kind, attribute) = (after.kind, after.kind.name_attribute());
    let renamed = before.is_some_and(|before| fold(before.name()) != fold(after.name()));
    if renamed && find(state, &after.idp, kind, attribute, after.name()).await?.is_some() {
        return Err(StoreError::Uniqueness { kind: kind.as_str(), attribute, value: after.name().to_owned() });
    }
    for owner in after.owners() {
        if !is_there(state, &after.idp, ResourceKind::User, owner).await? {
            return Err(StoreError::UnknownOwner(owner.to_string()));
        }
    }
    Ok(())
}

/// Those who are somebody of this IdP. The others are an error unless it is set that they are left out.
async fn known(state: &ScimState, idp: &IdpName, members: Vec<ResourceId>) -> Result<HashSet<ResourceId>, StoreError> {
    let skip = state.settings.of(idp).skip_unknown_members;
    let one = |id: ResourceId| async move {
        for kind in state.settings.kinds() {
            if is_there(state, idp, *kind, id).await? {
                return Ok(Some(id));
            }
        }
        if skip { Ok(None) } else { Err(StoreError::UnknownMember(id.to_string())) }
    };
    let found = stream::iter(members.into_iter().map(one)).buffered(AT_ONCE);
    found.try_filter_map(|id| async move { Ok(id) }).try_collect().await
}

async fn is_there(state: &ScimState, idp: &IdpName, kind: ResourceKind, id: ResourceId) -> Result<bool, StoreError> {
    match state.store.get(idp, kind, id).await {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound(_)) => Ok(false),
        Err(failed) => Err(failed),
    }
}
