//! Verification of tries.

use super::{Starts, Verifier};
use crate::error::FormatError;
use crate::format::{NodeHeader, Section, padded, u32_at};

impl Verifier<'_> {
    /// Parses a section of trie nodes one after the other. Children come before their parents.
    pub(super) fn tries(
        &self,
        section: Section,
        is_value: impl Fn(u32) -> bool,
    ) -> Result<Starts, FormatError> {
        let nodes = self.section(section);
        let mut starts = Starts::new(nodes.len());
        let mut at = 0;
        while at < nodes.len() {
            let malformed = || self.invalid("trie node is malformed", section, at);
            let header = NodeHeader(u32_at(nodes, at));
            let end = at + header.node_size();
            if !header.is_valid() || end > nodes.len() {
                return Err(malformed());
            }
            let mut field = at + 4 + padded(header.label_len());
            for has_value in [header.has_end(), header.has_prefix()] {
                if has_value {
                    if !is_value(u32_at(nodes, field)) {
                        return Err(malformed());
                    }
                    field += 4;
                }
            }
            if header.children() > NodeHeader::SMALL {
                let bits: u32 = (0..8)
                    .map(|word| u32_at(nodes, field + 4 * word).count_ones())
                    .sum();
                if bits as usize != header.children() {
                    return Err(malformed());
                }
            }
            let children = field + header.keys_size();
            if !(children..end)
                .step_by(4)
                .all(|child| starts.contains(u32_at(nodes, child)))
            {
                return Err(malformed());
            }
            starts.insert(at);
            at = end;
        }
        Ok(starts)
    }
}
