//! A history: what people, Tekton's users and misfortune do, one after another. It comes from a seed, and a failed one
//! is made as short as it still fails.

use super::chance::Chance;

pub const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];
/// The group that policies name, and one within it.
pub const GROUPS: [&str; 2] = ["deployers", "leads"];

/// One thing that happens. Numbers count from the newest run or Grant; what is not there does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A push in one of two namespaces starts a run.
    Push { who: usize, namespace: usize },
    /// The newest event comes again: a fresh ticket for another run.
    Redeliver,
    /// A second run with the newest ticket, perhaps in the other namespace, perhaps with a controller as its owner.
    CopyTicket { elsewhere: bool, child: bool },
    /// A run without a ticket, or with one that nobody made.
    NoTicket { forged: bool },
    Activate { who: usize },
    Deactivate { who: usize },
    DeleteUser { who: usize },
    Join { who: usize, group: usize },
    Leave { who: usize, group: usize },
    Nest { nested: bool },
    RenameGroup,
    DeleteGroup,
    CancelRun { back: usize },
    DeleteRun { back: usize },
    /// By hand, in the cluster.
    DeleteGrant { back: usize },
    /// By the command line.
    RevokeGrant { back: usize },
    DeleteCopy { back: usize },
    ChangePolicy { subjects: usize },
    /// And make it anew after a while.
    DeletePolicy { millis: u64 },
    DeleteTemplate { millis: u64 },
    Kill { millis: u64 },
    StopServer { server: usize, millis: u64 },
    ServerDown { server: usize, millis: u64 },
    Lag { server: usize, lag: u64, millis: u64 },
}

/// What happens so long after what went before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub after: u64,
    pub act: Act,
}

/// The history of a seed.
pub fn of(seed: u64) -> Vec<Step> {
    let mut chance = Chance::new(seed ^ 0x5EED);
    let calm = Chance::new(seed).one_in("calm", 4);
    let steps = 14 + chance.below("steps", 18);
    let mut history = Vec::new();
    for _ in 0..steps {
        let act = act(&mut chance, calm);
        let after = match chance.below("gap", 10) {
            0..5 => chance.below("short gap", 60),
            5..8 => chance.below("gap", 1_000),
            _ => chance.below("long gap", 7_000),
        };
        history.push(Step { after, act });
    }
    history
}

fn act(chance: &mut Chance, calm: bool) -> Act {
    let who = chance.pick("who", &[0, 0, 0, 1, 2]);
    let group = chance.pick("group", &[0, 0, 1]);
    let back = chance.pick("back", &[0, 0, 0, 1, 2]);
    let server = chance.pick("server", &[0, 1]);
    let millis = chance.pick("long", &[100, 1_000, 5_000, 12_000]) + chance.below("millis", 400);
    loop {
        let act = match chance.below("act", 100) {
            0..30 => Act::Push { who, namespace: chance.pick("namespace", &[0, 0, 1]) },
            30..33 => Act::Redeliver,
            33..37 => Act::CopyTicket { elsewhere: chance.one_in("elsewhere", 3), child: chance.one_in("child", 4) },
            37..38 => Act::NoTicket { forged: chance.one_in("forged", 2) },
            38..44 => Act::Activate { who },
            44..52 => Act::Deactivate { who },
            52..54 => Act::DeleteUser { who },
            54..59 => Act::Join { who, group },
            59..65 => Act::Leave { who, group },
            65..67 => Act::Nest { nested: chance.one_in("nested", 2) },
            67..68 => Act::RenameGroup,
            68..69 => Act::DeleteGroup,
            69..71 => Act::CancelRun { back },
            71..74 => Act::DeleteRun { back },
            74..76 => Act::DeleteGrant { back },
            76..77 => Act::RevokeGrant { back },
            77..78 => Act::DeleteCopy { back },
            78..82 => Act::ChangePolicy { subjects: chance.pick("subjects", &[0, 1, 2]) },
            82..83 => Act::DeletePolicy { millis },
            83..84 => Act::DeleteTemplate { millis },
            84..90 => Act::Kill { millis },
            90..94 => Act::StopServer { server, millis },
            94..96 => Act::ServerDown { server, millis },
            _ => Act::Lag { server, lag: chance.pick("lag", &[100, 1_000, 3_000]), millis },
        };
        let trouble = matches!(act, Act::Kill { .. } | Act::StopServer { .. } | Act::ServerDown { .. } | Act::Lag { .. });
        if !(calm && trouble) {
            return act;
        }
    }
}

/// As short as it still fails: whole parts are left out first, then single steps. What a step waited for goes with it.
pub fn shorten(history: &[Step], fails: impl Fn(&[Step]) -> bool) -> Vec<Step> {
    let mut short = history.to_vec();
    let mut part = short.len().div_ceil(2);
    loop {
        let mut at = 0;
        let mut shorter = false;
        while at < short.len() {
            let mut candidate = short.clone();
            let left_out: Vec<_> = candidate.drain(at..(at + part).min(short.len())).collect();
            // Twice: at the moments of before, and at once.
            let waited: u64 = left_out.iter().map(|step| step.after).sum();
            let mut same_moments = candidate.clone();
            if let Some(next) = same_moments.get_mut(at) {
                next.after += waited;
            }
            if let Some(found) = [same_moments, candidate].into_iter().find(|candidate| fails(candidate)) {
                short = found;
                shorter = true;
            } else {
                at += part;
            }
        }
        if part == 1 && !shorter {
            return short;
        }
        part = if shorter { part } else { (part / 2).max(1) };
    }
}
