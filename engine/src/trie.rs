//! Radix tries over bytes, read in place. The walk costs time by the length of the key, not by the size of the trie.

use crate::compare::same;
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
        walk_along(trie, root, AsIs { key, rest: key }, found);
    } else {
        let changed = Changed {
            key,
            depth: 0,
            reading,
        };
        walk_along(trie, root, changed, found);
    }
}

/// A key that is being read.
trait Key {
    /// Reads the text if it comes next.
    fn strip(&mut self, text: &[u8]) -> bool;
    /// Reads one byte; `None` at the end.
    fn next(&mut self) -> Option<u8>;
    fn is_at_end(&self) -> bool;
    /// Number of bytes read.
    fn depth(&self) -> usize;
}

struct AsIs<'k> {
    key: &'k [u8],
    rest: &'k [u8],
}

impl Key for AsIs<'_> {
    #[inline(always)]
    fn strip(&mut self, text: &[u8]) -> bool {
        match self.rest.split_at_checked(text.len()) {
            Some((next, rest)) if same(next, text) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn depth(&self) -> usize {
        self.key.len() - self.rest.len()
    }
}

struct Changed<'k> {
    key: &'k [u8],
    depth: usize,
    reading: Reading,
}

impl Key for Changed<'_> {
    fn strip(&mut self, text: &[u8]) -> bool {
        text.iter().all(|&byte| self.next() == Some(byte))
    }

    fn next(&mut self) -> Option<u8> {
        let at = if self.reading.reversed {
            self.key.len().checked_sub(self.depth + 1)?
        } else {
            self.depth
        };
        let byte = *self.key.get(at)?;
        self.depth += 1;
        Some(if self.reading.folded {
            byte.to_ascii_lowercase()
        } else {
            byte
        })
    }

    fn is_at_end(&self) -> bool {
        self.depth == self.key.len()
    }

    fn depth(&self) -> usize {
        self.depth
    }
}

fn walk_along(trie: &[u8], root: u32, mut key: impl Key, mut found: impl FnMut(Found)) {
    let mut node = root as usize;
    while let Some(mut rest) = trie.get(node..) {
        let header = NodeHeader(take(&mut rest));
        let label_len = header.label_len();
        if label_len > 0 {
            let Some((label, after)) = rest.split_at_checked(padded(label_len)) else {
                return;
            };
            if !key.strip(label.get(..label_len).unwrap_or_default()) {
                return;
            }
            rest = after;
        }
        if header.has_end() {
            let value = take(&mut rest);
            if key.is_at_end() {
                let depth = key.depth();
                found(Found { value, depth });
            }
        }
        if header.has_prefix() {
            let value = take(&mut rest);
            let depth = key.depth();
            found(Found { value, depth });
        }
        let Some(child) = key
            .next()
            .and_then(|byte| child(rest, header.children(), byte))
        else {
            return;
        };
        node = child as usize;
    }
}

/// The value of the first key. The children of a node lie before it, so this ends.
pub(crate) fn any_value(trie: &[u8], root: u32) -> Option<u32> {
    let mut node = root;
    loop {
        let mut rest = trie.get(node as usize..)?;
        let header = NodeHeader(take(&mut rest));
        rest = rest.get(padded(header.label_len())..)?;
        if header.has_end() || header.has_prefix() {
            return Some(take(&mut rest));
        }
        let mut children = rest.get(header.keys_size()..)?;
        let child = take(&mut children);
        if header.children() == 0 || child >= node {
            return None;
        }
        node = child;
    }
}

/// Reads the next number of a node; zero after its end.
#[inline(always)]
fn take(rest: &mut &[u8]) -> u32 {
    let Some((word, after)) = rest.split_first_chunk() else {
        return 0;
    };
    *rest = after;
    u32::from_le_bytes(*word)
}

/// Offset of the child with a key byte. `keys` is what follows the values of a node with `n` children.
#[inline(always)]
fn child(keys: &[u8], n: usize, byte: u8) -> Option<u32> {
    if n > NodeHeader::SMALL {
        return child_by_bitmap(keys, byte);
    }
    let (keys, children) = keys.split_at_checked(padded(n))?;
    // Four keys at a time: the lowest zero byte of the difference is where the key is.
    let (words, _) = keys.as_chunks();
    for (word, first) in words.iter().zip((0..).step_by(4)) {
        let difference = u32::from_le_bytes(*word) ^ (u32::from(byte) * 0x0101_0101);
        let zeros = difference.wrapping_sub(0x0101_0101) & !difference & 0x8080_8080;
        if zeros != 0 {
            let at = first + (zeros.trailing_zeros() / 8) as usize;
            return (at < n).then(|| u32_at(children, 4 * at));
        }
    }
    None
}

fn child_by_bitmap(bitmap: &[u8], byte: u8) -> Option<u32> {
    let (bitmap, children) = bitmap.split_at_checked(32)?;
    let (word, bit) = (usize::from(byte) / 32, u32::from(byte) % 32);
    let bits = u32_at(bitmap, 4 * word);
    if bits >> bit & 1 == 0 {
        return None;
    }
    let before: u32 = (0..word)
        .map(|word| u32_at(bitmap, 4 * word).count_ones())
        .sum();
    let at = before + (bits & ((1 << bit) - 1)).count_ones();
    Some(u32_at(children, 4 * at as usize))
}
