//! The outermost layer of a program: a MessagePack array that says what it is, and whether it is whole.
//!
//! The envelope itself never changes. The major version covers everything inside it.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh64::xxh64;

use crate::error::{FormatError, FormatErrorKind};
use crate::read;

/// Version of the format. A program of another major version is refused.
pub const MAJOR_VERSION: u16 = 1;
/// Raised by additions that older engines may ignore.
pub const MINOR_VERSION: u16 = 0;

const MAGIC: &str = "meshgate";

/// The six fields, in order. The index comes last, so that it ends where the program ends and needs no copy.
#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    magic: &'a str,
    major: u16,
    minor: u16,
    checksum: u64,
    #[serde(with = "serde_bytes")]
    head: &'a [u8],
    #[serde(with = "serde_bytes")]
    index: &'a [u8],
}

/// The two parts inside an envelope.
pub(crate) struct Parts<'a> {
    /// MessagePack of [`crate::Head`].
    pub(crate) head: &'a [u8],
    /// The raw sections. Ends at the end of the program.
    pub(crate) index: &'a [u8],
    /// The checksum of both.
    pub(crate) checksum: u64,
}

/// Detects damage, not malice: every part is verified anyway.
fn checksum(head: &[u8], index: &[u8]) -> u64 {
    xxh64(index, xxh64(head, 0))
}

/// Opens an envelope.
pub(crate) fn open(bytes: &[u8]) -> Result<Parts<'_>, FormatError> {
    let not_a_program = || FormatError::new(FormatErrorKind::NotAProgram, 0);
    let envelope: Envelope<'_> = read::from_slice(bytes).map_err(|_| not_a_program())?;
    if envelope.magic != MAGIC {
        return Err(not_a_program());
    }
    if envelope.major != MAJOR_VERSION {
        let kind = FormatErrorKind::Version {
            found: envelope.major,
            supported: MAJOR_VERSION,
        };
        return Err(FormatError::new(kind, 0));
    }
    if envelope.index.as_ptr_range().end != bytes.as_ptr_range().end {
        return Err(FormatError::invalid(
            "bytes follow the routing program",
            bytes.len(),
        ));
    }
    if envelope.checksum != checksum(envelope.head, envelope.index) {
        return Err(FormatError::new(FormatErrorKind::Checksum, 0));
    }
    Ok(Parts {
        head: envelope.head,
        index: envelope.index,
        checksum: envelope.checksum,
    })
}

/// Opens an envelope whatever its checksum says.
#[cfg(feature = "write")]
pub(crate) fn open_unchecked(bytes: &[u8]) -> Option<Parts<'_>> {
    let envelope: Envelope<'_> = read::from_slice(bytes).ok()?;
    Some(Parts {
        head: envelope.head,
        index: envelope.index,
        checksum: envelope.checksum,
    })
}

/// Puts an envelope around the parts.
#[cfg(feature = "write")]
pub(crate) fn seal(head: &[u8], index: &[u8]) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    rmp_serde::to_vec(&Envelope {
        magic: MAGIC,
        major: MAJOR_VERSION,
        minor: MINOR_VERSION,
        checksum: checksum(head, index),
        head,
        index,
    })
}
