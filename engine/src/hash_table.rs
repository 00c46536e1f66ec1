//! Hash tables from text to a number, read in place.
//!
//! `{slots, seed}`, then the slots: `{string, len:9 | tag:23, value}`. A slot whose value is [`NONE`] is free. The hash
//! chooses the first slot; collisions go on to the next one.

use crate::compare::same;
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
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = u64::from(seed) ^ (key.len() as u64).wrapping_mul(K);
    let mut mix = |word: u64| state = (state.rotate_left(5) ^ word).wrapping_mul(K);
    match key {
        // The last word overlaps the one before it.
        [_, _, _, _, _, _, _, _, ..] => {
            let (words, _) = key.as_chunks();
            for word in words {
                mix(u64::from_le_bytes(*word));
            }
            mix(key.last_chunk().copied().map_or(0, u64::from_le_bytes));
        }
        [_, _, _, _, ..] => {
            let last = key.last_chunk().copied().map_or(0, u32::from_le_bytes);
            mix(u64::from(u32_at(key, 0)) | u64::from(last) << 32);
        }
        _ => {
            for &byte in key {
                mix(u64::from(byte));
            }
        }
    }
    ((state ^ state >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as u32
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
    let (header, slots) = table.split_first_chunk::<HEADER>()?;
    let len = u32_at(header, 0);
    let hash = hash(u32_at(header, 4), key);
    let wanted = tag(hash, key.len());
    let (slots, _) = slots.as_chunks::<SLOT>();
    let (wrapped, first) = slots
        .get(..len as usize)?
        .split_at_checked(first_slot(hash, len) as usize)?;
    for slot in first.iter().chain(wrapped) {
        let value = u32_at(slot, 8);
        if value == NONE {
            return None;
        }
        if u32_at(slot, 4) == wanted {
            let start = u32_at(slot, 0) as usize;
            let text = strings.get(start..start + key.len());
            if text.is_some_and(|text| same(text, key)) {
                return Some(value);
            }
        }
    }
    None
}
