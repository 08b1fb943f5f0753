//! One checker for what must hold of any instance at any time when nothing is going on: it reads the cluster, the store
//! and the audit log, and knows G1–G6. `suite check` runs it against the installed instance.

mod facts;
mod rules;

use std::time::Duration;

use crate::world::{Outcome, World, eventually};

use facts::Facts;

/// What is begun may take so long to be finished: a sweep every 2 s, a comparison every minute.
const SETTLES: Duration = Duration::from_secs(100);

/// Fails with all that is violated, once what was begun has had the time to be finished.
pub async fn hold(world: &World) -> Outcome {
    eventually("the invariants hold", SETTLES, || async {
        let violations = violations(world).await?;
        if violations.is_empty() { Ok(Some(())) } else { Err(violations.join("\n").into()) }
    })
    .await
}

/// All that is violated now.
pub async fn violations(world: &World) -> Outcome<Vec<String>> {
    let facts = Facts::gather(world).await?;
    Ok(rules::ALL.iter().flat_map(|rule| rule(&facts)).collect())
}
