//! Random numbers for the choice between weighted destinations.

use std::cell::Cell;

/// A generator (splitmix64) that costs no host call per number. Good enough to spread requests, not to keep secrets.
#[derive(Debug, Default)]
pub(crate) struct Random {
    state: Cell<u64>,
}

impl Random {
    /// Starts a sequence; different seeds give different ones.
    pub(crate) fn new(seed: u64) -> Random {
        Random {
            state: Cell::new(seed),
        }
    }

    /// The next number, at least 0 and less than 1.
    pub(crate) fn fraction(&self) -> f64 {
        let state = self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        // The 53 bits that a float holds exactly.
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}
