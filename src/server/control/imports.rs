//! Imports into what an identity provider owns.

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
};

use super::{
    ControlState, Refusal,
    wire::{ImportAnswer, ImportRequest},
};
use crate::{
    identity::{IdpName, ResourceKind},
    scim,
};

pub(super) async fn import(
    State(control): State<ControlState>,
    Path((idp, kind)): Path<(String, String)>,
    request: Result<Json<ImportRequest>, JsonRejection>,
) -> Result<Json<ImportAnswer>, Refusal> {
    let Json(ImportRequest { resources, members_by, dry_run }) = request?;
    let kind = match kind.as_str() {
        "users" => ResourceKind::User,
        "groups" => ResourceKind::Group,
        "agents" if control.scim.serves(ResourceKind::Agent) => ResourceKind::Agent,
        "agents" => return Err(Refusal::bad("expected scim.agents to be set: this server has no Agents")),
        _ => return Err(Refusal::not_found("expected users, groups or agents to import".into())),
    };
    let idp = IdpName::from(idp.as_str());
    if !control.directory.load().idps().contains(&idp) {
        let sentence = format!(
            "there is no identity provider {idp}: it is known from its first token on, `scim-tekton idp token create {idp}`"
        );
        return Err(Refusal::not_found(sentence));
    }
    let outcomes = scim::import(&control.scim, scim::Import { idp, kind, resources, members_by, dry_run }).await?;
    Ok(Json(ImportAnswer { outcomes }))
}
