//! What one API server answers to a token or about an account.

use http::{Method, Request, header};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::ApiServer;

/// An action that a role allows: what is asked about before, and refused after, a revocation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Action {
    /// As `get`.
    pub verb: String,
    /// API group.
    pub group: String,
    /// Plural.
    pub resource: String,
    /// As `log`.
    pub subresource: String,
    /// Of one object.
    pub name: String,
    /// Where.
    pub namespace: String,
}

impl Action {
    fn attributes(&self) -> ResourceAttributes {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        ResourceAttributes {
            verb: some(&self.verb),
            group: some(&self.group),
            resource: some(&self.resource),
            subresource: some(&self.subresource),
            name: some(&self.name),
            namespace: some(&self.namespace),
            ..ResourceAttributes::default()
        }
    }
}

/// What an API server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 401, 403, or a review that says no.
    Refused,
    /// It would do it; the reason, as the authorizer gives it.
    Allowed(String),
    /// It didn't say.
    Unknown(String),
}

impl ApiServer {
    /// Whether the holder of this token may do this, as this API server sees it now.
    pub async fn may_token(&self, token: &SecretString, action: &Action) -> Verdict {
        let body = serde_json::to_vec(&self_review(action)).unwrap_or_default();
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let request = match with_token(Method::POST, path, token, body) {
            Ok(request) => request,
            Err(error) => return Verdict::Unknown(error.to_string()),
        };
        match self.anonymous.request::<SelfSubjectAccessReview>(request).await {
            Ok(review) => verdict(review.status),
            // 401 is an answer; 403 says only that it may not ask.
            Err(kube::Error::Api(status)) if status.code == 401 => Verdict::Refused,
            Err(error) => Verdict::Unknown(error.to_string()),
        }
    }

    /// Whether a read-only request with this token succeeds at this API server now.
    pub async fn read_with(&self, token: &SecretString, path: &str) -> Verdict {
        let request = match with_token(Method::GET, path, token, Vec::new()) {
            Ok(request) => request,
            Err(error) => return Verdict::Unknown(error.to_string()),
        };
        match self.anonymous.request_text(request).await {
            Ok(_) => Verdict::Allowed("the request succeeded".into()),
            // The object may be gone: whoever learns that may read.
            Err(kube::Error::Api(status)) if status.code == 404 => Verdict::Allowed("404, not 403".into()),
            Err(error) => refusal(&error),
        }
    }

    /// Whether an account may do this, as this API server sees it now.
    pub async fn may_account(&self, user: &str, groups: &[String], action: &Action) -> Verdict {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.to_owned()),
                groups: (!groups.is_empty()).then(|| groups.to_vec()),
                resource_attributes: Some(action.attributes()),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        match reviews.create(&PostParams::default(), &review).await {
            Ok(review) => verdict(review.status),
            // A 403 here would be about us, not about the account.
            Err(error) => Verdict::Unknown(error.to_string()),
        }
    }
}

/// Whether the account of this client may do this, as the API server that answers sees it now.
pub async fn may_we(client: &Client, action: &Action) -> Verdict {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    match reviews.create(&PostParams::default(), &self_review(action)).await {
        Ok(review) => verdict(review.status),
        // Everybody may ask this about themselves, so a 403 is about something else.
        Err(error) => Verdict::Unknown(error.to_string()),
    }
}

fn self_review(action: &Action) -> SelfSubjectAccessReview {
    SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(action.attributes()),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    }
}

fn verdict(status: Option<k8s_openapi::api::authorization::v1::SubjectAccessReviewStatus>) -> Verdict {
    match status {
        Some(status) if status.allowed => Verdict::Allowed(status.reason.unwrap_or_default()),
        Some(_) => Verdict::Refused,
        None => Verdict::Unknown("the review has no status".into()),
    }
}

fn refusal(error: &kube::Error) -> Verdict {
    match error {
        kube::Error::Api(status) if status.code == 401 || status.code == 403 => Verdict::Refused,
        error => Verdict::Unknown(error.to_string()),
    }
}

fn with_token(
    method: Method,
    path: &str,
    token: &SecretString,
    body: Vec<u8>,
) -> Result<Request<Vec<u8>>, http::Error> {
    let mut bearer = header::HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))?;
    bearer.set_sensitive(true);
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, bearer)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
}
