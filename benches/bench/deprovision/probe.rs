//! Somebody at each API server who uses a credential without pause until it is refused.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use reqwest::Client;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::world::{Outcome, Shop};

/// Refusals in a row after which it is dead.
const SURE: usize = 3;
/// How long a credential may live after it was taken away.
const LIMIT: Duration = Duration::from_mins(1);

/// When a credential died, seen from outside.
#[derive(Clone, Copy, Debug)]
pub struct Death {
    /// When the first refusal was received; at the slower API server.
    pub seen: Instant,
    /// When the last request that was allowed was sent; at any of them.
    pub last_use: Instant,
}

/// One kept-alive connection to each API server.
pub struct Probes {
    used: Vec<watch::Receiver<bool>>,
    tasks: Vec<AbortOnDropHandle<Outcome<Death>>>,
}

impl Probes {
    /// Begins to read a ConfigMap that every namespace has, with this token and this pause between two requests.
    ///
    /// Not a list: that waits up to 100 ms for the API server's cache whenever etcd has moved on, and a refusal can't be
    /// seen before the request that was let through has come back.
    pub fn start(shop: &Shop, token: &str, pause: Duration) -> Outcome<Self> {
        let mut probes = Self { used: Vec::new(), tasks: Vec::new() };
        for server in shop.world.api_servers() {
            let client = Client::builder()
                .tls_certs_only([shop.world.cluster_ca()?])
                .timeout(Duration::from_secs(5))
                .pool_max_idle_per_host(1)
                .http1_only()
                .build()?;
            let url = format!("{server}/api/v1/namespaces/{}/configmaps/kube-root-ca.crt", shop.namespace);
            let (say, used) = watch::channel(false);
            let task = tokio::spawn(probe(client, url, token.to_owned(), pause, say));
            probes.used.push(used);
            probes.tasks.push(AbortOnDropHandle::new(task));
        }
        Ok(probes)
    }

    /// Waits until each API server has let it through.
    pub async fn in_use(&mut self) -> Outcome {
        // What `wait_for` gives is a lock, which must not be kept: the prober would wait for it.
        let all = try_join_all(self.used.iter_mut().map(|used| async { used.wait_for(|used| *used).await.map(drop) }));
        tokio::time::timeout(LIMIT, all).await.map_err(|_| "the credential was never let through")??;
        Ok(())
    }

    /// Waits until each API server has refused it.
    pub async fn death(self) -> Outcome<Death> {
        let all = tokio::time::timeout(LIMIT, try_join_all(self.tasks));
        let deaths = all.await.map_err(|_| format!("still let through after {} s", LIMIT.as_secs()))??;
        let deaths = deaths.into_iter().collect::<Outcome<Vec<_>>>()?;
        deaths
            .into_iter()
            .reduce(|a, b| Death { seen: a.seen.max(b.seen), last_use: a.last_use.max(b.last_use) })
            .ok_or_else(|| "no API server was asked".into())
    }
}

async fn probe(
    client: Client,
    url: String,
    token: String,
    pause: Duration,
    used: watch::Sender<bool>,
) -> Outcome<Death> {
    let (mut last_use, mut seen, mut refusals) = (None, None, 0);
    loop {
        let sent = Instant::now();
        // Neither a timeout nor a server's own trouble says anything about the credential.
        let status = match client.get(&url).bearer_auth(&token).send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                // The body is read, so that the connection is used again.
                response.bytes().await.map_or(0, |_| status)
            }
            Err(_) => 0,
        };
        match (status, last_use) {
            (200, _) => {
                (last_use, seen, refusals) = (Some(sent), None, 0);
                used.send_replace(true);
            }
            (401 | 403, Some(last_use)) => {
                let seen = *seen.get_or_insert_with(Instant::now);
                refusals += 1;
                if refusals == SURE {
                    return Ok(Death { seen, last_use });
                }
            }
            _ => {}
        }
        tokio::time::sleep(pause).await;
    }
}
