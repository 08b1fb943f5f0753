//! Many requests at once, timed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{server::Server, wire::Answer};
use crate::world::Outcome;

/// A request: method, path below the base, body.
pub type Request = (&'static str, String, String);

/// What a load came to.
pub struct Load {
    /// The answers' bodies, in the order of the requests.
    pub bodies: Vec<Vec<u8>>,
    /// Requests that were answered in a second.
    pub per_second: f64,
    /// How long each took.
    pub took: Vec<Duration>,
}

/// Sends these over so many connections; each must succeed.
pub async fn send(server: &Server, connections: usize, requests: impl IntoIterator<Item = Request>) -> Outcome<Load> {
    let requests: Arc<Vec<Request>> = Arc::new(requests.into_iter().collect());
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let workers: Vec<_> = (0..connections)
        .map(|_| {
            let (requests, next, mut wire) = (Arc::clone(&requests), Arc::clone(&next), server.wire());
            let base = server.path("");
            tokio::spawn(async move {
                let mut done = Vec::new();
                while let Some((at, (method, path, body))) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    requests.get(at).map(|request| (at, request))
                } {
                    let asked = Instant::now();
                    let Answer { status, body } = wire.call(method, &format!("{base}{path}"), body).await?;
                    if !(200..300).contains(&status) {
                        return Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&body)).into());
                    }
                    done.push((at, body, asked.elapsed()));
                }
                Outcome::Ok(done)
            })
        })
        .collect();
    let mut all = Vec::with_capacity(requests.len());
    for worker in workers {
        all.extend(worker.await??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    all.sort_unstable_by_key(|(at, ..)| *at);
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    let per_second = all.len() as f64 / seconds;
    let (mut bodies, mut took) = (Vec::with_capacity(all.len()), Vec::with_capacity(all.len()));
    for (_, body, time) in all {
        bodies.push(body);
        took.push(time);
    }
    Ok(Load { bodies, per_second, took })
}
