//! Taking a Grant back, and proving it.

use std::{sync::Arc, time::Duration};

use futures::future::{join_all, select_ok};
use k8s_openapi::api::{
    core::v1::{Secret, ServiceAccount},
    rbac::v1::RoleBinding,
};
use kube::{Api, Resource, api::DeleteParams};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use super::{Facts, KubernetesProvider};
use crate::{
    api::Receipt,
    clock::rfc3339,
    cluster::{ApiServer, Verdict, is_not_found, is_not_ours},
    credential::delivery,
    store::GrantRecord,
};

/// Between two probes of one API server: a watch cache follows within milliseconds.
const PROBE_PAUSE: Duration = Duration::from_millis(3);
/// The longest such pause: one that lags for longer is asked less often.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How long one attempt probes; what is not proven by then is tried again.
const PROBE_TIME: Duration = Duration::from_secs(4);

impl KubernetesProvider {
    /// Takes everything of a Grant away, in any state, and writes into the Receipt what was achieved. Returns whether
    /// nothing is left to do. Idempotent.
    pub async fn revoke(&self, grant: &GrantRecord, receipt: &mut Receipt) -> bool {
        let facts = match Facts::of(grant) {
            Ok(facts) => facts,
            Err(error) => {
                receipt.unproven.insert("facts".into(), error.to_string());
                return false;
            }
        };
        receipt.residue.clone_from(&facts.residue);
        receipt.residue.push("open watches and execs, and what the credential made, are not recalled".to_owned());
        receipt.unproven.clear();
        self.note_who_knows(grant, &facts).await;
        fail::fail_point!("revoke::before_unbind");
        let unbound =
            join_all((0..facts.roles.len()).map(|index| {
                self.delete_anywhere::<RoleBinding>(&grant.namespace, Self::binding_name(grant.id, index))
            }))
            .await;
        for error in unbound.iter().filter_map(|result| result.as_ref().err()) {
            receipt.unproven.insert("roleBindings".into(), error.clone());
        }
        if unbound.iter().any(Result::is_err) {
            return false;
        }
        fail::fail_point!("revoke::after_unbind");
        receipt.rbac_gone.get_or_insert_with(|| rfc3339((self.clock)()));
        let name = Self::account_name(grant.id);
        let (proofs, secret, account, copy) = tokio::join!(
            self.prove(grant, &facts, receipt),
            self.delete_anywhere::<Secret>(&self.grants_namespace, name.clone()),
            self.delete_anywhere::<ServiceAccount>(&self.grants_namespace, name.clone()),
            delivery::withdraw(&self.cluster.direct, grant),
        );
        for (address, proof) in proofs {
            match proof {
                Ok(at) => {
                    receipt.refused.entry(address).or_insert(at);
                }
                Err(why) if !receipt.refused.contains_key(&address) => {
                    receipt.unproven.insert(address, why);
                }
                Err(_) => {}
            }
        }
        let gone = secret.is_ok() && account.is_ok() && copy.is_ok();
        if gone && receipt.unproven.is_empty() {
            self.forget(grant.id);
        }
        gone && receipt.unproven.is_empty()
    }

    /// Deletes through every API server at once: the first that has done it counts, so that a hanging one holds
    /// nothing up. A delete goes to etcd, so `not found` is true whoever says it.
    async fn delete_anywhere<K>(&self, namespace: &str, name: String) -> Result<(), String>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let servers = self.cluster.servers();
        let attempts = servers.iter().map(|server| {
            let api: Api<K> = Api::namespaced(server.client.clone(), namespace);
            let name = name.clone();
            Box::pin(async move {
                match api.delete(&name, &DeleteParams::default()).await {
                    // In a tenant's namespace somebody else's may stand under the name by now: not ours to delete, and the
                    // proof that follows shows that it holds nothing of the Grant.
                    Err(error) if is_not_ours(&error) && namespace != self.grants_namespace => Ok(()),
                    Err(error) if !is_not_found(&error) => Err(error),
                    _ => Ok(()),
                }
            })
        });
        let done = select_ok(attempts).await;
        // A `no` is an answer.
        self.cluster.note_answer(matches!(done, Ok(_) | Err(kube::Error::Api(_))));
        done.map(drop).map_err(|error| error.to_string())
    }

    /// Asks every API server until it refuses.
    async fn prove(
        &self,
        grant: &GrantRecord,
        facts: &Facts,
        receipt: &Receipt,
    ) -> Vec<(String, Result<String, String>)> {
        let servers = self.cluster.servers();
        join_all(servers.iter().map(|server| async {
            let proof = self.prove_at(server, grant, facts, receipt).await;
            (server.address.to_string(), proof)
        }))
        .await
    }

    async fn prove_at(
        &self,
        server: &Arc<ApiServer>,
        grant: &GrantRecord,
        facts: &Facts,
        receipt: &Receipt,
    ) -> Result<String, String> {
        let deadline = Instant::now() + PROBE_TIME;
        let mut pause = PROBE_PAUSE;
        loop {
            let verdicts = join_all(facts.roles.iter().map(|role| async {
                let reviewed = async {
                    match (&role.probe, self.token(grant.id)) {
                        (None, _) => Verdict::Refused,
                        (Some(probe), Some(token)) => match server.may_token(&token, probe).await {
                            Verdict::Unknown(_) => server.may_account(&self.user(grant), &self.groups(), probe).await,
                            verdict => verdict,
                        },
                        (Some(probe), None) => server.may_account(&self.user(grant), &self.groups(), probe).await,
                    }
                };
                let read = async {
                    match (&role.read, self.token(grant.id)) {
                        (Some(read), Some(token)) => server.read_with(&token, &read.path).await,
                        (Some(read), None) => server.may_account(&self.user(grant), &self.groups(), &read.action).await,
                        (None, _) => Verdict::Refused,
                    }
                };
                let (reviewed, read) = tokio::join!(reviewed, read);
                if reviewed == Verdict::Refused { read } else { reviewed }
            }))
            .await;
            let doubt = match verdicts.into_iter().find(|verdict| *verdict != Verdict::Refused) {
                Some(doubt) => doubt,
                None if self.refusal_proves(server, grant, receipt) => return Ok(rfc3339((self.clock)())),
                None => Verdict::Unknown("it refuses, but may not have heard of the bindings yet".into()),
            };
            if Instant::now() >= deadline {
                return Err(match doubt {
                    Verdict::Allowed(reason) => format!("still allowed: {reason}"),
                    Verdict::Unknown(error) => error,
                    Verdict::Refused => "refused".into(),
                });
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    pub(super) fn user(&self, grant: &GrantRecord) -> String {
        format!("system:serviceaccount:{}:{}", self.grants_namespace, Self::account_name(grant.id))
    }
}
