//! Regular expressions at run time: deterministic automata as tables, run over bytes.
//!
//! Data of one automaton: `{states:16 | classes:16, start, offset of the class map}`, a bitmap of accepting states,
//! then `states × classes` transitions of 16 bits. A class map is 256 bytes and may be shared. State 0 is dead.

use crate::format::{padded, u16_at, u32_at};

/// Bytes before the bitmap.
pub(crate) const HEADER: usize = 12;
/// Bytes of a class map.
pub(crate) const CLASS_MAP: usize = 256;

/// One automaton inside a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Automaton<'p> {
    classes: &'p [u8],
    accept: &'p [u8],
    table: &'p [u8],
    stride: usize,
    start: usize,
}

impl<'p> Automaton<'p> {
    /// The automaton at an offset of the section; `None` when it does not fit in.
    pub(crate) fn at(section: &'p [u8], offset: usize) -> Option<Self> {
        let data = section.get(offset..)?;
        let word = u32_at(data, 0);
        let (states, stride) = ((word & 0xffff) as usize, (word >> 16) as usize);
        let start = u32_at(data, 4) as usize;
        let map = u32_at(data, 8) as usize;
        let accept_end = HEADER + padded(states.div_ceil(8));
        let table_end =
            accept_end.checked_add(padded(states.checked_mul(stride)?.checked_mul(2)?))?;
        Some(Self {
            classes: section.get(map..map.checked_add(CLASS_MAP)?)?,
            accept: data.get(HEADER..accept_end)?,
            table: data.get(accept_end..table_end)?,
            stride,
            start,
        })
    }

    /// Runs over one piece of text.
    fn run(&self, mut state: usize, text: &[u8]) -> usize {
        for &byte in text {
            let class = usize::from(
                self.classes
                    .get(usize::from(byte))
                    .copied()
                    .unwrap_or_default(),
            );
            state = usize::from(u16_at(self.table, (state * self.stride + class) * 2));
            if state == 0 {
                break;
            }
        }
        state
    }

    fn accepts_in(&self, state: usize) -> bool {
        self.accept
            .get(state / 8)
            .is_some_and(|byte| byte >> (state % 8) & 1 == 1)
    }

    /// Whether the whole text matches.
    pub(crate) fn accepts(&self, text: &[u8]) -> bool {
        self.accepts_in(self.run(self.start, text))
    }

    /// Whether the pieces, joined with commas, match.
    pub(crate) fn accepts_joined<'t>(&self, pieces: impl Iterator<Item = &'t [u8]>) -> bool {
        let mut state = self.start;
        for (n, piece) in pieces.enumerate() {
            if n > 0 {
                state = self.run(state, b",");
            }
            state = self.run(state, piece);
        }
        self.accepts_in(state)
    }

    /// Bytes of its data, without the class map.
    pub(crate) fn size(&self) -> usize {
        HEADER + self.accept.len() + self.table.len()
    }

    /// Whether every number in it is in range, so that no run can leave it.
    pub(crate) fn is_valid(&self, states: usize) -> bool {
        let in_range = |at: usize| usize::from(u16_at(self.table, at * 2)) < states;
        states > 0
            && self.start < states
            && self
                .classes
                .iter()
                .all(|&class| usize::from(class) < self.stride)
            && (0..states * self.stride).all(in_range)
            && (0..self.stride).all(|class| u16_at(self.table, class * 2) == 0)
            && !self.accepts_in(0)
    }
}
