//! Holding a process at a failpoint until it is let go or killed: what the suite asks for over the control socket.

use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use tokio::runtime::{Handle, RuntimeFlavor};

/// A test that dies lets us go after this.
const LONGEST: Duration = Duration::from_secs(20);

/// A failpoint at which somebody waits to see us.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    /// How often it was reached since it was armed; only the first time we are held.
    reached: u64,
    let_go: bool,
}

static HELD: Mutex<BTreeMap<String, Held>> = Mutex::new(BTreeMap::new());
static CHANGED: Condvar = Condvar::new();

/// From now on the first who comes to this failpoint is held there.
pub fn arm(name: &str) -> Result<(), String> {
    let key = name.to_owned();
    HELD.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Held::default());
    fail::cfg_callback(name, move || come(&key))
}

/// Whoever is held there goes on, and nobody is held there any more.
pub fn let_go(name: &str) {
    fail::remove(name);
    if let Some(held) = HELD.lock().unwrap_or_else(PoisonError::into_inner).get_mut(name) {
        held.let_go = true;
    }
    CHANGED.notify_all();
}

/// How often each armed failpoint was reached.
pub fn reached() -> BTreeMap<String, u64> {
    let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.iter().map(|(name, held)| (name.clone(), held.reached)).collect()
}

fn come(name: &str) {
    let mut all = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(held) = all.get_mut(name) else { return };
    held.reached += 1;
    let first = held.reached == 1 && !held.let_go;
    drop(all);
    if !first {
        return;
    }
    // Only this one stands still: the others of its thread are taken over by another thread.
    match Handle::try_current() {
        Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(|| wait(name));
        }
        _ => wait(name),
    }
}

fn wait(name: &str) {
    let all = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = CHANGED.wait_timeout_while(all, LONGEST, |all| all.get(name).is_some_and(|held| !held.let_go));
}
