//! What a command says, and how it ends.

use std::fs;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::render;
use meshgate_compiler::source::SourceMap;

/// Why a command ended without success.
#[derive(Debug)]
pub(crate) struct Failure {
    /// One line; absent when everything was said already.
    message: Option<String>,
    code: u8,
}

impl Failure {
    /// Findings in the configuration, which were shown.
    pub(crate) fn findings() -> Self {
        Self {
            message: None,
            code: 1,
        }
    }

    /// Something went wrong.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            code: 1,
        }
    }

    /// Arguments that are wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            code: 2,
        }
    }

    /// Arguments that are wrong or cannot be read, which was shown.
    pub(crate) fn arguments() -> Self {
        Self {
            message: None,
            code: 2,
        }
    }

    /// The same for a command whose exit code 1 says something else.
    pub(crate) fn of_arguments(self) -> Self {
        Self { code: 2, ..self }
    }

    /// Says what went wrong, and how the command ends.
    pub(crate) fn exit(self) -> ExitCode {
        if let Some(message) = self.message {
            error(&message);
        }
        ExitCode::from(self.code)
    }
}

impl From<io::Error> for Failure {
    /// A failure to write to standard output. A reader that has seen enough is none.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self {
                message: None,
                code: 0,
            },
            _ => Self::failed(format!("cannot write to standard output: {error}")),
        }
    }
}

/// Writes a result to standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes a binary result to standard output.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Writes a file.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes)
        .map_err(|error| Failure::failed(format!("cannot write `{}`: {error}", path.display())))
}

/// A name from the input as the name of a file or folder: it must not lead elsewhere.
pub(crate) fn file_name(name: &str) -> Result<&str, Failure> {
    if name.contains(['/', '\\', '\0']) || matches!(name, "" | "." | "..") {
        return Err(Failure::failed(format!(
            "`{name}` cannot be the name of a file: correct the names of clusters, namespaces and Services"
        )));
    }
    Ok(name)
}

/// Writes to standard error. If nobody listens, there is nothing better to do.
pub(crate) fn tell(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes an error message to standard error.
pub(crate) fn error(message: &str) {
    tell(&format!("error: {}\n", render::printable(message)));
}

/// Shows findings on standard error.
pub(crate) fn tell_findings(diagnostics: &Diagnostics, sources: &SourceMap) {
    tell(&render::text(diagnostics, sources, color(&io::stderr())));
}

/// Whether to write colours: only to a terminal, and only if its user wants them.
pub(crate) fn color(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
