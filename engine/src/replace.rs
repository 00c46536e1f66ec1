//! Replacing what a pattern matches: a small machine that runs a pattern's states side by side, so that no text makes it
//! slow. Patterns come as states, compiled elsewhere.
//!
//! Of the matches that begin first, the one that the pattern prefers wins, as in RE2.

use serde::{Deserialize, Serialize};

/// A pattern and what takes the place of its matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Replacement {
    /// States of the pattern; the first one is where a match begins.
    pub states: Vec<State>,
    /// What a match becomes.
    pub parts: Vec<Part>,
}

/// A state of a pattern. Numbers are those of states.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    /// A byte of one of these ranges leads on.
    Bytes(Vec<(u8, u8, u32)>),
    /// All of these, the preferred ones first.
    Split(Vec<u32>),
    /// The position is kept in a slot: of group *n* the beginning in 2*n*, the end in 2*n* + 1. Group 0 is the match.
    Keep(u32, u32),
    /// A condition on the position.
    Look(Look, u32),
    /// A match ends here.
    Match,
    /// Nothing leads on.
    Fail,
}

/// A condition on a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Look {
    /// Where the text begins.
    Start,
    /// Where the text ends.
    End,
    /// Where a line begins.
    LineStart,
    /// Where a line ends.
    LineEnd,
    /// Between a word and no word; words are ASCII.
    WordBoundary,
    /// Anywhere else.
    NoWordBoundary,
}

/// A part of what a match becomes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Part {
    /// This text.
    Text(String),
    /// What a group has matched; nothing if it has not.
    Group(u32),
}

/// Most groups of a pattern, with the match itself.
pub const MAX_GROUPS: usize = 10;
/// Most states of a pattern.
pub const MAX_STATES: usize = 2_000;
/// Most ranges of a state, which are apart; more would make steps longer.
const MAX_RANGES: usize = 256;
/// Most states that one leads to without a byte: alternatives of the longest pattern, which may be empty.
const MAX_SPLIT: usize = 1 << 15;
/// Most steps that one replacement takes: about 20 ms.
const MAX_STEPS: usize = 2_000_000;

const SLOTS: usize = 2 * MAX_GROUPS;

/// Positions of groups.
type Slots = [Option<usize>; SLOTS];

impl Replacement {
    /// A text in which every match is replaced; `None` if that would take too long.
    pub(crate) fn replace_all(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut machine = Machine::new(&self.states, text);
        let mut out = Vec::with_capacity(text.len());
        let (mut at, mut last_end) = (0, None);
        while at <= text.len() {
            let Some(slots) = machine.find(at, false)? else {
                break;
            };
            let (start, end) = (slots[0].unwrap_or(at), slots[1].unwrap_or(at));
            out.extend_from_slice(text.get(at..start).unwrap_or_default());
            if start == end && last_end == Some(start) {
                // An empty match right after another one is none. The next character stays.
                let length = character_length(text.get(start..).unwrap_or_default());
                out.extend_from_slice(text.get(start..start + length).unwrap_or_default());
                at = start + length;
                if length == 0 {
                    return Some(out);
                }
                continue;
            }
            self.append(text, &slots, &mut out);
            last_end = Some(end);
            at = end;
        }
        out.extend_from_slice(text.get(at..).unwrap_or_default());
        Some(out)
    }

    /// What all of a text becomes; `None` if the pattern does not match all of it, or if that would take too long.
    pub(crate) fn replace_whole(&self, text: &[u8]) -> Option<Vec<u8>> {
        let slots = Machine::new(&self.states, text).find(0, true)??;
        let mut out = Vec::new();
        self.append(text, &slots, &mut out);
        Some(out)
    }

    fn append(&self, text: &[u8], slots: &Slots, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Group(group) => {
                    let slot = |n: usize| slots.get(n).copied().flatten();
                    let first = 2 * *group as usize;
                    if let (Some(start), Some(end)) = (slot(first), slot(first + 1)) {
                        out.extend_from_slice(text.get(start..end).unwrap_or_default());
                    }
                }
            }
        }
    }

    /// Whether every number in it is in range.
    pub(crate) fn is_valid(&self) -> bool {
        let is_state = |state: &u32| (*state as usize) < self.states.len();
        let is_sound = |state: &State| match state {
            State::Bytes(ranges) => {
                ranges.len() <= MAX_RANGES && ranges.iter().all(|(_, _, next)| is_state(next))
            }
            State::Split(states) => states.len() <= MAX_SPLIT && states.iter().all(is_state),
            State::Keep(slot, next) => (*slot as usize) < SLOTS && is_state(next),
            State::Look(_, next) => is_state(next),
            State::Match | State::Fail => true,
        };
        let groups = self.parts.iter().all(|part| match part {
            Part::Text(_) => true,
            Part::Group(group) => (*group as usize) < MAX_GROUPS,
        });
        (1..=MAX_STATES).contains(&self.states.len()) && self.states.iter().all(is_sound) && groups
    }
}

/// Bytes of the first character; one for a byte that is no UTF-8, none at the end.
fn character_length(text: &[u8]) -> usize {
    let Some(&first) = text.first() else { return 0 };
    let length = match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let whole = text
        .get(..length)
        .is_some_and(|c| str::from_utf8(c).is_ok());
    if whole { length } else { 1 }
}

/// States that are alive at a position, the preferred ones first.
#[derive(Default)]
struct Threads {
    list: Vec<(u32, Slots)>,
}

struct Machine<'a> {
    states: &'a [State],
    text: &'a [u8],
    /// For each state, the round in which it was added last.
    added: Vec<usize>,
    round: usize,
    steps: usize,
}

impl<'a> Machine<'a> {
    fn new(states: &'a [State], text: &'a [u8]) -> Self {
        Self {
            states,
            text,
            added: vec![0; states.len()],
            round: 0,
            steps: 0,
        }
    }

    /// The first match that begins at a position or later (at it, and ends at the end, if it has to be all of the text).
    /// The outer `None` says that it would take too long.
    #[expect(clippy::option_option, reason = "too long, or no match")]
    fn find(&mut self, from: usize, is_whole: bool) -> Option<Option<Slots>> {
        let mut found = None;
        let (mut now, mut next) = (Threads::default(), Threads::default());
        self.round += 1;
        for at in from..=self.text.len() {
            if found.is_none() && (at == from || !is_whole) {
                let mut slots = [None; SLOTS];
                slots[0] = Some(at);
                self.add(&mut now, 0, slots, at)?;
            }
            if now.list.is_empty() && (found.is_some() || is_whole) {
                break;
            }
            self.round += 1;
            for (state, mut slots) in now.list.drain(..) {
                self.step()?;
                match self.states.get(state as usize) {
                    Some(State::Match) if !is_whole || at == self.text.len() => {
                        slots[1] = Some(at);
                        found = Some(slots);
                        // Those that come after it are not preferred to it.
                        break;
                    }
                    Some(State::Bytes(ranges)) => {
                        let Some(byte) = self.text.get(at) else {
                            continue;
                        };
                        let range = ranges
                            .iter()
                            .find(|(low, high, _)| (*low..=*high).contains(byte));
                        if let Some((_, _, target)) = range {
                            self.add(&mut next, *target, slots, at + 1)?;
                        }
                    }
                    _ => {}
                }
            }
            std::mem::swap(&mut now, &mut next);
            next.list.clear();
        }
        Some(found)
    }

    fn step(&mut self) -> Option<()> {
        self.steps += 1;
        (self.steps <= MAX_STEPS).then_some(())
    }

    /// Adds a state and all that it leads to without a byte.
    fn add(&mut self, threads: &mut Threads, state: u32, slots: Slots, at: usize) -> Option<()> {
        let mut stack = vec![(state, slots)];
        while let Some((number, mut slots)) = stack.pop() {
            self.step()?;
            let (Some(state), Some(added)) = (
                self.states.get(number as usize),
                self.added.get_mut(number as usize),
            ) else {
                continue;
            };
            if *added == self.round {
                continue;
            }
            *added = self.round;
            match state {
                State::Split(states) => stack.extend(states.iter().rev().map(|s| (*s, slots))),
                State::Keep(slot, next) => {
                    // The ends of the match itself are known without.
                    if let Some(slot) = slots.get_mut(*slot as usize).filter(|_| *slot > 1) {
                        *slot = Some(at);
                    }
                    stack.push((*next, slots));
                }
                State::Look(look, next) => {
                    if self.holds(*look, at) {
                        stack.push((*next, slots));
                    }
                }
                State::Bytes(_) | State::Match => threads.list.push((number, slots)),
                State::Fail => {}
            }
        }
        Some(())
    }

    fn holds(&self, look: Look, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|at| self.text.get(at));
        let after = self.text.get(at);
        let is_word =
            |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        match look {
            Look::Start => before.is_none(),
            Look::End => after.is_none(),
            Look::LineStart => before.is_none_or(|byte| *byte == b'\n'),
            Look::LineEnd => after.is_none_or(|byte| *byte == b'\n'),
            Look::WordBoundary => is_word(before) != is_word(after),
            Look::NoWordBoundary => is_word(before) == is_word(after),
        }
    }
}
