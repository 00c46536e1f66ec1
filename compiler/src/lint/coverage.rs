//! Which earlier matcher takes everything that a later one matches.
//!
//! A matcher covers another one if each of its parts is the same or weaker: its path takes every path of the other,
//! and each of its header, query and method conditions follows from one of the other's. Only what can be told from the
//! conditions as written counts, so nothing is called covered that is not; two regexes are compared as text.
//!
//! The index finds a covering matcher by hash, per length of the path prefixes in use and per combination of weaker
//! conditions, so that its cost does not grow with the number of matchers.

use std::collections::{BTreeSet, HashMap};

use crate::regex::Regex;
use crate::tree::{LiteralPart, Matcher, PathMatch, PathTail, ValueMatch};

/// With more conditions than this, only their whole set, single ones and none are tried as weaker sets.
const MAX_COMBINED: usize = 6;

/// A byte of literal text, and whether its case is ignored.
type Byte = (u8, bool);

/// What is compared of a matcher.
#[derive(Clone, Debug)]
pub(super) struct Clause<'t> {
    /// Literal text at the start of the path.
    literal: Vec<Byte>,
    tail: Tail<'t>,
    /// Text that every matching path starts with: the literal text, a regex's own start, at least `/` if it is whole.
    start: Vec<Byte>,
    /// The path is whole, so it begins with a slash; that of a shared route is what follows a prefix.
    is_whole: bool,
    conditions: Vec<Condition<'t>>,
}

/// What follows the literal text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Tail<'t> {
    End,
    Any,
    Suffix(Vec<Byte>),
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
}

impl<'t> Clause<'t> {
    /// What a matcher says.
    pub(super) fn new(matcher: &'t Matcher) -> Self {
        let mut clause = Self::shared(matcher);
        clause.is_whole = true;
        if clause.start.is_empty() {
            clause.start.push((b'/', false));
        }
        clause
    }

    /// What a matcher of a shared route says about what follows the prefix.
    pub(super) fn shared(matcher: &'t Matcher) -> Self {
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
        let mut clause = Self::path(&matcher.path);
        let all: Vec<Condition<'_>> = headers.chain(query).chain(method).collect();
        let follows = |condition: &Condition<'_>| {
            all.iter()
                .any(|other| other.weaker().as_ref() == Some(condition))
        };
        for condition in all.iter().filter(|condition| !follows(condition)) {
            if !clause.conditions.contains(condition) {
                clause.conditions.push(*condition);
            }
        }
        clause
    }

    /// The same conditions, on other paths: those that start with a text, or (`exact`) the text alone.
    pub(super) fn with_path(&self, text: &str, exact: bool) -> Self {
        let literal: Vec<Byte> = text.bytes().map(|byte| (byte, false)).collect();
        Self {
            start: literal.clone(),
            literal,
            tail: if exact { Tail::End } else { Tail::Any },
            is_whole: true,
            conditions: self.conditions.clone(),
        }
    }

    fn path(path: &'t PathMatch) -> Self {
        let literal: Vec<Byte> = path.literal.iter().flat_map(bytes).collect();
        let mut start = literal.clone();
        let tail = match &path.tail {
            PathTail::End => Tail::End,
            PathTail::Any => Tail::Any,
            PathTail::Suffix(suffix) => Tail::Suffix(bytes(suffix).collect()),
            PathTail::Regex(pattern) => {
                if let Ok(regex) = Regex::parse(&pattern.value) {
                    start.extend(
                        regex
                            .split_literal()
                            .0
                            .into_iter()
                            .map(|byte| (byte, false)),
                    );
                }
                Tail::Regex(&pattern.value)
            }
        };
        Self {
            literal,
            tail,
            start,
            is_whole: false,
            conditions: Vec::new(),
        }
    }

    /// The clause below a delegating route, about what follows its prefix, if all its paths begin with that and the
    /// other conditions of the delegating route follow from its own.
    pub(super) fn below(&self, parent: &Self) -> Option<Self> {
        let len = parent.literal.len();
        if !parent.covers_path(self) || !parent.conditions.iter().all(|c| self.implies(c)) {
            return None;
        }
        if len == 0 {
            return Some(self.clone());
        }
        let (literal, tail) = match self.literal.get(len..) {
            Some(literal) => (literal.to_vec(), self.tail.clone()),
            None => (Vec::new(), Tail::Unknown),
        };
        Some(Self {
            literal,
            tail,
            start: self.start.get(len..).unwrap_or_default().to_vec(),
            is_whole: false,
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
        folded(&self.literal)
    }

    /// Text that every path starts with, in lower case.
    pub(super) fn start(&self) -> Vec<u8> {
        folded(&self.start)
    }

    /// Conditions beside the path.
    pub(super) fn conditions(&self) -> &[Condition<'t>] {
        &self.conditions
    }

    /// Whether every path of `other` is one of this clause's paths.
    fn covers_path(&self, other: &Self) -> bool {
        match (&self.tail, &other.tail) {
            (Tail::Any, _) if self.literal.is_empty() => true,
            (Tail::Any, _) if other.is_whole && matches!(self.literal.as_slice(), [(b'/', _)]) => {
                true
            }
            (Tail::Any, _) => other
                .start
                .get(..self.literal.len())
                .is_some_and(|text| covers(&self.literal, text)),
            (Tail::Suffix(suffix), Tail::Suffix(other_suffix)) => {
                covers(&self.literal, &other.literal)
                    && other_suffix
                        .len()
                        .checked_sub(suffix.len())
                        .is_some_and(|at| covers(suffix, &other_suffix[at..]))
            }
            (own, other_tail) => own == other_tail && covers(&self.literal, &other.literal),
        }
    }
}

/// Whether every text that `narrow` stands for is one that `wide`, of the same length, stands for.
fn covers(wide: &[Byte], narrow: &[Byte]) -> bool {
    wide.len() == narrow.len()
        && wide.iter().zip(narrow).all(|(wide, narrow)| {
            if wide.1 {
                wide.0.eq_ignore_ascii_case(&narrow.0)
            } else {
                wide.0 == narrow.0 && (!narrow.1 || !narrow.0.is_ascii_alphabetic())
            }
        })
}

fn bytes(part: &LiteralPart) -> impl Iterator<Item = Byte> {
    part.text.bytes().map(|byte| (byte, part.ignore_case))
}

fn folded(text: &[Byte]) -> Vec<u8> {
    text.iter()
        .map(|(byte, _)| byte.to_ascii_lowercase())
        .collect()
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
    pub(super) fn weaker(self) -> Option<Self> {
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

/// Clauses with one literal text, by what follows it and by conditions.
type Slot<'t> = HashMap<Tail<'t>, HashMap<ConditionSet, Vec<usize>>>;

/// The clauses seen so far.
#[derive(Debug, Default)]
pub(super) struct Index<'t> {
    clauses: Vec<Clause<'t>>,
    numbers: HashMap<Condition<'t>, u32>,
    /// Clauses by literal text, in lower case.
    slots: HashMap<Vec<u8>, Slot<'t>>,
    /// Lengths of the prefixes among them.
    prefix_lengths: BTreeSet<usize>,
}

impl<'t> Index<'t> {
    /// Adds a clause; its number counts from 0.
    pub(super) fn add(&mut self, clause: Clause<'t>) -> usize {
        let number = self.clauses.len();
        let mut set = ConditionSet::with_capacity(clause.conditions.len());
        for condition in &clause.conditions {
            let next = self.numbers.len() as u32;
            set.push(*self.numbers.entry(*condition).or_insert(next));
        }
        normalise(&mut set);
        if clause.tail == Tail::Any {
            self.prefix_lengths.insert(clause.literal.len());
        }
        self.slots
            .entry(folded(&clause.literal))
            .or_default()
            .entry(folded_tail(&clause.tail))
            .or_default()
            .entry(set)
            .or_default()
            .push(number);
        self.clauses.push(clause);
        number
    }

    /// The clause of a number.
    pub(super) fn clause(&self, number: usize) -> Option<&Clause<'t>> {
        self.clauses.get(number)
    }

    /// The earliest clause that covers this one.
    pub(super) fn covering(&self, clause: &Clause<'t>) -> Option<usize> {
        self.all_covering(clause).into_iter().min()
    }

    /// All clauses that cover this one.
    pub(super) fn all_covering(&self, clause: &Clause<'t>) -> Vec<usize> {
        if self.clauses.is_empty() {
            return Vec::new();
        }
        let sets = self.weaker_sets(&clause.conditions);
        let start = folded(&clause.start);
        let prefixes = self
            .prefix_lengths
            .range(..=start.len())
            .filter_map(|&len| self.slots.get(&start[..len])?.get(&Tail::Any));
        let same = self
            .slots
            .get(&folded(&clause.literal))
            .and_then(|tails| tails.get(&folded_tail(&clause.tail)));
        prefixes
            .chain(same)
            .flat_map(|by_conditions| sets.iter().filter_map(|set| by_conditions.get(set)))
            .flatten()
            .copied()
            .filter(|&earlier| self.clauses[earlier].covers_path(clause))
            .collect()
    }

    /// Clauses for all paths that begin with a text that this one (in lower case) begins with, and is longer than.
    pub(super) fn prefixes_of(&self, text: &[u8]) -> Vec<usize> {
        self.prefix_lengths
            .range(..text.len())
            .filter_map(|&len| self.slots.get(&text[..len])?.get(&Tail::Any))
            .flat_map(HashMap::values)
            .flatten()
            .copied()
            .collect()
    }

    /// Sets of known conditions that all follow from the given ones.
    fn weaker_sets(&self, conditions: &[Condition<'t>]) -> Vec<ConditionSet> {
        let choices: Vec<Vec<u32>> = conditions
            .iter()
            .map(|condition| {
                [Some(*condition), condition.weaker()]
                    .into_iter()
                    .flatten()
                    .filter_map(|condition| self.numbers.get(&condition).copied())
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
        for set in &mut sets {
            normalise(set);
        }
        sets.sort();
        sets.dedup();
        sets
    }
}

fn normalise(set: &mut ConditionSet) {
    set.sort_unstable();
    set.dedup();
}

/// Suffixes are looked up without regard to case.
fn folded_tail<'t>(tail: &Tail<'t>) -> Tail<'t> {
    match tail {
        Tail::Suffix(suffix) => Tail::Suffix(
            suffix
                .iter()
                .map(|(byte, _)| (byte.to_ascii_lowercase(), false))
                .collect(),
        ),
        other => other.clone(),
    }
}
