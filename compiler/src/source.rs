//! Source files and places in them.
//!
//! Every value that comes from a file keeps a [`Span`], so that every later stage can point at the text it
//! complains about. Offsets are bytes; lines and columns are computed only when a place is printed.

use std::fmt;
use std::ops::Deref;

/// Index of a file in a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileId(pub u32);

/// A range of bytes in one file. Ordered by file, then position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

/// A value and the place it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Puts a value and its place together.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// One input file.
#[derive(Debug)]
pub struct SourceFile {
    /// Name as given by the user, `<stdin>` for standard input.
    pub name: String,
    /// The text.
    pub text: String,
    /// Cluster whose inventory this is; absent for ordinary input.
    pub cluster: Option<String>,
    /// Where every [`LINES`]th line starts.
    line_starts: Vec<u32>,
}

/// How many lines are skipped from one known start of a line to the next.
const LINES: usize = 32;

/// All input files of one run.
#[derive(Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

/// A place as people read it; line and column count from 1, columns count characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl SourceMap {
    /// Adds a file. Its text must be shorter than 4 GiB; the reader enforces a much lower limit.
    pub fn add(&mut self, name: String, text: String) -> FileId {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at as u32 + 1))
            .step_by(LINES)
            .collect();
        self.files.push(SourceFile {
            name,
            text,
            cluster: None,
            line_starts,
        });
        FileId(self.files.len() as u32 - 1)
    }

    /// Adds a file of the inventory of a cluster.
    pub fn add_inventory(&mut self, cluster: &str, name: String, text: String) -> FileId {
        let id = self.add(name, text);
        self.declare(id.0 as usize, Some(cluster));
        id
    }

    /// Declares a file, by its position, to be part of the inventory of a cluster, if one is given. `false` if it is part of
    /// that of another cluster: two clusters may have the same in them.
    pub(crate) fn declare(&mut self, at: usize, cluster: Option<&str>) -> bool {
        let (Some(file), Some(cluster)) = (self.files.get_mut(at), cluster) else {
            return true;
        };
        *file.cluster.get_or_insert_with(|| cluster.to_owned()) == cluster
    }

    /// The file of an id that this map gave out.
    pub fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.0 as usize)
    }

    /// All files, in the order they were added.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The place where a span starts.
    pub fn location(&self, span: Span) -> Location {
        let Some(file) = self.file(span.file) else {
            return Location {
                file: "<unknown>".to_owned(),
                line: 1,
                column: 1,
            };
        };
        let known = (file.line_starts)
            .partition_point(|&start| start <= span.start)
            .saturating_sub(1);
        let start = file.line_starts.get(known).copied().unwrap_or(0) as usize;
        let before = file
            .text
            .get(start..span.start as usize)
            .unwrap_or_default();
        let line = known * LINES + before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before[line_start..].chars().count();
        Location {
            file: file.name.clone(),
            line,
            column: column + 1,
        }
    }
}
