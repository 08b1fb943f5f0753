//! The discovery document (OpenID Connect Discovery 1.0 §3; RFC 8414 for introspection).

use openidconnect::{
    AdditionalProviderMetadata, AuthUrl, IssuerUrl, JsonWebKeySetUrl, ProviderMetadata, ResponseTypes,
    core::{
        CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm, CoreResponseMode,
        CoreResponseType, CoreSubjectIdentifierType,
    },
};
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;

/// Nobody logs in here, but verifiers want the field; Kubernetes' own issuer answers with such a name as well.
const NO_AUTHORIZATION: &str = "urn:scim-tekton:programmatic_authorization";

/// What OpenID Connect itself has no field for.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Introspection {
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: Vec<CoreClientAuthMethod>,
}

impl AdditionalProviderMetadata for Introspection {}

type Metadata = ProviderMetadata<
    Introspection,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// Claims that a trust policy may rest on.
const CLAIMS: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "namespace",
    "pipelinerun",
    "pipelinerun_uid",
    "event_id",
    "event_name",
    "trust",
    "repository",
    "repository_id",
    "ref",
    "sha",
    "actor_id",
    "scim_id",
    "groups_digest",
    "identity_checked_at",
    "decision_id",
    "grant_id",
];

/// The document of the issuer at `url`.
pub(super) fn document(url: &str) -> Result<String, ConfigError> {
    let wrong = |error: &dyn std::fmt::Display| ConfigError::invalid("externalUrl", error.to_string());
    let metadata = Metadata::new(
        IssuerUrl::new(url.to_owned()).map_err(|error| wrong(&error))?,
        AuthUrl::new(NO_AUTHORIZATION.to_owned()).map_err(|error| wrong(&error))?,
        JsonWebKeySetUrl::new(format!("{url}/.well-known/jwks.json")).map_err(|error| wrong(&error))?,
        vec![ResponseTypes::new(vec![CoreResponseType::IdToken])],
        vec![CoreSubjectIdentifierType::Public],
        vec![CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256],
        Introspection {
            introspection_endpoint: format!("{url}/introspect"),
            introspection_endpoint_auth_methods_supported: vec![CoreClientAuthMethod::ClientSecretBasic],
        },
    )
    .set_claims_supported(Some(CLAIMS.iter().map(|name| CoreClaimName::new((*name).to_owned())).collect()));
    serde_json::to_string(&metadata).map_err(|error| wrong(&error))
}
