//! Arrangement of a hash table: open addressing, with a seed that keeps the longest probe short.

use crate::hash_table::{MAX_KEY, first_slot, hash};

/// Where the keys go.
pub(super) struct Arrangement {
    pub(super) seed: u32,
    /// Hash of the key and its position in the list, or nothing.
    pub(super) slots: Vec<Option<(u32, usize)>>,
}

const SEEDS: u32 = 8;

/// Arranges the keys, at most two thirds full. `None` when there are too many, or one is too long.
pub(super) fn arrange(keys: &[(Vec<u8>, u32)]) -> Option<Arrangement> {
    let slots = u32::try_from(keys.len() + keys.len() / 2 + 1).ok()?;
    if keys.iter().any(|(key, _)| key.len() > MAX_KEY) {
        return None;
    }
    // A longest probe that random keys should not exceed by much; a table of any size reaches it with some seed.
    let good = 8 + keys.len().checked_ilog2().unwrap_or(0);
    let mut best: Option<(u32, Arrangement)> = None;
    for seed in 0..SEEDS {
        let arranged = with_seed(keys, slots, seed);
        if best.as_ref().is_none_or(|(probe, _)| arranged.0 < *probe) {
            best = Some(arranged);
        }
        if best.as_ref().is_some_and(|(probe, _)| *probe <= good) {
            break;
        }
    }
    best.map(|(_, arrangement)| arrangement)
}

fn with_seed(keys: &[(Vec<u8>, u32)], len: u32, seed: u32) -> (u32, Arrangement) {
    let mut slots = vec![None; len as usize];
    let mut longest = 0;
    for (at, (key, _)) in keys.iter().enumerate() {
        let hash = hash(seed, key);
        let mut slot = first_slot(hash, len);
        let mut probe = 1;
        while slots[slot as usize].is_some() {
            slot = if slot + 1 == len { 0 } else { slot + 1 };
            probe += 1;
        }
        slots[slot as usize] = Some((hash, at));
        longest = longest.max(probe);
    }
    (longest, Arrangement { seed, slots })
}
