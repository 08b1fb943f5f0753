//! What the SCIM endpoints work with.

use std::{collections::BTreeMap, sync::Arc};

use chrono::Duration;
use tokio_util::task::TaskTracker;

use super::{JwtSettings, KeyRing, Limits, TokenTable, jwt::Trusts};
use crate::{
    clock::Clock,
    config::Bulk,
    identity::{Filter, IdpName, Mode, ResourceKind, ScimError},
    revocation::Enforce,
    store::Store,
};

/// What a PATCH is answered with when it doesn't say what it prefers (RFC 7240): every IdP wants another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PatchAnswer {
    /// 204 for groups (Entra asks for it, and a large group's members stay unread), unless the request names attributes;
    /// 200 with the resource for users.
    #[default]
    Auto,
    /// 200 with the resource.
    Resource,
    /// 204.
    NoContent,
}

/// How an IdP is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdpSettings {
    /// How strictly it is read.
    pub mode: Mode,
    /// What its PATCH requests are answered with.
    pub patch_answer: PatchAnswer,
    /// How many requests it may send; 0: as many as it likes.
    pub requests_per_second: u32,
    /// Whether members to add that are nobody of this IdP are left out, instead of an error.
    pub skip_unknown_members: bool,
    /// Whether the User that it is shown has a `password`.
    pub advertise_password: bool,
    /// Members of `ServiceProviderConfig` that it is not shown.
    pub omit: Vec<&'static str>,
    /// Whether `ServiceProviderConfig` shows it the limits that no RFC has a place for.
    pub advertise_limits: bool,
    /// Whose JWTs are taken as its tokens.
    pub jwt: Option<JwtSettings>,
}

/// How each IdP is served.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Those that are not named.
    pub default: IdpSettings,
    /// Those that are.
    pub idps: BTreeMap<IdpName, IdpSettings>,
    /// How long after a page its cursor may be used.
    pub cursor_timeout: Duration,
    /// How much one Bulk request may hold.
    pub bulk: Bulk,
    /// How much any other request may hold, and a page.
    pub limits: Limits,
    /// Whether there are Agents.
    pub agents: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let (default, idps) = (IdpSettings::default(), BTreeMap::new());
        let (bulk, limits) = (Bulk::default(), Limits::default());
        Self { default, idps, cursor_timeout: Duration::hours(1), bulk, limits, agents: false }
    }
}

impl Settings {
    /// Of one IdP.
    pub fn of(&self, idp: &IdpName) -> &IdpSettings {
        self.idps.get(idp).unwrap_or(&self.default)
    }

    /// The types of resources that are served.
    pub fn kinds(&self) -> &'static [ResourceKind] {
        if self.agents { &ResourceKind::ALL } else { &[ResourceKind::User, ResourceKind::Group] }
    }
}

/// What the SCIM endpoints work with. Cheap to clone.
#[derive(Clone)]
pub struct ScimState {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
    pub(super) enforce: Arc<dyn Enforce>,
    pub(super) tokens: Arc<TokenTable>,
    pub(super) trusts: Arc<Trusts>,
    pub(super) settings: Arc<Settings>,
    /// Address of `/scim/v2`, as callers reach it.
    pub(super) base: Arc<str>,
    pub(super) writes: TaskTracker,
}

impl ScimState {
    /// `external_url` is where callers reach the listener, as `https://scim.example.com`.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        enforce: Arc<dyn Enforce>,
        tokens: Arc<TokenTable>,
        external_url: &str,
        settings: Settings,
    ) -> Self {
        let base = format!("{}/scim/v2", external_url.trim_end_matches('/')).into();
        let trusts = Arc::new(Trusts::new(&settings, &tokens));
        let (settings, writes) = (Arc::new(settings), TaskTracker::new());
        Self { store, clock, enforce, tokens, trusts, settings, base, writes }
    }

    /// Whether there is this type of resource here.
    pub fn serves(&self, kind: ResourceKind) -> bool {
        self.settings.kinds().contains(&kind)
    }

    /// A filter within the configured limits, read as leniently as any IdP's is.
    pub fn filter(&self, text: &str, kind: ResourceKind) -> Result<Filter, ScimError> {
        Filter::parse_within(self.settings.limits.text, text, kind, Mode::Compat)
    }

    /// The issuers whose keys are to be fetched, each with where they go: `KeyRing::tend` must run for each.
    pub fn key_rings(&self) -> impl Iterator<Item = (IdpName, JwtSettings, Arc<KeyRing>)> {
        self.trusts.rings()
    }

    /// Writes under way. A server that stops closes the tracker and waits for it after the listener is closed: they
    /// outlive their connections.
    pub fn writes(&self) -> &TaskTracker {
        &self.writes
    }
}
