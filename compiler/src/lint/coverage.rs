//! Which earlier matcher takes everything that a later one matches.
//!
//! A matcher covers another one if each of its parts is the same or weaker: its path takes every path of the other,
//! and each of its header, query and method conditions follows from one of the other's. Only what can be told from the
//! conditions as written counts, so nothing is called covered that is not; two regexes are compared as text.
//!
//! The index finds a covering matcher by hash, per length of the path prefixes in use and per combination of weaker
//! conditions, so that its cost does not grow with the number of matchers.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::regex::Patterns;
use crate::tree::{LiteralPart, Matcher, PathMatch, PathTail, ValueMatch};

/// With more conditions than this, only their whole set, single ones and none are tried as weaker sets.
const MAX_COMBINED: usize = 6;

/// A byte of literal text, and whether its case is ignored.
type Byte = (u8, bool);

/// A matcher to be compared with earlier ones.
#[derive(Clone, Debug)]
pub(super) struct Clause<'t> {
    /// Text that every matching path starts with: the literal text, a regex's own start, at least `/`.
    start: Vec<Byte>,
    /// How much of it is the literal text.
    literal: usize,
    tail: Tail<'t>,
    conditions: Vec<Condition<'t>>,
}

/// What follows the literal text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail<'t> {
    End,
    Any,
    Suffix(&'t LiteralPart),
    Regex(&'t str),
}

/// A condition beside the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Condition<'t> {
    Header {
        name: &'t str,
        value: Value<'t>,
        invert: bool,
    },
    Query {
        name: &'t str,
        value: Value<'t>,
    },
    Method(&'t str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Value<'t> {
    Present,
    Exact(&'t str),
    Regex(&'t str),
}

impl<'t> Clause<'t> {
    /// What a matcher says.
    pub(super) fn new(matcher: &'t Matcher, patterns: &mut Patterns) -> Self {
        let headers = matcher.headers.iter().map(|header| Condition::Header {
            name: &header.name,
            value: (&header.value).into(),
            invert: header.invert,
        });
        let query = matcher.query.iter().map(|parameter| Condition::Query {
            name: &parameter.name,
            value: (&parameter.value).into(),
        });
        let method = matcher.method.as_deref().map(Condition::Method);
        let mut start = Vec::with_capacity(matcher.path.literal_len());
        start.extend(bytes(&matcher.path.literal));
        let literal = start.len();
        if let PathTail::Regex(pattern) = &matcher.path.tail
            && let Ok(pattern) = patterns.parse(&pattern.value)
        {
            let own = pattern.literal().into_iter().flatten();
            start.extend(own.map(|byte| (*byte, false)));
        }
        if start.is_empty() {
            start.push((b'/', false));
        }
        Self {
            start,
            literal,
            tail: (&matcher.path).into(),
            conditions: headers.chain(query).chain(method).collect(),
        }
    }

    /// The same conditions, on other paths: those that start with a text, or (`exact`) the text alone.
    pub(super) fn with_path(&self, text: &str, exact: bool) -> Self {
        Self {
            start: text.bytes().map(|byte| (byte, false)).collect(),
            literal: text.len(),
            tail: if exact { Tail::End } else { Tail::Any },
            conditions: self.conditions.clone(),
        }
    }
}

/// Whether every path that the conditions of a clause leave is one of the paths of an earlier one.
fn covers_path(earlier: &PathMatch, clause: &Clause<'_>) -> bool {
    let same_literal = || covers(&earlier.literal, &clause.start[..clause.literal]);
    match (earlier.into(), clause.tail) {
        (Tail::Any, _) => match earlier.literal_len() {
            0 => true,
            // Every path starts with a slash.
            1 if bytes(&earlier.literal).any(|(byte, _)| byte == b'/') => true,
            len => (clause.start.get(..len)).is_some_and(|text| covers(&earlier.literal, text)),
        },
        (Tail::Suffix(suffix), Tail::Suffix(other)) => {
            let ends: Vec<Byte> = bytes([other]).collect();
            same_literal()
                && (ends.len().checked_sub(suffix.text.len()))
                    .is_some_and(|at| covers([suffix], &ends[at..]))
        }
        (own, other) => own == other && same_literal(),
    }
}

/// Whether every text that `narrow` stands for is one that `wide`, of the same length, stands for.
fn covers<'p>(wide: impl IntoIterator<Item = &'p LiteralPart>, narrow: &[Byte]) -> bool {
    let mut wide = bytes(wide);
    let covered = narrow.iter().all(|narrow| {
        wide.next().is_some_and(|wide| {
            if wide.1 {
                wide.0.eq_ignore_ascii_case(&narrow.0)
            } else {
                wide.0 == narrow.0 && (!narrow.1 || !narrow.0.is_ascii_alphabetic())
            }
        })
    });
    covered && wide.next().is_none()
}

fn bytes<'p>(parts: impl IntoIterator<Item = &'p LiteralPart>) -> impl Iterator<Item = Byte> {
    parts
        .into_iter()
        .flat_map(|part| part.text.bytes().map(|byte| (byte, part.ignore_case)))
}

fn folded(text: impl IntoIterator<Item = Byte>) -> Vec<u8> {
    text.into_iter()
        .map(|(byte, _)| byte.to_ascii_lowercase())
        .collect()
}

impl<'t> From<&'t PathMatch> for Tail<'t> {
    fn from(path: &'t PathMatch) -> Self {
        match &path.tail {
            PathTail::End => Self::End,
            PathTail::Any => Self::Any,
            PathTail::Suffix(suffix) => Self::Suffix(suffix),
            PathTail::Regex(pattern) => Self::Regex(&pattern.value),
        }
    }
}

impl<'t> From<&'t ValueMatch> for Value<'t> {
    fn from(value: &'t ValueMatch) -> Self {
        match value {
            ValueMatch::Present => Self::Present,
            ValueMatch::Exact(text) => Self::Exact(text),
            ValueMatch::Regex(pattern) => Self::Regex(&pattern.value),
        }
    }
}

impl Condition<'_> {
    /// A weaker condition that follows from this one.
    fn weaker(self) -> Option<Self> {
        match self {
            Self::Header {
                name,
                value: Value::Exact(_) | Value::Regex(_),
                invert: false,
            } => Some(Self::Header {
                name,
                value: Value::Present,
                invert: false,
            }),
            Self::Query {
                name,
                value: Value::Exact(_) | Value::Regex(_),
            } => Some(Self::Query {
                name,
                value: Value::Present,
            }),
            _ => None,
        }
    }
}

/// Numbers of conditions, sorted.
type ConditionSet = Vec<u32>;

/// Number of a [`ConditionSet`].
type SetId = u32;

/// A clause seen before.
#[derive(Debug)]
struct Seen<'t> {
    path: &'t PathMatch,
    /// The one before it that is found under the same key.
    before: Option<u32>,
}

/// The clauses seen so far.
#[derive(Debug, Default)]
pub(super) struct Index<'t> {
    clauses: Vec<Seen<'t>>,
    /// The last clause for each path, as a hash of what matters of it, and each set of conditions.
    last: HashMap<(u64, SetId), u32, RandomState>,
    conditions: HashMap<Condition<'t>, u32, RandomState>,
    sets: HashMap<ConditionSet, SetId, RandomState>,
    /// Lengths of the prefixes among them.
    prefix_lengths: BTreeSet<usize>,
    hasher: RandomState,
}

impl<'t> Index<'t> {
    /// Adds the clause of a matcher; its number counts from 0.
    pub(super) fn add(&mut self, clause: &Clause<'t>, matcher: &'t Matcher) -> usize {
        let number = self.clauses.len();
        let mut set = ConditionSet::with_capacity(clause.conditions.len());
        for condition in &clause.conditions {
            let next = self.conditions.len() as u32;
            set.push(*self.conditions.entry(*condition).or_insert(next));
        }
        normalise(&mut set);
        let next = self.sets.len() as SetId;
        let set = *self.sets.entry(set).or_insert(next);
        if clause.tail == Tail::Any {
            self.prefix_lengths.insert(clause.literal);
        }
        let literal = folded(clause.start[..clause.literal].iter().copied());
        let place = (self.place(&literal, clause.tail), set);
        self.clauses.push(Seen {
            path: &matcher.path,
            before: self.last.insert(place, number as u32),
        });
        number
    }

    /// The earliest clause that covers this one.
    pub(super) fn covering(&self, clause: &Clause<'t>) -> Option<usize> {
        let sets = self.weaker_sets(&clause.conditions);
        let start = folded(clause.start.iter().copied());
        let prefixes = self
            .prefix_lengths
            .range(..=start.len())
            .map(|&len| self.place(&start[..len], Tail::Any));
        let same = self.place(&start[..clause.literal], clause.tail);
        prefixes
            .chain([same])
            .flat_map(|place| sets.iter().map(move |&set| (place, set)))
            .filter_map(|key| self.earliest(key, clause))
            .min()
    }

    fn earliest(&self, key: (u64, SetId), clause: &Clause<'t>) -> Option<usize> {
        let mut found = None;
        let mut next = self.last.get(&key).copied();
        while let Some(number) = next {
            let Seen { path, before } = &self.clauses[number as usize];
            // Different paths may have the same hash.
            if covers_path(path, clause) {
                found = Some(number as usize);
            }
            next = *before;
        }
        found
    }

    /// Hash of what clauses have in common that may cover one another, and that they are looked up by: the literal
    /// text in lower case, and what follows it, suffixes without regard to case.
    fn place(&self, literal: &[u8], tail: Tail<'_>) -> u64 {
        let tail = match tail {
            Tail::End => (0, Default::default()),
            Tail::Any => (1, Default::default()),
            Tail::Suffix(suffix) => (2, suffix.text.to_ascii_lowercase()),
            Tail::Regex(pattern) => return self.hasher.hash_one((literal, 3, pattern)),
        };
        self.hasher.hash_one((literal, tail))
    }

    /// Known sets of conditions that all follow from the given ones.
    fn weaker_sets(&self, conditions: &[Condition<'t>]) -> Vec<SetId> {
        let choices: Vec<Vec<u32>> = conditions
            .iter()
            .map(|condition| {
                [Some(*condition), condition.weaker()]
                    .into_iter()
                    .flatten()
                    .filter_map(|condition| self.conditions.get(&condition).copied())
                    .collect()
            })
            .collect();
        let mut sets = vec![ConditionSet::new()];
        if choices.len() > MAX_COMBINED {
            sets.extend(choices.iter().flatten().map(|&number| vec![number]));
            sets.push(
                choices
                    .iter()
                    .filter_map(|numbers| numbers.first().copied())
                    .collect(),
            );
        } else {
            for numbers in &choices {
                for at in 0..sets.len() {
                    for &number in numbers {
                        let mut set = sets[at].clone();
                        set.push(number);
                        sets.push(set);
                    }
                }
            }
        }
        let known = sets.into_iter().filter_map(|mut set| {
            normalise(&mut set);
            self.sets.get(&set).copied()
        });
        let mut known: Vec<SetId> = known.collect();
        normalise(&mut known);
        known
    }
}

fn normalise(numbers: &mut Vec<u32>) {
    numbers.sort_unstable();
    numbers.dedup();
}
