//! A verified program and its evaluation.

use std::fmt;

use crate::automaton::Automaton;
use crate::decision::{Decision, Match};
use crate::envelope;
use crate::error::{FormatError, FormatErrorKind};
use crate::format::{Layout, NONE, Section, SetRef, size, u32_at};
use crate::predicate::Context;
use crate::request::{Headers, Request};
use crate::rule_set::{Candidates, Search, lowest};
use crate::tables::{Gateway, Head, HeaderOperations};
use crate::trie::{Reading, walk};
use crate::verify;

/// A routing program, verified and ready to decide.
pub struct Program {
    bytes: Vec<u8>,
    layout: Layout,
    head: Head,
    /// Bit `n` is set when a header name of length `n` (modulo 64) matters.
    field_lengths: u64,
}

/// Size of a part of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionSize {
    /// Name of the part.
    pub name: &'static str,
    /// Its size in bytes.
    pub bytes: usize,
    /// Number of records, where the part consists of records of one size.
    pub records: Option<usize>,
}

impl Program {
    /// Verifies a program. Takes time in proportion to its size, about 1 ms per MB.
    ///
    /// # Errors
    /// Any bytes that are not a complete and consistent program of this format version. Never panics.
    pub fn new(bytes: Vec<u8>) -> Result<Self, FormatError> {
        let parts = envelope::open(&bytes)?;
        let index_start = bytes.len() - parts.index.len();
        let head: Head = rmp_serde::from_slice(parts.head)
            .map_err(|error| FormatError::new(FormatErrorKind::Head(error.to_string()), 0))?;
        let layout = verify::verify(&bytes, index_start, &head)?;
        let mut program = Self {
            bytes,
            layout,
            head,
            field_lengths: 0,
        };
        program.field_lengths = (0..program.section(Section::Fields).len() / size::STRING_REF)
            .map(|id| 1 << (program.string_ref(Section::Fields, id).len() & 63))
            .fold(0, |lengths, bit: u64| lengths | bit);
        Ok(program)
    }

    /// Decides a request that came in at a gateway (an index into [`Program::gateways`]).
    ///
    /// Does not allocate. Takes time by the length of the path and the number of request headers; the number of
    /// routes does not appear, except that conditions which share a path and cannot be indexed are tried in turn.
    pub fn decide<'p, H: Headers + ?Sized>(
        &'p self,
        gateway: usize,
        request: &Request<'_, H>,
    ) -> Decision<'p> {
        let Some(host) = self.virtual_host(gateway, request.authority) else {
            return Decision::NotFound;
        };
        let clause = self.first_clause(host, request);
        match Match::new(self, clause) {
            Some(found) if clause != NONE => Decision::Route(found),
            _ => Decision::NotFound,
        }
    }

    fn first_clause<H: Headers + ?Sized>(&self, host: u32, request: &Request<'_, H>) -> u32 {
        let path = request.path_only();
        let tries = self.section(Section::Tries);
        let sets = self.section(Section::RuleSets);
        let roots = self
            .section(Section::VirtualHosts)
            .get(host as usize * size::VIRTUAL_HOST..)
            .unwrap_or_default();
        let mut search = Search::new(self, Context::new(self, request));
        let mut candidates = Candidates::new();
        for (n, reading) in READINGS.into_iter().enumerate() {
            let root = u32_at(roots, 4 * n);
            if root == NONE {
                continue;
            }
            walk(tries, root, path, reading, |found| {
                let set = SetRef(found.value);
                // Reversed tries hold suffixes, which leave nothing to test.
                let rest = if reading.reversed {
                    &[]
                } else {
                    path.get(found.depth..).unwrap_or_default()
                };
                if !candidates.push(lowest(sets, set), set, rest) {
                    search.visit(set, rest);
                }
            });
        }
        for (lowest, set, rest) in candidates.iter() {
            if lowest >= search.best {
                break;
            }
            search.visit(set, rest);
        }
        search.best
    }

    /// The gateways it serves.
    pub fn gateways(&self) -> &[Gateway] {
        &self.head.gateways
    }

    /// The cold tables.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Name of this version of the configuration.
    pub fn generation(&self) -> &str {
        &self.head.generation
    }

    /// Size of the program in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// A program is never empty.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Number of clauses: matchers of routes, over all virtual hosts.
    pub fn clauses(&self) -> usize {
        self.section(Section::Clauses).len() / size::CLAUSE
    }

    /// What the program consists of.
    pub fn sections(&self) -> Vec<SectionSize> {
        let index: usize = Section::ALL
            .iter()
            .map(|&section| self.section(section).len())
            .sum();
        let head = SectionSize {
            name: "head",
            bytes: self.bytes.len() - index,
            records: None,
        };
        let sections = Section::ALL.into_iter().map(|section| {
            let bytes = self.section(section).len();
            SectionSize {
                name: section.name(),
                bytes,
                records: section.record_size().map(|size| bytes / size),
            }
        });
        std::iter::once(head).chain(sections).collect()
    }

    pub(crate) fn section(&self, section: Section) -> &[u8] {
        self.bytes
            .get(self.layout.range(section))
            .unwrap_or_default()
    }

    pub(crate) fn string(&self, start: u32, len: u32) -> &[u8] {
        let start = start as usize;
        self.section(Section::Strings)
            .get(start..start + len as usize)
            .unwrap_or_default()
    }

    /// The string of a record of `{string, length}`.
    pub(crate) fn string_ref(&self, section: Section, record: usize) -> &[u8] {
        let (records, at) = (self.section(section), record * size::STRING_REF);
        self.string(u32_at(records, at), u32_at(records, at + 4))
    }

    pub(crate) fn automaton(&self, id: u32) -> Option<Automaton<'_>> {
        let offset = u32_at(
            self.section(Section::Automata),
            id as usize * size::AUTOMATON,
        );
        Automaton::at(self.section(Section::AutomatonData), offset as usize)
    }

    pub(crate) fn header_operations(&self, id: Option<u32>) -> Option<&HeaderOperations> {
        self.head.header_operations.get(id? as usize)
    }

    pub(crate) fn field_lengths(&self) -> u64 {
        self.field_lengths
    }
}

/// How the four tries of a virtual host read a path, in the order of its record.
const READINGS: [Reading; 4] = [
    Reading {
        reversed: false,
        folded: false,
    },
    Reading {
        reversed: false,
        folded: true,
    },
    Reading {
        reversed: true,
        folded: false,
    },
    Reading {
        reversed: true,
        folded: true,
    },
];

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("generation", &self.head.generation)
            .field("bytes", &self.bytes.len())
            .field("clauses", &self.clauses())
            .finish_non_exhaustive()
    }
}
