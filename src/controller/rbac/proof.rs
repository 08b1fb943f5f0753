//! Seeing a RoleBinding's change at every API server.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use futures::future::join_all;
use kube::ResourceExt as _;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::{
    RbacSync,
    place::Place,
    plan::{Names, Turned},
};
use crate::{
    api::GroupRoleBinding,
    cluster::{Action, ApiServer, Verdict},
    credential::kubernetes::actions,
};

const PAUSE: Duration = Duration::from_millis(3);
const PROOF_TIME: Duration = Duration::from_secs(4);

/// What was written and not yet seen at every API server. One write may serve several SCIM requests, and
/// reconciliation may come first: each waits for what is here, whoever wrote it.
#[derive(Default)]
pub(super) struct Unproven(Mutex<HashMap<(String, String), Turned>>);

impl Unproven {
    /// Notes what a write turned, or, with nobody, forgets what is no longer true: these people hold the role now.
    pub(super) fn note(&self, place: &Place, turned: Turned, now: &Names) {
        let Ok(mut all) = self.0.lock() else { return };
        let key = (place.namespace.clone(), place.name.clone());
        let turned = turned.after(all.remove(&key), now);
        if !turned.is_nobody() {
            all.insert(key, turned);
        }
    }

    /// Forgets what is no longer true anywhere in a place.
    pub(super) fn note_all(&self, place: &Place, now: &Names) {
        for (shard, _) in self.of(place) {
            self.note(&shard, Turned::default(), now);
        }
    }

    /// Of all RoleBindings of a place.
    fn of(&self, place: &Place) -> Vec<(Place, Turned)> {
        let Ok(all) = self.0.lock() else { return Vec::new() };
        let here = all.iter().filter(|((namespace, _), _)| *namespace == place.namespace);
        here.filter_map(|((_, name), turned)| Some((place.shard(place.number(name)?), turned.clone()))).collect()
    }

    /// Unless something else has been written since.
    fn forget(&self, place: &Place, seen: &Turned) {
        let Ok(mut all) = self.0.lock() else { return };
        let key = (place.namespace.clone(), place.name.clone());
        if all.get(&key) == Some(seen) {
            all.remove(&key);
        }
    }
}

impl RbacSync {
    /// Waits until every API server has seen what was written here.
    pub(super) async fn prove(&self, binding: &GroupRoleBinding, places: &[Place]) {
        let unproven = places.iter().flat_map(|place| self.unproven.of(place));
        join_all(unproven.map(|(shard, turned)| async move {
            self.seen_everywhere(binding, &shard, &turned).await;
            self.unproven.forget(&shard, &turned);
        }))
        .await;
    }

    async fn seen_everywhere(&self, binding: &GroupRoleBinding, place: &Place, turned: &Turned) {
        let action = match actions(&self.cluster.direct, &place.role, &place.namespace).await {
            Ok(action) => action,
            Err(error) => {
                warn!(binding = binding.name_any(), %error, "can't see whether the change has arrived");
                return;
            }
        };
        // A role without rules gives nothing and takes nothing.
        let Some(action) = action else { return };
        let servers = self.cluster.servers();
        join_all(servers.iter().map(|server| async {
            tokio::join!(
                self.seen(server, turned.gained.as_deref(), &action, &place.name, true),
                self.seen(server, turned.lost.as_deref(), &action, &place.name, false),
            )
        }))
        .await;
    }

    /// Waits until an API server knows. Who lost this binding may hold the right by another one: RBAC's answer names
    /// the binding that allowed it.
    async fn seen(&self, server: &ApiServer, user: Option<&str>, action: &Action, binding: &str, allowed: bool) {
        let Some(user) = user else { return };
        let groups = ["system:authenticated".to_owned()];
        let deadline = Instant::now() + PROOF_TIME;
        loop {
            match server.may_account(user, &groups, action).await {
                Verdict::Allowed(_) if allowed => return,
                Verdict::Allowed(reason) if !allowed && !reason.contains(binding) => return,
                Verdict::Refused if !allowed => return,
                _ if Instant::now() >= deadline => {
                    warn!(address = %server.address, binding, "an API server has not seen a RoleBinding's change");
                    return;
                }
                _ => sleep(PAUSE).await,
            }
        }
    }
}
