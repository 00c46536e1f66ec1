//! A run of named steps and the table of how they went.

use std::fmt;
use std::time::{Duration, Instant};

use crate::process;

/// Why a step has no result.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It was tried and went wrong.
    Failed(String),
    /// It was not tried, because something it needs is not there.
    Skipped(String),
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

/// The steps of a run so far. It shows as a table.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    took: Duration,
    /// What is worth knowing about the result, possibly nothing.
    outcome: Result<String, Stop>,
}

impl Report {
    /// Runs a step and records it. The step returns its result and a note for the table.
    pub(crate) fn step<T>(
        &mut self,
        name: &'static str,
        run: impl FnOnce() -> Result<(T, String), Stop>,
    ) -> Option<T> {
        process::step(name);
        let started = Instant::now();
        let (result, outcome) = match run() {
            Ok((result, note)) => (Some(result), Ok(note)),
            Err(stop) => (None, Err(stop)),
        };
        let row = Row {
            name,
            took: started.elapsed(),
            outcome,
        };
        eprintln!("{row}");
        self.rows.push(row);
        result
    }

    /// Whether a step failed. Skipped ones did not.
    pub(crate) fn any_failed(&self) -> bool {
        let failed = |row: &Row| matches!(row.outcome, Err(Stop::Failed(_)));
        self.rows.iter().any(failed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<30} {:>7.1} s  ", self.name, self.took.as_secs_f64())?;
        match &self.outcome {
            Ok(note) if note.is_empty() => write!(f, "ok"),
            Ok(note) => write!(f, "ok: {note}"),
            Err(Stop::Failed(why)) => write!(f, "failed: {why}"),
            Err(Stop::Skipped(why)) => write!(f, "skipped: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failed_steps_count_as_failures() {
        let mut report = Report::default();
        let built = report.step("build", || Ok((7, "7 bytes".to_owned())));
        let none: Option<()> = report.step("lint", || Err(Stop::Skipped("no linter".to_owned())));
        assert!(!report.any_failed());
        let failed: Option<()> = report.step("test", || Err("it broke".to_owned().into()));
        assert_eq!((built, none, failed), (Some(7), None, None));
        assert!(report.any_failed());
        let table = report.to_string();
        for outcome in [
            "ok: 7 bytes\n",
            "skipped: no linter\n",
            "failed: it broke\n",
        ] {
            assert!(table.contains(outcome), "{table}");
        }
    }
}
