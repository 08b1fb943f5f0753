//! It holds when two things happen at once, and when a process dies at the worst moment: on an instance of the suite's
//! own, which is held at failpoints and killed. CI walks each failpoint once; `FULL=1` as often as issue 4 asks.

mod api_servers;
mod flow;
mod kills;
mod leavers;
mod namespaces;
mod time;
mod writes;

use std::{sync::Arc, time::Duration};

use scim_tekton::store::GrantRecord;

pub use self::writes::durability;
use crate::{
    cases::{Case, cases},
    invariants,
    world::{Outcome, Person, Process, Shop, Witness, World},
};

/// The cases, none of which can stand another beside it.
pub fn cases() -> Vec<Case> {
    cases![
        leavers::g2_deactivated_at_each_failpoint_the_person_holds_nothing_after_the_answer,
        leavers::g2_deactivated_at_random_moments_the_person_holds_nothing_after_the_answer,
        kills::g1_killed_at_each_failpoint_what_was_begun_is_finished,
        kills::g1_killed_at_random_moments_what_was_begun_is_finished,
        api_servers::one_api_server_behind_the_other_is_named_unproven_and_proven_when_it_resumes,
        api_servers::api_server_outage_holds_up_no_answer_and_loses_no_revocation,
        namespaces::a_namespace_can_be_deleted_while_we_are_down,
        time::deactivated_between_ticket_and_issue,
        time::deactivated_between_check_and_role_binding,
        time::deactivated_during_renewal,
        time::store_outage,
        time::clock_skew,
        writes::g5_what_was_acknowledged_survives_kill_9_under_a_load_of_writes,
        writes::g5_what_was_acknowledged_survives_a_power_cut_under_a_load_of_writes,
        the_invariants_hold_of_the_installed_instance_after_everything,
    ]
}

/// What the whole suite did to it left nothing behind.
async fn the_invariants_hold_of_the_installed_instance_after_everything(world: Arc<World>) -> Outcome {
    invariants::hold(&world).await
}

/// So often in CI, and so often with `FULL=1`.
fn times(ci: usize, full: usize) -> usize {
    if std::env::var_os("FULL").is_some() { full } else { ci }
}

/// A moment between now and then.
fn at_random(within: Duration) -> Duration {
    let random = uuid::Uuid::new_v4().as_fields().0;
    within.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// An instance of the suite's own, with a team.
struct Chaos {
    shop: Arc<Shop>,
    witness: Witness,
}

impl Chaos {
    /// Runs a test with it; then the invariants must hold, and nothing of it is left.
    async fn with<F, Fut>(installed: &Arc<World>, name: &'static str, test: F) -> Outcome
    where
        F: FnOnce(Arc<Self>) -> Fut,
        Fut: Future<Output = Outcome>,
    {
        let world = installed.of_its_own().await?;
        let outcome = Shop::with(&world, name, |shop| async {
            shop.trigger("quick").await?;
            shop.trigger("kept").await?;
            let witness = Witness::of(&world.kube, world.instance.name);
            test(Arc::new(Self { shop, witness })).await?;
            invariants::hold(&world).await
        })
        .await;
        world.process()?.remove().await;
        outcome
    }

    fn process(&self) -> Outcome<&Arc<Process>> {
        self.shop.world.process()
    }

    /// A person's Grants, dead ones too.
    async fn grants_of(&self, person: &Person) -> Outcome<Vec<GrantRecord>> {
        Ok(serde_json::from_value(
            self.shop.world.instance.cli_json(&["grants", "list", "--all", "--user", &person.id]).await?,
        )?)
    }

    /// Asked once, now: no API server lets any Grant of this person do anything. How many those are.
    async fn nothing_works(&self, person: &Person) -> Outcome<usize> {
        let grants = self.grants_of(person).await?;
        for grant in &grants {
            self.witness.refused(&self.shop.world, &grant.namespace, &grant.id.to_string()).await?;
        }
        Ok(grants.len())
    }

    /// The same, within a moment: for what ended without a call that somebody waits for.
    async fn soon_nothing_works(&self, person: &Person) -> Outcome {
        for grant in self.grants_of(person).await? {
            self.witness.soon_refused(&self.shop.world, &grant.namespace, &grant.id.to_string()).await?;
        }
        Ok(())
    }
}
