//! Chance from a seed. Each kind of draw has its own sequence, so that a history that is made shorter keeps most of
//! its delays.

use std::{collections::HashMap, time::Duration};

/// All that is left to chance in one history.
pub struct Chance {
    seed: u64,
    drawn: HashMap<u64, u64>,
}

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self { seed: mix(seed), drawn: HashMap::new() }
    }

    /// The next number of this kind.
    pub fn draw(&mut self, kind: &str) -> u64 {
        // FNV-1a: the same on every machine and in every build.
        let kind = kind.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        let count = self.drawn.entry(kind).or_default();
        *count += 1;
        mix(self.seed ^ mix(kind ^ mix(*count)))
    }

    pub fn below(&mut self, kind: &str, n: u64) -> u64 {
        self.draw(kind) % n.max(1)
    }

    /// True once in `n`.
    pub fn one_in(&mut self, kind: &str, n: u64) -> bool {
        self.below(kind, n) == 0
    }

    pub fn millis(&mut self, kind: &str, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(kind, to - from + 1))
    }

    pub fn pick<T: Copy>(&mut self, kind: &str, from: &[T]) -> T {
        from[usize::try_from(self.below(kind, from.len() as u64)).unwrap()]
    }
}

/// The step of `SplitMix64`.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
