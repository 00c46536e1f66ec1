//! Verification of automata.

use super::Verifier;
use crate::automaton::Automaton;
use crate::error::FormatError;
use crate::format::{Section, size, u32_at};

impl Verifier<'_> {
    /// Every automaton is looked at once; the writer stores equal ones once.
    pub(super) fn automata(&self) -> Result<(), FormatError> {
        let (offsets, data) = (
            self.section(Section::Automata),
            self.section(Section::AutomatonData),
        );
        let mut end = 0;
        for at in (0..offsets.len()).step_by(size::AUTOMATON) {
            let offset = u32_at(offsets, at) as usize;
            let malformed =
                || self.invalid("automaton is malformed", Section::AutomatonData, offset);
            // In order and without overlap: a small program cannot ask for much work.
            if offset < end {
                return Err(malformed());
            }
            let automaton = Automaton::at(data, offset).ok_or_else(malformed)?;
            if !automaton.is_valid() {
                return Err(malformed());
            }
            end = offset + automaton.size();
        }
        Ok(())
    }
}
