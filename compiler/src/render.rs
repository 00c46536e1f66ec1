//! Diagnostics as text for people, as JSON for tools, and as one line each.
//!
//! Whatever the input holds, no control character of it reaches the terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use crate::diagnostic::{Diagnostic, Diagnostics, Label, Severity};
use crate::source::{FileId, Location, SourceFile, SourceMap, Span};

/// Lines beyond this length are not shown, only named.
const MAX_LINE_BYTES: usize = 2000;

/// Labels of one file that are farther apart are shown as separate excerpts.
const MAX_EXCERPT_BYTES: usize = 64 << 10;

/// Renders all diagnostics with excerpts of the source.
pub fn text(diagnostics: &Diagnostics, sources: &SourceMap, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = String::new();
    for diagnostic in diagnostics.list() {
        text.push_str(&renderer.render(&[group(diagnostic, sources)]));
        text.push_str("\n\n");
    }
    text
}

/// Renders every diagnostic as one line: `file:line:column: error[E0001]: message`.
pub fn lines(diagnostics: &Diagnostics, sources: &SourceMap) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics.list() {
        if let Some(primary) = &diagnostic.primary {
            let Location { file, line, column } = sources.location(primary.span);
            let _ = write!(text, "{}:{line}:{column}: ", printable(&file));
        }
        let severity = severity(diagnostic.severity);
        let _ = write!(
            text,
            "{severity}[{}]: {}",
            diagnostic.code.as_str(),
            printable(&diagnostic.message)
        );
        if let Some(help) = &diagnostic.help {
            let _ = write!(text, " (help: {})", printable(help));
        }
        text.push('\n');
    }
    text
}

/// Renders every diagnostic as a JSON object on a line of its own.
pub fn json(diagnostics: &Diagnostics, sources: &SourceMap) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics.list() {
        let primary = diagnostic
            .primary
            .as_ref()
            .map(|label| Place::of(label, sources));
        let record = Record {
            code: diagnostic.code.as_str(),
            name: diagnostic.code.slug(),
            severity: severity(diagnostic.severity),
            message: &diagnostic.message,
            place: primary.unwrap_or_default(),
            related: diagnostic
                .secondary
                .iter()
                .map(|label| Place::of(label, sources))
                .collect(),
            help: diagnostic.help.as_deref(),
        };
        // Strings and numbers only: this cannot fail.
        let json = serde_json::to_string(&record).unwrap_or_default();
        for c in json.chars() {
            // JSON escapes fewer control characters than a terminal needs.
            if is_control(c) {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            } else {
                text.push(c);
            }
        }
        text.push('\n');
    }
    text
}

/// `3 errors, 1 warning`; empty if there is neither.
pub fn summary(diagnostics: &Diagnostics) -> String {
    let counted = |severity, name: &str| match diagnostics.count(severity) {
        0 => None,
        1 => Some(format!("1 {name}")),
        count => Some(format!("{count} {name}s")),
    };
    [
        counted(Severity::Error, "error"),
        counted(Severity::Warning, "warning"),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(", ")
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

#[derive(Serialize)]
struct Record<'d> {
    code: &'static str,
    name: &'static str,
    severity: &'static str,
    message: &'d str,
    #[serde(flatten)]
    place: Place<'d>,
    related: Vec<Place<'d>>,
    help: Option<&'d str>,
}

/// A label; all parts are null for a finding without a place.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Place<'d> {
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    end_line: Option<usize>,
    end_column: Option<usize>,
    label: Option<&'d str>,
}

impl<'d> Place<'d> {
    fn of(label: &'d Label, sources: &SourceMap) -> Self {
        let start = sources.location(label.span);
        let end = sources.location(Span {
            start: label.span.end,
            ..label.span
        });
        Self {
            file: Some(start.file),
            line: Some(start.line),
            column: Some(start.column),
            end_line: Some(end.line),
            end_column: Some(end.column),
            label: Some(&label.text),
        }
    }
}

/// What annotate-snippets needs for one diagnostic.
fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut group = Group::with_title(
        level
            .primary_title(printable(&diagnostic.message))
            .id(diagnostic.code.as_str()),
    );
    let primary = diagnostic
        .primary
        .iter()
        .map(|label| (AnnotationKind::Primary, label));
    let secondary = diagnostic
        .secondary
        .iter()
        .map(|label| (AnnotationKind::Context, label));
    let mut excerpts: Vec<Excerpt<'a>> = Vec::new();
    for (kind, label) in primary.chain(secondary) {
        let Some(file) = sources.file(label.span.file) else {
            continue;
        };
        let (start, end) = first_line(file, label.span);
        match excerpts
            .iter_mut()
            .find(|excerpt| excerpt.takes(label.span.file, start, end))
        {
            Some(excerpt) => excerpt.add(kind, label, start, end),
            None => excerpts.push(Excerpt::new(file, kind, label, start, end)),
        }
    }
    for excerpt in excerpts {
        group = excerpt.show(group, sources);
    }
    match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(printable(help))),
        None => group,
    }
}

/// Lines of one file that are shown together.
struct Excerpt<'a> {
    file: &'a SourceFile,
    id: FileId,
    /// Bytes of the file: whole lines.
    start: usize,
    end: usize,
    labels: Vec<(AnnotationKind, &'a Label)>,
}

impl<'a> Excerpt<'a> {
    fn new(
        file: &'a SourceFile,
        kind: AnnotationKind,
        label: &'a Label,
        start: usize,
        end: usize,
    ) -> Self {
        Self {
            file,
            id: label.span.file,
            start,
            end,
            labels: vec![(kind, label)],
        }
    }

    /// Whether further lines can be shown with these.
    fn takes(&self, id: FileId, start: usize, end: usize) -> bool {
        self.id == id && self.end.max(end) - self.start.min(start) <= MAX_EXCERPT_BYTES
    }

    fn add(&mut self, kind: AnnotationKind, label: &'a Label, start: usize, end: usize) {
        self.start = self.start.min(start);
        self.end = self.end.max(end);
        self.labels.push((kind, label));
    }

    fn show(self, group: Group<'a>, sources: &SourceMap) -> Group<'a> {
        let text = self.file.text.get(self.start..self.end).unwrap_or_default();
        let path = printable(&self.file.name);
        let first = Span {
            file: self.id,
            start: self.start as u32,
            end: self.start as u32,
        };
        if text.lines().any(|line| line.len() > MAX_LINE_BYTES) {
            return self.labels.iter().fold(group, |group, (_, label)| {
                let place = sources.location(label.span);
                group.element(
                    Origin::path(path.clone())
                        .line(place.line)
                        .char_column(place.column),
                )
            });
        }
        let mut snippet = Snippet::source(shown_source(text))
            .line_start(sources.location(first).line)
            .path(path);
        for (kind, label) in self.labels {
            let (_, line_end) = first_line(self.file, label.span);
            let start = label.span.start as usize - self.start;
            let end = (label.span.end as usize)
                .min(line_end)
                .max(label.span.start as usize)
                - self.start;
            let annotation = kind.span(start..end);
            snippet = snippet.annotation(match label.text.as_str() {
                "" => annotation,
                text => annotation.label(printable(text)),
            });
        }
        group.element(snippet)
    }
}

/// The line in which a span starts, without its line break. Of a longer span only this much is underlined.
fn first_line(file: &SourceFile, span: Span) -> (usize, usize) {
    let at = (span.start as usize).min(file.text.len());
    let (before, after) = file.text.split_at_checked(at).unwrap_or(("", ""));
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = at + after.find(['\n', '\r']).unwrap_or(after.len());
    (start, end)
}

/// Source text with control characters replaced by as many bytes, so that offsets stay valid.
fn shown_source(text: &str) -> Cow<'_, str> {
    let hidden = |c: char| is_control(c) && !matches!(c, '\n' | '\t');
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c.len_utf8() {
            _ if !hidden(c) => shown.push(c),
            3 => shown.push(char::REPLACEMENT_CHARACTER),
            length => shown.extend(std::iter::repeat_n('?', length)),
        }
    }
    Cow::Owned(shown)
}

/// Text with control characters escaped.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_control(c) {
            shown.extend(c.escape_default())
        } else {
            shown.push(c)
        }
    }
    Cow::Owned(shown)
}

/// Control characters, and those that change the direction or the place of other text.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
