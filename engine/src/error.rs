//! Why a blob of bytes is not a routing program.

use std::fmt;

/// A program that was refused: what is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    kind: FormatErrorKind,
    offset: usize,
}

/// What is wrong with a program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatErrorKind {
    /// The bytes are not a program at all.
    NotAProgram,
    /// The program was written for another version of the format.
    Version {
        /// Major version of the program.
        found: u16,
        /// Major version that this engine reads.
        supported: u16,
    },
    /// The checksum does not fit the contents.
    Checksum,
    /// The head could not be read.
    Head(String),
    /// A part of the program is out of its bounds.
    OutOfBounds(&'static str),
    /// A part of the program breaks a rule of the format.
    Invalid(&'static str),
}

impl FormatError {
    #[cold]
    pub(crate) fn new(kind: FormatErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    #[cold]
    pub(crate) fn out_of_bounds(what: &'static str, offset: usize) -> Self {
        Self::new(FormatErrorKind::OutOfBounds(what), offset)
    }

    #[cold]
    pub(crate) fn invalid(what: &'static str, offset: usize) -> Self {
        Self::new(FormatErrorKind::Invalid(what), offset)
    }

    /// What is wrong.
    pub fn kind(&self) -> &FormatErrorKind {
        &self.kind
    }

    /// Byte offset in the program of the part that is wrong.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FormatErrorKind::NotAProgram => write!(f, "not a meshgate routing program")?,
            FormatErrorKind::Version { found, supported } => {
                write!(
                    f,
                    "routing program of format version {found}, but only version {supported} is supported"
                )?;
            }
            FormatErrorKind::Checksum => write!(
                f,
                "checksum of the routing program does not match its contents"
            )?,
            FormatErrorKind::Head(reason) => {
                write!(f, "head of the routing program cannot be read: {reason}")?
            }
            FormatErrorKind::OutOfBounds(what) => write!(f, "{what} is out of bounds")?,
            FormatErrorKind::Invalid(what) => write!(f, "{what}")?,
        }
        write!(f, " (at offset {:#x})", self.offset)
    }
}

impl std::error::Error for FormatError {}
