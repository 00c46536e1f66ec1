//! Verification of clauses, of the calls among them, and of their names.

use super::Verifier;
use crate::clause_name::{Reader, is_scope};
use crate::error::FormatError;
use crate::format::{CALL, NAMES_PER_BLOCK, Section, size, u32_at};

impl Verifier<'_> {
    /// A call may lead anywhere, even in a circle: the search counts them.
    pub(super) fn calls(&self) -> Result<(), FormatError> {
        let calls = self.section(Section::Calls);
        for at in (0..calls.len()).step_by(size::CALL) {
            if u32_at(calls, at) as usize >= self.records(Section::VirtualHosts) {
                return Err(self.invalid("call leads nowhere", Section::Calls, at));
            }
        }
        Ok(())
    }

    pub(super) fn clauses(&self) -> Result<(), FormatError> {
        let clauses = self.section(Section::Clauses);
        for at in (0..clauses.len()).step_by(size::CLAUSE) {
            let word = u32_at(clauses, at);
            let known = if word & CALL == 0 {
                self.head.actions.len()
            } else {
                self.records(Section::Calls)
            };
            if (word & !CALL) as usize >= known {
                return Err(self.invalid("clause refers to nothing", Section::Clauses, at));
            }
        }
        Ok(())
    }

    /// Reads the names of all clauses in order: each block has to begin where the one before it ends.
    pub(super) fn clause_names(&self) -> Result<(), FormatError> {
        let (blocks, bytes) = (
            self.section(Section::NameBlocks),
            self.section(Section::ClauseNames),
        );
        let names = self.records(Section::Names);
        let mut left = self.records(Section::Clauses);
        let mut reader = Reader::new(bytes);
        for at in (0..blocks.len()).step_by(size::NAME_BLOCK) {
            let start = bytes.len() - reader.rest.len();
            let malformed =
                || self.invalid("clause name is malformed", Section::ClauseNames, start);
            if u32_at(blocks, at) as usize != start {
                return Err(malformed());
            }
            reader = Reader::new(reader.rest);
            let mut len = 0;
            for _ in 0..left.min(NAMES_PER_BLOCK as usize) {
                let entry = reader.next().ok_or_else(malformed)?;
                if entry.shared > len || !is_scope(entry.scope, names) {
                    return Err(malformed());
                }
                len = entry.shared + entry.new.len();
                left -= 1;
            }
        }
        if left > 0 || !reader.rest.is_empty() {
            let at = bytes.len() - reader.rest.len();
            return Err(self.invalid(
                "clause names do not fit the clauses",
                Section::ClauseNames,
                at,
            ));
        }
        Ok(())
    }
}
