//! Pages of users or groups, one identity provider after the other, each in the order of creation. The store reads them,
//! so a page costs what it holds; and who lives through a walk is met once, whoever comes and goes meanwhile.

use super::{
    ControlState, Refusal,
    wire::{PAGE, PeopleQuery},
};
use crate::{
    identity::{IdpName, Resource, ResourceKind},
    store::{ListQuery, Start},
};

/// A page, and after what the next one begins, where there is one.
pub(super) async fn page(
    control: &ControlState,
    kind: ResourceKind,
    query: &PeopleQuery,
) -> Result<(Vec<Resource>, Option<String>), Refusal> {
    let filter = query.filter.as_deref().map(|text| control.scim.filter(text, kind)).transpose();
    let filter = filter.map_err(|error| Refusal::bad(error.to_string()))?;
    let (first, place) = query.after.as_deref().map_or(Ok(("", 0)), begin)?;
    let most = query.limit.unwrap_or(PAGE).min(PAGE);
    let mut found = Vec::new();
    for idp in idps(control, query.idp.as_deref())? {
        if idp.as_str() < first {
            continue;
        }
        let start = Start::After(if idp.as_str() == first { place } else { 0 });
        let query = ListQuery {
            idp: idp.clone(),
            kind,
            filter: filter.clone(),
            start,
            count: most - found.len(),
            related: false,
        };
        let page = control.store.list(&query).await?;
        found.extend(page.resources);
        if let Some(next) = page.next {
            return Ok((found, Some(format!("{idp} {next}"))));
        }
    }
    Ok((found, None))
}

fn begin(after: &str) -> Result<(&str, i64), Refusal> {
    let parts = after.split_once(' ').and_then(|(idp, place)| Some((idp, place.parse().ok()?)));
    parts.ok_or_else(|| Refusal::bad("expected after to be what the page before told as next"))
}

/// In their order.
fn idps(control: &ControlState, only: Option<&str>) -> Result<Vec<IdpName>, Refusal> {
    let directory = control.directory.load();
    let Some(only) = only else { return Ok(directory.idps().iter().cloned().collect()) };
    let idp = IdpName::from(only);
    if !directory.idps().contains(&idp) {
        return Err(Refusal::not_found(format!("there is no identity provider {idp}: see `scim-tekton idp list`")));
    }
    Ok(vec![idp])
}
