//! Writes programs. Lives beside the reader, so that the layout has one home.
//!
//! The caller adds parts bottom-up: what a part refers to has to be written before it. Equal strings, predicates,
//! automata and names are stored once. The same calls in the same order give the same bytes.

mod hash_table;
mod reseal;
mod rule_sets;
mod trie;

use std::collections::HashMap;

pub use reseal::{Parts, index_range, parts, reseal, seal};
pub use trie::TrieEntry;

use crate::automaton;
use crate::clause_name::Scope;
use crate::clause_name::write::Appender;
use crate::envelope;
use crate::format::{
    CALL, NAMES_PER_BLOCK, NAMES_PORTS, NONE, Section, TABLE_SIZE, padded, rule_set, size, u32_at,
};
use crate::name::SegmentKind;
use crate::predicate::Kind;
use crate::tables::Head;

/// Why a program cannot be written: a part does not fit its field in the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge(
    /// The part.
    pub &'static str,
);

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "too many or too large: {}", self.0)
    }
}

impl std::error::Error for TooLarge {}

/// Longest literal text of a path or host in a trie, in bytes.
pub const MAX_KEY: usize = 4096;

/// Automata that can be tails of paths are those with a lower number.
pub const MAX_TAILS: u32 = rule_set::CALL_TAIL - 1;

/// A condition besides the path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Predicate<'a> {
    /// What is looked at.
    pub subject: Subject<'a>,
    /// What is asked of it.
    pub test: Test<'a>,
    /// The opposite.
    pub invert: bool,
    /// A header that is missing counts as an empty one.
    pub missing_as_empty: bool,
}

/// What a predicate looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject<'a> {
    /// The method; only with [`Test::Exact`].
    Method,
    /// A header, by lower-case name.
    Header(&'a str),
    /// A query parameter.
    Parameter(&'a str),
}

/// What a predicate asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Test<'a> {
    /// It is there.
    Present,
    /// It is this text.
    Exact(&'a str),
    /// An automaton accepts it.
    Automaton {
        /// The automaton.
        id: u32,
        /// Text that everything it accepts begins with.
        prefix: &'a [u8],
    },
    /// A decimal number that is not below the first and below the second; only of headers.
    Range(i64, i64),
}

/// A deterministic automaton over bytes. State 0 is dead.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Automaton {
    /// Class of each byte value.
    pub classes: Box<[u8; 256]>,
    /// Number of classes.
    pub stride: usize,
    /// Start state.
    pub start: u16,
    /// Next state by `state * stride + class`.
    pub table: Vec<u16>,
    /// Accepting states.
    pub accept: Vec<bool>,
}

/// The name of a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClauseName<'a> {
    /// The name that it lies below.
    pub below: Option<u32>,
    /// What it names.
    pub kind: SegmentKind,
    /// Its own text.
    pub text: &'a str,
}

/// One clause in a rule set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The clause.
    pub clause: u32,
    /// Automaton that has to accept the rest of the path.
    pub tail: Option<u32>,
    /// Predicates that have to hold.
    pub predicates: Vec<u32>,
}

/// The hosts of a gateway: `(key, virtual host)`. Keys are lower-case. One that names a port has it at the end
/// (`example.com:8443`), a prefix has it at the beginning (`8443:example.`); suffixes are reversed as a whole.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    /// Whole names.
    pub exact: Vec<(Vec<u8>, u32)>,
    /// Suffixes, reversed.
    pub suffix: Vec<(Vec<u8>, u32)>,
    /// Prefixes.
    pub prefix: Vec<(Vec<u8>, u32)>,
    /// `*`.
    pub any: Option<u32>,
    /// Some key names a port.
    pub names_ports: bool,
}

/// Path tries of a virtual host.
#[derive(Clone, Copy, Debug, Default)]
pub struct PathTries {
    /// Exact and prefix, as written.
    pub forward: Option<u32>,
    /// Exact and prefix, lower-case.
    pub folded: Option<u32>,
    /// Suffixes, reversed.
    pub reversed: Option<u32>,
    /// Suffixes, reversed, lower-case.
    pub reversed_folded: Option<u32>,
}

/// A program in the making.
#[derive(Debug, Default)]
pub struct Writer {
    sections: [Vec<u8>; Section::ALL.len()],
    strings: HashMap<Box<[u8]>, u32>,
    fields: Vec<(Vec<u8>, u32)>,
    field_ids: HashMap<String, u16>,
    parameters: HashMap<String, u16>,
    predicates: HashMap<[u32; 3], u32>,
    automata: HashMap<Automaton, u32>,
    class_maps: HashMap<Box<[u8; 256]>, u32>,
    names: HashMap<(u32, SegmentKind, u32), u32>,
    clause_names: Appender,
    /// For each predicate, how it can be looked up.
    indexables: Vec<rule_sets::Indexable>,
    long_lists: Vec<Vec<u32>>,
}

impl Writer {
    fn section(&mut self, section: Section) -> &mut Vec<u8> {
        // INVARIANT: there is one vector for each section.
        &mut self.sections[section as usize]
    }

    fn push(&mut self, section: Section, words: &[u32]) {
        let bytes = self.section(section);
        for word in words {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
    }

    fn offset(&self, section: Section) -> u32 {
        self.sections[section as usize].len() as u32
    }

    fn records(&self, section: Section) -> u32 {
        self.offset(section) / section.record_size().unwrap_or(1) as u32
    }

    /// Start and length of a string.
    fn string(&mut self, text: &[u8]) -> [u32; 2] {
        let len = text.len() as u32;
        if let Some(&start) = self.strings.get(text) {
            return [start, len];
        }
        let start = self.offset(Section::Strings);
        self.section(Section::Strings).extend_from_slice(text);
        self.strings.insert(text.into(), start);
        [start, len]
    }

    /// A name for clauses to lie below, itself below another one.
    pub fn name(&mut self, parent: Option<u32>, kind: SegmentKind, text: &str) -> u32 {
        let parent = parent.unwrap_or(NONE);
        let [start, len] = self.string(text.as_bytes());
        let next = self.records(Section::Names);
        let id = *self.names.entry((parent, kind, start)).or_insert(next);
        if id == next {
            let names = &self.sections[Section::Names as usize];
            let depth = if parent == NONE {
                0
            } else {
                crate::name::Segment::at(names, parent).depth + 1
            };
            self.push(
                Section::Names,
                &[parent, start, len, depth | (kind as u32) << 8],
            );
        }
        id
    }

    /// An automaton.
    ///
    /// # Errors
    /// When it has more than 65,535 states.
    pub fn automaton(&mut self, automaton: &Automaton) -> Result<u32, TooLarge> {
        if let Some(&id) = self.automata.get(automaton) {
            return Ok(id);
        }
        let states = u16::try_from(automaton.accept.len())
            .map_err(|_| TooLarge("states of an automaton"))?;
        let next = self.offset(Section::AutomatonData);
        let map = *self
            .class_maps
            .entry(automaton.classes.clone())
            .or_insert(next);
        if map == next {
            self.section(Section::AutomatonData)
                .extend_from_slice(&automaton.classes[..]);
        }
        let offset = self.offset(Section::AutomatonData);
        // The accepting states go to the end.
        let (order, accepting) = accepting_last(&automaton.accept);
        let mut new_number = vec![0_u16; order.len()];
        for (new, &old) in (0..states).zip(&order) {
            new_number[old] = new;
        }
        let header = [
            u32::from(states) | (automaton.stride as u32) << 16,
            u32::from(new_number[usize::from(automaton.start)]) | u32::from(accepting) << 16,
            map,
        ];
        self.push(Section::AutomatonData, &header);
        let data = self.section(Section::AutomatonData);
        for old in order {
            let row = &automaton.table[old * automaton.stride..][..automaton.stride];
            data.extend(
                row.iter()
                    .flat_map(|&state| new_number[usize::from(state)].to_le_bytes()),
            );
        }
        data.resize(padded(data.len()), 0);
        debug_assert_eq!(
            offset as usize % 4,
            automaton::HEADER % 4,
            "automata are aligned"
        );
        let id = self.records(Section::Automata);
        self.push(Section::Automata, &[offset]);
        self.automata.insert(automaton.clone(), id);
        Ok(id)
    }

    fn field(&mut self, name: &str) -> Result<u16, TooLarge> {
        if let Some(&id) = self.field_ids.get(name) {
            return Ok(id);
        }
        let id = u16::try_from(self.fields.len())
            .ok()
            .filter(|&id| id < u16::MAX);
        let id = id.ok_or(TooLarge("header names in conditions"))?;
        let string = self.string(name.as_bytes());
        self.push(Section::Fields, &string);
        self.fields.push((name.as_bytes().to_vec(), u32::from(id)));
        self.field_ids.insert(name.to_owned(), id);
        Ok(id)
    }

    fn parameter(&mut self, name: &str) -> Result<u16, TooLarge> {
        if let Some(&id) = self.parameters.get(name) {
            return Ok(id);
        }
        let id = u16::try_from(self.parameters.len())
            .ok()
            .filter(|&id| id < u16::MAX);
        let id = id.ok_or(TooLarge("query parameters in conditions"))?;
        let string = self.string(name.as_bytes());
        self.push(Section::Parameters, &string);
        self.parameters.insert(name.to_owned(), id);
        Ok(id)
    }

    /// A predicate.
    ///
    /// # Errors
    /// When more than 65,534 header names or parameters are asked about.
    pub fn predicate(&mut self, predicate: &Predicate<'_>) -> Result<u32, TooLarge> {
        let field = match predicate.subject {
            Subject::Method => 0,
            Subject::Header(name) => self.field(name)?,
            Subject::Parameter(name) => self.parameter(name)?,
        };
        let kind = match (predicate.subject, predicate.test) {
            (Subject::Method, _) => Kind::Method,
            (Subject::Header(_), Test::Present) => Kind::HeaderPresent,
            (Subject::Header(_), Test::Exact(_)) => Kind::HeaderExact,
            (Subject::Header(_), Test::Automaton { .. }) => Kind::HeaderRegex,
            (Subject::Header(_), Test::Range(..)) => Kind::HeaderRange,
            (Subject::Parameter(_), Test::Present) => Kind::ParameterPresent,
            (Subject::Parameter(_), Test::Exact(_)) => Kind::ParameterExact,
            (Subject::Parameter(_), Test::Automaton { .. }) => Kind::ParameterRegex,
            (Subject::Parameter(_), Test::Range(..)) => {
                return Err(TooLarge("numbers in query parameters"));
            }
        };
        let [a, b] = match predicate.test {
            Test::Present => [0, 0],
            Test::Exact(text) => self.string(text.as_bytes()),
            Test::Automaton { id, .. } => [id, 0],
            Test::Range(start, end) => {
                self.string(&[start.to_le_bytes(), end.to_le_bytes()].concat())
            }
        };
        let flags = u32::from(predicate.invert) | u32::from(predicate.missing_as_empty) << 1;
        let word = kind as u32 | flags << 8 | u32::from(field) << 16;
        let next = self.indexables.len() as u32;
        let id = *self.predicates.entry([word, a, b]).or_insert(next);
        if id == next {
            let subject = match predicate.subject {
                Subject::Method => crate::predicate::Subject::Method,
                Subject::Header(_) => crate::predicate::Subject::Header(field),
                Subject::Parameter(_) => crate::predicate::Subject::Parameter(field),
            };
            let holds_without = predicate.invert || predicate.missing_as_empty;
            let key = rule_sets::key(subject, &predicate.test, holds_without);
            self.indexables.push(rule_sets::Indexable {
                subject,
                key,
                record: [word, a, b],
                number: None,
            });
        }
        Ok(id)
    }

    /// The next clause: an index into the head's actions, and a name.
    ///
    /// # Errors
    /// When there are too many clauses, names or actions.
    pub fn clause(&mut self, action: u32, name: Option<ClauseName<'_>>) -> Result<u32, TooLarge> {
        if action >= CALL {
            return Err(TooLarge("actions"));
        }
        self.push_clause(action, name)
    }

    /// The next clause, which is a call: a virtual host that was written before decides about what follows `base` bytes of
    /// the path. If nothing matches there, the clause does not hold. Its name comes before those of the clauses there.
    ///
    /// # Errors
    /// When there are too many clauses, names or calls.
    pub fn call(
        &mut self,
        host: u32,
        base: u32,
        name: Option<ClauseName<'_>>,
    ) -> Result<u32, TooLarge> {
        let id = self.records(Section::Calls);
        if id >= CALL {
            return Err(TooLarge("calls"));
        }
        self.push(Section::Calls, &[host, base]);
        self.push_clause(id | CALL, name)
    }

    fn push_clause(&mut self, word: u32, name: Option<ClauseName<'_>>) -> Result<u32, TooLarge> {
        let id = self.records(Section::Clauses);
        self.push(Section::Clauses, &[word]);
        let is_first = id.is_multiple_of(NAMES_PER_BLOCK);
        let start = self.offset(Section::ClauseNames);
        if is_first {
            self.push(Section::NameBlocks, &[start]);
        }
        let (scope, text) = match name {
            Some(name) => (
                Scope::new(name.below, name.kind).ok_or(TooLarge("names"))?,
                name.text.as_bytes(),
            ),
            None => (Scope::NAMELESS, b"".as_slice()),
        };
        let names = &mut self.sections[Section::ClauseNames as usize];
        self.clause_names.append(is_first, scope, text, names);
        if u32::try_from(names.len()).is_err() {
            return Err(TooLarge("names"));
        }
        Ok(id)
    }

    fn is_call(&self, clause: u32) -> bool {
        u32_at(
            &self.sections[Section::Clauses as usize],
            clause as usize * size::CLAUSE,
        ) & CALL
            != 0
    }

    /// Clauses that have to be tried in turn, because nothing tells them apart that could be looked up: one list for
    /// each place where there are more than 64 of them.
    pub fn long_lists(&self) -> &[Vec<u32>] {
        &self.long_lists
    }

    /// A path trie; its values are rule sets.
    ///
    /// # Errors
    /// When a key is too long.
    pub fn path_trie(&mut self, entries: Vec<TrieEntry>) -> Result<Option<u32>, TooLarge> {
        trie::write(self.section(Section::Tries), entries)
    }

    /// The next virtual host.
    pub fn virtual_host(&mut self, tries: PathTries) -> u32 {
        let id = self.records(Section::VirtualHosts);
        let PathTries {
            forward,
            folded,
            reversed,
            reversed_folded,
        } = tries;
        let roots = [forward, folded, reversed, reversed_folded].map(|root| root.unwrap_or(NONE));
        self.push(Section::VirtualHosts, &roots);
        id
    }

    /// The next gateway; the head lists its name at the same place.
    ///
    /// # Errors
    /// When a host name is too long.
    pub fn gateway(&mut self, hosts: Hosts) -> Result<(), TooLarge> {
        let exact = if hosts.exact.is_empty() {
            NONE
        } else {
            let offset = self.offset(Section::Hosts);
            self.hash_table(Section::Hosts, &hosts.exact)?;
            offset
        };
        let mut trie = |keys: Vec<(Vec<u8>, u32)>| {
            let entries = keys.into_iter().map(|(key, host)| TrieEntry {
                key,
                end: None,
                prefix: Some(host),
            });
            trie::write(self.section(Section::HostTries), entries.collect())
        };
        let suffix = trie(hosts.suffix)?.unwrap_or(NONE);
        let prefix = trie(hosts.prefix)?.unwrap_or(NONE);
        let flags = if hosts.names_ports { NAMES_PORTS } else { 0 };
        self.push(
            Section::Gateways,
            &[exact, suffix, prefix, hosts.any.unwrap_or(NONE), flags],
        );
        Ok(())
    }

    fn hash_table(&mut self, section: Section, keys: &[(Vec<u8>, u32)]) -> Result<(), TooLarge> {
        let arrangement = hash_table::arrange(keys).ok_or(TooLarge("keys of a hash table"))?;
        self.push(section, &[arrangement.slots.len() as u32, arrangement.seed]);
        for slot in arrangement.slots {
            match slot {
                Some((hash, at)) => {
                    let (key, value) = &keys[at];
                    let [start, len] = self.string(key);
                    self.push(
                        section,
                        &[start, crate::hash_table::tag(hash, len as usize), *value],
                    );
                }
                None => self.push(section, &[0, 0, NONE]),
            }
        }
        Ok(())
    }

    /// The finished program. May be called again with another head.
    ///
    /// # Errors
    /// When the program would be larger than 4 GiB.
    pub fn finish(&mut self, head: &Head) -> Result<Vec<u8>, TooLarge> {
        if !self.fields.is_empty() {
            let fields = std::mem::take(&mut self.fields);
            self.hash_table(Section::FieldTable, &fields)?;
        }
        let mut index = vec![0; TABLE_SIZE];
        for (n, section) in self.sections.iter().enumerate() {
            let (at, len) = (index.len() as u32, section.len() as u32);
            index.extend_from_slice(section);
            if u32::try_from(index.len()).is_err() {
                return Err(TooLarge("program"));
            }
            index.resize(padded(index.len()), 0);
            index[8 * n..8 * n + 4].copy_from_slice(&at.to_le_bytes());
            index[8 * n + 4..8 * n + 8].copy_from_slice(&len.to_le_bytes());
        }
        let head = rmp_serde::to_vec(head).map_err(|_| TooLarge("head"))?;
        envelope::seal(&head, &index).map_err(|_| TooLarge("program"))
    }
}

/// The states of an automaton with the accepting ones last, and the number of the others.
fn accepting_last(accept: &[bool]) -> (Vec<usize>, u16) {
    let (last, mut order): (Vec<usize>, Vec<usize>) =
        (0..accept.len()).partition(|&state| accept[state]);
    let others = order.len() as u16;
    order.extend(last);
    (order, others)
}
