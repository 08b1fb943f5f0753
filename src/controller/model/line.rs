//! The network between a process and the API servers: requests are slow, answers are lost, and what was sent may be done
//! long after its sender died.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, header};
use kube::{Client, client::Body};
use serde_json::Value;
use tokio::sync::oneshot;

use super::{
    api::{Answer, Call},
    servers::Health,
    world::World,
};

/// As `cluster::servers` has it for our direct clients.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// Whether a process lives. A dead one does nothing more: whatever of it is left waits for ever.
#[derive(Clone, Default)]
pub struct Life(Arc<AtomicBool>);

impl Life {
    pub fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn has_ended(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub async fn goes_on(&self) {
        if self.has_ended() {
            std::future::pending::<()>().await;
        }
    }
}

/// A client's way to one API server, or to any of them.
#[derive(Clone)]
pub struct Line {
    pub world: Arc<World>,
    pub life: Life,
    pub server: Option<usize>,
}

impl Line {
    pub fn client(self) -> Client {
        Client::new(self, "default")
    }

    async fn send(self, request: Request<Body>) -> Result<Response<Body>, tower::BoxError> {
        self.life.goes_on().await;
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await?;
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
        let token =
            parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let server = match self.server {
            Some(server) => server,
            None => self.world.state().chance.pick("which server", &[0, 1]),
        };
        let call = Call::new(server, parts.method, &parts.uri, token.map(str::to_owned), body);
        let (answer, answered) = oneshot::channel();
        tokio::spawn(self.clone().travel(call, answer));
        let answered = tokio::time::timeout(TIME_LIMIT, answered).await;
        self.life.goes_on().await;
        match answered {
            Ok(Ok(Some((code, body)))) => {
                Ok(Response::builder().status(code).body(Body::from(serde_json::to_vec(&body)?))?)
            }
            Ok(Ok(None)) => Err("connection refused".into()),
            Ok(Err(_)) | Err(_) => Err("no answer in time".into()),
        }
    }

    /// A request on its way, of which its sender is no part any more.
    async fn travel(self, call: Call, answer: oneshot::Sender<Option<Answer>>) {
        let kind = call.kind();
        let way = self.world.state().way("there", &kind);
        tokio::time::sleep(way).await;
        while self.world.health(call.server) == Health::Paused {
            self.world.change().await;
        }
        if self.world.health(call.server) == Health::Down {
            let _ = answer.send(None);
            return;
        }
        if self.life.has_ended() && self.world.state().chance.one_in("lost with its sender", 2) {
            return;
        }
        let done = {
            let mut state = self.world.state();
            let done = state.answer(&call);
            // What a sender gave up may come late; what it waits for it must not have begun.
            if done.0 == 201 && !answer.is_closed() && !self.life.has_ended() {
                state.nothing_is_made_of_the_dead(&call);
            }
            let left = if self.life.has_ended() { " (its sender is dead)" } else { "" };
            state.mark(&format!("{kind} {}", done.0));
            state.tell(|| {
                format!(
                    "{} at {}: {kind} {}/{} → {}{left}",
                    if call.token.is_some() { "token" } else { "we" },
                    call.server,
                    call.key.namespace,
                    call.key.name,
                    done.0
                )
            });
            done
        };
        self.world.announce();
        let way = self.world.state().way("back", &kind);
        tokio::time::sleep(way).await;
        while self.world.health(call.server) == Health::Paused {
            self.world.change().await;
        }
        let _ = answer.send(Some(done));
    }
}

impl super::world::State {
    /// How long one way of a request takes.
    fn way(&mut self, way: &str, kind: &str) -> Duration {
        let kind = format!("{way} {kind}");
        let slow = if self.calm { 0 } else { self.chance.below(&kind, 100) };
        match slow {
            0..82 => self.chance.millis(&kind, 0, 3),
            82..95 => self.chance.millis(&kind, 4, 60),
            95..99 => {
                self.troubled = true;
                self.chance.millis(&kind, 60, 800)
            }
            _ => {
                self.troubled = true;
                self.chance.millis(&kind, 1_000, 3_500)
            }
        }
    }
}

impl tower::Service<Request<Body>> for Line {
    type Response = Response<Body>;
    type Error = tower::BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}
