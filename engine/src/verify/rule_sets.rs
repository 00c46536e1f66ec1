//! Verification of rule sets, and of the tries over values that are stored among them.

use super::{Starts, Verifier};
use crate::error::FormatError;
use crate::format::{Section, SetRef, rule_set, u32_at};

impl Verifier<'_> {
    pub(super) fn set_ref(&self, set: SetRef, sets: &Starts) -> bool {
        match set.as_inline() {
            _ if set == SetRef::NONE => false,
            Some((clause, tail)) => self.is_clause(clause, false) && self.is_tail(tail),
            None => sets.contains(set.0),
        }
    }

    /// Parses the section. A set that leads to others names no lower clause than they do, so that looking at its
    /// lowest clause is enough to pass over all of it; a wrong one can only hide clauses of its own program.
    pub(super) fn rule_sets(&self) -> Result<Starts, FormatError> {
        let bytes = self.section(Section::RuleSets);
        let mut sets = Starts::new(bytes.len());
        let mut nodes = Starts::new(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let malformed = || self.invalid("rule set is malformed", Section::RuleSets, at);
            let (kind, n) = rule_set::parse(u32_at(bytes, at));
            if kind == 0 {
                let size = self.trie_node(Section::RuleSets, at, &nodes, |value| {
                    self.set_ref(SetRef(value), &sets)
                })?;
                nodes.insert(at);
                at += size;
                continue;
            }
            let field = |n: usize| u32_at(bytes, at + 8 + 4 * n);
            let is_optional_set =
                |word: u32| SetRef(word) == SetRef::NONE || self.set_ref(SetRef(word), &sets);
            let end = match kind {
                rule_set::LIST => self.list(at, n).ok_or_else(malformed)?,
                rule_set::SWITCH if self.is_subject(field(0)) && is_optional_set(field(1)) => {
                    let table = at + 16;
                    let is_set = |value| self.set_ref(SetRef(value), &sets);
                    table + self.hash_table(Section::RuleSets, table, is_set)?
                }
                rule_set::FIELDS if is_optional_set(field(0)) => {
                    let entry = |i: usize| (field(1 + 2 * i), SetRef(field(2 + 2 * i)));
                    let end = (at + 12)
                        .checked_add(n.checked_mul(8).ok_or_else(malformed)?)
                        .ok_or_else(malformed)?;
                    let is_valid = end <= bytes.len()
                        && (0..n).all(|i| {
                            let (name, set) = entry(i);
                            (name as usize) < self.records(Section::Fields)
                                && self.set_ref(set, &sets)
                        });
                    if !is_valid {
                        return Err(malformed());
                    }
                    end
                }
                rule_set::TRIE
                    if self.is_subject(field(0))
                        && is_optional_set(field(1))
                        && nodes.contains(field(2)) =>
                {
                    at + 20
                }
                _ => return Err(malformed()),
            };
            if end > bytes.len() {
                return Err(malformed());
            }
            sets.insert(at);
            at = end;
        }
        Ok(sets)
    }

    fn is_subject(&self, word: u32) -> bool {
        let number = (word >> 16) as usize;
        match word & 0xffff {
            0 => true,
            1 => number < self.records(Section::Fields),
            2 => number < self.records(Section::Parameters),
            _ => false,
        }
    }

    /// End of the list at an offset; `None` when it is malformed.
    fn list(&self, at: usize, n: usize) -> Option<usize> {
        let sets = self.section(Section::RuleSets);
        let known = self.records(Section::Predicates);
        let mut end = at + 4;
        let mut above = 0;
        for _ in 0..n {
            let (clause, word) = (u32_at(sets, end), u32_at(sets, end + 4));
            let (predicates, tail) = ((word >> 16) as usize, word & 0xffff);
            let entry_end = end + 8 + 4 * predicates;
            let is_call = tail == rule_set::CALL_TAIL;
            let is_valid = entry_end <= sets.len()
                && clause >= above
                && self.is_clause(clause, is_call)
                && (is_call || self.is_tail(tail.checked_sub(1)))
                && (0..predicates).all(|i| (u32_at(sets, end + 8 + 4 * i) as usize) < known);
            if !is_valid {
                return None;
            }
            above = clause;
            end = entry_end;
        }
        (n > 0).then_some(end)
    }
}
