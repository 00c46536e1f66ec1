//! Diagnostics as they are printed. `BLESS=1` rewrites what is expected.

use std::fs;
use std::path::{Path, PathBuf};

use meshgate_compiler::code::Code;
use meshgate_compiler::diagnostic::{Diagnostic, Diagnostics};
use meshgate_compiler::source::{SourceMap, Span};
use meshgate_compiler::{load, render};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

#[track_caller]
fn golden(name: &str, actual: &str) {
    let path = folder().join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, actual).expect("the expected output can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        actual,
        expected,
        "{} differs; BLESS=1 rewrites it",
        path.display()
    );
}

#[test]
fn ten_mistakes_in_one_folder_are_reported_in_one_run() {
    let root = folder().join("ten-mistakes");
    let paths: Vec<PathBuf> = ["gateway.yaml", "host.yaml", "tables.yaml", "tabs.yaml"]
        .iter()
        .map(|name| root.join(name))
        .collect();
    // The names must not depend on where the repository lies.
    let mut sources = SourceMap::default();
    for path in &paths {
        let text = fs::read_to_string(path).expect("the fixture is there");
        let name = path
            .file_name()
            .expect("a file name")
            .to_string_lossy()
            .into_owned();
        sources.add(name, text);
    }
    let mut diagnostics = Diagnostics::default();
    load::parse(&sources, &mut diagnostics);
    diagnostics.sort();
    assert_eq!(render::summary(&diagnostics), "10 errors");
    golden(
        "ten-mistakes.txt",
        &render::text(&diagnostics, &sources, false),
    );
    golden("ten-mistakes.lines", &render::lines(&diagnostics, &sources));
    golden("ten-mistakes.json", &render::json(&diagnostics, &sources));
}

fn one(text: &str, diagnostic: impl Fn(Span) -> Diagnostic) -> (SourceMap, Diagnostics) {
    let mut sources = SourceMap::default();
    let file = sources.add("f\u{1b}.yaml".to_owned(), text.to_owned());
    let mut diagnostics = Diagnostics::default();
    diagnostics.push(diagnostic(Span {
        file,
        start: 0,
        end: text.len() as u32,
    }));
    (sources, diagnostics)
}

#[test]
fn no_control_character_of_the_input_is_printed() {
    let hostile = "a: \u{1b}[31m\u{7}\u{9b}\u{202e}\u{2028}x\r\nb: 2";
    let (sources, diagnostics) = one(hostile, |span| {
        Diagnostic::at(Code::UnknownField, span, hostile)
            .remark(hostile)
            .also(span, hostile)
            .help(hostile)
    });
    for rendered in [
        render::text(&diagnostics, &sources, false),
        render::lines(&diagnostics, &sources),
        render::json(&diagnostics, &sources),
    ] {
        let bad = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{2028}');
        assert!(!rendered.contains(bad), "{rendered:?}");
    }
}

#[test]
fn long_lines_are_named_and_not_shown() {
    let text = format!("a: {}", "x".repeat(1 << 20));
    let (sources, diagnostics) = one(&text, |span| {
        Diagnostic::at(Code::UnknownField, span, "too long")
    });
    let rendered = render::text(&diagnostics, &sources, false);
    assert!(
        rendered.len() < 200 && rendered.contains(":1:1"),
        "{rendered}"
    );
}

#[test]
fn colour_is_only_used_when_asked_for() {
    let (sources, diagnostics) = one("a: b", |span| {
        Diagnostic::at(Code::UnknownField, span, "message")
    });
    assert!(render::text(&diagnostics, &sources, true).contains('\u{1b}'));
    assert!(!render::text(&diagnostics, &sources, false).contains('\u{1b}'));
}

#[test]
fn findings_about_the_whole_run_have_no_place() {
    let mut diagnostics = Diagnostics::default();
    diagnostics.push(
        Diagnostic::global(Code::FileNotFound, "there is no file `a`").help("check the path"),
    );
    let sources = SourceMap::default();
    assert_eq!(
        render::lines(&diagnostics, &sources),
        "error[E0001]: there is no file `a` (help: check the path)\n"
    );
    assert_eq!(
        render::json(&diagnostics, &sources),
        "{\"code\":\"E0001\",\"name\":\"file-not-found\",\"severity\":\"error\",\"message\":\"there is no file `a`\",\
         \"file\":null,\"line\":null,\"column\":null,\"endLine\":null,\"endColumn\":null,\"label\":null,\"related\":[],\
         \"help\":\"check the path\"}\n"
    );
    assert_eq!(render::summary(&diagnostics), "1 error");
}
