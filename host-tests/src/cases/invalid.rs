//! Cases of resources that the compiler has to remark on.

use std::ops::Range;

use meshgate_compiler::diagnostic::{Diagnostic, Severity};

use super::configuration::Configuration;
use super::format::Invalid;
use super::places::PlacedText;

/// Port of the first gateway. Nothing listens there.
const FIRST_PORT: u16 = 8080;

/// Compiles resources with something wrong: the finding has to be made, at its place and with its severity, and the
/// control has to be accepted.
///
/// # Errors
/// What is not as it has to be.
pub fn check_invalid(invalid: &Invalid) -> Result<(), String> {
    let Invalid {
        resources,
        control,
        expected,
    } = invalid;
    let placed = PlacedText::new(resources);
    let configuration = Configuration::compile(&placed.text, FIRST_PORT);
    let severity = match expected.severity.as_str() {
        "error" => Severity::Error,
        "warning" => Severity::Warning,
        other => return Err(format!("`{other}` is not a known severity")),
    };
    let is_at_place = |diagnostic: &Diagnostic| placed.is_at(&expected.place, &labels(diagnostic));
    let mut diagnostics = configuration.diagnostics.list().iter();
    if !diagnostics.any(|diagnostic| diagnostic.severity == severity && is_at_place(diagnostic)) {
        let findings = configuration.findings(severity);
        return Err(format!(
            "expected this {} at {}: {}; found `{findings}`",
            expected.severity, expected.place, expected.reason
        ));
    }
    if let Some(control) = control {
        let control = Configuration::compile(&PlacedText::new(control).text, FIRST_PORT);
        control
            .program()
            .map_err(|findings| format!("the valid control is refused:\n{findings}"))?;
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
