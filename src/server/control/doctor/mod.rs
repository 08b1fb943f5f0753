//! `doctor`: what is wrong with a deployment, and how to mend it. Each check is a question to something that exists, and
//! says what it found; nothing is changed.
//!
//! FAIL is what stops this instance from keeping its promises; a namespace's editors' mistake, which only their own
//! events pay for, is a warning. What the API server tells comes through `Inspect`, so that judging it needs no cluster.

mod cluster;
mod own;
mod policies;

pub use cluster::{ClusterFacts, Gate, Seen};

use async_trait::async_trait;
use axum::{Json, extract::State};

use super::{
    ControlState,
    wire::{Checkup, Finding, Verdict},
};

/// Looks at the cluster.
#[async_trait]
pub trait Inspect: Send + Sync {
    /// All that the checks ask about; `secrets` are names of Secrets of the install namespace.
    async fn look(&self, secrets: Vec<String>) -> ClusterFacts;
}

pub(super) async fn examine(State(control): State<ControlState>) -> Json<Checkup> {
    let catalog = control.catalog.load_full();
    let facts = match &control.cluster {
        Some(cluster) => Some(cluster.look(policies::webhook_secrets(&catalog)).await),
        None => None,
    };
    let now = (control.clock)();
    let mut findings = own::check(&*control.store, &control.directory.load_full(), now).await;
    match &facts {
        Some(facts) => findings.extend(cluster::check(facts)),
        None => findings.push(Finding::warn(
            "cluster",
            "this server is connected to none: no controller runs, and policies come from a folder",
            "where there should be one, the first lines of the server's log say why there is none",
        )),
    }
    findings.extend(policies::sources(&catalog, facts.as_ref(), now));
    findings.extend(policies::triggers(&catalog, &control.settings.cluster_interceptor));
    Json(Checkup { findings })
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
