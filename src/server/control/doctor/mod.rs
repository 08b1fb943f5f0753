//! `doctor`: what is wrong with a deployment, and how to mend it. Each check is a question to something that exists, and
//! says what it found; nothing is changed.
//!
//! FAIL is what stops this instance from keeping its promises; a namespace's editors' mistake, which only their own
//! events pay for, is a warning. What the API server tells comes through `Inspect`, so that judging it needs no cluster.

mod clocks;
mod cluster;
mod foreign;
mod issuer;
mod own;
mod policies;
mod rights;

pub use clocks::Skew;
pub use cluster::{ClusterFacts, Gate, Seen};
pub use foreign::Bindings;
pub use issuer::{AskIssuer, IssuerFacts, NoAnswer};
pub use rights::{Account, Names, Right};

use async_trait::async_trait;
use axum::{Json, extract::State};

use super::{
    ControlState,
    wire::{Checkup, Finding, Verdict},
};

/// Looks at the cluster.
#[async_trait]
pub trait Inspect: Send + Sync {
    /// How this installation calls what may be called otherwise than in `config/`.
    fn names(&self) -> &Names;
    /// What stands there; `secrets` are names of Secrets of the install namespace.
    async fn look(&self, secrets: Vec<String>) -> ClusterFacts;
    /// Whether we hold each of these rights, or why that can't be told.
    async fn may(&self, rights: Vec<Right>) -> Vec<Result<bool, String>>;
    /// Who is bound to what, or why that can't be told.
    async fn bindings(&self) -> Result<Bindings, String>;
    /// How far the clock of each API server is ahead of ours.
    async fn skews(&self) -> Vec<Skew>;
}

pub(super) async fn examine(State(control): State<ControlState>) -> Json<Checkup> {
    let catalog = control.catalog.load_full();
    let secrets = policies::webhook_secrets(&catalog);
    let now = (control.clock)();
    let directory = control.directory.load_full();
    let own = own::check(&*control.store, &directory, now);
    let issuer = async {
        match &control.issuer {
            Some(issuer) => Some(issuer::check(&issuer.ask().await)),
            None => None,
        }
    };
    let cluster = async {
        match &control.cluster {
            Some(cluster) => Some(in_cluster(&**cluster, secrets).await),
            None => None,
        }
    };
    let (mut findings, issuer, cluster) = tokio::join!(own, issuer, cluster);
    let facts = if let Some((facts, found)) = cluster {
        findings.extend(found);
        Some(facts)
    } else {
        findings.push(Finding::warn(
            "cluster",
            "this server is connected to none: no controller runs, and policies come from a folder",
            "where there should be one, the first lines of the server's log say why there is none",
        ));
        None
    };
    findings.extend(issuer);
    findings.extend(policies::sources(&catalog, facts.as_ref(), now));
    findings.extend(policies::triggers(&catalog, &control.settings.cluster_interceptor));
    Json(Checkup { findings })
}

/// What the API servers tell. `secrets` sign events.
async fn in_cluster(cluster: &dyn Inspect, secrets: Vec<String>) -> (ClusterFacts, Vec<Finding>) {
    let (facts, rights, bindings, skews) =
        tokio::join!(cluster.look(secrets.clone()), rights::check(cluster), cluster.bindings(), cluster.skews());
    let mut findings = cluster::check(&facts);
    findings.extend(rights);
    findings.extend(foreign::check(&bindings, cluster.names(), &secrets));
    findings.extend(clocks::servers(&skews));
    (facts, findings)
}

/// A line for a person: the first of many, and how many more.
fn listed(all: impl IntoIterator<Item = String>) -> String {
    const SHOWN: usize = 10;
    let mut all = all.into_iter();
    let shown: Vec<_> = all.by_ref().take(SHOWN).collect();
    match all.count() {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}

impl Finding {
    fn ok(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { check: check.into(), verdict: Verdict::Ok, found: found.into(), mend: None }
    }

    fn warn(check: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check: check.into(), verdict: Verdict::Warn, found: found.into(), mend: Some(mend.into()) }
    }

    fn fail(check: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check: check.into(), verdict: Verdict::Fail, found: found.into(), mend: Some(mend.into()) }
    }
}
