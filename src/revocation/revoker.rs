//! Executes intents to revoke.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join_all;
use tokio::sync::Semaphore;
use tracing::{error, info, warn};

use super::InFlight;
use crate::{
    api::{GrantPhase, Receipt, RevocationReason},
    clock::{Clock, rfc3339},
    cluster::Cluster,
    credential::{delivery, kubernetes::KubernetesProvider, projection::Projector},
    store::{GrantId, GrantRecord, Revocations, Store, StoreError},
};

/// How long a revocation waits for an issue of the same Grant that is under way in this process.
const ISSUE_WAIT: Duration = Duration::from_secs(4);
/// How many Grants one loss of a group revokes at a time, so that it never delays a person's deactivation.
const GROUP_LANE: usize = 64;

/// Takes credentials back. One for each process.
pub struct Revoker {
    pub(super) store: Arc<dyn Store>,
    pub(super) cluster: Cluster,
    kubernetes: Arc<KubernetesProvider>,
    pub(super) clock: Clock,
    /// Issues under way; the issuing controller registers here before it leaves a Pending row.
    pub issuing: InFlight,
    revoking: InFlight,
    /// Runs whose pods are being ended, by uid.
    pub(super) ending: Mutex<HashSet<String>>,
    /// Keeps the Grant objects up with their rows.
    pub projector: Projector,
    group_lane: Semaphore,
}

impl Revoker {
    /// A revoker over these.
    pub fn new(store: Arc<dyn Store>, cluster: Cluster, kubernetes: Arc<KubernetesProvider>, clock: Clock) -> Self {
        Self {
            projector: Projector::start(Arc::clone(&store), cluster.direct.clone()),
            store,
            cluster,
            kubernetes,
            clock,
            issuing: InFlight::default(),
            revoking: InFlight::default(),
            ending: Mutex::default(),
            group_lane: Semaphore::new(GROUP_LANE),
        }
    }

    /// Whether no API server answers, as far as is known.
    pub fn cluster_is_down(&self) -> bool {
        self.cluster.is_down()
    }

    /// Ends these Grants and runs. Returns when each Grant's credential is dead and proven so, or one attempt has
    /// failed (then it is tried again later). The runs' pods may end after that.
    pub async fn revoke(self: &Arc<Self>, revocations: Revocations) {
        fail::fail_point!("revocation::off", |_| ());
        let Revocations { grants, runs } = revocations;
        let cancelled = join_all(runs.iter().map(|(run, reason)| self.cancel_run(run, *reason)));
        let gone = runs.iter().any(|(_, reason)| reason.person_is_gone());
        let revoked = join_all(grants.iter().map(|grant| self.revoke_in_its_lane(grant, gone)));
        let (cancelled, _) = tokio::join!(cancelled, revoked);
        for ((run, reason), cancelled) in runs.into_iter().zip(cancelled) {
            // What could not be told is tried again by the sweep.
            let Some(cancelled) = cancelled else { continue };
            let this = Arc::clone(self);
            tokio::spawn(async move { this.end_pods(run, reason, cancelled).await });
        }
    }

    /// A person who is gone never waits behind a group, though a Grant of theirs may have lost its group before.
    async fn revoke_in_its_lane(&self, grant: &GrantRecord, gone: bool) {
        let _lane = if grant.reason == Some(RevocationReason::GroupLost) && !gone {
            self.group_lane.acquire().await.ok()
        } else {
            None
        };
        self.revoke_grant(grant.id).await;
    }

    /// One attempt at one Grant; joins an attempt that is under way.
    pub async fn revoke_grant(&self, id: GrantId) {
        fail::fail_point!("revocation::off", |_| ());
        let Some(_working) = self.revoking.begin(id) else {
            self.revoking.ended(id).await;
            return;
        };
        if let Err(error) = self.attempts(id).await {
            error!(grant = %id, %error, "a revocation could not be recorded; it is tried again");
        }
    }

    /// An issue or renewal of the same Grant may be under way. A renewal makes no bindings, so a credential that was
    /// handed out loses its power at once, whatever else goes on. Of a Pending Grant the bindings may be being made at
    /// this moment: what is deleted before they are there would do nothing.
    async fn attempts(&self, id: GrantId) -> Result<(), StoreError> {
        let Some(grant) = self.store.grant(id).await? else { return Ok(()) };
        let busy = self.issuing.is_busy(id);
        if busy && grant.issued_at.is_some() {
            self.attempt(grant, false).await?;
        }
        let quiet = tokio::time::timeout(ISSUE_WAIT, self.issuing.ended(id)).await.is_ok();
        match self.store.grant(id).await? {
            Some(grant) => self.attempt(grant, quiet).await,
            None => Ok(()),
        }
    }

    /// Takes away what there is. Only if nobody can be making more of it, `last`, may it be done.
    async fn attempt(&self, grant: GrantRecord, last: bool) -> Result<(), StoreError> {
        let id = grant.id;
        // A Grant that could not be issued may have left objects behind.
        let unfinished = grant.phase == GrantPhase::Failed && grant.revoked_at.is_none();
        if grant.phase != GrantPhase::Revoking && !unfinished {
            return Ok(());
        }
        let asked = grant.asked_at.unwrap_or_else(|| (self.clock)());
        let mut receipt =
            grant.receipt.clone().unwrap_or_else(|| Receipt { asked: rfc3339(asked), ..Receipt::default() });
        let done = match grant.provider.as_str() {
            "oidc" => self.revoke_oidc(&grant, &mut receipt).await,
            _ => self.kubernetes.revoke(&grant, &mut receipt).await,
        };
        let done = done && last;
        fail::fail_point!("revoke::before_receipt");
        self.store.record_receipt(id, &receipt, done).await?;
        fail::fail_point!("revoke::after_receipt");
        let took = (self.clock)() - asked;
        if done {
            metrics::histogram!(crate::telemetry::metric::REVOCATION_SECONDS).record(took.as_seconds_f64());
            info!(grant = %id, reason = grant.reason.map(RevocationReason::as_str), ms = took.num_milliseconds(), "revoked");
        } else {
            warn!(grant = %id, unproven = ?receipt.unproven, "a revocation is not proven yet; it is tried again");
        }
        self.projector.show(id);
        Ok(())
    }

    /// A JWT can't be recalled: introspection says inactive from the moment of the intent, and the copy goes.
    async fn revoke_oidc(&self, grant: &GrantRecord, receipt: &mut Receipt) -> bool {
        receipt.refused.entry("introspection".into()).or_insert_with(|| rfc3339((self.clock)()));
        receipt.unproven.clear();
        receipt.residue = vec![match grant.expires_at {
            Some(end) => format!("a verifier that does not introspect accepts the JWT until {}", rfc3339(end)),
            None => "no JWT was handed out".into(),
        }];
        match delivery::withdraw(&self.cluster.direct, grant).await {
            Ok(()) => true,
            Err(error) => {
                receipt.unproven.insert("secret".into(), error.to_string());
                false
            }
        }
    }
}
