//! Rule sets: the clauses whose path condition has led to one place, and what is left to test.

use crate::format::{NONE, Section, SetRef, rule_set, u32_at};
use crate::predicate::Context;
use crate::program::Program;
use crate::request::Headers;

/// Lowest clause number in a set; no request can be answered by a lower one from it.
pub(crate) fn lowest(program: &Program, set: SetRef) -> u32 {
    match set.as_inline() {
        Some((clause, _)) => clause,
        None => u32_at(program.section(Section::RuleSets), set.0 as usize + 4),
    }
}

/// The first clause of the set below `best` that holds, else `best`. `rest` is the part of the path after the place
/// where the set is stored.
pub(crate) fn first_match<H: Headers + ?Sized>(
    program: &Program,
    set: SetRef,
    rest: &[u8],
    context: &mut Context<'_, '_, H>,
    best: u32,
) -> u32 {
    let accepts = |tail: u32| {
        program
            .automaton(tail)
            .is_some_and(|automaton| automaton.accepts(rest))
    };
    if let Some((clause, tail)) = set.as_inline() {
        return if clause < best && tail.is_none_or(accepts) {
            clause
        } else {
            best
        };
    }
    let sets = program.section(Section::RuleSets);
    let mut at = set.0 as usize;
    let (kind, n) = rule_set::parse(u32_at(sets, at));
    if kind != rule_set::LIST {
        return best;
    }
    at += 8;
    for _ in 0..n {
        let clause = u32_at(sets, at);
        if clause >= best {
            return best;
        }
        let word = u32_at(sets, at + 4);
        let (tail, predicates) = (word & 0xffff, (word >> 16) as usize);
        at += 8;
        let mut holds = (0..predicates).all(|i| context.holds(u32_at(sets, at + 4 * i)));
        holds = holds && tail.checked_sub(1).is_none_or(accepts);
        if holds {
            return clause;
        }
        at += 4 * predicates;
    }
    best
}

const CAPACITY: usize = 16;

/// Rule sets to look at, lowest clause first. Holds the few that a path usually meets; the rest is looked at at once.
pub(crate) struct Candidates<'r> {
    sets: [(u32, SetRef, &'r [u8]); CAPACITY],
    len: usize,
}

impl<'r> Candidates<'r> {
    pub(crate) fn new() -> Self {
        Self {
            sets: [(NONE, SetRef(0), b""); CAPACITY],
            len: 0,
        }
    }

    /// Keeps a set, ordered; `false` when there is no room.
    pub(crate) fn push(&mut self, lowest: u32, set: SetRef, rest: &'r [u8]) -> bool {
        let Some(used) = self.sets.get_mut(..=self.len) else {
            return false;
        };
        let at = used
            .iter()
            .position(|other| other.0 > lowest)
            .unwrap_or(self.len);
        if let Some(last) = used.last_mut() {
            *last = (lowest, set, rest);
        }
        if let Some(moved) = used.get_mut(at..) {
            moved.rotate_right(1);
        }
        self.len += 1;
        true
    }

    /// The sets, lowest clause first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, SetRef, &'r [u8])> {
        self.sets
            .get(..self.len)
            .unwrap_or_default()
            .iter()
            .copied()
    }
}
