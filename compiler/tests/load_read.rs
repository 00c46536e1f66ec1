//! Reading files, folders and standard input.

use std::fs;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use meshgate_compiler::{load, render};
use tempfile::TempDir;

/// Reads paths of a folder; returns the names of the files that were read, and the diagnostics without the folder.
fn read_in(folder: &Path, paths: &[&str], stdin: &mut dyn Read) -> (Vec<String>, Vec<String>) {
    let paths: Vec<PathBuf> = paths
        .iter()
        .map(|path| {
            if *path == "-" {
                "-".into()
            } else {
                folder.join(path)
            }
        })
        .collect();
    let (sources, diagnostics) = load::read(&paths, stdin);
    let prefix = format!("{}/", folder.display());
    let names = sources
        .files()
        .iter()
        .map(|file| file.name.replace(&prefix, ""))
        .collect();
    let lines = render::lines(&diagnostics, &sources).replace(&prefix, "");
    (names, lines.lines().map(str::to_owned).collect())
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    fs::write(path, content).expect("a file");
}

#[test]
fn folders_are_read_in_order_of_name_without_hidden_entries() {
    let folder = folder();
    for name in [
        "b.yml",
        "a/c.yaml",
        "a/b.json",
        "c.txt",
        ".hidden.yaml",
        ".git/config.yaml",
        "B.yaml",
    ] {
        write(&folder, name, "");
    }
    let (names, lines) = read_in(folder.path(), &["."], &mut io::empty());
    let names: Vec<_> = names
        .iter()
        .map(|name| name.trim_start_matches("./"))
        .collect();
    assert_eq!(names, ["B.yaml", "a/b.json", "a/c.yaml", "b.yml"]);
    assert_eq!(lines, Vec::<String>::new());
}

#[test]
fn a_file_that_is_named_is_read_whatever_its_name() {
    let folder = folder();
    write(&folder, "resources.txt", "a: b");
    assert_eq!(
        read_in(folder.path(), &["resources.txt"], &mut io::empty()).0,
        ["resources.txt"]
    );
}

#[test]
fn standard_input_is_a_path() {
    let (names, lines) = read_in(Path::new("."), &["-"], &mut Cursor::new("a: b"));
    assert_eq!((names, lines), (vec!["<stdin>".to_owned()], vec![]));
}

#[test]
fn what_cannot_be_read_is_reported_and_the_rest_is_read() {
    let folder = folder();
    write(&folder, "good.yaml", "a: b");
    write(&folder, "binary.yaml", b"PNG\0\x01");
    write(&folder, "latin1.yaml", b"name: caf\xe9");
    write(&folder, "utf16.yaml", b"\xff\xfea\0");
    fs::create_dir(folder.path().join("empty")).expect("a folder");
    let paths = [
        "missing.yaml",
        "binary.yaml",
        "latin1.yaml",
        "utf16.yaml",
        "empty",
        "good.yaml",
    ];
    let (names, lines) = read_in(folder.path(), &paths, &mut io::empty());
    assert_eq!(names, ["good.yaml"]);
    assert_eq!(
        lines,
        [
            "error[E0001]: there is no file or folder `missing.yaml` \
             (help: check the path; relative paths start in the current folder)",
            "error[E0005]: `binary.yaml` is not UTF-8 text: a zero byte at byte 3 \
             (help: save it as UTF-8, or leave it out if it is a binary file)",
            "error[E0005]: `latin1.yaml` is not UTF-8 text: a byte sequence that is not UTF-8 at byte 9 \
             (help: save it as UTF-8, or leave it out if it is a binary file)",
            "error[E0005]: `utf16.yaml` is not UTF-8 text: UTF-16 at byte 0 \
             (help: save it as UTF-8, or leave it out if it is a binary file)",
            "error[E0007]: the folder `empty` has no file named *.yaml, *.yml or *.json \
             (help: check the path; entries whose name starts with a dot are skipped)",
        ]
    );
}

#[cfg(unix)]
#[test]
fn folder_loops_end() {
    let folder = folder();
    write(&folder, "a/good.yaml", "a: b");
    std::os::unix::fs::symlink("..", folder.path().join("a/up")).expect("a link");
    let (names, lines) = read_in(folder.path(), &["a"], &mut io::empty());
    assert_eq!(names, ["a/good.yaml"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("error[E0004]: the link `a/up"),
        "{lines:?}"
    );
}

/// The superuser may read everything, so the error is injected where it would occur.
#[test]
fn errors_while_reading_are_reported() {
    struct Forbidden;
    impl Read for Forbidden {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
    let (_, lines) = read_in(Path::new("."), &["-"], &mut Forbidden);
    assert_eq!(
        lines,
        ["error[E0002]: no permission to read `<stdin>` \
          (help: change its permissions, or run as a user who may read it)"]
    );
}

#[test]
fn files_have_a_limit() {
    let mut zeros = io::repeat(b' ').take(load::MAX_FILE_BYTES + 1);
    let (names, lines) = read_in(Path::new("."), &["-"], &mut zeros);
    assert_eq!(names, Vec::<String>::new());
    assert_eq!(
        lines,
        ["error[E0006]: `<stdin>` is larger than 64 MiB (help: split it into several files)"]
    );
    let mut full = io::repeat(b' ').take(load::MAX_FILE_BYTES);
    assert_eq!(read_in(Path::new("."), &["-"], &mut full).0.len(), 1);
}

#[test]
fn input_without_resources_is_an_error() {
    let (sources, _, diagnostics) = load::from_text("f", "# only a comment\n---\n");
    assert_eq!(
        render::lines(&diagnostics, &sources),
        "error[E0007]: the input holds no resources \
         (help: name a file or folder that holds VirtualGateway, VirtualHost or RouteTable objects)\n"
    );
}
