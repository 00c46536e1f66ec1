//! Verification: after it, no number in a program leads out of bounds, in a circle or to the wrong kind of thing.
//!
//! One pass over each section, in an order in which everything a section refers to is known before: strings, then
//! what names and conditions are made of, then rule sets, tries, hosts. Records of varying size are parsed one after
//! the other; references to them must point at the start of one that was parsed before, so there are no cycles.

mod automata;
mod clauses;
mod head;
mod rule_sets;
mod tries;

use crate::error::FormatError;
use crate::format::{CALL, Layout, NONE, Section, SetRef, TABLE_SIZE, size, u32_at};
use crate::hash_table;
use crate::name::{MAX_DEPTH, Segment};
use crate::predicate::{Kind, Predicate};
use crate::tables::Head;

/// Checks everything inside the envelope. `start` is where the index begins.
pub(crate) fn verify(bytes: &[u8], start: usize, head: &Head) -> Result<Layout, FormatError> {
    let layout = sections(bytes, start)?;
    let v = Verifier {
        bytes,
        layout: &layout,
        head,
    };
    let records = head::Records {
        automata: v.records(Section::Automata),
        predicates: v.records(Section::Predicates),
    };
    head::verify(head, records)?;
    v.string_refs(Section::Fields)?;
    v.string_refs(Section::Parameters)?;
    v.field_table()?;
    v.names()?;
    v.automata()?;
    v.predicates()?;
    v.calls()?;
    v.clauses()?;
    v.clause_names()?;
    let sets = v.rule_sets()?;
    let tries = v.tries(Section::Tries, |value| v.set_ref(SetRef(value), &sets))?;
    v.virtual_hosts(&tries)?;
    let virtual_hosts = v.records(Section::VirtualHosts);
    let host_tries = v.tries(Section::HostTries, |value| (value as usize) < virtual_hosts)?;
    let tables = v.host_tables(virtual_hosts)?;
    v.gateways(&tables, &host_tries, virtual_hosts)?;
    Ok(layout)
}

/// Reads the section table.
fn sections(bytes: &[u8], start: usize) -> Result<Layout, FormatError> {
    let mut layout = Layout::default();
    let index = bytes.get(start..).unwrap_or_default();
    if index.len() < TABLE_SIZE {
        return Err(FormatError::out_of_bounds("section table", start));
    }
    if u32::try_from(bytes.len()).is_err() {
        return Err(FormatError::invalid("program is larger than 4 GiB", 0));
    }
    for (n, section) in Section::ALL.into_iter().enumerate() {
        let (at, len) = (
            u32_at(index, 8 * n) as usize,
            u32_at(index, 8 * n + 4) as usize,
        );
        let end = at
            .checked_add(len)
            .filter(|&end| at >= TABLE_SIZE && end <= index.len());
        let end = end.ok_or(FormatError::out_of_bounds(section.name(), start + 8 * n))?;
        if section.record_size().is_some_and(|size| len % size != 0) {
            return Err(FormatError::invalid(
                "length of a section is not a multiple of its record size",
                start + 8 * n,
            ));
        }
        layout.set(section, start + at..start + end);
    }
    Ok(layout)
}

/// Offsets at which a record starts: one bit per word of a section.
struct Starts(Vec<u64>);

impl Starts {
    fn new(section_len: usize) -> Self {
        Self(vec![0; section_len.div_ceil(256)])
    }

    fn insert(&mut self, offset: usize) {
        if let Some(word) = self.0.get_mut(offset / 256) {
            *word |= 1 << (offset / 4 % 64);
        }
    }

    fn contains(&self, offset: u32) -> bool {
        let offset = offset as usize;
        offset.is_multiple_of(4)
            && self
                .0
                .get(offset / 256)
                .is_some_and(|word| word >> (offset / 4 % 64) & 1 == 1)
    }
}

struct Verifier<'a> {
    bytes: &'a [u8],
    layout: &'a Layout,
    head: &'a Head,
}

impl<'a> Verifier<'a> {
    fn section(&self, section: Section) -> &'a [u8] {
        self.bytes
            .get(self.layout.range(section))
            .unwrap_or_default()
    }

    fn records(&self, section: Section) -> usize {
        self.section(section).len() / section.record_size().unwrap_or(1)
    }

    fn invalid(&self, what: &'static str, section: Section, at: usize) -> FormatError {
        FormatError::invalid(what, self.layout.range(section).start + at)
    }

    fn is_string(&self, start: u32, len: u32) -> bool {
        u64::from(start) + u64::from(len) <= self.section(Section::Strings).len() as u64
    }

    fn string_refs(&self, section: Section) -> Result<(), FormatError> {
        let records = self.section(section);
        for at in (0..records.len()).step_by(size::STRING_REF) {
            if !self.is_string(u32_at(records, at), u32_at(records, at + 4)) {
                return Err(self.invalid("string is out of bounds", section, at));
            }
        }
        Ok(())
    }

    fn field_table(&self) -> Result<(), FormatError> {
        let (table, fields) = (
            self.section(Section::FieldTable),
            self.records(Section::Fields),
        );
        if fields > usize::from(u16::MAX)
            || self.records(Section::Parameters) > usize::from(u16::MAX)
        {
            return Err(self.invalid(
                "too many header fields or query parameters",
                Section::Fields,
                0,
            ));
        }
        if table.is_empty() && fields == 0 {
            return Ok(());
        }
        let len = self.hash_table(Section::FieldTable, 0, |value| (value as usize) < fields)?;
        if len != table.len() {
            return Err(self.invalid(
                "header field table has a wrong size",
                Section::FieldTable,
                len,
            ));
        }
        Ok(())
    }

    /// Checks the hash table at an offset. Returns its size.
    fn hash_table(
        &self,
        section: Section,
        at: usize,
        is_value: impl Fn(u32) -> bool,
    ) -> Result<usize, FormatError> {
        let table = self.section(section).get(at..).unwrap_or_default();
        let slots = Some(u32_at(table, 0) as usize).filter(|&slots| slots > 0);
        let len = slots.and_then(|slots| {
            slots
                .checked_mul(hash_table::SLOT)?
                .checked_add(hash_table::HEADER)
        });
        let len = len.filter(|&len| table.len() >= len);
        let len = len.ok_or(self.invalid("hash table is out of bounds", section, at))?;
        for slot in (hash_table::HEADER..len).step_by(hash_table::SLOT) {
            let value = u32_at(table, slot + 8);
            let key_len = hash_table::key_len(u32_at(table, slot + 4));
            if value != NONE && !(is_value(value) && self.is_string(u32_at(table, slot), key_len)) {
                return Err(self.invalid("hash table refers to nothing", section, at + slot));
            }
        }
        Ok(len)
    }

    fn names(&self) -> Result<(), FormatError> {
        let section = self.section(Section::Names);
        for id in 0..self.records(Section::Names) as u32 {
            let segment = Segment::at(section, id);
            let depth = match segment.parent {
                NONE => 0,
                parent if parent < id => Segment::at(section, parent).depth + 1,
                _ => MAX_DEPTH + 1,
            };
            let is_valid = segment.depth == depth
                && depth <= MAX_DEPTH
                && segment.kind.is_some()
                && self.is_string(segment.string, segment.len);
            if !is_valid {
                return Err(self.invalid(
                    "name is malformed",
                    Section::Names,
                    id as usize * size::NAME,
                ));
            }
        }
        Ok(())
    }

    fn predicates(&self) -> Result<(), FormatError> {
        let section = self.section(Section::Predicates);
        for id in 0..self.records(Section::Predicates) as u32 {
            let predicate = Predicate::at(section, id);
            let field = usize::from(predicate.field);
            let (is_header, is_parameter) = (
                field < self.records(Section::Fields),
                field < self.records(Section::Parameters),
            );
            let is_string = self.is_string(predicate.a, predicate.b);
            let is_automaton = (predicate.a as usize) < self.records(Section::Automata);
            let is_valid = match predicate.kind {
                Some(Kind::Method) => is_string,
                Some(Kind::HeaderPresent) => is_header,
                Some(Kind::HeaderExact) => is_header && is_string,
                Some(Kind::HeaderRegex) => is_header && is_automaton,
                Some(Kind::HeaderRange) => is_header && is_string && predicate.b == 16,
                Some(Kind::ParameterPresent) => is_parameter,
                Some(Kind::ParameterExact) => is_parameter && is_string,
                Some(Kind::ParameterRegex) => is_parameter && is_automaton,
                None => false,
            };
            if !is_valid {
                let at = id as usize * size::PREDICATE;
                return Err(self.invalid("predicate is malformed", Section::Predicates, at));
            }
        }
        Ok(())
    }

    fn is_tail(&self, tail: Option<u32>) -> bool {
        tail.is_none_or(|tail| (tail as usize) < self.records(Section::Automata))
    }

    /// Whether there is such a clause, and whether it is a call or not.
    fn is_clause(&self, clause: u32, is_call: bool) -> bool {
        let at = clause as usize * size::CLAUSE;
        (clause as usize) < self.records(Section::Clauses)
            && (u32_at(self.section(Section::Clauses), at) & CALL != 0) == is_call
    }

    fn virtual_hosts(&self, tries: &Starts) -> Result<(), FormatError> {
        let records = self.section(Section::VirtualHosts);
        for at in (0..records.len()).step_by(4) {
            let root = u32_at(records, at);
            if root != NONE && !tries.contains(root) {
                return Err(self.invalid(
                    "virtual host refers to nothing",
                    Section::VirtualHosts,
                    at,
                ));
            }
        }
        Ok(())
    }

    fn host_tables(&self, virtual_hosts: usize) -> Result<Starts, FormatError> {
        let len = self.section(Section::Hosts).len();
        let mut starts = Starts::new(len);
        let mut at = 0;
        while at < len {
            starts.insert(at);
            at += self.hash_table(Section::Hosts, at, |value| (value as usize) < virtual_hosts)?;
        }
        Ok(starts)
    }

    fn gateways(
        &self,
        tables: &Starts,
        tries: &Starts,
        virtual_hosts: usize,
    ) -> Result<(), FormatError> {
        let records = self.section(Section::Gateways);
        if self.records(Section::Gateways) != self.head.gateways.len() {
            return Err(self.invalid(
                "number of gateways differs from the head",
                Section::Gateways,
                0,
            ));
        }
        for at in (0..records.len()).step_by(size::GATEWAY) {
            let field = |n: usize| u32_at(records, at + 4 * n);
            let is_valid = (field(0) == NONE || tables.contains(field(0)))
                && (field(1) == NONE || tries.contains(field(1)))
                && (field(2) == NONE || tries.contains(field(2)))
                && (field(3) == NONE || (field(3) as usize) < virtual_hosts);
            if !is_valid {
                return Err(self.invalid("gateway refers to nothing", Section::Gateways, at));
            }
        }
        Ok(())
    }
}
