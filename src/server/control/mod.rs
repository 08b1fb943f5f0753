//! The control API: what the command line asks of a running server, over a Unix socket that only we may open. HTTP
//! with JSON below `/v1`; the types on the wire are in `wire`.
//!
//! Whoever may open the socket may do all of it: the file's mode is the authentication.

mod agents;
mod audit;
mod backup;
mod decisions;
pub mod doctor;
mod explain;
#[cfg(feature = "failpoints")]
mod failpoints;
mod grants;
mod idps;
mod imports;
mod linking;
mod links;
mod people;
mod socket;
mod tokens;
mod walk;
pub mod wire;

pub use socket::{SocketError, bind_unix, serve_unix};

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::{
        DefaultBodyLimit,
        rejection::{BytesRejection, JsonRejection, QueryRejection},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::{
    clock::Clock,
    directory::DirectoryCell,
    interceptor::{LARGEST_REQUEST, Settings},
    policy::CatalogCell,
    scim::ScimState,
    store::{Revocations, Store, StoreError},
};

/// Largest request of an import, bytes: a group of some hundred thousand members is one line of a file.
const LARGEST_IMPORT: usize = 64 * 1024 * 1024;

/// What the server must do in the world after a command changed the store.
#[async_trait]
pub trait Effects: Send + Sync {
    /// Carries out revocations; returns when they are done or after the bounded wait, the rest being durable.
    async fn revoke(&self, revocations: Revocations);
    /// SCIM tokens were made or ended: whoever holds them in memory reads them again before this returns.
    async fn tokens_changed(&self);
}

/// What the commands work on.
#[derive(Clone)]
pub struct ControlState {
    /// Everything durable.
    pub store: Arc<dyn Store>,
    /// Who is who.
    pub directory: DirectoryCell,
    /// The policies in force.
    pub catalog: CatalogCell,
    /// How the interceptor decides.
    pub settings: Arc<Settings>,
    /// The cluster, where there is one.
    pub cluster: Option<Arc<dyn doctor::Inspect>>,
    /// The issuer by its public name, where this server runs it.
    pub issuer: Option<Arc<dyn doctor::AskIssuer>>,
    /// What time it is.
    pub clock: Clock,
    /// Provisioning.
    pub scim: ScimState,
    /// What follows from a command.
    pub effects: Arc<dyn Effects>,
}

/// All routes.
pub fn router(state: ControlState) -> Router {
    let routes = Router::new()
        .route("/v1/tokens", get(tokens::list).post(tokens::create))
        .route("/v1/tokens/{id}/revoke", post(tokens::revoke))
        .route("/v1/idps", get(idps::list))
        .route("/v1/idps/{name}/confirm", post(idps::confirm))
        .route("/v1/users", get(people::users))
        .route("/v1/users/{name}", get(people::user))
        .route("/v1/groups", get(people::groups))
        .route("/v1/groups/{name}", get(people::group))
        .route("/v1/idps/{name}/import/{kind}", post(imports::import).layer(DefaultBodyLimit::max(LARGEST_IMPORT)))
        .route("/v1/links/import", post(linking::import))
        .route("/v1/agents", get(agents::list))
        .route("/v1/agents/{name}", get(agents::show))
        .route("/v1/links", get(links::list))
        .route("/v1/links/{host}/{account}", get(links::show))
        .route("/v1/grants", get(grants::list))
        .route("/v1/grants/revoke", post(grants::revoke))
        .route("/v1/grants/{id}", get(grants::show))
        .route("/v1/decisions/{id}", get(decisions::show))
        .route("/v1/explain", post(explain::recorded).layer(DefaultBodyLimit::max(LARGEST_REQUEST)))
        .route("/v1/doctor", get(doctor::examine))
        .route("/v1/backup", post(backup::backup))
        .route("/v1/audit", get(audit::page));
    #[cfg(feature = "failpoints")]
    let routes = routes.merge(failpoints::router());
    routes.with_state(state)
}

/// An answer that is none: a status and a sentence for the person at the terminal.
#[derive(Debug)]
pub(super) struct Refusal(StatusCode, String);

impl Refusal {
    pub(super) fn not_found(sentence: String) -> Self {
        Self(StatusCode::NOT_FOUND, sentence)
    }

    pub(super) fn bad(sentence: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, sentence.into())
    }

    pub(super) fn conflict(sentence: String) -> Self {
        Self(StatusCode::CONFLICT, sentence)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(wire::Problem { error: self.1 })).into_response()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
            StoreError::NotFound(_) => StatusCode::NOT_FOUND,
            StoreError::Limit(_) | StoreError::Uniqueness { .. } => StatusCode::CONFLICT,
            StoreError::UnknownMember(_) | StoreError::UnknownOwner(_) | StoreError::Edit(_) => StatusCode::BAD_REQUEST,
        };
        Self(status, error.to_string())
    }
}

impl From<crate::ticket::NoRandomness> for Refusal {
    fn from(error: crate::ticket::NoRandomness) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self(rejection.status(), rejection.body_text())
    }
}

impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Self {
        Self(rejection.status(), rejection.body_text())
    }
}
