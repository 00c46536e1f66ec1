//! What came of tests: for people, for programs, and for what shows test results (JUnit's XML).

use std::fmt::Write;

use meshgate_compiler::cases::Case;
use meshgate_compiler::render::printable;
use meshgate_compiler::source::Location;
use serde_json::json;

/// What came of a test.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) place: Location,
    pub(crate) case: Case,
    /// What is not as expected.
    pub(crate) failures: Vec<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Format {
    /// A line for every test that failed
    Text,
    Json,
    Junit,
}

impl Outcome {
    pub(crate) fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

impl Format {
    pub(crate) fn render(self, outcomes: &[Outcome]) -> String {
        match self {
            Format::Text => outcomes
                .iter()
                .filter(|one| !one.passed())
                .map(line)
                .collect(),
            Format::Json => json(outcomes),
            Format::Junit => junit(outcomes),
        }
    }
}

fn line(outcome: &Outcome) -> String {
    let Outcome {
        place,
        case,
        failures,
    } = outcome;
    let line = format!(
        "{place}: {}: {}: {}",
        case.name,
        case.request,
        failures.join("; ")
    );
    format!("{}\n", printable(&line))
}

fn json(outcomes: &[Outcome]) -> String {
    let tests: Vec<_> = outcomes
        .iter()
        .map(|one| {
            json!({
                "name": one.case.name,
                "place": one.place.to_string(),
                "request": one.case.request.to_string(),
                "passed": one.passed(),
                "failures": one.failures,
            })
        })
        .collect();
    let failed = outcomes.iter().filter(|one| !one.passed()).count();
    let report = json!({ "passed": outcomes.len() - failed, "failed": failed, "tests": tests });
    format!("{report:#}\n")
}

/// A suite for every file.
fn junit(outcomes: &[Outcome]) -> String {
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for suite in outcomes.chunk_by(|a, b| a.place.file == b.place.file) {
        let file = suite.first().map_or("", |one| &one.place.file);
        let failed = suite.iter().filter(|one| !one.passed()).count();
        // Writing to a string cannot fail.
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\">",
            escaped(file),
            suite.len()
        );
        for one in suite {
            let _ = write!(
                xml,
                "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" line=\"{}\"",
                escaped(&one.case.name),
                escaped(file),
                escaped(file),
                one.place.line
            );
            if one.passed() {
                xml.push_str("/>\n");
                continue;
            }
            let _ = writeln!(
                xml,
                "><failure message=\"{}\">{}</failure></testcase>",
                escaped(&one.failures.join("; ")),
                escaped(line(one).trim_end())
            );
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// A text for XML. What XML cannot hold is replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
