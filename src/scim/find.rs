//! The one resource that has a value which is one resource's: an `externalId`, a name.

use super::ScimState;
use crate::{
    identity::{AttrPath, CompareOp, Filter, IdpName, Resource, ResourceKind},
    store::{ListQuery, Start, StoreError},
};

/// Whoever of this IdP and type has the value.
pub(super) async fn find(
    state: &ScimState,
    idp: &IdpName,
    kind: ResourceKind,
    attribute: &str,
    value: &str,
) -> Result<Option<Resource>, StoreError> {
    let path = AttrPath { schema: None, name: attribute.into(), sub: None };
    let filter = Some(Filter::Compare(path, CompareOp::Eq, value.into()));
    let query = ListQuery { idp: idp.clone(), kind, filter, start: Start::Index(1), count: 1, related: false };
    Ok(state.store.list(&query).await?.resources.into_iter().next())
}
