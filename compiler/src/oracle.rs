//! The definition of correct: answers one request from the resolved tree, route by route.
//!
//! Slow and obvious on purpose. It shares no matching code with the engine, which is held to its answers.

mod access;
mod asks;
mod conditions;
mod credentials;
mod hosts;
mod paths;
mod policies;
mod rewrite;
mod stickiness;
mod walk;

use std::borrow::Cow;

use std::net::IpAddr;

use self::conditions::{
    field, header, header_matches, matches, path_matches, query_matches, regex_matches, split_path,
};
use self::hosts::{find_host, needs_tls};
use crate::answer::{self, Answer, Outcome, Response};
use crate::resource::{HeaderManipulation, ObjectName};
use crate::rewrite::{HostRewrite, PathRewrite};
use crate::tree::{
    Action, Entry, Forward, Gateway, Host, Matcher, PathTail, Redirect, RedirectPath, Route, Tree,
    VirtualHost, WeightedDestination,
};

pub use walk::{Failed, Tried, Walk, walk};

/// A request as the gateway receives it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Host, perhaps with a port.
    pub authority: String,
    /// Path with query.
    pub path: String,
    /// Names, in any case, and values.
    pub headers: Vec<(String, String)>,
    /// Decides weighted choices: 0 <= random < 1.
    pub random: f64,
    /// How it came.
    pub connection: Connection,
}

/// What a gateway knows about the connection of a request.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// Address of who connects.
    pub source: Option<IpAddr>,
    /// Server name that the client asked for in the TLS handshake.
    pub server_name: Option<String>,
    /// URI and DNS names of the client's certificate.
    pub identities: Vec<String>,
    /// The time in seconds of the Unix epoch.
    pub time: u64,
}

/// What a request came to.
struct Found<'t> {
    virtual_host: &'t VirtualHost,
    /// Names of the delegating routes it is shared by, outermost first.
    names: Vec<&'t str>,
    route: &'t Route,
    matched: Matched<'t>,
}

/// What the matcher of a route has taken of a path.
#[derive(Clone, Copy)]
struct Matched<'t> {
    matcher: &'t Matcher,
    /// Bytes before its path condition, taken by delegating routes.
    base: usize,
}

impl Matched<'_> {
    /// Bytes that a rewrite of a prefix replaces; `None` = all of them.
    fn replaced(self) -> Option<usize> {
        let len = self.matcher.path.rewrite_len()?;
        Some(self.base + len)
    }
}

/// Answers a request that a gateway received; without a name, the first gateway. A gateway that does not exist finds
/// nothing.
pub fn evaluate(tree: &Tree, gateway: Option<&ObjectName>, request: &Request) -> Answer {
    let Some(gateway) = find_gateway(tree, gateway) else {
        return Answer::not_found();
    };
    let request = &paths::normal(gateway.paths, request);
    let answer = Answer {
        gateway: Some(gateway.name.to_string()),
        ..Answer::not_found()
    };
    if gateway.https_redirect {
        return redirect(answer, &HTTPS_REDIRECT, None, request);
    }
    let Some(host) = find_host(gateway, &request.authority) else {
        return answer;
    };
    let answer = Answer {
        virtual_host: virtual_host(gateway, &request.authority).map(|host| host.name.to_string()),
        ..answer
    };
    if needs_tls(host, request) {
        return redirect(answer, &HTTPS_REDIRECT, None, request);
    }
    let path = paths::matched(host, request);
    let Some(Found {
        virtual_host,
        names,
        route,
        matched,
    }) = find_route(host, &path, request)
    else {
        return answer;
    };
    let replaced = matched.replaced();
    let replaced = replaced.map(|len| paths::sent_len(host, request, len));
    let names: Vec<&str> = names
        .into_iter()
        .chain(route.name.segments())
        .chain(matched.matcher.name.as_deref())
        .collect();
    let answer = Answer {
        virtual_host: Some(virtual_host.name.to_string()),
        route: Some(names.join("/")),
        route_name: route.name.leaf().map(str::to_owned),
        ..answer
    };
    if let Some(answer) = policies::check(&answer, tree, route, &path, request) {
        return with_response_headers(answer, route, request);
    }
    let answer = Answer {
        asks: asks::asks(&gateway.services, route, request),
        ..answer
    };
    match &route.action {
        Action::Forward(action) => {
            let path = SentAndMatched {
                matched: &path,
                by: matched,
                replaced,
            };
            forward(answer, action, route, path, request)
        }
        Action::Redirect(action) => {
            let answer = redirect(answer, action, replaced, request);
            with_response_headers(answer, route, request)
        }
        Action::DirectResponse(action) => {
            let answer = Answer {
                outcome: Outcome::DirectResponse,
                response: Some(Response {
                    status: action.status,
                    headers: Vec::new(),
                    body: action.body.clone(),
                }),
                ..answer
            };
            with_response_headers(answer, route, request)
        }
    }
}

/// The headers that the client receives when the destination of a forwarded request answers with `headers`. `None` if
/// the request is not forwarded.
pub fn response_headers(
    tree: &Tree,
    gateway: Option<&ObjectName>,
    request: &Request,
    headers: &[(String, String)],
) -> Option<Vec<(String, String)>> {
    let gateway = find_gateway(tree, gateway)?;
    let request = &paths::normal(gateway.paths, request);
    let host = find_host(gateway, &request.authority)?;
    if needs_tls(host, request) {
        return None;
    }
    let route = find_route(host, &paths::matched(host, request), request)?.route;
    let Action::Forward(action) = &route.action else {
        return None;
    };
    let destination = choose(action, route, request)?;
    let mut headers = lower_case(headers);
    for level in route_headers(route)
        .into_iter()
        .chain(destination.headers.as_deref())
    {
        change_response(&mut headers, level);
    }
    policies::change_response(route, request, &mut headers);
    let cookies = (route.options.stickiness.as_ref())
        .filter(|_| action.destinations.len() > 1)
        .map(|stickiness| stickiness::cookies(stickiness, request));
    let cookies = cookies.into_iter().flatten();
    headers.extend(cookies.map(|cookie| ("set-cookie".to_owned(), cookie)));
    Some(headers)
}

/// The virtual host that a request's authority leads to. Where several share the domain, the oldest one stands for all
/// of them.
pub fn virtual_host<'t>(gateway: &'t Gateway, authority: &str) -> Option<&'t VirtualHost> {
    let host = find_host(gateway, authority)?;
    host.virtual_hosts.first().map(AsRef::as_ref)
}

fn find_gateway<'t>(tree: &'t Tree, name: Option<&ObjectName>) -> Option<&'t Gateway> {
    match name {
        None => tree.gateways.first(),
        Some(name) => tree.gateways.iter().find(|gateway| gateway.name == *name),
    }
}

fn find_route<'t>(host: &'t Host, path: &str, request: &Request) -> Option<Found<'t>> {
    host.virtual_hosts
        .iter()
        .find_map(|virtual_host| find_entry(virtual_host, &virtual_host.routes, 0, path, request))
}

/// The first route of a list that matches, when the first `base` bytes of the path are taken by delegating routes.
fn find_entry<'t>(
    virtual_host: &'t VirtualHost,
    entries: &'t [Entry],
    base: usize,
    path: &str,
    request: &Request,
) -> Option<Found<'t>> {
    for entry in entries {
        match entry {
            Entry::Route(route) => {
                for matcher in &route.matchers {
                    if matches(matcher, base, path, request) {
                        return Some(Found {
                            virtual_host,
                            names: Vec::new(),
                            route,
                            matched: Matched { matcher, base },
                        });
                    }
                }
            }
            Entry::Delegation(delegation) => {
                if !matches(&delegation.matcher, base, path, request) {
                    continue;
                }
                let entries = &delegation.shared.entries;
                let inner = base + delegation.base();
                if let Some(found) = find_entry(virtual_host, entries, inner, path, request) {
                    let names = delegation.names.iter().map(String::as_str);
                    return Some(Found {
                        names: names.chain(found.names.iter().copied()).collect(),
                        ..found
                    });
                }
            }
        }
    }
    None
}

/// What a rewrite works on besides the path as it was sent.
struct SentAndMatched<'t> {
    /// The path as it was matched.
    matched: &'t str,
    by: Matched<'t>,
    /// Bytes of the path as it was sent that a rewrite of a prefix replaces; `None` = all of them.
    replaced: Option<usize>,
}

fn forward(
    answer: Answer,
    action: &Forward,
    route: &Route,
    sent: SentAndMatched<'_>,
    request: &Request,
) -> Answer {
    let Some(chosen) = choose(action, route, request) else {
        return answer;
    };
    let mut headers = headers_after_policies(route, request);
    for level in route_headers(route)
        .into_iter()
        .chain(chosen.headers.as_deref())
    {
        headers.retain(|(name, _)| level.remove_request.iter().all(|removed| removed != name));
        set(&mut headers, &level.set_request);
        headers.extend_from_slice(&level.append_request);
    }
    let (path, query) = split_path(&request.path);
    let path = match &action.path_rewrite {
        None => Some(path.to_owned()),
        Some(PathRewrite::Prefix(prefix)) => Some(rewritten(path, sent.replaced, prefix)),
        Some(PathRewrite::Matches(replacement)) => {
            Some(with_slash(rewrite::replace_all(replacement, path)))
        }
        Some(PathRewrite::Template(parts)) => match &sent.by.matcher.path.tail {
            PathTail::Regex(pattern) => sent
                .matched
                .get(sent.by.base + sent.by.matcher.path.literal_len()..)
                .and_then(|rest| rewrite::by_template(&pattern.value, parts, rest)),
            _ => None,
        },
    };
    let Some(path) = path else { return answer };
    let path = path + query;
    let authority = match &action.host_rewrite {
        None => None,
        Some(HostRewrite::Text(host)) => Some(host.clone()),
        Some(HostRewrite::Header(name)) => header(request, name).filter(|host| !host.is_empty()),
        Some(HostRewrite::Path(replacement)) => {
            let host = rewrite::replace_all(replacement, split_path(&request.path).0);
            Some(host).filter(|host| !host.is_empty())
        }
    };
    Answer {
        outcome: Outcome::Forward,
        destination: Some(chosen.destination.as_ref().into()),
        destinations: Some(
            action
                .destinations
                .iter()
                .map(|weighted| answer::WeightedDestination {
                    destination: weighted.destination.as_ref().into(),
                    weight: weighted.weight,
                })
                .collect(),
        ),
        request: Some(answer::Request {
            method: request.method.clone(),
            authority: authority.unwrap_or_else(|| request.authority.clone()),
            path,
            headers,
        }),
        response: None,
        options: Some(answer::Options {
            delay: policies::delay(route, request).map(answer::duration),
            mirrors: policies::mirrors(route, request),
            ..answer::Options::from(&*route.options)
        }),
        ..answer
    }
}

/// The headers of a request that the policies of its route let pass. Names are lower-case.
fn headers_after_policies(route: &Route, request: &Request) -> Vec<(String, String)> {
    let jwt = route.options.jwt.as_ref();
    access::headers_after(jwt.map(|jwt| &*jwt.value), request)
}

/// The destination that the request sticks to, or the first whose cumulated share exceeds the random number.
fn choose<'d>(
    action: &'d Forward,
    route: &Route,
    request: &Request,
) -> Option<&'d WeightedDestination> {
    let destinations = &action.destinations;
    if let Some(stickiness) = &route.options.stickiness
        && destinations.len() > 1
        && let Some(chosen) = stickiness::choose(stickiness, destinations, request)
    {
        return Some(chosen);
    }
    let total: u32 = destinations
        .iter()
        .map(|destination| destination.weight)
        .sum();
    let point = request.random * f64::from(total);
    let mut cumulated = 0;
    destinations.iter().find(|destination| {
        cumulated += destination.weight;
        point < f64::from(cumulated)
    })
}

/// Paths start with a slash, however they came about.
fn with_slash(path: String) -> String {
    match path.starts_with('/') {
        true => path,
        false => format!("/{path}"),
    }
}

/// A path (without query) whose matched prefix, or all of it, is replaced.
fn rewritten(path: &str, matched: Option<usize>, replacement: &str) -> String {
    let rest = matched.and_then(|len| path.get(len..)).unwrap_or_default();
    format!("{replacement}{rest}")
}

/// What becomes of requests that have to come over TLS and do not.
const HTTPS_REDIRECT: Redirect = Redirect {
    host: None,
    path: RedirectPath::Keep,
    status: 301,
    scheme: Some(Cow::Borrowed("https")),
    port: None,
    strip_query: false,
};

fn redirect(
    answer: Answer,
    action: &Redirect,
    matched: Option<usize>,
    request: &Request,
) -> Answer {
    let scheme = action.scheme.as_deref().unwrap_or(&request.scheme);
    let host = match &action.host {
        Some(host) => host.as_str(),
        // The old scheme's default port would be wrong for the new scheme.
        None if scheme != request.scheme => {
            let default = match request.scheme.as_str() {
                "http" => ":80",
                "https" => ":443",
                _ => "",
            };
            let authority = request.authority.as_str();
            authority.strip_suffix(default).unwrap_or(authority)
        }
        None => request.authority.as_str(),
    };
    let host = match action.port {
        Some(port) => {
            let end = host
                .rfind(':')
                .filter(|colon| !host[*colon..].contains(']'))
                .unwrap_or(host.len());
            format!("{}:{port}", &host[..end])
        }
        None => host.to_owned(),
    };
    let (path, query) = split_path(request.path.split('#').next().unwrap_or_default());
    let (path, query) = match &action.path {
        RedirectPath::Keep => (path.to_owned(), query),
        RedirectPath::Matches(replacement) => (rewrite::replace_all(replacement, path), query),
        RedirectPath::Prefix(replacement) => (rewritten(path, matched, replacement), query),
        RedirectPath::Full(full) => (full.clone(), if full.contains('?') { "" } else { query }),
    };
    let query = if action.strip_query { "" } else { query };
    let slash = if path.starts_with('/') { "" } else { "/" };
    let location = format!("{scheme}://{host}{slash}{path}{query}");
    Answer {
        outcome: Outcome::Redirect,
        response: Some(Response {
            status: action.status,
            headers: vec![("location".to_owned(), location)],
            body: String::new(),
        }),
        ..answer
    }
}

fn with_response_headers(mut answer: Answer, route: &Route, request: &Request) -> Answer {
    if let Some(response) = &mut answer.response {
        if let Some(level) = route_headers(route) {
            change_response(&mut response.headers, level);
        }
        policies::change_response(route, request, &mut response.headers);
    }
    answer
}

fn route_headers(route: &Route) -> Option<&HeaderManipulation> {
    route
        .options
        .header_manipulation
        .as_ref()
        .map(|headers| headers.value.as_ref())
}

fn change_response(headers: &mut Vec<(String, String)>, level: &HeaderManipulation) {
    headers.retain(|(name, _)| level.remove_response.iter().all(|removed| removed != name));
    set(headers, &level.set_response);
    headers.extend_from_slice(&level.append_response);
}

/// Makes values the only ones of their headers.
fn set(headers: &mut Vec<(String, String)>, values: &[(String, String)]) {
    headers.retain(|(name, _)| values.iter().all(|(set, _)| set != name));
    headers.extend_from_slice(values);
}

fn lower_case(headers: &[(String, String)]) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect()
}
