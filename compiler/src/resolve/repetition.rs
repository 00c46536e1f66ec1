//! Prefixes that a child repeats: `/api/v1` below `/api`, which makes `/api/api/v1`.
//!
//! Whether a shared route repeats a prefix depends on where it is delegated to, so its paths are kept, by their first
//! segment: a prefix that is repeated begins with the same one.

use std::collections::HashMap;

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::resource::Uri;
use crate::source::Span;

/// What may repeat the prefix of a delegating route.
#[derive(Debug, Default)]
pub(super) struct Repetitions<'r> {
    paths: HashMap<&'r str, Vec<Below<'r>>>,
    /// References in the unit: the unit, and where it is delegated to.
    pub(super) nested: Vec<(usize, String, Span)>,
}

/// A path as written, and where in the unit it stands.
#[derive(Debug)]
pub(super) struct Below<'r> {
    /// The prefix it is appended to, as far as it lies in the unit.
    pub(super) prefix: String,
    /// The delegating route, if it lies in the unit.
    pub(super) place: Option<Span>,
    pub(super) uri: &'r Uri,
}

impl<'r> Repetitions<'r> {
    /// Keeps a path of the unit.
    pub(super) fn add(&mut self, below: Below<'r>) {
        let text = below.uri.value.value.as_str();
        // What is repeated when there is nothing before the unit is found under no segment.
        if repeats(&below.prefix, text) {
            let same = Below {
                prefix: below.prefix.clone(),
                ..below
            };
            self.paths.entry("").or_default().push(same);
        }
        self.paths
            .entry(first_segment(text))
            .or_default()
            .push(below);
    }

    /// Those that can repeat a prefix that begins with this one.
    pub(super) fn candidates(&self, prefix: &str) -> &[Below<'r>] {
        self.paths
            .get(first_segment(prefix))
            .map_or(&[], Vec::as_slice)
    }
}

/// The path up to its second slash.
fn first_segment(path: &str) -> &str {
    let start = usize::from(path.starts_with('/'));
    let end = path.get(start..).and_then(|rest| rest.find('/'));
    end.and_then(|end| path.get(..start + end)).unwrap_or(path)
}

/// Whether a child repeats the prefix it is appended to, segment by segment: `/foo/bar` below `/foo`.
pub(super) fn repeats(prefix: &str, child: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    // The prefix `/` is nothing to repeat.
    !prefix.is_empty()
        && child
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What is said about it.
pub(super) fn finding(prefix: &str, uri: &Uri, place: Span) -> Diagnostic {
    let written = &uri.value.value;
    Diagnostic::at(
        Code::RepeatedPrefix,
        uri.span,
        format!(
            "`{written}` is appended to `{prefix}`, so it takes `{}{written}`",
            prefix.trim_end_matches('/')
        ),
    )
    .also(place, "delegates here")
    .help(format!(
        "leave out `{prefix}` if the path of the delegating route was repeated by mistake"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_is_by_segment() {
        assert!(repeats("/foo/", "/foo/bar"));
        assert!(repeats("/foo", "/foo"));
        assert!(!repeats("/foo/", "/foobar"));
        assert!(!repeats("/", "/foobar"));
    }

    #[test]
    fn first_segments() {
        for (path, expected) in [
            ("/a/b", "/a"),
            ("/a", "/a"),
            ("a/b", "a"),
            ("/", "/"),
            ("", ""),
        ] {
            assert_eq!(first_segment(path), expected);
        }
    }
}
