//! Layout of the index: the only place that knows section numbers, record sizes and bit positions.
//!
//! All numbers are little-endian. Offsets are bytes from the start of a section and multiples of four, unless they
//! point into [`Section::Strings`]. The index begins with a table of (offset, length) pairs, one per section.

use std::ops::Range;

/// "No such thing" in a field that holds an index or an offset.
pub(crate) const NONE: u32 = u32::MAX;

/// Flag of a gateway: some of its domains name a port.
pub(crate) const NAMES_PORTS: u32 = 1;

/// Flag of a clause: what it does is decided by another virtual host, to which the rest of the word leads.
pub(crate) const CALL: u32 = 1 << 31;

/// Number of clauses whose names are stored together.
pub(crate) const NAMES_PER_BLOCK: u32 = 8;

/// A part of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Per gateway: exact host table, suffix trie, prefix trie, virtual host of `*`; flags.
    Gateways,
    /// Hash tables of exact hosts; see [`crate::hash_table`].
    Hosts,
    /// Tries over (reversed) host names; their values are virtual hosts.
    HostTries,
    /// Per virtual host: path tries forward, folded, reversed, reversed and folded.
    VirtualHosts,
    /// Tries over paths; their values are rule sets.
    Tries,
    /// Rule sets.
    RuleSets,
    /// Per clause: an action, or [`CALL`] and a call.
    Clauses,
    /// Per call: virtual host, bytes of the path before what it decides about.
    Calls,
    /// Conditions on method, headers and query.
    Predicates,
    /// Per automaton: offset of its data.
    Automata,
    /// Automata.
    AutomatonData,
    /// Per header field used: string, length.
    Fields,
    /// Hash table like those of hosts, from the name of a header field to its number. Empty without any field.
    FieldTable,
    /// Per query parameter used: string, length.
    Parameters,
    /// Names that clauses lie below. Per name: parent, string, length, kind and depth.
    Names,
    /// Per [`NAMES_PER_BLOCK`] clauses: where their names begin.
    NameBlocks,
    /// Names of clauses; see [`crate::clause_name`].
    ClauseNames,
    /// Text that the other sections refer to.
    Strings,
}

impl Section {
    /// Every section, in the order of the table.
    pub(crate) const ALL: [Section; 18] = [
        Section::Gateways,
        Section::Hosts,
        Section::HostTries,
        Section::VirtualHosts,
        Section::Tries,
        Section::RuleSets,
        Section::Clauses,
        Section::Calls,
        Section::Predicates,
        Section::Automata,
        Section::AutomatonData,
        Section::Fields,
        Section::FieldTable,
        Section::Parameters,
        Section::Names,
        Section::NameBlocks,
        Section::ClauseNames,
        Section::Strings,
    ];

    /// Size of a record, for sections that consist of records of one size.
    pub(crate) fn record_size(self) -> Option<usize> {
        match self {
            Section::Gateways => Some(size::GATEWAY),
            Section::VirtualHosts => Some(size::VIRTUAL_HOST),
            Section::Clauses => Some(size::CLAUSE),
            Section::Calls => Some(size::CALL),
            Section::Predicates => Some(size::PREDICATE),
            Section::Automata => Some(size::AUTOMATON),
            Section::Fields | Section::Parameters => Some(size::STRING_REF),
            Section::Names => Some(size::NAME),
            Section::NameBlocks => Some(size::NAME_BLOCK),
            _ => None,
        }
    }

    /// Name for messages and `inspect`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Section::Gateways => "gateways",
            Section::Hosts => "hosts",
            Section::HostTries => "host tries",
            Section::VirtualHosts => "virtual hosts",
            Section::Tries => "path tries",
            Section::RuleSets => "rule sets",
            Section::Clauses => "clauses",
            Section::Calls => "calls",
            Section::Predicates => "predicates",
            Section::Automata => "automata",
            Section::AutomatonData => "automaton data",
            Section::Fields => "header fields",
            Section::FieldTable => "header field table",
            Section::Parameters => "query parameters",
            Section::Names => "names",
            Section::NameBlocks => "clause name blocks",
            Section::ClauseNames => "clause names",
            Section::Strings => "strings",
        }
    }
}

/// Size of the section table.
pub(crate) const TABLE_SIZE: usize = Section::ALL.len() * 8;

/// Record sizes in bytes.
pub(crate) mod size {
    pub(crate) const GATEWAY: usize = 20;
    pub(crate) const VIRTUAL_HOST: usize = 16;
    pub(crate) const CLAUSE: usize = 4;
    pub(crate) const CALL: usize = 8;
    pub(crate) const PREDICATE: usize = 12;
    pub(crate) const AUTOMATON: usize = 4;
    pub(crate) const STRING_REF: usize = 8;
    pub(crate) const NAME: usize = 16;
    pub(crate) const NAME_BLOCK: usize = 4;
}

/// Where the sections of one program are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    /// Absolute byte range of each section in the program.
    ranges: [(u32, u32); Section::ALL.len()],
}

impl Layout {
    pub(crate) fn set(&mut self, section: Section, range: Range<usize>) {
        if let Some(slot) = self.ranges.get_mut(section as usize) {
            *slot = (range.start as u32, range.end as u32);
        }
    }

    pub(crate) fn range(&self, section: Section) -> Range<usize> {
        let (start, end) = self
            .ranges
            .get(section as usize)
            .copied()
            .unwrap_or_default();
        start as usize..end as usize
    }
}

/// Reads a number; zero when it is out of bounds, which a verified program never asks for.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

/// Rounds up to a multiple of four.
pub(crate) const fn padded(len: usize) -> usize {
    (len + 3) & !3
}

/// First word of a trie node: label length, number of children, which values follow.
///
/// The word is followed by the label, padded; the value of paths that end here; the value of paths that go on here;
/// then the children: up to [`NodeHeader::SMALL`] as key bytes, padded, otherwise as a bitmap of 256 bits;
/// then one offset per child, in key order. A child's key byte is not part of its label.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeHeader(pub(crate) u32);

impl NodeHeader {
    /// Longest list of key bytes; nodes with more children have a bitmap.
    pub(crate) const SMALL: usize = 12;

    #[cfg(feature = "write")]
    pub(crate) fn new(label: usize, children: usize, end: bool, prefix: bool) -> Self {
        Self(
            label as u32 | (children as u32) << 16 | u32::from(end) << 25 | u32::from(prefix) << 26,
        )
    }

    pub(crate) fn label_len(self) -> usize {
        (self.0 & 0xffff) as usize
    }

    pub(crate) fn children(self) -> usize {
        (self.0 >> 16 & 0x1ff) as usize
    }

    pub(crate) fn has_end(self) -> bool {
        self.0 >> 25 & 1 == 1
    }

    pub(crate) fn has_prefix(self) -> bool {
        self.0 >> 26 & 1 == 1
    }

    /// Whether bits without a meaning are clear.
    pub(crate) fn is_valid(self) -> bool {
        self.0 >> 27 == 0 && self.children() <= 256
    }

    /// Bytes of the key list or bitmap.
    pub(crate) fn keys_size(self) -> usize {
        if self.children() <= Self::SMALL {
            padded(self.children())
        } else {
            32
        }
    }

    /// Bytes of the whole node.
    pub(crate) fn node_size(self) -> usize {
        4 + padded(self.label_len())
            + 4 * (usize::from(self.has_end()) + usize::from(self.has_prefix()))
            + self.keys_size()
            + 4 * self.children()
    }
}

/// Reference to a rule set: either one clause without predicates in the word itself, or an offset.
///
/// Inline: bit 31 set, bits 24..31 the tail automaton (0 = none, else its number plus one), bits 0..24 the clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SetRef(pub(crate) u32);

impl SetRef {
    /// No set. Not an inline reference, although it looks like one.
    pub(crate) const NONE: Self = Self(NONE);
    const INLINE: u32 = 1 << 31;
    /// One less than fits: an inline reference is never [`SetRef::NONE`].
    #[cfg(feature = "write")]
    const MAX_CLAUSE: u32 = (1 << 24) - 1;

    /// Packs a clause, if its number and its tail's are small enough.
    #[cfg(feature = "write")]
    pub(crate) fn inline(clause: u32, tail: Option<u32>) -> Option<Self> {
        let tail = tail.map_or(0, |tail| tail + 1);
        (clause < Self::MAX_CLAUSE && tail < 1 << 7)
            .then_some(Self(Self::INLINE | tail << 24 | clause))
    }

    /// Clause and tail of an inline reference.
    pub(crate) fn as_inline(self) -> Option<(u32, Option<u32>)> {
        (self.0 & Self::INLINE != 0)
            .then_some((self.0 & 0x00ff_ffff, (self.0 >> 24 & 0x7f).checked_sub(1)))
    }
}

/// Rule sets. The first word holds the kind and a number; the second is the lowest clause in the set (in a list, that of
/// its first entry).
///
/// Tries over header values are stored among the rule sets that they lead to, so that everything refers to what was
/// written before it; the first word of a trie node has a kind of zero.
pub(crate) mod rule_set {
    /// Bits below the kind: the number of entries or slots.
    const BITS: u32 = 27;

    /// `n` entries in clause order, tried in turn: `{clause, predicates:16 | tail:16}` and the predicates. A tail of
    /// 0 is none, one of [`CALL_TAIL`] says that the clause is a call, else it is the automaton's number plus one.
    pub(crate) const LIST: u32 = 1;
    /// The tail of an entry whose clause is a call.
    pub(crate) const CALL_TAIL: u32 = 0xffff;
    /// By the value of one subject: `{subject, rest}` and a hash table from the value to a rule set.
    pub(crate) const SWITCH: u32 = 2;
    /// By the header fields that are there: `{rest}` and `n` pairs `{field, set}` in order of field.
    pub(crate) const FIELDS: u32 = 3;
    /// By the beginning of a value: `{subject, rest, root}` of a trie whose values are rule sets.
    pub(crate) const TRIE: u32 = 4;

    /// Most entries of one set.
    #[cfg(feature = "write")]
    pub(crate) const MAX: usize = (1 << BITS) - 1;

    /// Packs kind and number.
    #[cfg(feature = "write")]
    pub(crate) fn header(kind: u32, n: usize) -> u32 {
        kind << BITS | n as u32
    }

    /// Kind and number.
    pub(crate) fn parse(word: u32) -> (u32, usize) {
        (word >> BITS, (word & ((1 << BITS) - 1)) as usize)
    }
}
