//! Whether an API server has heard of a Grant's bindings. One that lags refuses before it has, would allow a moment
//! later, and refuses again when it hears that they are gone: a refusal proves something only of one that has.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use tokio::time::{sleep, timeout};

use super::{Facts, KubernetesProvider};
use crate::{
    api::Receipt,
    cluster::{ApiServer, Verdict},
    store::GrantRecord,
};

/// No API server lags for longer. So all have heard of bindings of this age, and that older ones are gone.
const LONGEST_LAG: chrono::Duration = chrono::Duration::seconds(10);
/// How long a revocation waits to see it. Mostly it is seen at the first look.
const LOOK_TIME: Duration = Duration::from_millis(250);
const LOOK_PAUSE: Duration = Duration::from_millis(3);

impl KubernetesProvider {
    /// Before a young Grant's bindings are deleted: notes which API servers have heard of them.
    pub(super) async fn note_who_knows(&self, grant: &GrantRecord, facts: &Facts) {
        if !self.is_long_ago(grant.issued_at) {
            // Who was not seen to know them in this time is judged by time.
            let _ = timeout(LOOK_TIME, self.see_who_knows(grant, facts)).await;
        }
    }

    /// Whether this server's refusal proves that the bindings are gone for it.
    pub(super) fn refusal_proves(&self, server: &ApiServer, grant: &GrantRecord, receipt: &Receipt) -> bool {
        let gone = receipt.rbac_gone.as_deref().and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        self.known.lock().is_ok_and(|known| known.contains(&(grant.id, Arc::clone(&server.address))))
            || self.is_long_ago(grant.issued_at)
            || self.is_long_ago(gone.map(|at| at.with_timezone(&Utc)))
    }

    async fn see_who_knows(&self, grant: &GrantRecord, facts: &Facts) {
        let nothing = grant.issued_at.is_none() && !self.is_anything_bound(grant, facts).await;
        join_all(self.cluster.servers().iter().map(|server| async {
            // Where nothing was bound there is nothing to hear of.
            while !nothing && !self.allows_all(server, grant, facts).await {
                sleep(LOOK_PAUSE).await;
            }
            if let Ok(mut known) = self.known.lock() {
                known.insert((grant.id, Arc::clone(&server.address)));
            }
        }))
        .await;
    }

    async fn is_anything_bound(&self, grant: &GrantRecord, facts: &Facts) -> bool {
        let bindings: Api<RoleBinding> = Api::namespaced(self.cluster.direct.clone(), &grant.namespace);
        let found = join_all((0..facts.roles.len()).map(|index| {
            let (bindings, name) = (bindings.clone(), Self::binding_name(grant.id, index));
            async move { bindings.get_opt(&name).await }
        }))
        .await;
        found.iter().any(|found| !matches!(found, Ok(None)))
    }

    async fn allows_all(&self, server: &ApiServer, grant: &GrantRecord, facts: &Facts) -> bool {
        let actions = facts.roles.iter().filter_map(|role| role.probe.as_ref().or(Some(&role.read.as_ref()?.action)));
        let (user, groups) = (self.user(grant), self.groups());
        let verdicts = join_all(actions.map(|action| server.may_account(&user, &groups, action))).await;
        verdicts.iter().all(|verdict| matches!(verdict, Verdict::Allowed(_)))
    }

    fn is_long_ago(&self, at: Option<DateTime<Utc>>) -> bool {
        at.is_some_and(|at| (self.clock)() >= at + LONGEST_LAG)
    }
}
