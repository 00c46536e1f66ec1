//! Why a request gets the route that it gets: what is looked at on the way, in order.

use super::hosts::{find_domain, needs_tls};
use super::{Request, field, header_matches, path_matches, paths, query_matches};
use crate::source::Span;
use crate::tree::{
    Domain, Entry, Gateway, HeaderMatch, Matcher, PathMatch, PathTail, TextPlace, ValueMatch,
};

/// The way of a request through the routes of a gateway.
#[derive(Clone, Debug, Default)]
pub struct Walk<'t> {
    /// The domain that leads to the virtual host; `None` if there is none.
    pub domain: Option<&'t Domain>,
    /// The virtual host redirects the request to https; no matcher is tried.
    pub needs_tls: bool,
    /// The path without query, as it is matched.
    pub path: String,
    /// The matchers that were tried, in order. The last one holds, if any does.
    pub tried: Vec<Tried>,
}

/// A matcher that was tried.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Full name of its route; of a route that delegates, up to there.
    pub name: String,
    /// Where it is written.
    pub span: Span,
    /// Why it does not hold.
    pub failed: Option<Failed>,
}

/// A condition that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// That on the path, in words.
    Path(String),
    /// Another one, in words; that on the path holds.
    Other(String),
}

impl Failed {
    /// The words.
    pub fn text(&self) -> &str {
        match self {
            Failed::Path(text) | Failed::Other(text) => text,
        }
    }
}

/// Follows a request that a gateway received.
pub fn walk<'t>(gateway: &'t Gateway, request: &Request) -> Walk<'t> {
    let mut walk = Walk::default();
    let request = &paths::normal(gateway.paths, request);
    let Some((host, domain)) = find_domain(gateway, &request.authority) else {
        return walk;
    };
    walk.domain = Some(domain);
    if needs_tls(host, request) {
        walk.needs_tls = true;
        return walk;
    }
    walk.path = paths::matched(host, request);
    for virtual_host in &host.virtual_hosts {
        if walk.entries(&virtual_host.routes, 0, &[], request) {
            break;
        }
    }
    walk
}

impl Walk<'_> {
    /// Tries a list; whether one of it matches.
    fn entries(
        &mut self,
        entries: &[Entry],
        base: usize,
        above: &[String],
        request: &Request,
    ) -> bool {
        entries.iter().any(|entry| match entry {
            Entry::Route(route) => route.matchers.iter().any(|matcher| {
                let names = above.iter().map(String::as_str);
                let names = names.chain(route.name.segments());
                let names: Vec<&str> = names.chain(matcher.name.as_deref()).collect();
                self.matcher(names.join("/"), matcher, base, request)
            }),
            Entry::Delegation(delegation) => {
                let names = [above, &delegation.names].concat();
                if let Some(failed) = failed(&delegation.matcher, base, &self.path, request) {
                    self.tried.push(Tried {
                        name: names.join("/"),
                        span: delegation.matcher.span,
                        failed: Some(failed),
                    });
                    return false;
                }
                let inner = base + delegation.base();
                self.entries(&delegation.shared.entries, inner, &names, request)
            }
        })
    }

    fn matcher(&mut self, name: String, matcher: &Matcher, base: usize, request: &Request) -> bool {
        let failed = failed(matcher, base, &self.path, request);
        let holds = failed.is_none();
        self.tried.push(Tried {
            name,
            span: matcher.span,
            failed,
        });
        holds
    }
}

/// The first condition of a matcher that does not hold.
fn failed(matcher: &Matcher, base: usize, path: &str, request: &Request) -> Option<Failed> {
    let rest = path.as_bytes().get(base..);
    if !rest.is_some_and(|rest| path_matches(&matcher.path, rest)) {
        let rest = path.get(base..).unwrap_or_default();
        let what = match base {
            0 => "the path".to_owned(),
            _ => format!("the rest of the path, `{rest}`,"),
        };
        return Some(Failed::Path(format!(
            "{what} {}",
            path_in_words(&matcher.path)
        )));
    }
    let headers = matcher.headers.iter();
    if let Some(condition) = headers
        .into_iter()
        .find(|one| !header_matches(one, request))
    {
        return Some(Failed::Other(header_in_words(condition, request)));
    }
    let query = matcher.query.iter();
    if let Some(condition) = query
        .into_iter()
        .find(|one| !query_matches(one, &request.path))
    {
        let (name, wanted) = (&condition.name, value_in_words(&condition.value));
        return Some(Failed::Other(format!(
            "the query parameter `{name}` is wanted {wanted}"
        )));
    }
    let method = matcher.method.as_ref()?;
    let is = &request.method;
    (method != is).then(|| Failed::Other(format!("the method is `{is}`, not `{method}`")))
}

/// What a path does not do.
fn path_in_words(condition: &PathMatch) -> String {
    let literal = condition.literal_text();
    let ignores_case = condition.literal.iter().any(|part| part.ignore_case);
    let case = if ignores_case { ", case ignored" } else { "" };
    match &condition.tail {
        PathTail::End => format!("is not `{literal}`{case}"),
        PathTail::Any if condition.whole_segments => {
            format!("does not begin with `{literal}`{case}, as whole segments")
        }
        PathTail::Any => format!("does not begin with `{literal}`{case}"),
        PathTail::Suffix(suffix) => {
            let case = if suffix.ignore_case {
                ", case ignored"
            } else {
                case
            };
            match literal.is_empty() {
                true => format!("does not end in `{}`{case}", suffix.text),
                false => format!("is not `{literal}` … `{}`{case}", suffix.text),
            }
        }
        PathTail::Regex(pattern) => match literal.is_empty() {
            true => format!("does not match `{}`", pattern.value),
            false => format!(
                "is not `{literal}`{case} and then what matches `{}`",
                pattern.value
            ),
        },
    }
}

fn header_in_words(condition: &HeaderMatch, request: &Request) -> String {
    let name = &condition.name;
    let is = match field(request, name) {
        Some(value) => format!("is `{value}`"),
        None => "is not there".to_owned(),
    };
    let not = if condition.invert { "not " } else { "" };
    let wanted = value_in_words(&condition.value);
    format!("header `{name}` {is}; it is wanted {not}{wanted}")
}

/// What a value has to be, after "it is wanted".
fn value_in_words(condition: &ValueMatch) -> String {
    match condition {
        ValueMatch::Present => "to be there".to_owned(),
        ValueMatch::Exact(text) => format!("to be `{text}`"),
        ValueMatch::Regex(pattern) => format!("to match `{}`", pattern.value),
        ValueMatch::Text(place, part) => {
            let case = if part.ignore_case {
                ", case ignored"
            } else {
                ""
            };
            let verb = match place {
                TextPlace::Whole => "be",
                TextPlace::Start => "begin with",
                TextPlace::End => "end in",
                TextPlace::Anywhere => "contain",
            };
            format!("to {verb} `{}`{case}", part.text)
        }
        ValueMatch::Range(start, end) => {
            format!("to be a number from {start} up to, but not including, {end}")
        }
    }
}
