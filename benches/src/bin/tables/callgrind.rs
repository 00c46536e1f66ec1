//! Instructions and allocations, counted in another process.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use meshgate_benches::{PeerKind, Table};

/// Requests asked; not a multiple of anything in the tables.
const REQUESTS: usize = 4_096;

/// Runs the example `instructions`, in valgrind if there is one.
pub(crate) struct Counter {
    example: PathBuf,
    has_valgrind: bool,
}

/// What one request costs.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    /// Absent without valgrind.
    pub(crate) instructions: Option<f64>,
    pub(crate) allocations: f64,
}

impl Counter {
    /// The example is beside this program, where cargo puts it.
    pub(crate) fn find() -> Self {
        let program = std::env::current_exe().unwrap_or_default();
        let valgrind = Command::new("valgrind").arg("--version").output();
        Self {
            example: program.with_file_name("examples").join("instructions"),
            has_valgrind: valgrind.is_ok_and(|output| output.status.success()),
        }
    }

    /// Counts what the engine does with a program.
    pub(crate) fn engine(
        &self,
        table: Table,
        routes: usize,
        program: &[u8],
    ) -> Result<Counts, Box<dyn Error>> {
        self.count(table, routes, "-", program)
    }

    /// Counts what a peer does.
    pub(crate) fn peer(
        &self,
        kind: PeerKind,
        table: Table,
        routes: usize,
    ) -> Result<Counts, Box<dyn Error>> {
        self.count(table, routes, kind.name(), b"")
    }

    fn count(
        &self,
        table: Table,
        routes: usize,
        router: &str,
        input: &[u8],
    ) -> Result<Counts, Box<dyn Error>> {
        let mut command = if self.has_valgrind {
            let mut valgrind = Command::new("valgrind");
            valgrind
                .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
                .arg("--toggle-collect=*ask_all*")
                .arg(&self.example);
            valgrind
        } else {
            Command::new(&self.example)
        };
        command.arg(table.name()).arg(routes.to_string());
        command.arg(REQUESTS.to_string()).arg(router);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // It says little, and only after it has read everything.
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input)?;
        }
        let output = child.wait_with_output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("counting failed: {errors}").into());
        }
        let per_request = |count: u64| count as f64 / REQUESTS as f64;
        let allocations = String::from_utf8_lossy(&output.stdout).trim().parse()?;
        let instructions = match errors.split_once("Collected :") {
            Some((_, rest)) => Some(rest.split_whitespace().next().unwrap_or_default().parse()?),
            None => None,
        };
        Ok(Counts {
            instructions: instructions.map(per_request),
            allocations: per_request(allocations),
        })
    }
}
