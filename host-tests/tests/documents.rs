//! The tests that the documentation names are there.

use std::path::Path;
use std::{fs, io};

use meshgate_host_tests::cases::read_cases;

/// A file, and the names of its tests, or all of its text.
struct File {
    path: String,
    cases: Vec<String>,
    text: String,
}

/// All programs below a folder.
fn programs(folder: &Path, into: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            programs(&path, into)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push(File {
                path: path.to_string_lossy().into_owned(),
                cases: Vec::new(),
                text: fs::read_to_string(&path)?,
            });
        }
    }
    Ok(())
}

fn files(root: &Path) -> Vec<File> {
    let mut files = Vec::new();
    for folder in ["tests", "../compiler/tests"] {
        programs(&root.join(folder), &mut files).expect("there are tests");
    }
    let groups = read_cases(&root.join("cases")).expect("there are cases");
    files.extend(groups.into_iter().map(|group| File {
        path: format!("/host-tests/{}.yaml", group.name),
        cases: group.cases.iter().map(|case| case.name.clone()).collect(),
        text: String::new(),
    }));
    files
}

/// What stands between each two marks.
fn between(text: &str, mark: char) -> Vec<&str> {
    text.split(mark).skip(1).step_by(2).collect()
}

/// The last cell of each row of `docs/security.md` names tests: files in backticks, in one of their folders, and tests of the
/// file named last: cases in quotes, functions in backticks. `…` stands for any further text.
#[test]
fn tests_of_attacks_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = files(root);
    let document = fs::read_to_string(root.join("../docs/security.md")).expect("there is one");
    let rows = document.lines().filter_map(|line| {
        let (_, tests) = line.trim_end_matches('|').rsplit_once('|')?;
        let is_heading = matches!(tests.trim(), "test" | "---");
        (!is_heading).then_some(tests)
    });
    let (mut count, mut missing) = (0, Vec::new());
    for group in rows.flat_map(|tests| tests.split(';')) {
        let folder = group.split('`').next().unwrap_or_default().trim();
        let (file, functions): (Vec<&str>, Vec<&str>) = between(group, '`')
            .into_iter()
            .partition(|name| name.contains('.'));
        let end = format!("/{folder}/{}", file.concat()).replace("//", "/");
        let named = files.iter().filter(|file| file.path.ends_with(&end));
        let mut note = |what: &str, is_there: bool| {
            count += 1;
            if !is_there {
                missing.push(format!("{what}: {group}"));
            }
        };
        note(&end, named.clone().next().is_some());
        for function in functions {
            let text = format!("fn {function}(");
            note(
                function,
                named.clone().any(|file| file.text.contains(&text)),
            );
        }
        for case in between(group, '"') {
            let is_it = |name: &String| match case.strip_suffix('…') {
                Some(start) => name.starts_with(start),
                None => name == case,
            };
            note(case, named.clone().any(|file| file.cases.iter().any(is_it)));
        }
    }
    assert_eq!(missing, [""; 0]);
    assert!(count > 80, "{count}");
}
