//! Rule sets: the clauses whose path condition has led to one place, and how to find the first of them that holds.
//!
//! A few clauses are tried in turn. Many are told apart by what they ask of the request: a switch looks the value of
//! one header, parameter or the method up in a hash table; a table of fields is driven by the headers that the request
//! has; a trie is walked along a value. A clause is stored in one place only, and a set whose lowest clause is not
//! below the best one found so far is not looked at.

use std::cmp::Ordering;

use crate::field;
use crate::format::{NONE, Section, SetRef, rule_set, u32_at};
use crate::hash_table::lookup;
use crate::predicate::{Subject, Value};
use crate::request::Headers;
use crate::search::Search;
use crate::trie::{Reading, walk};

/// Most rule sets looked at for one request. The compiler's programs need a handful; the limit is for programs that
/// were not written by it.
const MAX_VISITS: u32 = 10_000;
/// Deepest nesting of rule sets, for the same reason.
const MAX_NESTING: u32 = 32;

/// Lowest clause number in a set of the section; no request can be answered by a lower one from it.
pub(crate) fn lowest(sets: &[u8], set: SetRef) -> u32 {
    match set.as_inline() {
        _ if set == SetRef::NONE => NONE,
        Some((clause, _)) => clause,
        None => u32_at(sets, set.0 as usize + 4),
    }
}

impl<'p, 'r, H: Headers + ?Sized> Search<'p, 'r, H> {
    /// Looks through a set. `rest` is the part of the path after the place where the set is stored.
    pub(crate) fn visit(&mut self, set: SetRef, rest: &[u8]) {
        if set == SetRef::NONE {
            return;
        }
        if let Some((clause, tail)) = set.as_inline() {
            if clause < self.best && tail.is_none_or(|tail| self.accepts(tail, rest)) {
                self.best = clause;
            }
            return;
        }
        if lowest(self.sets, set) >= self.best {
            return;
        }
        if self.visits >= MAX_VISITS || self.nesting >= MAX_NESTING {
            self.is_cut = true;
            return;
        }
        self.visits += 1;
        self.nesting += 1;
        let at = set.0 as usize;
        match rule_set::parse(u32_at(self.sets, at)) {
            (rule_set::LIST, n) => self.list(at + 4, n, rest),
            (rule_set::SWITCH, _) => self.switch(at + 8, rest),
            (rule_set::FIELDS, n) => self.fields(at + 8, n, rest),
            (rule_set::TRIE, _) => self.trie(at + 8, rest),
            _ => {}
        }
        self.nesting -= 1;
    }

    fn accepts(&self, automaton: u32, text: &[u8]) -> bool {
        self.program
            .automaton(automaton)
            .is_some_and(|automaton| automaton.accepts(text))
    }

    fn list(&mut self, mut at: usize, n: usize, rest: &[u8]) {
        for _ in 0..n {
            let clause = u32_at(self.sets, at);
            if clause >= self.best {
                return;
            }
            let word = u32_at(self.sets, at + 4);
            let (tail, predicates) = (word & 0xffff, (word >> 16) as usize);
            at += 8;
            let holds = (0..predicates).all(|i| self.context.holds(u32_at(self.sets, at + 4 * i)))
                && match tail {
                    0 => true,
                    rule_set::CALL_TAIL => self.call(clause),
                    _ => self.accepts(tail - 1, rest),
                };
            if holds {
                self.best = clause;
                return;
            }
            at += 4 * predicates;
        }
    }

    fn switch(&mut self, at: usize, rest: &[u8]) {
        let others = SetRef(u32_at(self.sets, at + 4));
        let table = self.sets.get(at + 8..).unwrap_or_default();
        let strings = self.program.section(Section::Strings);
        let chosen = match self.context.value(Subject::parse(u32_at(self.sets, at))) {
            Value::Missing => None,
            Value::One(value) => lookup(table, strings, value),
            Value::Several(name) => self.joined(name, |_, value| lookup(table, strings, value)),
        };
        let chosen = chosen.map_or(SetRef::NONE, SetRef);
        let swap = lowest(self.sets, others) < lowest(self.sets, chosen);
        let (first, second) = if swap {
            (others, chosen)
        } else {
            (chosen, others)
        };
        self.visit(first, rest);
        self.visit(second, rest);
    }

    fn fields(&mut self, at: usize, n: usize, rest: &[u8]) {
        let others = SetRef(u32_at(self.sets, at));
        self.visit(others, rest);
        let entries = at + 4;
        if self.context.fields().overflow() {
            let (program, request) = (self.program, self.context.request());
            // A repeated header only finds nothing new.
            for field in request
                .headers
                .iter()
                .filter_map(|(name, _)| program.known_field(name))
            {
                self.field(entries, n, field, rest);
            }
            return;
        }
        let mut known = 0;
        while let Some(field) = self.context.fields().nth(known) {
            self.field(entries, n, field, rest);
            known += 1;
        }
    }

    /// Looks through the set of one header field, if there is one.
    fn field(&mut self, entries: usize, n: usize, field: u16, rest: &[u8]) {
        let (mut low, mut high) = (0, n);
        while low < high {
            let middle = (low + high) / 2;
            let entry = entries + 8 * middle;
            match u32_at(self.sets, entry).cmp(&u32::from(field)) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => {
                    self.visit(SetRef(u32_at(self.sets, entry + 4)), rest);
                    return;
                }
            }
        }
    }

    fn trie(&mut self, at: usize, rest: &[u8]) {
        let root = u32_at(self.sets, at + 8);
        self.visit(SetRef(u32_at(self.sets, at + 4)), rest);
        match self.context.value(Subject::parse(u32_at(self.sets, at))) {
            Value::Missing => {}
            Value::One(value) => self.walk_value(root, value, rest),
            Value::Several(name) => {
                self.joined(name, |search, value| search.walk_value(root, value, rest))
            }
        }
    }

    fn walk_value(&mut self, root: u32, value: &[u8], rest: &[u8]) {
        walk(self.sets, root, value, Reading::AS_IS, |found| {
            self.visit(SetRef(found.value), rest)
        });
    }

    /// Calls `with` with the lines of a header joined with commas, cut off where no key of an index reaches.
    #[cold]
    fn joined<T>(&mut self, name: &[u8], with: impl FnOnce(&mut Self, &[u8]) -> T) -> T {
        let mut buffer = [0; MAX_VALUE + 1];
        let mut len = 0;
        for (n, line) in field::lines(self.context.request(), name).enumerate() {
            let comma: &[u8] = if n > 0 { b"," } else { b"" };
            for &byte in comma.iter().chain(line) {
                let Some(slot) = buffer.get_mut(len) else {
                    break;
                };
                *slot = byte;
                len += 1;
            }
        }
        with(self, buffer.get(..len).unwrap_or_default())
    }
}

/// Longest value, or beginning of a value, that is a key of an index, in bytes.
pub(crate) const MAX_VALUE: usize = crate::hash_table::MAX_KEY;
