//! Path conditions: from what is written to literal parts and a tail, and the join with a parent's prefix.

use crate::resource::{PathKind, Uri};
use crate::tree::{LiteralPart, PathMatch, PathTail};

/// The condition of a route that stands in a virtual host.
pub(super) fn own(uri: Option<&Uri>) -> PathMatch {
    match uri {
        None => PathMatch::any(),
        Some(uri) => with_tail(Vec::new(), uri, uri.value.value.clone()),
    }
}

/// The condition of a route in a table, below the prefix of a route that delegates to the table.
///
/// The child's path is appended: `/foo` and `/bar` make `/foo/bar`. A child of `/` (or none) is the parent's own
/// prefix, without a slash added, so that `/foo` itself still matches. Regexes and suffixes look at what follows the
/// prefix, which a path still has to have.
///
/// Text of the path may also stand before the parent's (`below_text`).
pub(super) fn join(parent: &PathMatch, child: Option<&Uri>, below_text: bool) -> PathMatch {
    let Some(uri) = child else {
        return parent.clone();
    };
    let text = &uri.value.value;
    match uri.kind {
        PathKind::Prefix | PathKind::Exact if matches!(text.as_str(), "" | "/") => PathMatch {
            literal: parent.literal.clone(),
            whole_segments: parent.whole_segments && uri.kind == PathKind::Prefix,
            tail: if uri.kind == PathKind::Exact {
                PathTail::End
            } else {
                PathTail::Any
            },
        },
        PathKind::Prefix | PathKind::Exact => {
            let slash = if text.starts_with('/') { "" } else { "/" };
            with_tail(without_last_slash(parent), uri, format!("{slash}{text}"))
        }
        // Below `/foo/` they see the slash, but not what only begins with `/foo`: that is another's.
        PathKind::Suffix | PathKind::Regex => {
            let literal = without_last_slash(parent);
            let is_cut = literal != parent.literal && (below_text || !literal.is_empty());
            PathMatch {
                whole_segments: parent.whole_segments || is_cut,
                ..with_tail(literal, uri, text.clone())
            }
        }
    }
}

fn without_last_slash(parent: &PathMatch) -> Vec<LiteralPart> {
    let mut literal = parent.literal.clone();
    if let Some(last) = literal.last_mut()
        && last.text.ends_with('/')
    {
        last.text.pop();
        if last.text.is_empty() {
            literal.pop();
        }
    }
    literal
}

fn with_tail(mut literal: Vec<LiteralPart>, uri: &Uri, text: String) -> PathMatch {
    let ignore_case = uri.ignore_case.as_ref().is_some_and(|flag| flag.value);
    let tail = match uri.kind {
        PathKind::Exact => PathTail::End,
        PathKind::Prefix => PathTail::Any,
        PathKind::Suffix => {
            return PathMatch {
                literal,
                whole_segments: false,
                tail: PathTail::Suffix(LiteralPart { text, ignore_case }),
            };
        }
        PathKind::Regex => {
            return PathMatch {
                literal,
                whole_segments: false,
                tail: PathTail::Regex(uri.value.clone()),
            };
        }
    };
    match literal.last_mut() {
        Some(last) if last.ignore_case == ignore_case => last.text.push_str(&text),
        _ if text.is_empty() => {}
        _ => literal.push(LiteralPart { text, ignore_case }),
    }
    PathMatch {
        literal,
        whole_segments: uri.whole_segments,
        tail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Span, Spanned};

    fn uri(kind: PathKind, text: &str, ignore_case: bool) -> Uri {
        Uri {
            kind,
            value: Spanned::new(text.to_owned(), Span::default()),
            whole_segments: false,
            ignore_case: ignore_case.then(|| Spanned::new(true, Span::default())),
            span: Span::default(),
        }
    }

    fn show(path: &PathMatch) -> String {
        let literal: Vec<String> = path
            .literal
            .iter()
            .map(|part| {
                format!(
                    "{}{}",
                    if part.ignore_case { "(?i)" } else { "" },
                    part.text
                )
            })
            .collect();
        let tail = match &path.tail {
            PathTail::End => "$".to_owned(),
            PathTail::Any => "*".to_owned(),
            PathTail::Suffix(suffix) => format!("*{}", suffix.text),
            PathTail::Regex(pattern) => format!("~{}", pattern.value),
        };
        let border = if path.whole_segments { "|" } else { "" };
        format!("{}{border}{tail}", literal.join("+"))
    }

    #[test]
    fn children_are_appended() {
        use PathKind::{Exact, Prefix, Regex, Suffix};
        for (parent, child, expected) in [
            ("/", uri(Prefix, "/a", false), "/a*"),
            ("/foo", uri(Prefix, "/", false), "/foo*"),
            ("/foo/", uri(Prefix, "/", false), "/foo/*"),
            ("/foo", uri(Exact, "/", false), "/foo$"),
            ("/foo", uri(Exact, "/bar", false), "/foo/bar$"),
            ("/foo/", uri(Prefix, "/bar", false), "/foo/bar*"),
            ("/foo", uri(Prefix, "bar", false), "/foo/bar*"),
            ("/foo", uri(Regex, "/b.r", false), "/foo~/b.r"),
            ("/", uri(Regex, "/b.r", false), "~/b.r"),
            ("/foo", uri(Suffix, ".css", false), "/foo*.css"),
            ("/", uri(Suffix, ".css", false), "*.css"),
            ("/foo/", uri(Regex, "/b.r", false), "/foo|~/b.r"),
            ("/foo/", uri(Suffix, ".css", false), "/foo|*.css"),
            ("/foo", uri(Prefix, "/bar", true), "/foo+(?i)/bar*"),
            ("/", uri(Prefix, "/bar", true), "(?i)/bar*"),
        ] {
            let parent = own(Some(&uri(Prefix, parent, false)));
            assert_eq!(show(&join(&parent, Some(&child), false)), expected);
        }
    }

    #[test]
    fn segments_stay_whole_below_a_parent() {
        use PathKind::{Exact, Prefix, Regex, Suffix};
        let whole = |text| Uri {
            whole_segments: true,
            ..uri(Prefix, text, false)
        };
        let parent = own(Some(&whole("/foo")));
        assert_eq!(show(&parent), "/foo|*");
        assert_eq!(show(&join(&parent, None, false)), "/foo|*");
        for (child, expected) in [
            (uri(Prefix, "/", false), "/foo|*"),
            (uri(Exact, "/", false), "/foo$"),
            (uri(Prefix, "/bar", false), "/foo/bar*"),
            (uri(Exact, "bar", true), "/foo+(?i)/bar$"),
            (whole("/bar"), "/foo/bar|*"),
            (uri(Regex, ".*", false), "/foo|~.*"),
            (uri(Suffix, ".css", false), "/foo|*.css"),
        ] {
            assert_eq!(show(&join(&parent, Some(&child), false)), expected);
        }
        let parent = own(Some(&uri(Prefix, "/foo/", false)));
        assert_eq!(
            show(&join(&parent, Some(&whole("/bar")), false)),
            "/foo/bar|*"
        );
    }

    #[test]
    fn the_slash_of_a_parent_stays_below_other_text() {
        let parent = own(Some(&uri(PathKind::Prefix, "/", false)));
        let child = uri(PathKind::Regex, ".*", false);
        assert_eq!(show(&join(&parent, Some(&child), false)), "~.*");
        assert_eq!(show(&join(&parent, Some(&child), true)), "|~.*");
    }

    #[test]
    fn a_child_without_path_takes_its_parents() {
        let parent = own(Some(&uri(PathKind::Prefix, "/foo", true)));
        assert_eq!(join(&parent, None, false), parent);
    }
}
