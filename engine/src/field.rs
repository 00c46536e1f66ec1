//! The header fields and query parameters of a request that a program asks about.
//!
//! Header names of the program are numbered. The headers of a request are looked up once, when the first condition
//! on a header comes up; the cost depends on the number of headers in the request, not on the program.

use crate::compare::same;
use crate::format::Section;
use crate::hash_table::lookup;
use crate::program::Program;
use crate::request::{Headers, Request};

/// Values kept at hand. A request with more headers that matter is answered by looking through all of them.
const SLOTS: usize = 8;

/// The request headers that a program knows.
#[derive(Default)]
pub(crate) struct Fields<'r> {
    values: [(u16, bool, &'r [u8]); SLOTS],
    len: usize,
    overflow: bool,
}

/// A header's value.
#[derive(Clone, Copy)]
pub(crate) enum Field<'r> {
    Missing,
    One(&'r [u8]),
    /// Several header lines, or too many headers to keep: to be read from the request.
    Several,
}

impl<'r> Fields<'r> {
    /// Looks the headers of a request up.
    pub(crate) fn read<H: Headers + ?Sized>(program: &Program, request: &Request<'r, H>) -> Self {
        let mut fields = Self::default();
        for (name, value) in request.headers.iter() {
            if let Some(id) = program.known_field(name) {
                fields.add(id, value);
            }
        }
        fields
    }

    fn add(&mut self, id: u16, value: &'r [u8]) {
        let known = self.values.get_mut(..self.len).unwrap_or_default();
        if let Some(slot) = known.iter_mut().find(|slot| slot.0 == id) {
            slot.1 = true;
        } else if let Some(slot) = self.values.get_mut(self.len) {
            *slot = (id, false, value);
            self.len += 1;
        } else {
            self.overflow = true;
        }
    }

    /// The n-th field that was found; `None` after the last one.
    pub(crate) fn nth(&self, n: usize) -> Option<u16> {
        let known = self.values.get(..self.len)?;
        known.get(n).map(|slot| slot.0)
    }

    /// Whether there were too many to keep.
    pub(crate) fn overflow(&self) -> bool {
        self.overflow
    }

    pub(crate) fn get(&self, id: u16) -> Field<'r> {
        let known = self.values.get(..self.len).unwrap_or_default();
        match known.iter().find(|slot| slot.0 == id) {
            Some((_, false, value)) => Field::One(value),
            Some(_) => Field::Several,
            None if self.overflow => Field::Several,
            None => Field::Missing,
        }
    }
}

/// Values of all lines of one header, in order.
pub(crate) fn lines<'r, H: Headers + ?Sized>(
    request: &Request<'r, H>,
    name: &[u8],
) -> impl Iterator<Item = &'r [u8]> {
    request
        .headers
        .iter()
        .filter(move |(n, _)| same(n, name))
        .map(|(_, value)| value)
}

/// Value of the first query parameter of a name; a parameter without `=` has an empty value.
pub(crate) fn parameter<'r>(query: Option<&'r [u8]>, name: &[u8]) -> Option<&'r [u8]> {
    query?.split(|&b| b == b'&').find_map(|pair| {
        let rest = pair.strip_prefix(name)?;
        if rest.is_empty() {
            Some(rest)
        } else {
            rest.strip_prefix(b"=")
        }
    })
}

/// The bit that stands for a name, and some others, in the filter of a program.
pub(crate) fn filter_bit(name: &[u8]) -> u64 {
    let last = name.last().copied().map_or(0, usize::from);
    1 << ((name.len() * 7 + last) & 63)
}

impl Program {
    /// Number of a header name, if the program asks about it. Most names fail on their length and last letter alone.
    pub(crate) fn known_field(&self, name: &[u8]) -> Option<u16> {
        if self.field_filter() & filter_bit(name) == 0 {
            return None;
        }
        let found = lookup(
            self.section(Section::FieldTable),
            self.section(Section::Strings),
            name,
        )?;
        u16::try_from(found).ok()
    }
}
