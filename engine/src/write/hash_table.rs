//! Arrangement of a hash table: open addressing, with a seed that keeps the longest probe short.

use crate::format::hash;

/// Where the keys go.
pub(super) struct Arrangement {
    pub(super) seed: u32,
    /// Hash of the key and its position in the list, or nothing.
    pub(super) slots: Vec<Option<(u32, usize)>>,
}

const SEEDS: u32 = 16;
/// A probe of this length is not worth another try.
const GOOD_PROBE: usize = 4;

/// Arranges the keys, at most four fifths full. `None` when there are too many.
pub(super) fn layout(keys: &[(Vec<u8>, u32)]) -> Option<Arrangement> {
    let size = (keys.len() + keys.len() / 4 + 1).next_power_of_two();
    u32::try_from(size).ok()?;
    let mut best: Option<(usize, Arrangement)> = None;
    for seed in 0..SEEDS {
        let arranged = arrange(keys, size, seed);
        if best.as_ref().is_none_or(|(probe, _)| arranged.0 < *probe) {
            best = Some(arranged);
        }
        if best.as_ref().is_some_and(|(probe, _)| *probe <= GOOD_PROBE) {
            break;
        }
    }
    best.map(|(_, arrangement)| arrangement)
}

fn arrange(keys: &[(Vec<u8>, u32)], size: usize, seed: u32) -> (usize, Arrangement) {
    let mut slots = vec![None; size];
    let mut longest = 0;
    for (at, (key, _)) in keys.iter().enumerate() {
        let hash = hash(seed, key);
        let mut slot = hash as usize & (size - 1);
        let mut probe = 1;
        while slots[slot].is_some() {
            slot = (slot + 1) & (size - 1);
            probe += 1;
        }
        slots[slot] = Some((hash, at));
        longest = longest.max(probe);
    }
    (longest, Arrangement { seed, slots })
}
