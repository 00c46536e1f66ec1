//! A verified program and its evaluation.

use std::fmt;

use crate::automaton::Automaton;
use crate::decision::{Decision, Match};
use crate::error::{FormatError, FormatErrorKind};
use crate::field::filter_bit;
use crate::format::{CALL, Layout, Section, size, u32_at};
use crate::parameters;
use crate::policy::Services;
use crate::request::{Headers, Request};
use crate::search::Search;
use crate::signature::{Key, ReadyKey};
use crate::tables::{Gateway, Head, HeaderOperations};
use crate::{envelope, read, verify};

/// A routing program, verified and ready to decide.
pub struct Program {
    bytes: Vec<u8>,
    checksum: u64,
    layout: Layout,
    head: Head,
    /// Bits of the header names that matter; see [`filter_bit`].
    field_filter: u64,
    /// The keys of the head, in their order.
    keys: Vec<ReadyKey>,
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
        let checksum = parts.checksum;
        let head: Head = read::from_slice(parts.head)
            .map_err(|error| FormatError::new(FormatErrorKind::Head(error.to_string()), 0))?;
        let layout = verify::verify(&bytes, index_start, &head)?;
        let mut program = Self {
            bytes,
            checksum,
            layout,
            head,
            field_filter: 0,
            keys: Vec::new(),
        };
        program.keys = program.head.keys.iter().filter_map(Key::ready).collect();
        program.field_filter = (0..program.section(Section::Fields).len() / size::STRING_REF)
            .map(|id| filter_bit(program.string_ref(Section::Fields, id)))
            .fold(0, |bits, bit| bits | bit);
        Ok(program)
    }

    /// Decides a request that came in at a gateway (an index into [`Program::gateways`]).
    ///
    /// Does not allocate, unless it has to leave parameters out of the path. Takes time by the length of the path and the number of request headers; the number of
    /// routes does not appear, except that conditions which share a path and cannot be indexed are tried in turn.
    pub fn decide<'p, H: Headers + ?Sized>(
        &'p self,
        gateway: usize,
        request: &Request<'_, H>,
    ) -> Decision<'p> {
        let Some(host) = self.virtual_host(gateway, request.authority) else {
            return Decision::NotFound;
        };
        let mut search = Search::new(self, request);
        let ignores_parameters = self.head.without_parameters.binary_search(&host).is_ok();
        let without;
        if ignores_parameters {
            without = parameters::without(request.path_only());
            search.set_path(&without);
        }
        search
            .first(host)
            .and_then(|chain| Match::new(self, chain, ignores_parameters))
            .map_or(Decision::NotFound, Decision::Route)
    }

    /// The number of the name (see [`Program::root_name`]) of the virtual host that an authority leads to, whichever of its
    /// routes matches or none; of the first one with a route if several share the domain.
    #[cold]
    pub fn host_name(&self, gateway: usize, authority: &[u8]) -> Option<u32> {
        let host = self.virtual_host(gateway, authority)?;
        self.clause_root(self.any_clause(host)?)
    }

    /// The path with query of a request that came in at a gateway, in the form in which it is to be decided and forwarded;
    /// `None` if it has that form.
    pub fn normal_path(&self, gateway: usize, path: &[u8]) -> Option<Vec<u8>> {
        self.head.gateways.get(gateway)?.paths.apply(path)
    }

    /// The services of a gateway, by its number.
    pub fn services(&self, gateway: usize) -> Option<&Services> {
        self.head.services.get(gateway)
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

    /// A number that tells this program from others, in the 53 bits that a float holds exactly.
    pub fn number(&self) -> u64 {
        self.checksum & ((1 << 53) - 1)
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

    /// A key, as it is written and as it is used. The verifier has seen that every key can be used.
    pub(crate) fn key(&self, id: u32) -> Option<(&Key, &ReadyKey)> {
        let id = id as usize;
        Some((self.head.keys.get(id)?, self.keys.get(id)?))
    }

    pub(crate) fn field_filter(&self) -> u64 {
        self.field_filter
    }

    /// What a clause does.
    pub(crate) fn clause(&self, clause: u32) -> Does {
        let clauses = self.section(Section::Clauses);
        let word = u32_at(clauses, clause as usize * size::CLAUSE);
        if word & CALL == 0 {
            return Does::Action(word);
        }
        let at = (word & !CALL) as usize * size::CALL;
        let calls = self.section(Section::Calls);
        Does::Call(Call {
            host: u32_at(calls, at),
            base: u32_at(calls, at + 4),
        })
    }
}

/// What a clause does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Does {
    /// The action of this index.
    Action(u32),
    Call(Call),
}

/// Another virtual host decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) host: u32,
    /// Bytes of the path before what it decides about.
    pub(crate) base: u32,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("generation", &self.head.generation)
            .field("bytes", &self.bytes.len())
            .field("clauses", &self.clauses())
            .finish_non_exhaustive()
    }
}
