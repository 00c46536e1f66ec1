//! Generated requests.
//!
//! Most are aimed: at one matcher of the configuration that they are sent to, which they meet, or miss by little.

use std::net::Ipv4Addr;

use meshgate_compiler::oracle::{Connection, Request};
use meshgate_compiler::tree::{
    Domain, DomainKind, HeaderMatch, Matcher, PathTail, QueryMatch, TextPlace, Tree, ValueMatch,
    written_out,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::choice::{one_of, optional};
use super::options::{TOKEN, TOKEN_HEADER};
use super::resources::{FIELDS, SEGMENTS, VALUES};

/// Pieces of paths that a gateway may have rules for.
const OTHER_FORMS: &[&str] = &[
    "/..", "/.", "//", "\\", "/%2e%2E", "%2F", "%5c", "%61", "%", "%c3%a4", "%25", ";", ";v=1",
];

/// A request to be: all that is chosen before the configuration is known.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The request, where nothing is aimed at.
    blind: Request,
    aim: Option<Aim>,
    edits: Vec<Edit>,
}

/// Which matcher is aimed at.
#[derive(Clone, Debug)]
struct Aim {
    host: Index,
    domain: Index,
    virtual_host: Index,
    route: Index,
    matcher: Index,
}

/// A small change. It often makes a request miss that would have met.
#[derive(Clone, Debug)]
enum Edit {
    Path(Index, Piece),
    Value(Index, Piece),
    HeaderRemoved(Index),
    /// The header comes once more, with this value.
    HeaderRepeated(Index, &'static str),
    /// The value comes in two lines; the proxy joins them with a comma.
    HeaderSplit(Index),
    MethodCase,
    AuthorityCase,
    Port(&'static str),
}

/// A change of a text at one place.
#[derive(Clone, Debug)]
enum Piece {
    Case,
    Removed,
    Replaced(&'static str),
    Inserted(&'static str),
    /// What follows is cut off.
    Cut,
    Appended(&'static str),
}

const AUTHORITIES: &[&str] = &[
    "a.com",
    "A.com:81",
    "b.com",
    "b.a.com:81",
    "[::1]:81",
    "[::1]",
    "x.org",
    "a.com:80",
    "a.c",
    ".com",
    "m",
    "x.a.com",
];
const QUERIES: &[&str] = &[
    "",
    "",
    "",
    "?",
    "?q",
    "?q=v1&q=v2",
    "?p=v2&Q=v1",
    "?q=v10",
    "?x&p",
    "?q=/a",
    "#q=v1",
    "?q=v1#f",
];
/// What a text is changed by: what separates, and what is nearly something else.
const PIECES: &[&str] = &[
    "/", "?", "#", "&", "=", ",", ".", "%", "a", "b", "A", "v", "1", "0", "ä", "?q", "/a",
];

/// So many drafts.
pub fn drafts(count: usize) -> impl Strategy<Value = Vec<Draft>> {
    vec(draft(), count)
}

fn draft() -> impl Strategy<Value = Draft> {
    let index = any::<Index>;
    let aim =
        (index(), index(), index(), index(), index()).prop_map(|(host, domain, list, route, n)| {
            Aim {
                host,
                domain,
                virtual_host: list,
                route,
                matcher: n,
            }
        });
    (blind(), optional(1, 4, aim), vec(edit(), 0..3)).prop_map(|(blind, aim, edits)| Draft {
        blind,
        aim,
        edits,
    })
}

fn blind() -> impl Strategy<Value = Request> {
    (
        select(&["GET", "GET", "OPTIONS", "POST", "get"][..]),
        select(&["http", "https"][..]),
        select(AUTHORITIES),
        path(),
        vec(header(), 0..6),
        0..100_u32,
    )
        .prop_map(
            |(method, scheme, authority, path, headers, hundredth)| Request {
                method: method.to_owned(),
                scheme: scheme.to_owned(),
                authority: authority.to_owned(),
                path,
                headers,
                random: f64::from(hundredth) / 100.0,
                connection: Connection {
                    source: Some(Ipv4Addr::LOCALHOST.into()),
                    ..Connection::default()
                },
            },
        )
}

fn path() -> impl Strategy<Value = String> {
    let segment = one_of![9 => select(SEGMENTS), 1 => select(OTHER_FORMS)];
    let segments = vec(segment, 0..5).prop_map(|parts| parts.concat());
    (segments, select(QUERIES)).prop_map(|(path, query)| match path.strip_prefix('/') {
        Some(_) => format!("{path}{query}"),
        None => format!("/{path}{query}"),
    })
}

fn header() -> impl Strategy<Value = (String, String)> {
    let name = (select(FIELDS), any::<bool>()).prop_map(|(name, upper)| match upper {
        true => name.to_uppercase(),
        false => name.to_owned(),
    });
    let value = one_of![
        4 => select(VALUES).prop_map(str::to_owned),
        1 => select(&["", "v", "v1,v2", "V1", "w", "v1 "][..]).prop_map(str::to_owned),
    ];
    one_of![
        15 => (name, value),
        1 => Just((TOKEN_HEADER.to_owned(), TOKEN.to_owned())),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    one_of![
        4 => (at(), piece()).prop_map(|(at, piece)| Edit::Path(at, piece)),
        2 => (at(), piece()).prop_map(|(at, piece)| Edit::Value(at, piece)),
        2 => at().prop_map(Edit::HeaderRemoved),
        1 => (at(), select(VALUES)).prop_map(|(at, value)| Edit::HeaderRepeated(at, value)),
        1 => at().prop_map(Edit::HeaderSplit),
        1 => Just(Edit::MethodCase),
        1 => Just(Edit::AuthorityCase),
        1 => select(&[":80", ":81", ":", ":x"][..]).prop_map(Edit::Port),
    ]
}

fn piece() -> impl Strategy<Value = Piece> {
    one_of![
        1 => Just(Piece::Case),
        1 => Just(Piece::Removed),
        1 => select(PIECES).prop_map(Piece::Replaced),
        1 => select(PIECES).prop_map(Piece::Inserted),
        1 => Just(Piece::Cut),
        1 => select(PIECES).prop_map(Piece::Appended),
    ]
}

impl Draft {
    /// The request, sent to the first gateway of a configuration.
    pub fn request(&self, tree: &Tree) -> Request {
        let mut request = self.blind.clone();
        if let Some((domain, matcher)) = self.aim.as_ref().and_then(|aim| aim.choose(tree)) {
            request.authority = authority(&domain, &request.authority);
            meet(&mut request, &matcher);
        }
        for edit in &self.edits {
            edit.apply(&mut request);
        }
        request
    }
}

impl Aim {
    fn choose(&self, tree: &Tree) -> Option<(Domain, Matcher)> {
        let host = pick(&tree.gateways.first()?.hosts, self.host)?;
        let domain = pick(&host.domains, self.domain)?;
        let virtual_host = pick(&host.virtual_hosts, self.virtual_host)?;
        let routes = written_out(&virtual_host.routes);
        let matcher = pick(&pick(&routes, self.route)?.matchers, self.matcher)?;
        Some((domain.clone(), matcher.clone()))
    }
}

fn pick<T>(all: &[T], index: Index) -> Option<&T> {
    (!all.is_empty()).then(|| index.get(all))
}

/// An authority that a domain takes, unless another one wins.
fn authority(domain: &Domain, blind: &str) -> String {
    let host = match domain.kind {
        DomainKind::Exact => domain.text.clone(),
        DomainKind::Suffix => format!("x{}", domain.text),
        DomainKind::Prefix => format!("{}x", domain.text),
        DomainKind::Any => return blind.to_owned(),
    };
    match domain.port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

/// Changes a request so that it meets a matcher.
fn meet(request: &mut Request, matcher: &Matcher) {
    let (blind_path, blind_query) = match request.path.find(['?', '#']) {
        Some(at) => request.path.split_at(at),
        None => (request.path.as_str(), ""),
    };
    let literal = matcher.path.literal_text();
    let mut path = match &matcher.path.tail {
        PathTail::End => literal,
        PathTail::Any if matcher.path.whole_segments => literal + blind_path,
        PathTail::Any => literal + blind_path.trim_start_matches('/'),
        PathTail::Suffix(suffix) => format!("{literal}{blind_path}{}", suffix.text),
        PathTail::Regex(pattern) => literal + example(&pattern.value),
    };
    for (n, QueryMatch { name, value }) in matcher.query.iter().enumerate() {
        path.push(if n == 0 { '?' } else { '&' });
        path.push_str(name);
        if let Some(value) = example_of(value) {
            path.push('=');
            path.push_str(&value);
        }
    }
    match blind_query.strip_prefix('?') {
        Some(query) if !matcher.query.is_empty() => {
            path.push('&');
            path.push_str(query);
        }
        _ => path.push_str(blind_query),
    }
    request.path = path;
    if let Some(method) = &matcher.method {
        method.clone_into(&mut request.method);
    }
    for HeaderMatch {
        name,
        value,
        invert,
        ..
    } in &matcher.headers
    {
        request
            .headers
            .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        let value = example_of(value).unwrap_or_else(|| "v1".to_owned());
        if *invert {
            continue;
        }
        match name.as_str() {
            ":authority" => request.authority = value,
            ":method" => request.method = value,
            // The others have forms of their own, which the request has already.
            name if name.starts_with(':') => {}
            _ => request.headers.push((name.clone(), value)),
        }
    }
}

fn example_of(value: &ValueMatch) -> Option<String> {
    match value {
        ValueMatch::Present => None,
        ValueMatch::Exact(value) => Some(value.clone()),
        ValueMatch::Regex(pattern) => Some(example(&pattern.value).to_owned()),
        ValueMatch::Text(place, part) => {
            let text = match part.ignore_case {
                true => part.text.to_ascii_uppercase(),
                false => part.text.clone(),
            };
            Some(match place {
                TextPlace::Whole => text,
                TextPlace::Start => text + "2",
                TextPlace::End => format!("x{text}"),
                TextPlace::Anywhere => format!("x{text}2"),
            })
        }
        ValueMatch::Range(_, end) => Some((end - 1).to_string()),
    }
}

/// A text that a pattern of the generated configurations matches.
fn example(pattern: &str) -> &'static str {
    match pattern {
        r"application/grpc(?:\+(?s:.*))?" => "application/grpc+proto",
        "v1.*" | "v10?" | "v\\d+" => "v10",
        "v[0-9]" | "v(1|2)" => "v2",
        ".*" => "v0",
        "[^v].*" => "w",
        "v1,v.*" => "v1,v2",
        "(?i)V2" => "v2",
        "/.*" | "/[a-z]+" => "/ab",
        "/a.*b" | "/(a|ab)(/b)?" => "/a/b",
        ".*b" => "b",
        "/a/b" => "/a/b",
        "^/a$" => "/a",
        "/\\w+\\b.*" => "/a.b",
        "(?i)/AB.*" => "/ab/a",
        "/ä?." => "/äa",
        "/[^/]+/[^/]+" => "/a/b",
        "/v1/[^/]+" => "/v1/a",
        "/a\\.b" => "/a.b",
        "/v[0-9]+(/.*)?" => "/v1/a",
        _ => "",
    }
}

impl Edit {
    fn apply(&self, request: &mut Request) {
        match self {
            Edit::Path(at, piece) => request.path = piece.apply(*at, &request.path),
            Edit::Value(at, piece) => {
                if let Some(n) = position(&request.headers, *at) {
                    let value = &mut request.headers[n].1;
                    *value = piece.apply(*at, value);
                }
            }
            Edit::HeaderRemoved(at) => {
                if let Some(n) = position(&request.headers, *at) {
                    request.headers.remove(n);
                }
            }
            Edit::HeaderRepeated(at, value) => {
                if let Some(n) = position(&request.headers, *at) {
                    let name = request.headers[n].0.clone();
                    request.headers.push((name, (*value).to_owned()));
                }
            }
            Edit::HeaderSplit(at) => {
                if let Some(n) = position(&request.headers, *at)
                    && let (name, value) = request.headers[n].clone()
                    && let Some((first, second)) = value.split_once(',')
                {
                    first.clone_into(&mut request.headers[n].1);
                    request.headers.push((name, second.to_owned()));
                }
            }
            Edit::MethodCase => request.method = swap_case(&request.method),
            Edit::AuthorityCase => request.authority = swap_case(&request.authority),
            Edit::Port(port) => request.authority.push_str(port),
        }
    }
}

fn position<T>(all: &[T], at: Index) -> Option<usize> {
    (!all.is_empty()).then(|| at.index(all.len()))
}

impl Piece {
    fn apply(&self, at: Index, text: &str) -> String {
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let at = position(&ends, at).map_or(0, |n| ends[n]);
        let (before, after) = text.split_at(at);
        let mut rest = after.chars();
        let changed = rest.next().map(String::from).unwrap_or_default();
        let rest = rest.as_str();
        match self {
            Piece::Case => format!("{before}{}{rest}", swap_case(&changed)),
            Piece::Removed => format!("{before}{rest}"),
            Piece::Replaced(piece) => format!("{before}{piece}{rest}"),
            Piece::Inserted(piece) => format!("{before}{piece}{after}"),
            Piece::Cut => before.to_owned(),
            Piece::Appended(piece) => format!("{text}{piece}"),
        }
    }
}

fn swap_case(text: &str) -> String {
    let swap = |c: char| match c.is_ascii_lowercase() {
        true => c.to_ascii_uppercase(),
        false => c.to_ascii_lowercase(),
    };
    text.chars().map(swap).collect()
}

#[cfg(test)]
mod tests {
    use meshgate_compiler::regex::Regex;

    use super::super::resources::{PATH_PATTERNS, VALUE_PATTERNS};
    use super::example;

    #[test]
    fn every_pattern_has_an_example() {
        for pattern in PATH_PATTERNS.iter().chain(VALUE_PATTERNS) {
            let matcher = Regex::parse(pattern)
                .and_then(|regex| regex.matcher())
                .expect(pattern);
            let text = example(pattern);
            assert!(
                matcher.matches(text.as_bytes()),
                "`{pattern}` does not match `{text}`"
            );
        }
    }
}
