//! The tests that the documentation names are there.

use std::path::Path;
use std::{fs, io};

/// All files below a folder whose name has this end.
fn texts(folder: &Path, end: &str, into: &mut Vec<(String, String)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.to_string_lossy().into_owned();
        if path.is_dir() {
            texts(&path, end, into)?;
        } else if name.ends_with(end) {
            into.push((name, fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// What stands between each two marks.
fn between(text: &str, mark: char) -> impl Iterator<Item = &str> {
    text.split(mark).skip(1).step_by(2)
}

/// Each row of `docs/security.md` names files, in backticks, and tests of the file named last: cases in quotes, functions in
/// backticks. `…` stands for any further text.
#[test]
fn tests_of_attacks_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    texts(&root.join("cases"), ".yaml", &mut files).expect("there are cases");
    texts(&root.join("tests"), ".rs", &mut files).expect("there are tests");
    texts(&root.join("../compiler/tests"), ".rs", &mut files).expect("there are tests");
    let document = root.join("../docs/security.md");
    let document = fs::read_to_string(document).expect("there is such a document");
    let rows = document.lines().filter_map(|line| {
        let cells = line.trim_matches('|').rsplit_once('|')?;
        let is_row = !matches!(cells.1.trim(), "test" | "---");
        is_row.then_some(cells.1)
    });
    let (mut count, mut missing) = (0, Vec::new());
    for tests in rows {
        let mut found = 0;
        for group in tests.split(';') {
            let named: Vec<&str> = between(group, '`').collect();
            let is_file = |name: &&&str| name.contains('.');
            let of_group: Vec<&(String, String)> = match named.iter().find(is_file) {
                Some(file) => {
                    let folder = group.split('`').next().unwrap_or_default().trim();
                    let end = format!("/{folder}/{file}").replace("//", "/");
                    let is_it = |(name, _): &&(String, String)| name.ends_with(&end);
                    files.iter().filter(is_it).collect()
                }
                None => files.iter().collect(),
            };
            let mut check = |needle: String| {
                count += 1;
                found += 1;
                let is_there = of_group.iter().any(|(_, text)| text.contains(&needle));
                if !is_there {
                    missing.push(format!("{needle:?} of {group:?}"));
                }
            };
            if named.iter().any(|name| name.contains('.')) {
                check(String::new());
            }
            for function in named.iter().filter(|name| !name.contains('.')) {
                check(format!("fn {function}("));
            }
            for case in between(group, '"') {
                let name = case.trim_end_matches('…');
                let end = if name == case { "\n" } else { "" };
                check(format!("- name: {name}{end}"));
            }
        }
        assert!(found > 0, "no test: {tests}");
    }
    assert_eq!(missing, [""; 0]);
    assert!(count > 50, "{count}");
}
