//! GET of a list, and POST `.search` (RFC 7644 §3.4.2, §3.4.3).

use axum::{extract::State, response::Response};

use super::{ScimState, answer, auth::Caller, body::Json, error::Failure, params::Params};
use crate::{
    identity::{Filter, ResourceKind},
    store::ListQuery,
};

pub(super) async fn list(
    kind: ResourceKind,
    State(state): State<ScimState>,
    caller: Caller,
    params: Params,
) -> Result<Response, Failure> {
    let filter = match &params.filter {
        Some(text) => Some(Filter::parse(text, kind, caller.mode)?),
        None => None,
    };
    let start_index = params.start_index();
    let query = ListQuery { idp: caller.idp, kind, filter, start_index, count: params.count() };
    let page = state.store.list(&query).await?;
    let projection = params.projection(kind);
    let mut resources = Vec::with_capacity(page.resources.len());
    for resource in &page.resources {
        resources.push(answer::value(&state, resource, &projection).await?);
    }
    Ok(answer::list(page.total, start_index, &resources))
}

/// Over both types (RFC 7644 §3.4.3): users, then groups. A type that doesn't have the filter's attributes has no match.
pub(super) async fn search_all(
    State(state): State<ScimState>,
    caller: Caller,
    Json(body): Json,
) -> Result<Response, Failure> {
    let params = Params::from_search(body)?;
    let (start_index, count) = (params.start_index(), params.count());
    let (mut total, mut resources, mut unknown) = (0, Vec::new(), Vec::new());
    for kind in [ResourceKind::User, ResourceKind::Group] {
        let filter = match params.filter.as_deref().map(|text| Filter::parse(text, kind, caller.mode)).transpose() {
            Ok(filter) => filter,
            Err(error) => {
                unknown.push(error);
                continue;
            }
        };
        let start_index = start_index.saturating_sub(total).max(1);
        let count = count.saturating_sub(resources.len());
        let query = ListQuery { idp: caller.idp.clone(), kind, filter, start_index, count };
        let page = state.store.list(&query).await?;
        let projection = params.projection(kind);
        for resource in &page.resources {
            resources.push(answer::value(&state, resource, &projection).await?);
        }
        total += page.total;
    }
    match unknown.pop() {
        Some(error) if !unknown.is_empty() => Err(error.into()),
        _ => Ok(answer::list(total, start_index, &resources)),
    }
}

pub(super) async fn search(
    kind: ResourceKind,
    state: State<ScimState>,
    caller: Caller,
    Json(body): Json,
) -> Result<Response, Failure> {
    list(kind, state, caller, Params::from_search(body)?).await
}
