//! The access log that Envoy prints.

use std::fs::File;
use std::io::{BufRead, BufReader, Error, ErrorKind, Result};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;

/// How long an entry may take to appear after its request has ended: as long as Envoy may take to start, since a busy machine has
/// both wait.
const TIMEOUT: Duration = Duration::from_secs(60);

/// An entry. What does not apply is absent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LogEntry {
    /// Path with query, as it was after the filter.
    pub path: Option<String>,
    /// Status of the response.
    pub status: u16,
    /// Response flags.
    pub flags: Option<String>,
    /// Response code details.
    pub details: Option<String>,
    /// Cluster that the request went to.
    pub cluster: Option<String>,
    /// Full name of the route.
    pub route: Option<String>,
    /// Generation of the program that decided.
    pub generation: Option<String>,
}

/// Reads entries as they appear.
#[derive(Debug)]
pub struct AccessLog {
    lines: BufReader<File>,
    line: String,
}

impl AccessLog {
    /// Opens a log.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn open(path: &Path) -> Result<AccessLog> {
        Ok(AccessLog {
            lines: BufReader::new(File::open(path)?),
            line: String::new(),
        })
    }

    /// Leaves out what is there already, which is about earlier requests.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn skip(&mut self) -> Result<()> {
        while self.lines.read_line(&mut self.line)? > 0 {
            if self.line.ends_with('\n') {
                self.line.clear();
            }
        }
        Ok(())
    }

    /// The next entry; waits for it if need be.
    ///
    /// # Errors
    /// When none appears in time, or it is not an entry.
    pub fn next_entry(&mut self) -> Result<LogEntry> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            // What is there may be the beginning of a line only; the rest is appended to it.
            self.lines.read_line(&mut self.line)?;
            if self.line.ends_with('\n') {
                let entry = serde_json::from_str(&self.line).map_err(Error::other);
                self.line.clear();
                return entry;
            }
            if Instant::now() > deadline {
                return Err(Error::new(
                    ErrorKind::TimedOut,
                    format!("no entry in the access log after {} s", TIMEOUT.as_secs()),
                ));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
