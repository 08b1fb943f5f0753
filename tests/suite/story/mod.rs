//! The story of DESIGN §3.

mod ending;
mod middle;
mod step0;

use std::sync::Arc;

use crate::{
    report::Report,
    world::{Outcome, Shop, World},
};

pub use step0::step0;

/// Steps 1–8, each checked.
pub async fn demo(world: &Arc<World>) -> Report {
    let report = Report::default();
    middle::one(world, &report).await;
    let shop = match Shop::open(world, "shop").await {
        Ok(shop) => Arc::new(shop),
        Err(error) => {
            report.check::<()>("a team's namespace is set up", Err(error));
            return report;
        }
    };
    if let Err(error) = play(&shop, &report).await {
        report.check::<()>("the story goes on", Err(error));
    }
    shop.close().await;
    report
}

async fn play(shop: &Arc<Shop>, report: &Report) -> Outcome {
    let (alice, bob) = middle::two(shop, report).await?;
    let listener = middle::three(shop, report, &bob).await?;
    let run = middle::four(shop, report, &listener, &bob).await?;
    let token = middle::five(shop, report, &run).await?;
    ending::six(shop, report, &run, &bob, &token).await?;
    ending::seven(shop, report, &alice).await?;
    ending::eight(shop, report, &alice, &run).await
}

/// The demo's story as one test.
pub async fn the_whole_story(world: Arc<World>) -> Outcome {
    let first = step0().await;
    let rest = demo(&world).await;
    match first.failed() + rest.failed() {
        0 => Ok(()),
        failed => Err(format!("{failed} checks of the story failed; they are printed above").into()),
    }
}
