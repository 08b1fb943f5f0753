//! Somebody who has a credential and uses it without pause: kept-alive connections to both API servers.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Certificate, Client};
use tokio::task::JoinHandle;

use super::Outcome;

/// One request: when it was sent, and whether it succeeded.
#[derive(Clone, Copy, Debug)]
pub struct Shot {
    /// Just before the first byte was written.
    pub sent: Instant,
    /// Its HTTP status; 0 where there was none.
    pub status: u16,
}

/// Somebody who probes.
pub struct Prober {
    shots: Arc<Mutex<Vec<Shot>>>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Prober {
    /// Begins to send `GET url` with this token, over one kept-alive connection.
    pub fn start(url: String, token: String, ca: Certificate) -> Outcome<Self> {
        let client = Client::builder()
            .tls_certs_only([ca])
            .timeout(Duration::from_secs(5))
            .pool_max_idle_per_host(1)
            .http1_only()
            .build()?;
        let shots = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn({
            let (shots, stop) = (Arc::clone(&shots), Arc::clone(&stop));
            async move {
                while !stop.load(Ordering::Relaxed) {
                    let sent = Instant::now();
                    let status = match client.get(&url).bearer_auth(&token).send().await {
                        Ok(response) => {
                            let status = response.status().as_u16();
                            // The body is read, so that the connection is used again.
                            let _ = response.bytes().await;
                            status
                        }
                        Err(_) => 0,
                    };
                    shots.lock().expect("no prober panics").push(Shot { sent, status });
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        });
        Ok(Self { shots, stop, task })
    }

    /// Everything so far.
    pub fn shots(&self) -> Vec<Shot> {
        self.shots.lock().expect("no prober panics").clone()
    }

    /// Ends, and gives everything.
    pub async fn finish(mut self) -> Vec<Shot> {
        self.stop.store(true, Ordering::Relaxed);
        let _ = (&mut self.task).await;
        self.shots()
    }
}
