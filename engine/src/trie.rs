//! Radix tries over bytes, read in place. The walk costs time by the length of the key, not by the size of the trie.

use crate::format::{NodeHeader, padded, u32_at};

/// What a walk finds on its way, in order of depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The value stored there.
    pub(crate) value: u32,
    /// Number of key bytes before it.
    pub(crate) depth: usize,
    /// The value was stored for keys that end here.
    pub(crate) end: bool,
}

/// How a trie reads its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// From the last byte to the first.
    pub(crate) reversed: bool,
    /// ASCII letters are lower-cased first; the labels are lower-case.
    pub(crate) folded: bool,
}

impl Reading {
    /// The bytes as they are.
    pub(crate) const AS_IS: Self = Self {
        reversed: false,
        folded: false,
    };
}

/// Walks from `root` and reports every value that applies to the key.
pub(crate) fn walk(
    trie: &[u8],
    root: u32,
    key: &[u8],
    reading: Reading,
    mut found: impl FnMut(Found),
) {
    let byte_at = |depth: usize| {
        let at = if reading.reversed {
            key.len().checked_sub(depth + 1)?
        } else {
            depth
        };
        let byte = *key.get(at)?;
        Some(if reading.folded {
            byte.to_ascii_lowercase()
        } else {
            byte
        })
    };
    let mut depth = 0;
    let mut node = root as usize;
    loop {
        let header = NodeHeader(u32_at(trie, node));
        let label_len = header.label_len();
        let label = trie.get(node + 4..node + 4 + label_len).unwrap_or_default();
        if reading
            == (Reading {
                reversed: false,
                folded: false,
            })
        {
            if !key.get(depth..).is_some_and(|rest| rest.starts_with(label)) {
                return;
            }
        } else if !label
            .iter()
            .enumerate()
            .all(|(i, &byte)| byte_at(depth + i) == Some(byte))
        {
            return;
        }
        depth += label_len;
        let mut at = node + 4 + padded(label_len);
        if header.has_end() {
            if depth == key.len() {
                found(Found {
                    value: u32_at(trie, at),
                    depth,
                    end: true,
                });
            }
            at += 4;
        }
        if header.has_prefix() {
            found(Found {
                value: u32_at(trie, at),
                depth,
                end: false,
            });
            at += 4;
        }
        let Some(child) = byte_at(depth).and_then(|byte| child_index(trie, at, header, byte))
        else {
            return;
        };
        node = u32_at(trie, at + header.keys_size() + 4 * child) as usize;
        depth += 1;
    }
}

/// Position of the child with a key byte.
fn child_index(trie: &[u8], keys: usize, header: NodeHeader, byte: u8) -> Option<usize> {
    let n = header.children();
    if n <= NodeHeader::SMALL {
        return trie
            .get(keys..keys + n)?
            .iter()
            .position(|&key| key == byte);
    }
    let (word, bit) = (usize::from(byte) / 32, u32::from(byte) % 32);
    let bits = u32_at(trie, keys + 4 * word);
    if bits >> bit & 1 == 0 {
        return None;
    }
    let before: u32 = (0..word)
        .map(|word| u32_at(trie, keys + 4 * word).count_ones())
        .sum();
    Some((before + (bits & ((1 << bit) - 1)).count_ones()) as usize)
}
