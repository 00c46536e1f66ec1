//! For tests and fuzzers: programs that are broken inside an intact envelope, so that the verifier gets to see them.

use std::ops::Range;

use crate::envelope;

/// What an envelope holds, whatever its checksum says.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// MessagePack of [`crate::Head`].
    pub head: &'a [u8],
    /// The raw sections.
    pub index: &'a [u8],
    /// What follows the program.
    pub rest: &'a [u8],
}

/// Takes a program apart.
pub fn parts(program: &[u8]) -> Option<Parts<'_>> {
    let parts = envelope::open_unchecked(program)?;
    let end = parts.index.as_ptr_range().end as usize - program.as_ptr() as usize;
    Some(Parts {
        head: parts.head,
        index: parts.index,
        rest: program.get(end..)?,
    })
}

/// Puts an envelope with the right checksum around the parts of a program.
pub fn seal(head: &[u8], index: &[u8]) -> Option<Vec<u8>> {
    envelope::seal(head, index).ok()
}

/// Where the index of a program is.
pub fn index_range(program: &[u8]) -> Option<Range<usize>> {
    let parts = parts(program)?;
    let end = program.len() - parts.rest.len();
    Some(end - parts.index.len()..end)
}

/// The same program with a checksum that fits its contents.
pub fn reseal(program: &[u8]) -> Option<Vec<u8>> {
    let parts = parts(program)?;
    seal(parts.head, parts.index)
}
