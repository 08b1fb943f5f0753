//! What is told of a request: metrics with labels of few values, a span, a line for what was refused. Never a body, a
//! header or a query: they hold people's data and secrets.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::Method;
use tracing::Instrument;

use super::error::Refusal;

pub(super) async fn observe(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let verb = verb(request.method());
    let endpoint = endpoint(request.extensions().get::<MatchedPath>().map(MatchedPath::as_str));
    let span = tracing::info_span!("scim", verb, endpoint, idp = tracing::field::Empty);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    if let Some(Refusal(detail)) = response.extensions().get() {
        span.in_scope(|| tracing::info!(status = status.as_u16(), detail = detail.as_ref(), "refused"));
    }
    let labels = [("endpoint", endpoint.to_owned()), ("verb", verb.to_owned()), ("status", status.as_str().to_owned())];
    metrics::counter!(crate::telemetry::metric::SCIM_REQUESTS, &labels).increment(1);
    metrics::histogram!(crate::telemetry::metric::SCIM_SECONDS, &labels).record(start.elapsed().as_secs_f64());
    response
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn endpoint(route: Option<&str>) -> &'static str {
    let rest = route.and_then(|route| route.strip_prefix("/scim/v2/")).unwrap_or_default();
    let name = rest.split('/').next().unwrap_or_default();
    ["Users", "Groups", "Agents", "ServiceProviderConfig", "Schemas", "ResourceTypes", "Me", "Bulk"]
        .into_iter()
        .find(|known| *known == name)
        .unwrap_or("other")
}
