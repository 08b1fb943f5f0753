//! The world outside of our process: etcd, two API servers, time and chance; and what must hold in it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::{sync::Notify, time::Instant};

use super::{
    chance::Chance,
    etcd::{Change, Etcd, Key, Object},
    rules::Rules,
    servers::{ApiServer, Health, Token},
};
use crate::clock::Clock;

/// Where Grants' accounts live, and where their runs do.
pub const GRANTS: &str = "scim-tekton-grants";
pub const NAMESPACES: [&str; 2] = ["prod", "test"];

/// 2027-01-15.
const EPOCH: i64 = 1_800_000_000_000_000;

pub struct World {
    state: Mutex<State>,
    /// Told in the order in which they wait; a `watch` would leave that to chance of its own.
    changed: Notify,
    began: Instant,
    micros: Arc<AtomicI64>,
}

/// Everything of the world that changes.
pub struct State {
    pub chance: Chance,
    pub etcd: Etcd,
    pub servers: [ApiServer; 2],
    pub tokens: Vec<Token>,
    pub rules: Rules,
    /// Whether the network and the servers are left well.
    pub calm: bool,
    /// Whether anything was slow, lost or stopped so far.
    pub troubled: bool,
    pub counts: BTreeMap<&'static str, u64>,
    /// What happened, for who reads a failed history.
    pub story: Option<Vec<String>>,
    /// A number that tells two histories apart.
    pub print: u64,
    began: Instant,
}

impl World {
    pub fn new(seed: u64, told: bool) -> Arc<Self> {
        let (began, micros) = (Instant::now(), Arc::new(AtomicI64::new(EPOCH)));
        let mut chance = Chance::new(seed);
        let calm = chance.one_in("calm", 4);
        let state = State {
            chance,
            etcd: Etcd::default(),
            servers: <[ApiServer; 2]>::default(),
            tokens: Vec::new(),
            rules: Rules::default(),
            calm,
            troubled: false,
            counts: BTreeMap::new(),
            story: told.then(Vec::new),
            print: 0,
            began,
        };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new(), began, micros })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        let state = self.state.lock().unwrap();
        self.micros.store(micros(self.began), Ordering::Relaxed);
        state
    }

    /// The clock of our process. The store's writer is a thread of its own, where Tokio's clock is another one.
    pub fn clock(&self) -> Clock {
        let (began, now) = (self.began, self.micros.clone());
        Arc::new(move || {
            if tokio::runtime::Handle::try_current().is_ok() {
                now.store(micros(began), Ordering::Relaxed);
            }
            DateTime::from_timestamp_micros(now.load(Ordering::Relaxed)).unwrap()
        })
    }

    /// Tells who waits for a change that there may be one.
    pub fn announce(&self) {
        self.changed.notify_waiters();
    }

    /// Returns when something changes after this moment.
    pub async fn change(&self) {
        self.changed.notified().await;
    }

    pub fn put(&self, key: &Key, object: Value) -> Object {
        let object = self.state().put(key, object);
        self.announce();
        object
    }

    pub fn delete(&self, key: &Key) -> bool {
        let deleted = self.state().delete(key);
        self.announce();
        deleted
    }

    pub fn get(&self, key: &Key) -> Option<Object> {
        self.state().etcd.get(key).cloned()
    }

    pub async fn pause(&self, kind: &str, from: u64, to: u64) {
        let pause = self.state().chance.millis(kind, from, to);
        tokio::time::sleep(pause).await;
    }

    pub fn health(&self, server: usize) -> Health {
        self.state().servers[server].health
    }

    /// One API server's watches of everything, for ever.
    pub async fn follow(self: Arc<Self>, server: usize) {
        loop {
            let due = {
                let mut state = self.state();
                state.catch_up(server);
                if state.servers[server].health == Health::Paused {
                    None
                } else {
                    state.servers[server].due.front().copied()
                }
            };
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                // A server that goes on is announced like a change.
                None => self.change().await,
            }
        }
    }

    pub fn set_health(&self, server: usize, health: Health) {
        self.state().set_health(server, health);
        self.announce();
    }
}

fn micros(began: Instant) -> i64 {
    EPOCH + i64::try_from(began.elapsed().as_micros()).unwrap()
}

impl State {
    pub fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(micros(self.began)).unwrap()
    }

    /// RFC 3339, whole seconds, as the API server and Tekton write times.
    pub fn timestamp(&self) -> String {
        self.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    }

    pub fn put(&mut self, key: &Key, object: Value) -> Object {
        let now = self.timestamp();
        let object = self.etcd.put(key, object, &now);
        self.changed();
        object
    }

    pub fn delete(&mut self, key: &Key) -> bool {
        let deleted = self.etcd.delete(key);
        if deleted {
            self.changed();
        }
        deleted
    }

    fn changed(&mut self) {
        let change: Change = self.etcd.log.last().unwrap().clone();
        let now = Instant::now();
        for server in 0..2 {
            let lag = self.lag(server);
            let after = self.servers[server].due.back().copied().unwrap_or(now);
            self.servers[server].due.push_back(after.max(now + lag));
        }
        self.rules_hold_of(&change);
        self.look();
    }

    fn lag(&mut self, server: usize) -> Duration {
        let most = self.servers[server].lag;
        if most > Duration::ZERO {
            let kind = ["long lag 0", "long lag 1"][server];
            return self.chance.millis(kind, 0, u64::try_from(most.as_millis()).unwrap());
        }
        self.chance.millis(["lag 0", "lag 1"][server], 0, 8)
    }

    fn catch_up(&mut self, server: usize) {
        let now = Instant::now();
        let this = &mut self.servers[server];
        while this.health != Health::Paused && this.due.front().is_some_and(|due| *due <= now) {
            this.due.pop_front();
            let change = self.etcd.log[this.seen].clone();
            this.see(&change);
        }
        self.look();
    }

    fn set_health(&mut self, server: usize, health: Health) {
        if self.servers[server].health == Health::Paused && health == Health::Up {
            // It reads on from where it stood, after its first answers.
            let now = Instant::now();
            let lag = self.chance.millis("lag after a pause", 0, 400);
            for due in &mut self.servers[server].due {
                *due = (*due).max(now + lag);
            }
        }
        self.servers[server].health = health;
        self.troubled |= health != Health::Up;
        self.tell(|| format!("API server {server} is {health:?}"));
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Writes into the story.
    pub fn tell(&mut self, what: impl FnOnce() -> String) {
        let millis = self.began.elapsed().as_millis();
        if let Some(story) = &mut self.story {
            let at = format!("{:>4}.{:03} s", millis / 1000, millis % 1000);
            story.push(format!("{at}  {}", what()));
        }
    }

    /// Tells also histories apart in which the same things happened at other times.
    pub fn mark(&mut self, what: &str) {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap();
        let hash = what
            .bytes()
            .fold(self.print ^ millis, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
        self.print = hash.rotate_left(5);
    }
}
