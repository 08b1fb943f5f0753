//! Whom a group of a file names as its members.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Map, Value};

use super::{MembersBy, one::invalid};
use crate::{
    identity::{IdpName, ResourceId, ResourceKind, ScimError},
    scim::{ScimState, find::find},
    store::StoreError,
};

/// How many are looked up at once.
const AT_ONCE: usize = 16;

/// What stands as `members`: of any number. `None` where they are not told, or null: nothing, or what something failed to
/// fill? Whoever means an empty group says `[]`.
pub(super) fn take(body: &mut Map<String, Value>) -> Result<Option<Vec<String>>, ScimError> {
    let Some(key) = body.keys().find(|key| key.eq_ignore_ascii_case("members")).cloned() else { return Ok(None) };
    let members = match body.remove(&key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(members)) => members,
        Some(_) => return Err(invalid("expected members to be a list")),
    };
    let value = |member: &Value| member.get("value").and_then(Value::as_str).map(str::to_owned);
    let values = members
        .iter()
        .map(|member| value(member).ok_or_else(|| invalid("expected each member to be an object with a value")));
    values.collect::<Result<_, _>>().map(Some)
}

/// Their ids. Who is nobody here is an error, or `NOBODY` where the store leaves out whom it doesn't know.
pub(super) async fn resolve(
    state: &ScimState,
    idp: &IdpName,
    members: &[String],
    by: MembersBy,
) -> Result<Vec<ResourceId>, StoreError> {
    let skip = state.settings.of(idp).skip_unknown_members;
    let one = |member: &String| {
        let member = member.clone();
        async move {
            let (found, attribute) = match by {
                MembersBy::Id => (member.parse().ok(), "id"),
                MembersBy::ExternalId => (by_external_id(state, idp, &member).await?, "externalId"),
                MembersBy::UserName => {
                    let user = find(state, idp, ResourceKind::User, "userName", &member).await?;
                    (user.map(|user| user.id), "userName")
                }
            };
            match found {
                Some(id) => Ok(id),
                None if skip => Ok(ResourceId::NOBODY),
                None => {
                    let detail =
                        format!("expected each member to be there: nobody of {idp} has the {attribute} {member:?}");
                    Err(invalid(detail).into())
                }
            }
        }
    };
    stream::iter(members.iter().map(one)).buffered(AT_ONCE).try_collect().await
}

async fn by_external_id(state: &ScimState, idp: &IdpName, member: &str) -> Result<Option<ResourceId>, StoreError> {
    let user = find(state, idp, ResourceKind::User, "externalId", member).await?;
    let group = find(state, idp, ResourceKind::Group, "externalId", member).await?;
    if user.is_some() && group.is_some() {
        return Err(invalid(format!("expected one member of externalId {member:?}: a user and a group have it")).into());
    }
    Ok(user.or(group).map(|found| found.id))
}
