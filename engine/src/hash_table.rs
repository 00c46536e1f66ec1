//! Hash tables from text to a number, read in place.
//!
//! `{slots, seed}`, then the slots: `{string, len:9 | tag:23, value}`. A slot whose value is [`NONE`] is free. The hash
//! chooses the first slot; collisions go on to the next one.

use crate::format::{NONE, u32_at};

/// Bytes before the slots.
pub(crate) const HEADER: usize = 8;
/// Bytes of a slot.
pub(crate) const SLOT: usize = 12;
/// Longest key in bytes.
pub(crate) const MAX_KEY: usize = (1 << TAG_SHIFT) - 1;

const TAG_SHIFT: u32 = 9;

/// Cheap on short keys, in wasm too. The compiler picks a seed that keeps the longest probe short, so an attacker gains
/// nothing from knowing the function.
pub(crate) fn hash(seed: u32, key: &[u8]) -> u32 {
    const K: u32 = 0x9e37_79b9;
    let mut state = seed ^ (key.len() as u32).wrapping_mul(K);
    let mut chunks = key.chunks_exact(4);
    for chunk in &mut chunks {
        state = (state.rotate_left(5) ^ u32_at(chunk, 0)).wrapping_mul(K);
    }
    for &byte in chunks.remainder() {
        state = (state.rotate_left(5) ^ u32::from(byte)).wrapping_mul(K);
    }
    // The first slot is taken from the high bits, the tag from all of them.
    (state ^ state >> 15).wrapping_mul(0x85eb_ca6b)
}

/// First slot of a hash in a table of `slots`.
pub(crate) fn first_slot(hash: u32, slots: u32) -> u32 {
    ((u64::from(hash) * u64::from(slots)) >> 32) as u32
}

/// Second word of a slot.
pub(crate) fn tag(hash: u32, len: usize) -> u32 {
    hash << TAG_SHIFT | len as u32
}

/// Length of the key of a slot.
pub(crate) fn key_len(tag: u32) -> u32 {
    tag & MAX_KEY as u32
}

/// The value of a key.
pub(crate) fn lookup(table: &[u8], strings: &[u8], key: &[u8]) -> Option<u32> {
    if key.len() > MAX_KEY {
        return None;
    }
    let slots = u32_at(table, 0);
    let hash = hash(u32_at(table, 4), key);
    let wanted = tag(hash, key.len());
    let mut slot = first_slot(hash, slots);
    for _ in 0..slots {
        let at = HEADER + slot as usize * SLOT;
        let value = u32_at(table, at + 8);
        if value == NONE {
            return None;
        }
        if u32_at(table, at + 4) == wanted {
            let start = u32_at(table, at) as usize;
            if strings.get(start..start + key.len()) == Some(key) {
                return Some(value);
            }
        }
        slot += 1;
        if slot == slots {
            slot = 0;
        }
    }
    None
}
