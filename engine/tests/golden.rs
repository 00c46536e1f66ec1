//! Programs that were written once and are still read. They notice when the format changes without its version.
//!
//! `golden/v<major>/` holds programs, each with requests and the answers they got. `BLESS=1` writes the programs of the
//! present version anew, which is right only before a version is released.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "golden/actions.rs"]
mod actions;
#[path = "golden/answers.rs"]
mod answers;
#[path = "golden/builder.rs"]
mod builder;
#[path = "golden/matching.rs"]
mod matching;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use meshgate_engine::{FormatErrorKind, MAJOR_VERSION, Program};

/// Name, program and requests of each program as it is written now.
fn programs() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    vec![
        ("actions", actions::actions(), actions::ACTIONS),
        ("calls", actions::calls(), actions::CALLS),
        ("paths", matching::paths(), matching::PATHS),
        ("rule-sets", matching::rule_sets(), matching::RULE_SETS),
    ]
}

fn folder(version: u16) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v{version}"))
}

/// The programs of a version, by name.
fn stored(version: u16) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(version)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
    paths.sort();
    paths
}

#[test]
fn stored_programs_answer_as_they_did() {
    if env::var_os("BLESS").is_some() {
        return bless();
    }
    let stored = stored(MAJOR_VERSION);
    assert_eq!(stored.len(), programs().len(), "run with BLESS=1");
    let mut sections = BTreeSet::new();
    for path in stored {
        let program = Program::new(fs::read(&path).unwrap()).unwrap();
        let filled = program.sections().into_iter();
        sections.extend(filled.filter(|part| part.bytes > 0).map(|part| part.name));
        let text = fs::read_to_string(path.with_extension("txt")).unwrap();
        assert_eq!(answers::answer(&program, &text), text, "{}", path.display());
    }
    let (_, bytes, _) = programs().remove(0);
    for part in Program::new(bytes).unwrap().sections() {
        assert!(sections.contains(part.name), "no program has {}", part.name);
    }
}

#[test]
fn programs_written_now_answer_like_the_stored_ones() {
    if env::var_os("BLESS").is_some() {
        return;
    }
    for (name, bytes, requests) in programs() {
        let path = folder(MAJOR_VERSION).join(name).with_extension("txt");
        let program = Program::new(bytes).unwrap();
        let stored = fs::read_to_string(&path).unwrap();
        assert_eq!(answers::answer(&program, requests), stored, "{name}");
    }
}

#[test]
fn other_versions_are_refused() {
    for version in (0..MAJOR_VERSION).filter(|version| folder(*version).is_dir()) {
        for path in stored(version) {
            let error = Program::new(fs::read(&path).unwrap()).unwrap_err();
            let expected = FormatErrorKind::Version {
                found: version,
                supported: MAJOR_VERSION,
            };
            assert_eq!(*error.kind(), expected, "{}", path.display());
        }
    }
}

fn bless() {
    let folder = folder(MAJOR_VERSION);
    fs::create_dir_all(&folder).unwrap();
    for (name, bytes, requests) in programs() {
        let path = folder.join(name);
        fs::write(path.with_extension("bin"), &bytes).unwrap();
        let program = Program::new(bytes).unwrap();
        let text = answers::answer(&program, requests);
        fs::write(path.with_extension("txt"), text).unwrap();
    }
}
