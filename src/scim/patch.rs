//! PATCH (RFC 7644 §3.5.2).

use axum::{
    extract::{Path, State},
    response::Response,
};
use http::{HeaderMap, HeaderName, StatusCode};

use super::{
    PatchAnswer, ScimState, answer, auth::Caller, body::Json, error::Failure, params::Params,
    precondition::Precondition, prefer, read::parse, write::settle,
};
use crate::identity::{Edit, Resource, ResourceKind, patch as language};

pub(super) async fn patch(
    kind: ResourceKind,
    State(state): State<ScimState>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Failure> {
    let id = parse(kind, &id)?;
    let mode = caller.mode;
    let limits = state.settings.limits.text;
    let operations = language::read(limits, body, kind, mode)?;
    let condition = Precondition::read(&headers);
    let skip_unknown_members = state.settings.of(&caller.idp).skip_unknown_members;
    let edit = Box::new(move |current: &Resource| {
        condition.check(current)?;
        let edit = language::apply(limits, operations, current, mode)?;
        Ok(Edit { skip_unknown_members, ..edit })
    });
    let idp = caller.idp.clone();
    let patched = settle(&state, |store| async move { store.edit(&idp, kind, id, edit).await }).await?;
    let projection = params.projection(kind);
    let preferred = prefer::body(&headers);
    let body = preferred.unwrap_or_else(|| match state.settings.of(&caller.idp).patch_answer {
        PatchAnswer::Auto => kind != ResourceKind::Group || projection.is_explicit(),
        PatchAnswer::Resource => true,
        PatchAnswer::NoContent => false,
    });
    let mut response = if body {
        answer::resource(&state, StatusCode::OK, patched.resource, &projection).await?
    } else {
        answer::no_content(&patched.resource)
    };
    if preferred.is_some() {
        let applied = if body { "return=representation" } else { "return=minimal" };
        answer::set(&mut response, HeaderName::from_static("preference-applied"), applied);
    }
    Ok(response)
}
