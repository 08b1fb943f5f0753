//! One resource: found by `externalId`, else by its name; created, or changed.

use serde_json::{Map, Value, json};

use super::{Attribute, Imported, MembersBy, members};
use crate::{
    identity::{
        Edit, IdpName, MemberOp, Resource, ResourceId, ResourceKind, ScimError, ScimType, Whole, patch, schema,
    },
    scim::{ScimState, find::find, write::settle},
    store::{Provisioned, StoreError},
};

/// What a resource of a file says, and whom it speaks of.
pub(super) struct Wish {
    /// Without `id` and members.
    pub(super) body: Map<String, Value>,
    /// The same, checked.
    pub(super) whole: Whole,
    /// Who is there already.
    pub(super) there: Option<Resource>,
    /// Whom the group is to have, where it says so.
    pub(super) members: Option<Vec<ResourceId>>,
}

impl Wish {
    pub(super) async fn read(
        state: &ScimState,
        idp: &IdpName,
        kind: ResourceKind,
        body: Value,
        by: MembersBy,
    ) -> Result<Self, StoreError> {
        let Value::Object(mut body) = body else {
            return Err(invalid(format!("expected a {} object", kind.as_str())).into());
        };
        check_type(kind, &body)?;
        // Another server's, or ours: it finds nobody here, and is never taken over.
        body.retain(|key, _| !key.eq_ignore_ascii_case("id"));
        let members = if kind == ResourceKind::Group { members::take(&mut body)? } else { None };
        let (limits, mode) = (state.settings.limits.text, state.settings.of(idp).mode);
        let whole = Whole::read(limits, Value::Object(body.clone()), kind, mode)?;
        let there = there(state, idp, kind, &whole).await?;
        let members = match members {
            Some(members) => Some(members::resolve(state, idp, &members, by).await?),
            None => None,
        };
        Ok(Self { body, whole, there, members })
    }
}

pub(super) async fn upsert(
    state: &ScimState,
    idp: &IdpName,
    kind: ResourceKind,
    body: Value,
    by: MembersBy,
) -> Result<Imported, StoreError> {
    let Wish { body, whole, there, members } = Wish::read(state, idp, kind, body, by).await?;
    if let Some(there) = there {
        return Ok(done(&change(state, idp, kind, there.id, operation(&body), members).await?));
    }
    let (idp, skip_unknown_members) = (idp.clone(), state.settings.of(idp).skip_unknown_members);
    let members = members.map(MemberOp::Replace).into_iter().collect();
    let edit = Edit { members, skip_unknown_members, ..whole.create() };
    let created = settle(state, |store| async move { store.create(&idp, kind, edit).await }).await?;
    Ok(Imported::Created(created.resource.id))
}

pub(super) async fn set(state: &ScimState, attribute: Attribute) -> Result<Imported, StoreError> {
    let Attribute { idp, user, path, value } = attribute;
    let message = message(&json!({"op": "replace", "path": path, "value": value}));
    Ok(done(&change(state, &idp, ResourceKind::User, user, message, None).await?))
}

fn done(provisioned: &Provisioned) -> Imported {
    let id = provisioned.resource.id;
    if provisioned.changed { Imported::Changed(id) } else { Imported::Unchanged(id) }
}

/// The PATCH by which somebody who is there becomes what a file says.
pub(super) fn operation(body: &Map<String, Value>) -> Value {
    message(&json!({"op": "replace", "value": body}))
}

fn message(operation: &Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]})
}

/// A PATCH of one operation, and a group's members beside it: of any number, unlike in a request.
async fn change(
    state: &ScimState,
    idp: &IdpName,
    kind: ResourceKind,
    id: ResourceId,
    message: Value,
    members: Option<Vec<ResourceId>>,
) -> Result<Provisioned, StoreError> {
    let settings = state.settings.of(idp);
    let (mode, skip_unknown_members) = (settings.mode, settings.skip_unknown_members);
    let limits = state.settings.limits.text;
    let operations = patch::read(limits, message, kind, mode)?;
    let edit = Box::new(move |current: &Resource| {
        let edit = patch::apply(limits, operations, current, mode)?;
        Ok(Edit { members: members.map(MemberOp::Replace).into_iter().collect(), skip_unknown_members, ..edit })
    });
    let idp = idp.clone();
    settle(state, |store| async move { store.edit(&idp, kind, id, edit).await }).await
}

/// A file of groups read as users is no harm, but users read as groups would become some.
fn check_type(kind: ResourceKind, body: &Map<String, Value>) -> Result<(), ScimError> {
    let core = schema::core(kind).id;
    let schemas = body.get("schemas").and_then(Value::as_array);
    if schemas.is_some_and(|urns| !urns.iter().filter_map(Value::as_str).any(|urn| urn.eq_ignore_ascii_case(core))) {
        return Err(invalid(format!("expected schemas to hold {core}")));
    }
    let told = body.get("meta").and_then(|meta| meta.get("resourceType")).and_then(Value::as_str);
    match told.filter(|told| *told != kind.as_str()) {
        Some(told) => Err(invalid(format!("expected a {}, not a {told}", kind.as_str()))),
        None => Ok(()),
    }
}

/// Whom the resource speaks of. Somebody of the same name with another `externalId` is another person.
async fn there(
    state: &ScimState,
    idp: &IdpName,
    kind: ResourceKind,
    whole: &Whole,
) -> Result<Option<Resource>, StoreError> {
    if let Some(external_id) = whole.external_id()
        && let Some(there) = find(state, idp, kind, "externalId", external_id).await?
    {
        return Ok(Some(there));
    }
    let attribute = kind.name_attribute();
    let name = whole.name().unwrap_or_default();
    let there = find(state, idp, kind, attribute, name).await?;
    if whole.external_id().is_some()
        && let Some(other) = there.as_ref().and_then(|there| there.external_id.as_deref())
    {
        let kind = kind.as_str();
        let detail = format!("{attribute} {name:?} is taken by another {kind}, with externalId {other:?}");
        return Err(ScimError { status: 409, scim_type: Some(ScimType::Uniqueness), detail: detail.into() }.into());
    }
    Ok(there)
}

pub(super) fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> ScimError {
    ScimError::bad(ScimType::InvalidValue, detail)
}
