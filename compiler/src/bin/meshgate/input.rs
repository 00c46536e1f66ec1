//! Resources as arguments name them.

use std::io;
use std::path::PathBuf;

use meshgate_compiler::code::Code;
use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::load;
use meshgate_compiler::source::SourceMap;

use crate::output::Failure;

/// Where the resources are.
#[derive(Debug, clap::Args)]
pub(crate) struct Input {
    /// Files and folders with resources (*.yaml, *.yml, *.json); `-` is standard input
    #[arg(value_name = "PATH", required_unless_present = "files")]
    paths: Vec<PathBuf>,

    /// The same as an option
    #[arg(short = 'f', long = "file", value_name = "PATH", num_args = 1..)]
    files: Vec<PathBuf>,
}

impl Input {
    /// Reads everything. Paths that cannot be read are among the findings.
    pub(crate) fn read(&self) -> (SourceMap, Diagnostics) {
        let paths: Vec<PathBuf> = self.paths.iter().chain(&self.files).cloned().collect();
        read(&paths)
    }
}

/// Reads files, folders and standard input.
pub(crate) fn read(paths: &[PathBuf]) -> (SourceMap, Diagnostics) {
    load::read(paths, &mut io::stdin().lock())
}

/// Fails if a path could not be read. The findings must have been shown.
pub(crate) fn all_readable(diagnostics: &Diagnostics) -> Result<(), Failure> {
    let unreadable = [
        Code::FileNotFound,
        Code::PermissionDenied,
        Code::FileUnreadable,
    ];
    if diagnostics
        .list()
        .iter()
        .any(|diagnostic| unreadable.contains(&diagnostic.code))
    {
        return Err(Failure::arguments());
    }
    Ok(())
}
