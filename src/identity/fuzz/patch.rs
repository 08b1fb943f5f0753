//! PATCH and whole resources.

use chrono::DateTime;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{bounded, fuzz, json, object, operations};
use crate::identity::{Edit, Limits, Mode, Resource, ResourceId, ResourceKind, Whole, patch};

fn current(kind: ResourceKind, edit: Edit) -> Resource {
    let (id, idp, at) = (ResourceId(Uuid::from_u128(1)), "okta".into(), DateTime::UNIX_EPOCH);
    let Edit { external_id, attributes, .. } = edit;
    Resource { id, kind, idp, external_id, attributes, version: 1, created: at, last_modified: at }
}

/// What an edit leaves is what a client may send back: the same resource comes of it, and never a secret.
fn is_sound(kind: ResourceKind, edit: &Edit) -> Result<(), TestCaseError> {
    let mut body = edit.attributes.clone();
    prop_assert!(!body.keys().any(|key| key.eq_ignore_ascii_case("password") || key.eq_ignore_ascii_case("id")));
    if let Some(id) = &edit.external_id {
        body.insert("externalId".into(), id.as_str().into());
    }
    let again = Whole::read(Limits::default(), Value::Object(body), kind, Mode::Compat).map(Whole::create);
    let again = again.map_err(|error| TestCaseError::fail(format!("sent back: {error}: {edit:?}")))?;
    prop_assert_eq!(&again.attributes, &edit.attributes);
    prop_assert_eq!(&again.external_id, &edit.external_id);
    Ok(())
}

#[test]
fn no_patch_breaks_a_resource() {
    let before = |kind| {
        let body = json!({
            "userName": "alice", "displayName": "g", "externalId": "e", "active": false,
            "emails": [{"type": "work", "value": "a"}, {"value": "b", "primary": true}], "urn:a:b": {"c": {"d": 1}},
        });
        current(kind, Whole::read(Limits::default(), body, kind, Mode::Compat).map(Whole::create).unwrap())
    };
    let (user, group) = (before(ResourceKind::User), before(ResourceKind::Group));
    let modes = prop::sample::select(&[Mode::Compat, Mode::Strict][..]);
    fuzz(3_000, &(operations(), modes, any::<bool>()), |(operations, mode, is_user)| {
        let before = if is_user { &user } else { &group };
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
        let edit = bounded(|| {
            let limits = Limits::default();
            patch::apply(limits, patch::read(limits, body, before.kind, mode)?, before, mode)
        })?;
        edit.map_or(Ok(()), |edit| is_sound(before.kind, &edit))
    });
}

#[test]
fn no_body_breaks_a_resource() {
    let named = object(json()).prop_map(|mut body| {
        for name in ["userName", "displayName"] {
            if body.get(name).is_none_or(|name| !name.is_string()) {
                body[name] = "alice".into();
            }
        }
        body
    });
    fuzz(3_000, &(prop_oneof![4 => named, 1 => json()], any::<bool>()), |(body, is_user)| {
        let kind = if is_user { ResourceKind::User } else { ResourceKind::Group };
        let edit = bounded(|| Whole::read(Limits::default(), body, kind, Mode::Compat).map(Whole::create))?;
        edit.map_or(Ok(()), |edit| is_sound(kind, &edit))
    });
}
