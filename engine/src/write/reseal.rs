//! For tests and fuzzers: programs that are broken inside an intact envelope, so that the verifier gets to see them.

use std::ops::Range;

use crate::envelope;

/// Where the index of a program is.
pub fn index_range(program: &[u8]) -> Option<Range<usize>> {
    let parts = envelope::open_unchecked(program)?;
    Some(program.len() - parts.index.len()..program.len())
}

/// The same program with a checksum that fits its contents.
pub fn reseal(program: &[u8]) -> Option<Vec<u8>> {
    let parts = envelope::open_unchecked(program)?;
    envelope::seal(parts.head, parts.index).ok()
}
