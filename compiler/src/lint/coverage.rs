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
use crate::tree::{LiteralPart, Matcher, PathMatch, PathTail, TextPlace, ValueMatch};

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
    /// Nothing follows the literal text, or a slash.
    whole_segments: bool,
    tail: Tail<'t>,
    /// The path is whole, so it begins with a slash; that of a shared route is what follows a prefix.
    is_whole: bool,
    conditions: Vec<Condition<'t>>,
}

/// What follows the literal text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail<'t> {
    End,
    Any,
    Suffix(&'t LiteralPart),
    Regex(&'t str),
    /// Nothing that is known.
    Unknown,
}

/// A condition beside the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Condition<'t> {
    Header {
        name: &'t str,
        value: Value<'t>,
        invert: bool,
        missing_as_empty: bool,
    },
    Query {
        name: &'t str,
        value: Value<'t>,
    },
    Method(&'t str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value<'t> {
    Present,
    Exact(&'t str),
    Regex(&'t str),
    Text(TextPlace, &'t LiteralPart),
    Range(i64, i64),
}

impl<'t> Clause<'t> {
    /// What a matcher says.
    pub(super) fn new(matcher: &'t Matcher, patterns: &mut Patterns) -> Self {
        let mut clause = Self::shared(matcher, patterns);
        clause.is_whole = true;
        if clause.start.is_empty() {
            clause.start.push((b'/', false));
        }
        clause
    }

    /// What a matcher of a shared route says about what follows the prefix.
    pub(super) fn shared(matcher: &'t Matcher, patterns: &mut Patterns) -> Self {
        let headers = matcher.headers.iter().map(|header| Condition::Header {
            name: &header.name,
            value: (&header.value).into(),
            invert: header.invert,
            missing_as_empty: header.missing_as_empty,
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
        Self {
            start,
            literal,
            whole_segments: matcher.path.whole_segments,
            tail: (&matcher.path).into(),
            is_whole: false,
            conditions: without_consequences(headers.chain(query).chain(method).collect()),
        }
    }

    /// The same conditions, on other paths: those that start with a text, or (`exact`) the text alone.
    pub(super) fn with_path(&self, text: &str, exact: bool) -> Self {
        Self {
            start: text.bytes().map(|byte| (byte, false)).collect(),
            literal: text.len(),
            whole_segments: false,
            tail: if exact { Tail::End } else { Tail::Any },
            is_whole: true,
            conditions: self.conditions.clone(),
        }
    }

    /// The clause below a delegating route, about what follows its prefix, if all its paths begin with that and the
    /// other conditions of the delegating route follow from its own.
    pub(super) fn below(&self, parent: &Self) -> Option<Self> {
        let (prefix, len) = (&parent.start[..parent.literal], parent.literal);
        let begins = match len {
            0 => true,
            _ => covers(prefix.iter().copied(), self.start.get(..len)?),
        };
        if !begins || !parent.conditions.iter().all(|c| self.implies(c)) {
            return None;
        }
        let (literal, tail) = match self.literal.checked_sub(len) {
            Some(literal) => (literal, self.tail),
            None => (0, Tail::Unknown),
        };
        let whole_segments = self.whole_segments && tail != Tail::Unknown;
        Some(Self {
            start: self.start[len..].to_vec(),
            literal,
            whole_segments,
            tail,
            is_whole: self.is_whole && len == 0,
            conditions: self.conditions.clone(),
        })
    }

    /// Whether a condition follows from one of these.
    pub(super) fn implies(&self, condition: &Condition<'t>) -> bool {
        self.conditions
            .iter()
            .any(|own| own == condition || own.weaker().as_ref() == Some(condition))
    }

    /// Literal text at the start, in lower case.
    pub(super) fn literal(&self) -> Vec<u8> {
        folded(self.start[..self.literal].iter().copied())
    }

    /// Text that every path starts with, in lower case.
    pub(super) fn start(&self) -> Vec<u8> {
        folded(self.start.iter().copied())
    }

    /// Whether it takes everything that begins with the literal text.
    pub(super) fn is_prefix(&self) -> bool {
        self.tail == Tail::Any && !self.whole_segments
    }

    /// Whether, on every path, nothing or a slash follows the first `len` bytes, which are part of what it starts with.
    fn ends_segment(&self, len: usize) -> bool {
        match self.start.get(len) {
            Some((next, _)) if *next == b'/' => true,
            _ if len == self.literal => self.whole_segments || self.tail == Tail::End,
            _ => false,
        }
    }

    /// Conditions beside the path.
    pub(super) fn conditions(&self) -> &[Condition<'t>] {
        &self.conditions
    }
}

/// Conditions without those that follow from others.
fn without_consequences(all: Vec<Condition<'_>>) -> Vec<Condition<'_>> {
    let follows = |at: usize| {
        let (condition, mut before) = (&all[at], all[..at].iter());
        before.any(|other| other == condition)
            || all
                .iter()
                .any(|other| other.weaker().as_ref() == Some(condition))
    };
    if (0..all.len()).any(follows) {
        let kept = (0..all.len()).filter(|&at| !follows(at));
        return kept.map(|at| all[at]).collect();
    }
    all
}

/// Whether every path that the conditions of a clause leave is one of the paths of an earlier one.
fn covers_path(earlier: &PathMatch, clause: &Clause<'_>) -> bool {
    let same_literal = || covers(bytes(&earlier.literal), &clause.start[..clause.literal]);
    match (earlier.into(), clause.tail) {
        (Tail::Any, _) if earlier.whole_segments => {
            let len = earlier.literal_len();
            (clause.start.get(..len)).is_some_and(|text| covers(bytes(&earlier.literal), text))
                && clause.ends_segment(len)
        }
        _ if earlier.whole_segments && !clause.whole_segments => false,
        (Tail::Any, _) => match earlier.literal_len() {
            0 => true,
            // Every path starts with a slash.
            1 if clause.is_whole && bytes(&earlier.literal).any(|(byte, _)| byte == b'/') => true,
            len => {
                (clause.start.get(..len)).is_some_and(|text| covers(bytes(&earlier.literal), text))
            }
        },
        (Tail::Suffix(suffix), Tail::Suffix(other)) => {
            let ends: Vec<Byte> = bytes([other]).collect();
            same_literal()
                && (ends.len().checked_sub(suffix.text.len()))
                    .is_some_and(|at| covers(bytes([suffix]), &ends[at..]))
        }
        (own, other) => own == other && same_literal(),
    }
}

/// Whether every text that `narrow` stands for is one that `wide`, of the same length, stands for.
fn covers(mut wide: impl Iterator<Item = Byte>, narrow: &[Byte]) -> bool {
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
            ValueMatch::Text(place, text) => Self::Text(*place, text),
            ValueMatch::Range(start, end) => Self::Range(*start, *end),
        }
    }
}

impl Condition<'_> {
    /// A weaker condition that follows from this one.
    pub(super) fn weaker(self) -> Option<Self> {
        match self {
            Self::Header {
                name,
                value,
                invert: false,
                missing_as_empty: false,
            } if value != Value::Present => Some(Self::Header {
                name,
                value: Value::Present,
                invert: false,
                missing_as_empty: false,
            }),
            Self::Query { name, value } if value != Value::Present => Some(Self::Query {
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
    /// Lengths of the prefixes among them, whether or not they take whole segments only.
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
        self.all_covering(clause).into_iter().min()
    }

    /// All clauses that cover this one.
    pub(super) fn all_covering(&self, clause: &Clause<'t>) -> Vec<usize> {
        let mut numbers = self.candidates(clause);
        // Different paths may have the same hash.
        numbers.retain(|&number| {
            let seen = self.clauses.get(number);
            seen.is_some_and(|seen| covers_path(seen.path, clause))
        });
        numbers
    }

    /// The clauses that this one has to be compared with.
    fn candidates(&self, clause: &Clause<'t>) -> Vec<usize> {
        let mut numbers = Vec::new();
        if self.clauses.is_empty() {
            return numbers;
        }
        let sets = self.weaker_sets(&clause.conditions);
        let start = folded(clause.start.iter().copied());
        let prefixes = self
            .prefix_lengths
            .range(..=start.len())
            .map(|&len| self.place(&start[..len], Tail::Any));
        let same = self.place(&start[..clause.literal], clause.tail);
        for place in prefixes.chain([same]) {
            for &set in &sets {
                let mut next = self.last.get(&(place, set)).copied();
                while let Some(number) = next {
                    numbers.push(number as usize);
                    next = self.clauses[number as usize].before;
                }
            }
        }
        numbers
    }

    /// Hash of what clauses have in common that may cover one another, and that they are looked up by: the literal
    /// text in lower case, and what follows it, suffixes without regard to case.
    fn place(&self, literal: &[u8], tail: Tail<'_>) -> u64 {
        let tail = match tail {
            Tail::End => (0, Default::default()),
            Tail::Any => (1, Default::default()),
            Tail::Suffix(suffix) => (2, suffix.text.to_ascii_lowercase()),
            Tail::Regex(pattern) => return self.hasher.hash_one((literal, 3, pattern)),
            Tail::Unknown => (4, Default::default()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Span;
    use crate::tree::HeaderMatch;

    fn matcher(path: &str, headers: &[(&str, String)]) -> Matcher {
        let header = |(name, value): &(&str, String)| HeaderMatch {
            name: (*name).to_owned(),
            value: ValueMatch::Exact(value.clone()),
            invert: false,
            missing_as_empty: false,
        };
        let mut whole = PathMatch::any();
        path.clone_into(&mut whole.literal[0].text);
        Matcher {
            name: None,
            path: whole,
            headers: headers.iter().map(header).collect(),
            query: Vec::new(),
            method: None,
            span: Span::default(),
        }
    }

    /// How many clauses are compared does not grow with their number, also if all are about one path.
    #[test]
    fn few_of_many_clauses_are_compared() {
        let conditions = |at: usize| {
            [
                ("x-user", format!("u{at}")),
                ("x-kind", format!("k{}", at % 7)),
            ]
        };
        let matchers: Vec<Matcher> = (0..20_000)
            .map(|at| matcher("/", &conditions(at)))
            .collect();
        let mut index = Index::default();
        let mut compared = 0;
        for matcher in &matchers {
            let clause = Clause::new(matcher, &mut Patterns::default());
            compared += index.candidates(&clause).len();
            index.add(&clause, matcher);
        }
        assert_eq!(compared, 0);

        let more = [conditions(7).as_slice(), &[("x-more", "1".to_owned())]].concat();
        let late = matcher("/a", &more);
        let late = Clause::new(&late, &mut Patterns::default());
        assert_eq!(index.candidates(&late), [7]);
        assert_eq!(index.covering(&late), Some(7));
    }
}
