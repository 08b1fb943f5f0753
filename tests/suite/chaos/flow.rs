//! Bringing an instance to a failpoint, with a person whose rights are at stake there.

use std::{sync::Arc, time::Duration};

use scim_tekton::{
    api::GrantPhase,
    failpoint::{Failpoint, Flow},
};
use tokio::task::JoinHandle;

use super::Chaos;
use crate::{
    cases::bind,
    world::{Outcome, Person},
};

/// Past two thirds of a credential's 15 minutes.
const RENEWAL_IS_DUE: i32 = 11 * 60;

/// What is under way when somebody is held.
pub struct Held {
    /// Whose rights it is about.
    pub person: Person,
    /// Their run.
    pub run: Option<String>,
    /// The call that is held: its outcome, once it has one.
    pub call: Option<JoinHandle<Outcome>>,
}

/// Returns when somebody is held at this failpoint.
pub async fn bring_to(chaos: &Arc<Chaos>, point: &Failpoint) -> Outcome<Held> {
    let process = chaos.process()?;
    let shop = &chaos.shop;
    let person = shop.deployer("chaos").await?;
    let mut held = Held { person: person.clone(), run: None, call: None };
    match point.flow {
        Flow::Decide => {
            process.arm(point.name).await?;
            let (shop, person) = (Arc::clone(shop), person);
            held.call = Some(tokio::spawn(async move { shop.decide(&shop.push(&person), "quick").await.map(drop) }));
        }
        Flow::Redeem | Flow::Issue => {
            let ticket = shop.ticket(&person, "quick").await?;
            process.arm(point.name).await?;
            held.run = Some(kube::ResourceExt::name_any(&shop.create_run("quick", Some(&ticket), true).await?));
        }
        Flow::Renew => {
            held.run = Some(kept(chaos, &person).await?);
            process.arm(point.name).await?;
            process.ahead(RENEWAL_IS_DUE).await?;
        }
        Flow::Repair => {
            bind(shop).await?;
            let newcomer = shop.person("newcomer").await?;
            process.arm(point.name).await?;
            let (okta, group) = (shop.world.okta.clone(), shop.group_id.clone());
            held.person = newcomer.clone();
            held.call = Some(tokio::spawn(async move { okta.add_member(&group, &newcomer).await }));
        }
        Flow::Provision | Flow::Revoke => {
            held.run = Some(kept(chaos, &person).await?);
            process.arm(point.name).await?;
            let okta = shop.world.okta.clone();
            held.call = Some(tokio::spawn(async move { okta.deactivate(&person).await }));
        }
    }
    process.reached(point.name).await?;
    Ok(held)
}

/// A run that is going, with a live credential.
pub async fn kept(chaos: &Chaos, person: &Person) -> Outcome<String> {
    let run = chaos.shop.start(person, "kept").await?;
    chaos.shop.grants(&run, GrantPhase::Active, 1).await?;
    Ok(run)
}

/// Long enough for a call to get to where it waits.
pub const MEANWHILE: Duration = Duration::from_millis(150);
