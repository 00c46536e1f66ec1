//! Radix tries over bytes, read in place. The walk costs time by the length of the key, not by the size of the trie.

use crate::format::{NodeHeader, padded, u32_at};

/// What a walk finds on its way, in order of depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The value stored there.
    pub(crate) value: u32,
    /// Number of key bytes before it.
    pub(crate) depth: usize,
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
pub(crate) fn walk(trie: &[u8], root: u32, key: &[u8], reading: Reading, found: impl FnMut(Found)) {
    if reading == Reading::AS_IS {
        let begins = |depth: usize, label: &[u8]| {
            key.get(depth..).is_some_and(|rest| rest.starts_with(label))
        };
        return walk_with(
            trie,
            root,
            key.len(),
            |depth| key.get(depth).copied(),
            begins,
            found,
        );
    }
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
    let begins = |depth: usize, label: &[u8]| {
        label
            .iter()
            .enumerate()
            .all(|(i, &byte)| byte_at(depth + i) == Some(byte))
    };
    walk_with(trie, root, key.len(), byte_at, begins, found);
}

/// `byte_at` reads the key, `begins` compares a part of it; both count from where the trie begins to read.
fn walk_with(
    trie: &[u8],
    root: u32,
    key_len: usize,
    byte_at: impl Fn(usize) -> Option<u8>,
    begins: impl Fn(usize, &[u8]) -> bool,
    mut found: impl FnMut(Found),
) {
    let mut depth = 0;
    let mut node = root as usize;
    loop {
        let header = NodeHeader(u32_at(trie, node));
        let label_len = header.label_len();
        if label_len > 0 {
            let label = trie.get(node + 4..node + 4 + label_len).unwrap_or_default();
            if !begins(depth, label) {
                return;
            }
        }
        depth += label_len;
        let mut at = node + 4 + padded(label_len);
        if header.has_end() {
            if depth == key_len {
                found(Found {
                    value: u32_at(trie, at),
                    depth,
                });
            }
            at += 4;
        }
        if header.has_prefix() {
            found(Found {
                value: u32_at(trie, at),
                depth,
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
