//! Reading files, folders and standard input into a [`SourceMap`].

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{SourceFile, SourceMap};

/// Largest input file in bytes.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Reads files, folders (recursively; `*.yaml`, `*.yml` and `*.json` in order of name, hidden entries skipped) and,
/// for the path `-`, standard input. A file that is reached twice is read once. What cannot be read is reported, and
/// the rest is read all the same.
pub fn read(paths: &[PathBuf], stdin: &mut dyn Read) -> (SourceMap, Diagnostics) {
    let mut reader = Reader {
        sources: SourceMap::default(),
        seen: HashMap::new(),
        cluster: None,
        diagnostics: Diagnostics::default(),
    };
    for path in paths {
        reader.path(path, stdin);
    }
    (reader.sources, reader.diagnostics)
}

/// Reads more, as [`read`] does: the inventory of a cluster. Files that were read as ordinary input become part of it.
pub fn read_inventory(
    cluster: &str,
    paths: &[PathBuf],
    stdin: &mut dyn Read,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) {
    let known = |(at, file): (usize, &SourceFile)| {
        let path = Path::new(&file.name).canonicalize().ok()?;
        Some((path, at))
    };
    let mut reader = Reader {
        seen: sources
            .files()
            .iter()
            .enumerate()
            .filter_map(known)
            .collect(),
        sources: std::mem::take(sources),
        cluster: Some(cluster.to_owned()),
        diagnostics: Diagnostics::default(),
    };
    for path in paths {
        reader.path(path, stdin);
    }
    *sources = reader.sources;
    diagnostics.append(reader.diagnostics);
}

struct Reader {
    sources: SourceMap,
    /// Files that were read, without links in their paths.
    seen: HashMap<PathBuf, usize>,
    /// Cluster whose inventory is read.
    cluster: Option<String>,
    diagnostics: Diagnostics,
}

impl Reader {
    fn path(&mut self, path: &Path, stdin: &mut dyn Read) {
        if path.as_os_str() == "-" {
            self.content("<stdin>", stdin);
        } else if path.is_dir() {
            self.folder(path);
        } else {
            self.file(path);
        }
    }

    fn folder(&mut self, folder: &Path) {
        let mut found = false;
        let visible = |entry: &walkdir::DirEntry| {
            entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.')
        };
        for entry in WalkDir::new(folder)
            .follow_links(true)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(visible)
        {
            match entry {
                Ok(entry) => {
                    let extension = entry
                        .path()
                        .extension()
                        .and_then(|extension| extension.to_str());
                    if entry.file_type().is_file()
                        && extension.is_some_and(|e| EXTENSIONS.contains(&e))
                    {
                        found = true;
                        self.file(entry.path());
                    }
                }
                Err(error) => {
                    found = true;
                    self.walk_error(&error);
                }
            }
        }
        if !found {
            self.diagnostics.push(
                Diagnostic::global(
                    Code::NoResources,
                    format!(
                        "the folder `{}` has no file named *.yaml, *.yml or *.json",
                        folder.display()
                    ),
                )
                .help("check the path; entries whose name starts with a dot are skipped"),
            );
        }
    }

    fn walk_error(&mut self, error: &walkdir::Error) {
        let path = error.path().unwrap_or(Path::new(""));
        if let Some(ancestor) = error.loop_ancestor() {
            self.diagnostics.push(
                Diagnostic::global(
                    Code::FolderLoop,
                    format!(
                        "the link `{}` leads back to its own parent `{}`",
                        path.display(),
                        ancestor.display()
                    ),
                )
                .help("remove the link, or name the files instead of the folder"),
            );
        } else if let Some(error) = error.io_error() {
            self.io_error(&path.display().to_string(), error);
        }
    }

    fn file(&mut self, path: &Path) {
        if let Ok(path) = path.canonicalize() {
            let at = self.sources.files().len();
            if let Some(&seen) = self.seen.get(&path)
                && self.sources.declare(seen, self.cluster.as_deref())
            {
                return;
            }
            self.seen.insert(path, at);
        }
        let name = path.display().to_string();
        match File::open(path) {
            Ok(mut file) => self.content(&name, &mut file),
            Err(error) => self.io_error(&name, &error),
        }
    }

    fn content(&mut self, name: &str, input: &mut dyn Read) {
        let mut bytes = Vec::new();
        if let Err(error) = input.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes) {
            self.io_error(name, &error);
            return;
        }
        if bytes.len() as u64 > MAX_FILE_BYTES {
            self.diagnostics.push(
                Diagnostic::global(
                    Code::FileTooLarge,
                    format!("`{name}` is larger than {} MiB", MAX_FILE_BYTES >> 20),
                )
                .help("split it into several files"),
            );
            return;
        }
        match String::from_utf8(bytes) {
            Ok(mut text) => match text.find('\0') {
                None => {
                    text.shrink_to_fit();
                    let file = self.sources.add(name.to_owned(), text);
                    self.sources
                        .declare(file.0 as usize, self.cluster.as_deref());
                }
                Some(offset) => self.not_text(name, offset, "a zero byte"),
            },
            Err(error) => {
                let offset = error.utf8_error().valid_up_to();
                let what = match error.as_bytes() {
                    [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16",
                    _ => "a byte sequence that is not UTF-8",
                };
                self.not_text(name, offset, what);
            }
        }
    }

    fn not_text(&mut self, name: &str, offset: usize, what: &str) {
        self.diagnostics.push(
            Diagnostic::global(
                Code::NotText,
                format!("`{name}` is not UTF-8 text: {what} at byte {offset}"),
            )
            .help("save it as UTF-8, or leave it out if it is a binary file"),
        );
    }

    fn io_error(&mut self, name: &str, error: &io::Error) {
        let (code, message, help) = match error.kind() {
            io::ErrorKind::NotFound => (
                Code::FileNotFound,
                format!("there is no file or folder `{name}`"),
                "check the path; relative paths start in the current folder",
            ),
            io::ErrorKind::PermissionDenied => (
                Code::PermissionDenied,
                format!("no permission to read `{name}`"),
                "change its permissions, or run as a user who may read it",
            ),
            _ => (
                Code::FileUnreadable,
                format!("cannot read `{name}`: {error}"),
                "check that it is a plain file or a folder",
            ),
        };
        self.diagnostics
            .push(Diagnostic::global(code, message).help(help));
    }
}
