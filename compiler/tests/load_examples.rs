//! Real resources as their users wrote them: well-formed ones have no schema errors, malformed ones are reported.
//!
//! They are not part of the repository. `MESHGATE_EXAMPLES` names their folder, whose `SCHEMA-CHECK.tsv` says which are
//! malformed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use meshgate_compiler::code::Code;
use meshgate_compiler::diagnostic::{Diagnostic, Label, Severity};
use meshgate_compiler::load;

/// Fields that the published check does not know of, for kinds whose schema is not published.
const WITHOUT_SCHEMA: &str = "WasmDeployment/";

#[test]
fn examples_are_judged_like_the_published_schema_judges_them() {
    let folder = std::env::var_os("MESHGATE_EXAMPLES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/examples"),
        PathBuf::from,
    );
    let Ok(verdicts) = std::fs::read_to_string(folder.join("SCHEMA-CHECK.tsv")) else {
        println!(
            "skipped: no examples in {}; set MESHGATE_EXAMPLES",
            folder.display()
        );
        return;
    };
    // Per file, whether it holds something malformed, and the fields that nobody knows.
    let mut files: BTreeMap<&str, (bool, Vec<&str>)> = BTreeMap::new();
    for row in verdicts.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [file, object, unknown, ..] = columns[..] else {
            continue;
        };
        if unknown != "OK" && !object.starts_with(WITHOUT_SCHEMA) {
            let (malformed, fields) = files.entry(file).or_default();
            *malformed = true;
            let paths = unknown
                .strip_prefix("UNKNOWN ")
                .unwrap_or_default()
                .split(',');
            fields.extend(
                paths
                    .filter_map(|path| path.rsplit('.').next())
                    .filter(|field| !field.is_empty()),
            );
        } else {
            files.entry(file).or_default();
        }
    }
    let mut wrong = BTreeSet::new();
    let mut checked = 0;
    for (file, (malformed, fields)) in files {
        let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
            continue;
        };
        checked += 1;
        let (_, _, diagnostics) = load::from_text(file, &text);
        if diagnostics.list().iter().any(is_schema_error) != malformed {
            wrong.insert((file, malformed));
        }
        for field in fields {
            let at_field =
                |label: &Label| text[label.span.start as usize..label.span.end as usize] == *field;
            let reported = diagnostics
                .list()
                .iter()
                .any(|d| d.primary.as_ref().is_some_and(at_field));
            assert!(
                reported,
                "{file}: the field `{field}` is not reported at its place"
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "judged differently (file, malformed): {wrong:#?}"
    );
    assert!(checked > 0, "no example in {}", folder.display());
}

/// Errors that do not depend on the meaning of values.
fn is_schema_error(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity == Severity::Error
        && !matches!(
            diagnostic.code,
            Code::DuplicateObject | Code::TlsMode | Code::UnsupportedAuth
        )
}
