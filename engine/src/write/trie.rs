//! Writes radix tries, children before parents.

use super::{MAX_KEY, TooLarge};
use crate::format::{NodeHeader, padded};

/// Values of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrieEntry {
    /// The key; no two entries of a trie have the same.
    pub key: Vec<u8>,
    /// Value for exactly this key.
    pub end: Option<u32>,
    /// Value for everything that begins with this key.
    pub prefix: Option<u32>,
}

/// Appends a trie and returns its root; `None` without entries.
pub(super) fn write(
    out: &mut Vec<u8>,
    mut entries: Vec<TrieEntry>,
) -> Result<Option<u32>, TooLarge> {
    if entries.iter().any(|entry| entry.key.len() > MAX_KEY) {
        return Err(TooLarge("path or host name"));
    }
    if entries.is_empty() {
        return Ok(None);
    }
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    node(out, &entries, 0).map(Some)
}

/// Writes the node of the entries, which agree on their first `depth` bytes. The depth of recursion is at most
/// [`MAX_KEY`].
fn node(out: &mut Vec<u8>, entries: &[TrieEntry], depth: usize) -> Result<u32, TooLarge> {
    let [first, ..] = entries else {
        return Err(TooLarge("trie"));
    };
    let last = entries.last().unwrap_or(first);
    let common = first.key[depth..]
        .iter()
        .zip(&last.key[depth..])
        .take_while(|(a, b)| a == b)
        .count();
    let at = depth + common;
    let (own, below) = if first.key.len() == at {
        (Some(first), &entries[1..])
    } else {
        (None, entries)
    };

    let mut keys = Vec::new();
    let mut children = Vec::new();
    for group in below.chunk_by(|a, b| a.key[at] == b.key[at]) {
        keys.push(group[0].key[at]);
        children.push(node(out, group, at + 1)?);
    }

    let offset = u32::try_from(out.len()).map_err(|_| TooLarge("tries"))?;
    let (end, prefix) = own.map_or((None, None), |entry| (entry.end, entry.prefix));
    let header = NodeHeader::new(common, children.len(), end.is_some(), prefix.is_some());
    out.extend_from_slice(&header.0.to_le_bytes());
    out.extend_from_slice(&first.key[depth..at]);
    out.resize(padded(out.len()), 0);
    for value in [end, prefix].into_iter().flatten() {
        out.extend_from_slice(&value.to_le_bytes());
    }
    if keys.len() <= NodeHeader::SMALL {
        out.extend_from_slice(&keys);
        out.resize(padded(out.len()), 0);
    } else {
        let mut bits = [0_u32; 8];
        for key in keys {
            bits[usize::from(key) / 32] |= 1 << (key % 32);
        }
        out.extend(bits.into_iter().flat_map(u32::to_le_bytes));
    }
    out.extend(children.into_iter().flat_map(u32::to_le_bytes));
    Ok(offset)
}
