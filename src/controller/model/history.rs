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
    Push {
        who: usize,
        namespace: usize,
    },
    /// The newest event comes again: a fresh ticket for another run.
    Redeliver,
    /// A second run with the newest ticket, perhaps in the other namespace, perhaps with a controller as its owner.
    CopyTicket {
        elsewhere: bool,
        child: bool,
    },
    /// A run without a ticket, or with one that nobody made.
    NoTicket {
        forged: bool,
    },
    Activate {
        who: usize,
    },
    Deactivate {
        who: usize,
    },
    DeleteUser {
        who: usize,
    },
    Join {
        who: usize,
        group: usize,
    },
    Leave {
        who: usize,
        group: usize,
    },
    Nest {
        nested: bool,
    },
    RenameGroup,
    DeleteGroup,
    CancelRun {
        back: usize,
    },
    DeleteRun {
        back: usize,
    },
    /// By hand, in the cluster.
    DeleteGrant {
        back: usize,
    },
    /// By the command line.
    RevokeGrant {
        back: usize,
    },
    DeleteCopy {
        back: usize,
    },
    ChangePolicy {
        subjects: usize,
    },
    /// And make it anew after a while.
    DeletePolicy {
        millis: u64,
    },
    DeleteTemplate {
        millis: u64,
    },
    Kill {
        millis: u64,
    },
    StopServer {
        server: usize,
        millis: u64,
    },
    ServerDown {
        server: usize,
        millis: u64,
    },
    Lag {
        server: usize,
        lag: u64,
        millis: u64,
    },
}

/// What happens so long after what went before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub after: u64,
    pub act: Act,
}

/// The history of a seed.
pub fn of(seed: u64) -> Vec<Step> {
    let mut teller = Teller {
        chance: Chance::new(seed ^ 0x5EED),
        calm: Chance::new(seed).one_in("calm", 4),
        pushed: 0,
        lost: Vec::new(),
    };
    let steps = 14 + teller.chance.below("steps", 18);
    (0..steps).map(|_| teller.step()).collect()
}

/// Makes a history up. It knows who has lost what, so that not most of the pushes are in vain.
struct Teller {
    chance: Chance,
    calm: bool,
    /// Who pushed last.
    pushed: usize,
    /// What would make good what people lost.
    lost: Vec<Act>,
}

impl Teller {
    fn step(&mut self) -> Step {
        // An issue takes some 200 ms: much shall happen during one.
        let after = match self.chance.below("gap", 10) {
            0..6 => self.chance.below("short gap", 250),
            6..8 => self.chance.below("gap", 1_500),
            _ => self.chance.below("long gap", 7_000),
        };
        Step { after, act: self.act() }
    }

    fn act(&mut self) -> Act {
        let back = self.chance.pick("back", &[0, 0, 0, 1, 2]);
        match self.chance.below("act", 100) {
            0..34 => self.push(),
            34..37 => Act::Redeliver,
            37..41 => {
                Act::CopyTicket { elsewhere: self.chance.one_in("elsewhere", 3), child: self.chance.one_in("child", 4) }
            }
            41..42 => Act::NoTicket { forged: self.chance.one_in("forged", 2) },
            42..60 => self.loss(),
            60..70 => self.lost.pop().unwrap_or(Act::Activate { who: self.pushed }),
            70..72 => Act::CancelRun { back },
            72..75 => Act::DeleteRun { back },
            75..77 => Act::DeleteGrant { back },
            77..80 => Act::RevokeGrant { back },
            80..81 => Act::DeleteCopy { back },
            81..85 => Act::ChangePolicy { subjects: self.chance.pick("subjects", &[0, 0, 1, 2]) },
            85..87 => self.removal(),
            _ if self.calm => self.push(),
            _ => self.trouble(),
        }
    }

    fn push(&mut self) -> Act {
        self.pushed = self.chance.pick("who", &[0, 0, 0, 1, 2, 2]);
        Act::Push { who: self.pushed, namespace: self.chance.pick("namespace", &[0, 0, 1]) }
    }

    fn loss(&mut self) -> Act {
        let anyone = self.chance.pick("whoever", &[0, 1, 2]);
        let who = if self.chance.one_in("another", 3) { anyone } else { self.pushed };
        let group = usize::from(who == 2);
        let (loss, remedy) = match self.chance.below("loss", 18) {
            0..8 => (Act::Deactivate { who }, Act::Activate { who }),
            8..10 => (Act::DeleteUser { who }, Act::Join { who, group }),
            10..15 => (Act::Leave { who, group }, Act::Join { who, group }),
            15..16 => (Act::Nest { nested: false }, Act::Nest { nested: true }),
            16..17 => (Act::RenameGroup, Act::RenameGroup),
            _ => (Act::DeleteGroup, Act::Join { who: 0, group: 0 }),
        };
        self.lost.push(remedy);
        if matches!(loss, Act::DeleteUser { .. }) {
            self.lost.push(Act::Activate { who });
        }
        loss
    }

    fn removal(&mut self) -> Act {
        let millis = self.millis();
        if self.chance.one_in("policy", 2) { Act::DeletePolicy { millis } } else { Act::DeleteTemplate { millis } }
    }

    fn trouble(&mut self) -> Act {
        let (server, millis) = (self.chance.pick("server", &[0, 1]), self.millis());
        match self.chance.below("trouble", 14) {
            0..5 => Act::Kill { millis },
            5..8 => Act::StopServer { server, millis },
            8..10 => Act::ServerDown { server, millis },
            _ => Act::Lag { server, lag: self.chance.pick("lag", &[100, 1_000, 3_000]), millis },
        }
    }

    fn millis(&mut self) -> u64 {
        self.chance.pick("long", &[100, 1_000, 5_000, 12_000]) + self.chance.below("millis", 400)
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
