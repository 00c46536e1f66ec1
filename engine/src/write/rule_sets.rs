//! Arranges clauses that share a path: which of their conditions to look up instead of trying the clauses in turn.

use std::collections::BTreeMap;

use super::{Entry, MAX_TAILS, TooLarge, Writer, trie};
use crate::format::{NONE, Section, SetRef, rule_set};
use crate::predicate::Subject;
use crate::rule_set::MAX_VALUE;

/// So many clauses are faster tried in turn than looked up.
const SHORT: usize = 8;
/// More header names than this are not switched on one after the other: the headers of the request choose.
const MANY_FIELDS: usize = 4;
/// Deepest nesting, well below what the evaluator allows; what is left is tried in turn.
const DEEPEST: usize = 24;
/// A list longer than this is remembered for the compiler to warn about.
const LONG: usize = 64;

/// What the arrangement needs to know of a predicate.
#[derive(Clone, Debug)]
pub(super) struct Indexable {
    /// Looked at.
    pub(super) subject: Subject,
    /// How it can be looked up.
    pub(super) key: Key,
    /// Its record.
    pub(super) record: [u32; 3],
    /// Its number in the section, once it had to be written: one that is only looked up is not.
    pub(super) number: Option<u32>,
}

/// How a predicate can be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// By the whole value.
    Exact(Vec<u8>),
    /// By the text the value begins with; the predicate remains to be tested.
    Prefix(Vec<u8>),
    /// Not by its value, but a header must be there.
    Present,
    /// Not at all: it holds for most requests.
    None,
}

/// How to divide a list of clauses.
enum Division {
    List,
    Switch(Subject),
    Fields,
    Trie(Subject),
}

/// Where a set is being arranged.
#[derive(Clone, Copy)]
struct Within {
    /// Number of sets around it.
    depth: usize,
    /// The entries are known to ask for the same header, so its name says nothing any more.
    by_field: bool,
}

/// Entries by key, each with the position of the predicate that the key was taken from.
type Groups<K> = BTreeMap<K, Vec<(Entry, usize)>>;

impl Writer {
    /// A rule set; the value of a trie entry. Entries are in clause order; there is at least one.
    ///
    /// # Errors
    /// When there are too many entries, predicates or automata.
    pub fn rule_set(&mut self, entries: &[Entry]) -> Result<u32, TooLarge> {
        self.arrange(
            entries.to_vec(),
            Within {
                depth: 0,
                by_field: false,
            },
        )
        .map(|set| set.0)
    }

    fn arrange(&mut self, entries: Vec<Entry>, within: Within) -> Result<SetRef, TooLarge> {
        if let [
            Entry {
                clause,
                tail,
                predicates,
            },
        ] = entries.as_slice()
            && predicates.is_empty()
            && !self.is_call(*clause)
            && let Some(set) = SetRef::inline(*clause, *tail)
        {
            return Ok(set);
        }
        let inner = Within {
            depth: within.depth + 1,
            by_field: false,
        };
        match self.division(&entries, within) {
            Division::List => self.list(&entries),
            Division::Switch(subject) => self.switch(subject, entries, inner),
            Division::Fields => self.fields_set(entries, inner),
            Division::Trie(subject) => self.value_trie(subject, entries, inner),
        }
    }

    fn indexable(&self, predicate: u32) -> Option<&Indexable> {
        self.indexables.get(predicate as usize)
    }

    fn division(&self, entries: &[Entry], within: Within) -> Division {
        if entries.len() <= SHORT || within.depth >= DEEPEST {
            return Division::List;
        }
        let mut exact: BTreeMap<u32, BTreeMap<&[u8], usize>> = BTreeMap::new();
        let mut prefixes: BTreeMap<u32, BTreeMap<&[u8], usize>> = BTreeMap::new();
        let mut fields: BTreeMap<u16, usize> = BTreeMap::new();
        for predicate in entries.iter().flat_map(|entry| &entry.predicates) {
            let Some(Indexable { subject, key, .. }) = self.indexable(*predicate) else {
                continue;
            };
            match key {
                Key::Exact(value) => {
                    *exact
                        .entry(subject.word())
                        .or_default()
                        .entry(value)
                        .or_default() += 1
                }
                Key::Prefix(value) => {
                    *prefixes
                        .entry(subject.word())
                        .or_default()
                        .entry(value)
                        .or_default() += 1
                }
                Key::Present => {}
                Key::None => continue,
            }
            if let Subject::Header(field) = subject {
                *fields.entry(*field).or_default() += 1;
            }
        }
        if !within.by_field && fields.len() > MANY_FIELDS {
            let best = fields.values().copied().max().unwrap_or(0);
            // One name in nearly every clause is better switched on than met in every request.
            if best * 2 < entries.len() {
                return Division::Fields;
            }
        }
        let best = |tables: BTreeMap<u32, BTreeMap<&[u8], usize>>| {
            let best = tables
                .into_iter()
                .map(|(subject, values)| (gain(&values, entries.len()), subject));
            best.max_by_key(|&(gain, subject)| (gain, std::cmp::Reverse(subject)))
                .filter(|&(gain, _)| gain > 0)
        };
        match (best(exact), best(prefixes)) {
            (Some((gain, subject)), prefix) if prefix.is_none_or(|(other, _)| gain >= other) => {
                Division::Switch(Subject::parse(subject))
            }
            (_, Some((_, subject))) => Division::Trie(Subject::parse(subject)),
            _ => Division::List,
        }
    }

    fn lowest(entries: &[Entry]) -> u32 {
        entries.first().map_or(NONE, |entry| entry.clause)
    }

    fn start(&mut self, kind: u32, n: usize) -> Result<SetRef, TooLarge> {
        let offset = self.offset(Section::RuleSets);
        if offset > i32::MAX as u32 || n > rule_set::MAX {
            return Err(TooLarge("rule sets"));
        }
        self.push(Section::RuleSets, &[rule_set::header(kind, n)]);
        Ok(SetRef(offset))
    }

    fn list(&mut self, entries: &[Entry]) -> Result<SetRef, TooLarge> {
        if entries.len() > LONG {
            self.long_lists
                .push(entries.iter().map(|entry| entry.clause).collect());
        }
        let set = self.start(rule_set::LIST, entries.len())?;
        for entry in entries {
            let tail = if self.is_call(entry.clause) {
                rule_set::CALL_TAIL
            } else {
                match entry.tail {
                    None => 0,
                    Some(tail) if tail < MAX_TAILS => tail + 1,
                    Some(_) => return Err(TooLarge("automata")),
                }
            };
            let n = u16::try_from(entry.predicates.len())
                .map_err(|_| TooLarge("conditions of one matcher"))?;
            self.push(
                Section::RuleSets,
                &[entry.clause, tail | u32::from(n) << 16],
            );
            for predicate in &entry.predicates {
                let number = self.write_predicate(*predicate)?;
                self.push(Section::RuleSets, &[number]);
            }
        }
        Ok(set)
    }

    /// The number by which the program knows a predicate: for policies, which refer to it from the head.
    ///
    /// # Errors
    /// When there are too many.
    pub fn write_predicate(&mut self, predicate: u32) -> Result<u32, TooLarge> {
        let next = self.records(Section::Predicates);
        let known = self.indexables.get_mut(predicate as usize);
        let known = known.ok_or(TooLarge("conditions"))?;
        if let Some(number) = known.number {
            return Ok(number);
        }
        known.number = Some(next);
        let record = known.record;
        self.push(Section::Predicates, &record);
        Ok(next)
    }

    /// Divides the entries by the key of their first predicate on the subject; the others come last.
    fn divide<K: Ord>(
        &self,
        entries: Vec<Entry>,
        key: impl Fn(&Indexable) -> Option<K>,
    ) -> (Groups<K>, Vec<Entry>) {
        let mut groups = Groups::new();
        let mut rest = Vec::new();
        for entry in entries {
            let found = entry
                .predicates
                .iter()
                .enumerate()
                .find_map(|(at, predicate)| Some((key(self.indexable(*predicate)?)?, at)));
            match found {
                Some((key, at)) => groups.entry(key).or_default().push((entry, at)),
                None => rest.push(entry),
            }
        }
        (groups, rest)
    }

    fn optional(&mut self, entries: Vec<Entry>, within: Within) -> Result<SetRef, TooLarge> {
        if entries.is_empty() {
            Ok(SetRef::NONE)
        } else {
            self.arrange(entries, within)
        }
    }

    fn switch(
        &mut self,
        subject: Subject,
        entries: Vec<Entry>,
        within: Within,
    ) -> Result<SetRef, TooLarge> {
        let lowest = Self::lowest(&entries);
        let (groups, rest) = self.divide(entries, |indexable| match &indexable.key {
            Key::Exact(value) if indexable.subject == subject => Some(value.clone()),
            _ => None,
        });
        let mut table = Vec::with_capacity(groups.len());
        for (value, group) in groups {
            let group = group.into_iter().map(|(mut entry, at)| {
                // Implied by the way to this set.
                entry.predicates.remove(at);
                entry
            });
            table.push((value, self.arrange(group.collect(), within)?.0));
        }
        let rest = self.optional(rest, within)?;
        let set = self.start(rule_set::SWITCH, 0)?;
        self.push(Section::RuleSets, &[lowest, subject.word(), rest.0]);
        self.hash_table(Section::RuleSets, &table)?;
        Ok(set)
    }

    fn fields_set(&mut self, entries: Vec<Entry>, within: Within) -> Result<SetRef, TooLarge> {
        let lowest = Self::lowest(&entries);
        let (groups, rest) = self.divide(entries, |indexable| {
            match (indexable.subject, &indexable.key) {
                (_, Key::None) => None,
                (Subject::Header(field), _) => Some(field),
                _ => None,
            }
        });
        let mut pairs = Vec::with_capacity(groups.len());
        for (field, group) in groups {
            let group = group.into_iter().map(|(entry, _)| entry).collect();
            pairs.push([
                u32::from(field),
                self.arrange(
                    group,
                    Within {
                        by_field: true,
                        ..within
                    },
                )?
                .0,
            ]);
        }
        let rest = self.optional(rest, within)?;
        let set = self.start(rule_set::FIELDS, pairs.len())?;
        self.push(Section::RuleSets, &[lowest, rest.0]);
        pairs
            .iter()
            .for_each(|pair| self.push(Section::RuleSets, pair));
        Ok(set)
    }

    fn value_trie(
        &mut self,
        subject: Subject,
        entries: Vec<Entry>,
        within: Within,
    ) -> Result<SetRef, TooLarge> {
        let lowest = Self::lowest(&entries);
        let (groups, rest) = self.divide(entries, |indexable| match &indexable.key {
            Key::Prefix(value) if indexable.subject == subject => Some(value.clone()),
            _ => None,
        });
        let mut places = Vec::with_capacity(groups.len());
        for (key, group) in groups {
            let group: Vec<Entry> = group.into_iter().map(|(entry, _)| entry).collect();
            // What is left of these conditions is not divided further.
            let prefix = Some(self.list(&group)?.0);
            places.push(trie::TrieEntry {
                key,
                end: None,
                prefix,
            });
        }
        let rest = self.optional(rest, within)?;
        let root = trie::write(self.section(Section::RuleSets), places)?.unwrap_or(NONE);
        let set = self.start(rule_set::TRIE, 0)?;
        self.push(Section::RuleSets, &[lowest, subject.word(), rest.0, root]);
        Ok(set)
    }
}

/// How many comparisons of clauses a division saves: most when every value has its own clause.
fn gain(values: &BTreeMap<&[u8], usize>, all: usize) -> usize {
    let covered: usize = values.values().sum();
    let together: usize = values
        .values()
        .map(|n| n.saturating_mul(*n))
        .fold(0, usize::saturating_add);
    all.saturating_mul(covered).saturating_sub(together)
}

/// How a test on a value can be looked up; not at all if it may hold for a header that is missing.
pub(super) fn key(subject: Subject, test: &super::Test<'_>, holds_without: bool) -> Key {
    match test {
        _ if holds_without => Key::None,
        super::Test::Exact(value) if value.len() <= MAX_VALUE => {
            Key::Exact(value.as_bytes().to_vec())
        }
        super::Test::Automaton { prefix, .. } if !prefix.is_empty() => {
            Key::Prefix(prefix.get(..MAX_VALUE).unwrap_or(prefix).to_vec())
        }
        _ if matches!(subject, Subject::Header(_)) => Key::Present,
        _ => Key::None,
    }
}
