//! SCIM over HTTP (RFC 7644): routes, authentication, errors, the schemas served. Uses `identity`, `store`, `revocation`.
//!
//! A caller is an IdP, by its bearer token; it sees and changes only what it created itself. A write is answered after
//! what it takes away has been taken away in the world (`write`).

mod answer;
mod auth;
mod body;
mod bulk;
mod create;
mod cursor;
mod delete;
mod discovery;
mod error;
mod find;
mod import;
mod jwt;
mod limits;
mod list;
mod me;
mod observe;
mod params;
mod patch;
mod precondition;
mod prefer;
mod rate;
mod read;
mod replace;
mod state;
#[cfg(test)]
mod tests;
mod tokens;
mod tree;
mod write;

pub use body::READ_TIMEOUT;
pub use import::{Attribute, Import, Imported, MembersBy, import, set};
pub use jwt::{JwtSettings, KeyRing, KeySource, MeBy, NoKeys};
pub use limits::{Limits, PageLimits};
pub use state::{IdpSettings, PatchAnswer, ScimState, Settings};
pub use tokens::{TOKEN_PREFIX, TokenTable};

use axum::{
    Router, middleware,
    routing::{get, post},
};

use crate::identity::ResourceKind;

/// All of `/scim/v2`, with its full path, to be merged into the listener's router. Unknown paths below it and methods
/// that a path doesn't have are SCIM errors, too.
pub fn router(state: ScimState) -> Router {
    let config = get(discovery::service_provider_config);
    let resources = state.settings.kinds().iter().map(|kind| resources(*kind));
    resources
        .fold(Router::new(), Router::merge)
        .route("/scim/v2/ServiceProviderConfig", config.clone())
        // Microsoft's reference collection asks for it by this name.
        .route("/scim/v2/serviceConfiguration", config)
        .route("/scim/v2/Schemas", get(discovery::schemas))
        .route("/scim/v2/Schemas/{id}", get(discovery::schema))
        .route("/scim/v2/ResourceTypes", get(discovery::resource_types))
        .route("/scim/v2/ResourceTypes/{id}", get(discovery::resource_type))
        .route("/scim/v2/.search", post(list::search_all))
        .route("/scim/v2/Me", get(me::me).fallback(me::refuse))
        .route("/scim/v2/Bulk", post(bulk::bulk))
        .route("/scim/v2", get(list::list_all))
        .route("/scim/v2/", get(list::list_all))
        .route("/scim/v2/{*rest}", axum::routing::any(error::no_endpoint))
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(middleware::from_fn(observe::observe))
        .with_state(state)
}

/// The endpoints of one type of resource.
fn resources(kind: ResourceKind) -> Router<ScimState> {
    let endpoint = format!("/scim/v2/{}", kind.endpoint());
    let all = get(move |state, caller, params| list::list(kind, state, caller, params))
        .post(move |state, caller, params, body| create::create(kind, state, caller, params, body));
    let search = post(move |state, caller, body| list::search(kind, state, caller, body));
    let one = get(move |state, caller, id, params, headers| read::read(kind, state, caller, id, params, headers))
        .put(move |state, caller, id, params, headers, body| {
            replace::replace(kind, state, caller, id, params, headers, body)
        })
        .patch(move |state, caller, id, params, headers, body| {
            patch::patch(kind, state, caller, id, params, headers, body)
        })
        .delete(move |state, caller, id, headers| delete::delete(kind, state, caller, id, headers));
    Router::new()
        .route(&endpoint, all)
        .route(&format!("{endpoint}/.search"), search)
        .route(&format!("{endpoint}/{{id}}"), one)
}
