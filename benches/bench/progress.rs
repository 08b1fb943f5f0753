//! A line for whoever waits, at least every ten seconds.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio_util::task::AbortOnDropHandle;

/// Between two lines, while nothing else is said.
const PAUSE: Duration = Duration::from_secs(8);

/// Where we are.
pub struct Progress {
    begun: Instant,
    now: Arc<Mutex<String>>,
    _ticker: AbortOnDropHandle<()>,
}

impl Progress {
    /// Begins to say from time to time where we are.
    pub fn start() -> Self {
        let (begun, now) = (Instant::now(), Arc::new(Mutex::new(String::from("begins"))));
        let ticker = tokio::spawn({
            let now = Arc::clone(&now);
            async move {
                loop {
                    tokio::time::sleep(PAUSE).await;
                    line(begun, &now.lock().expect("nobody panics here"));
                }
            }
        });
        Self { begun, now, _ticker: AbortOnDropHandle::new(ticker) }
    }

    /// Something new begins, or a result is there: said at once.
    pub fn say(&self, text: impl Into<String>) {
        let text = text.into();
        line(self.begun, &text);
        self.at(text);
    }

    /// Said when it is time for a line.
    pub fn at(&self, text: impl Into<String>) {
        *self.now.lock().expect("nobody panics here") = text.into();
    }
}

fn line(begun: Instant, text: &str) {
    println!("{:4} s  {text}", begun.elapsed().as_secs());
}
