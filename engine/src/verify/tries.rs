//! Verification of tries.

use super::{Starts, Verifier};
use crate::error::FormatError;
use crate::format::{NodeHeader, Section, padded, u32_at};

impl Verifier<'_> {
    /// Parses a section of trie nodes one after the other.
    pub(super) fn tries(
        &self,
        section: Section,
        is_value: impl Fn(u32) -> bool,
    ) -> Result<Starts, FormatError> {
        let len = self.section(section).len();
        let mut starts = Starts::new(len);
        let mut at = 0;
        while at < len {
            let size = self.trie_node(section, at, &starts, &is_value)?;
            starts.insert(at);
            at += size;
        }
        Ok(starts)
    }

    /// Checks the node at an offset, whose children have to be among `nodes`. Returns its size.
    pub(super) fn trie_node(
        &self,
        section: Section,
        at: usize,
        nodes: &Starts,
        is_value: impl Fn(u32) -> bool,
    ) -> Result<usize, FormatError> {
        let bytes = self.section(section);
        let malformed = || self.invalid("trie node is malformed", section, at);
        let header = NodeHeader(u32_at(bytes, at));
        let end = at + header.node_size();
        if !header.is_valid() || end > bytes.len() {
            return Err(malformed());
        }
        let mut field = at + 4 + padded(header.label_len());
        for has_value in [header.has_end(), header.has_prefix()] {
            if has_value {
                if !is_value(u32_at(bytes, field)) {
                    return Err(malformed());
                }
                field += 4;
            }
        }
        if header.children() > NodeHeader::SMALL {
            let bits: u32 = (0..8)
                .map(|word| u32_at(bytes, field + 4 * word).count_ones())
                .sum();
            if bits as usize != header.children() {
                return Err(malformed());
            }
        }
        let children = field + header.keys_size();
        if !(children..end)
            .step_by(4)
            .all(|child| nodes.contains(u32_at(bytes, child)))
        {
            return Err(malformed());
        }
        Ok(end - at)
    }
}
