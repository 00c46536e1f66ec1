//! Cases of resources that the compiler has to remark on.

use std::ops::Range;

use meshgate_compiler::diagnostic::{Diagnostic, Severity};

use super::configuration::Configuration;
use super::format::{ExpectInvalid, Group};
use super::places::PlacedText;

/// Compiles a group with something wrong: the finding has to be made, at its place and with its severity, and the
/// resources of `valid_control` have to be accepted.
///
/// # Errors
/// What is not as it has to be.
pub fn check_invalid(group: &Group, expected: &ExpectInvalid) -> Result<(), String> {
    let placed = PlacedText::new(&group.resources);
    let configuration = Configuration::compile(&placed.text, 8080);
    let severity = match expected.severity.as_str() {
        "error" => Severity::Error,
        "warning" => Severity::Warning,
        other => return Err(format!("`{other}` is not a known severity")),
    };
    let mut found = configuration
        .diagnostics
        .list()
        .iter()
        .filter(|diagnostic| diagnostic.severity == severity)
        .peekable();
    if found.peek().is_none() {
        return Err(format!(
            "expected this {}: {}; there is none",
            expected.severity, expected.reason
        ));
    }
    if !found.any(|diagnostic| placed.is_at(&expected.place, &labels(diagnostic)) != Some(false)) {
        let findings = configuration.findings(severity);
        return Err(format!(
            "expected at {}: {}; found\n{findings}",
            expected.place, expected.reason
        ));
    }
    if !group.valid_control.is_empty() {
        let control = Configuration::compile(&group.control_text(), 8080);
        if control.diagnostics.has_errors() {
            return Err(format!(
                "the valid control is refused:\n{}",
                control.findings(Severity::Error)
            ));
        }
    }
    Ok(())
}

fn labels(diagnostic: &Diagnostic) -> Vec<Range<usize>> {
    diagnostic
        .primary
        .iter()
        .chain(&diagnostic.secondary)
        .map(|label| label.span.start as usize..label.span.end as usize)
        .collect()
}
