//! Regular expressions at run time: deterministic automata as tables, run over bytes.
//!
//! Data of one automaton: `{states:16 | classes:16, start:16 | accepting:16, offset of the class map}`, then
//! `states × classes` transitions of 16 bits. A class map is 256 bytes and may be shared. State 0 is dead; the accepting
//! states are those from `accepting` on.

use crate::format::{padded, u32_at};

/// Bytes before the transitions.
pub(crate) const HEADER: usize = 12;
/// Bytes of a class map.
pub(crate) const CLASS_MAP: usize = 256;

/// One automaton inside a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Automaton<'p> {
    classes: &'p [u8; CLASS_MAP],
    table: &'p [[u8; 2]],
    stride: usize,
    start: usize,
    accepting: usize,
}

impl<'p> Automaton<'p> {
    /// The automaton at an offset of the section; `None` when it does not fit in.
    pub(crate) fn at(section: &'p [u8], offset: usize) -> Option<Self> {
        let data = section.get(offset..)?;
        let (header, data) = data.split_first_chunk::<HEADER>()?;
        let (sizes, states) = (u32_at(header, 0), u32_at(header, 4));
        let stride = (sizes >> 16) as usize;
        let cells = (sizes & 0xffff) as usize * stride;
        let (table, _) = data.get(..cells.checked_mul(2)?)?.as_chunks();
        Some(Self {
            classes: section.get(u32_at(header, 8) as usize..)?.first_chunk()?,
            table,
            stride,
            start: (states & 0xffff) as usize,
            accepting: (states >> 16) as usize,
        })
    }

    /// Runs over one piece of text.
    fn run(&self, mut state: usize, text: &[u8]) -> usize {
        for &byte in text {
            let class = usize::from(self.classes[usize::from(byte)]);
            let next = self.table.get(state * self.stride + class);
            state = next.map_or(0, |next| usize::from(u16::from_le_bytes(*next)));
            if state == 0 {
                break;
            }
        }
        state
    }

    fn accepts_in(&self, state: usize) -> bool {
        state >= self.accepting
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
        HEADER + padded(2 * self.table.len())
    }

    /// Whether every number in it is in range, so that no run can leave it.
    pub(crate) fn is_valid(&self) -> bool {
        let states = self.table.len().checked_div(self.stride).unwrap_or(0);
        let state = |cell: &[u8; 2]| usize::from(u16::from_le_bytes(*cell));
        self.start < states
            && self.accepting > 0
            && self.accepting <= states
            && self
                .classes
                .iter()
                .all(|&class| usize::from(class) < self.stride)
            && self.table.iter().all(|cell| state(cell) < states)
            && self
                .table
                .iter()
                .take(self.stride)
                .all(|cell| state(cell) == 0)
    }
}
