//! One small struct for each concern: what may stand in the file, and what holds if it doesn't.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::{Limits, Mode, ResourceKind};

use super::{AttributePath, Bulk, Enabled, FilterLimits, IdpJwt, IdpLabel, MEBIBYTE, PageSizes, PatchLimits, Span};

/// A part of the program that `serve` can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Component {
    /// SCIM over HTTP.
    Scim,
    /// Tekton's interceptor.
    Interceptor,
    /// The OIDC issuer.
    Issuer,
    /// The Kubernetes controller.
    Controller,
}

impl Component {
    /// All of them: what runs by default.
    pub const ALL: [Self; 4] = [Self::Scim, Self::Interceptor, Self::Issuer, Self::Controller];
}

/// Where we listen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Listen {
    /// `/scim/v2` and the OIDC issuer.
    #[schemars(with = "String")]
    pub http: SocketAddr,
    /// HTTPS for the EventListener.
    #[schemars(with = "String")]
    pub interceptor: SocketAddr,
    /// `/livez`, `/readyz`, `/metrics`.
    #[schemars(with = "String")]
    pub admin: SocketAddr,
    /// The Unix socket of the command line. Default: beside the store.
    pub control: Option<PathBuf>,
    /// Whether `listen.http` speaks HTTPS, with a certificate of our own CA.
    pub tls: bool,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            http: (Ipv4Addr::UNSPECIFIED, 8080).into(),
            interceptor: (Ipv4Addr::UNSPECIFIED, 8443).into(),
            admin: (Ipv4Addr::LOCALHOST, 9090).into(),
            control: None,
            tls: false,
        }
    }
}

/// What is to be known of an identity provider beyond its tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Idp {
    /// Its name, as in `idp token create NAME`.
    pub name: IdpLabel,
    /// How the API server names its users.
    #[serde(default)]
    pub kubernetes: IdpKubernetes,
    /// How its SCIM is read and answered.
    #[serde(default)]
    pub scim: IdpScim,
    /// Whose JWTs are taken as its tokens, beside those that we make.
    #[serde(default)]
    #[schemars(with = "IdpJwt")]
    pub jwt: Option<IdpJwt>,
}

/// How an IdP's SCIM is read and answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IdpScim {
    /// How strictly it is read.
    pub mode: ScimMode,
    /// What a PATCH is answered with when it doesn't say what it prefers.
    pub patch_answer: PatchAnswer,
    /// How many requests it may send a second, if not as many as `scim.requestsPerSecond`; 0: no limit.
    pub requests_per_second: Option<u32>,
    /// What becomes of members to add that this IdP has not provisioned.
    pub unknown_members: UnknownMembers,
    /// What is left out of its `ServiceProviderConfig`, beside what `scim.omit` leaves out for all.
    pub omit: BTreeSet<Omissible>,
    /// Whether its `ServiceProviderConfig` shows the limits, if not as `scim.advertiseLimits` says.
    pub advertise_limits: Option<bool>,
    /// Whether its `/Schemas` names a `password`, for clients that can't send a User without one; it is dropped all the same.
    pub advertise_password: bool,
}

/// How strictly an IdP is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ScimMode {
    /// What IdPs really send is taken.
    #[default]
    Compat,
    /// What deviates from RFC 7643 and RFC 7644 is an error.
    Strict,
}

impl From<ScimMode> for Mode {
    fn from(mode: ScimMode) -> Self {
        match mode {
            ScimMode::Compat => Self::Compat,
            ScimMode::Strict => Self::Strict,
        }
    }
}

/// What a PATCH is answered with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PatchAnswer {
    /// 204 for groups, 200 with the resource for users.
    #[default]
    Auto,
    /// 200 with the resource.
    Resource,
    /// 204.
    NoContent,
}

/// A member of `ServiceProviderConfig` that came after RFC 7643. There are clients that refuse what they do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Omissible {
    /// RFC 9865.
    Pagination,
    /// RFC 9967.
    SecurityEvents,
}

/// What becomes of members to add that their IdP has not provisioned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UnknownMembers {
    /// 400, and nothing changes.
    #[default]
    Refuse,
    /// They are left out, and a warning says how many.
    Ignore,
}

/// How the API server's own authentication names an IdP's users: what GroupRoleBindings must write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IdpKubernetes {
    /// What stands before the name, as `okta:`.
    pub username_prefix: String,
    /// The SCIM attribute that holds the name.
    pub username_attribute: String,
}

impl Default for IdpKubernetes {
    fn default() -> Self {
        Self { username_prefix: String::new(), username_attribute: "userName".into() }
    }
}

/// Whose word is taken for the accounts of one source host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkSource {
    /// The IdP that is believed.
    pub idp: IdpLabel,
    /// The attribute of its Users, with its schema's URN before it.
    pub attribute: AttributePath,
}

/// Provisioning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Scim {
    /// How long an answer waits for what it takes away to be gone.
    pub revocation_wait: Span,
    /// How many requests each identity provider may send a second; 0: no limit. More are answered with 429.
    pub requests_per_second: u32,
    /// What is left out of everyone's `ServiceProviderConfig`.
    pub omit: BTreeSet<Omissible>,
    /// Whether `ServiceProviderConfig` shows the limits that no RFC has a place for, in an extension of ours. Clients
    /// made of scim2-models refuse a whole configuration for it.
    pub advertise_limits: bool,
    /// Whether there are Agents: the type of resource, and what an Agent may do.
    pub agents: bool,
    /// Extensions beside the built-in ones.
    pub extensions: Vec<Extension>,
    /// How long after a page of a list its cursor may be used.
    pub cursor_timeout: Span,
    /// Largest body of a request that is no Bulk, bytes.
    pub max_body_size: usize,
    /// Largest resource that is kept, bytes of JSON without members.
    pub max_resource_size: usize,
    /// Most members that one operation of a PATCH names, or a whole group that is sent.
    pub max_members: usize,
    /// How large a page of a list is.
    pub pagination: PageSizes,
    /// How much a filter may hold.
    pub filter: FilterLimits,
    /// How much a PATCH may hold.
    pub patch: PatchLimits,
    /// How much one Bulk request may hold.
    pub bulk: Bulk,
}

impl Default for Scim {
    fn default() -> Self {
        // IPSIE asks for 25 and more; an import of ten thousand people takes half a minute.
        let requests_per_second = 500;
        let limits = Limits::default();
        let (revocation_wait, cursor_timeout) = (Span::seconds(5), Span::minutes(60));
        Self {
            revocation_wait,
            requests_per_second,
            omit: BTreeSet::new(),
            advertise_limits: false,
            agents: false,
            extensions: Vec::new(),
            cursor_timeout,
            max_body_size: MEBIBYTE,
            max_resource_size: limits.resource_size,
            max_members: limits.members,
            pagination: PageSizes::default(),
            filter: FilterLimits::default(),
            patch: PatchLimits::default(),
            bulk: Bulk::default(),
        }
    }
}

/// An extension of a type of resource: a Schema resource as RFC 7643 §7 writes it, here or in a file of its own (JSON).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Extension {
    /// What it extends.
    pub resource_type: ExtensionOf,
    /// The schema itself.
    pub schema: Option<serde_json::Value>,
    /// Where it stands.
    pub file: Option<PathBuf>,
}

/// A type of resource that can be extended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ExtensionOf {
    #[default]
    User,
    Group,
    Agent,
}

impl From<ExtensionOf> for ResourceKind {
    fn from(of: ExtensionOf) -> Self {
        match of {
            ExtensionOf::User => Self::User,
            ExtensionOf::Group => Self::Group,
            ExtensionOf::Agent => Self::Agent,
        }
    }
}

/// Tickets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Ticket {
    /// How long a ticket may wait for its run to be created.
    pub ttl: Span,
}

impl Default for Ticket {
    fn default() -> Self {
        Self { ttl: Span::minutes(5) }
    }
}

/// The ClusterInterceptor that we create.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterInterceptor {
    /// Its name, as triggers reference it; also names this instance on what it makes.
    pub name: String,
    /// Where EventListeners reach us, if not by the Service of `config/`.
    pub url: Option<String>,
}

impl Default for ClusterInterceptor {
    fn default() -> Self {
        Self { name: "scim".into(), url: None }
    }
}

/// What the controller looks at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Controller {
    /// Label selector of the namespaces that are ours to look at, as `team in (a,b)`; empty: all.
    pub namespace_selector: String,
}

/// Our OIDC issuer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Issuer {
    /// Names this cluster in every `sub`; must never change once a cloud trusts it. Default: the UID of the namespace
    /// `kube-system`; without a cluster `default`.
    pub cluster_id: Option<String>,
    /// Who may ask whether a token is still good (RFC 7662).
    pub clients: Vec<IssuerClient>,
}

/// A resource server that may introspect tokens of its own audience.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuerClient {
    /// Its `client_id`.
    pub id: String,
    /// File that holds its secret.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// Environment variable that holds its secret.
    #[serde(default)]
    pub secret_env: Option<String>,
    /// The audience that it is: it learns of no other token.
    pub audience: String,
}

/// What tokens of our issuer may be made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The token's one `aud`.
    pub audience: String,
    /// Namespaces whose templates may name this target; `*` for all.
    #[serde(default)]
    pub namespaces: Vec<String>,
}

/// Whether there is a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Kubernetes {
    /// `auto`: if the usual configuration of a client is found.
    pub enabled: Enabled,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// What to log, as `info,scim_tekton=debug`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        // kube-client warns with the whole answer when one does not parse: a TokenRequest's answer holds a token.
        Self { format: LogFormat::Text, filter: "info,kube_client::client=error".into() }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text.
    Text,
    /// One JSON object a line.
    Json,
}
