//! What the policies of a route say about a request.

use std::time::Duration;

use meshgate_engine::policy::CredentialCheck;

use super::{Request, access, credentials, header, regex_matches};
use crate::answer::{Answer, Destination, Outcome, Response};
use crate::policy::external::Extauth;
use crate::policy::{Cors, Csrf, CsrfMode, FaultKind, Percentage, TextMatch};
use crate::resource::PathKind;
use crate::tree::{Route, Tree};

/// `path` is the path as it was matched. The answer of the first policy that answers by itself. `None`: the route's action takes place.
pub(super) fn check(
    answer: &Answer,
    tree: &Tree,
    route: &Route,
    path: &str,
    request: &Request,
) -> Option<Answer> {
    let reply = |outcome, response| Answer {
        outcome,
        response: Some(response),
        ..answer.clone()
    };
    if let Some(fault) = &route.options.fault
        && let FaultKind::Abort(status) = fault.kind
        && is_among(fault.percentage, request)
    {
        let response = Response {
            status,
            headers: Vec::new(),
            body: "fault filter abort".to_owned(),
        };
        return Some(reply(Outcome::Rejected, response));
    }
    let cors = route.options.cors.as_ref();
    if let Some(response) = cors.and_then(|cors| preflight(cors, request)) {
        return Some(reply(Outcome::DirectResponse, response));
    }
    if let Some(csrf) = &route.options.csrf
        && csrf.mode == CsrfMode::Enforce
        && is_among(csrf.percentage, request)
        && is_forged(csrf, request)
    {
        let response = Response {
            status: 403,
            headers: Vec::new(),
            body: "Invalid origin".to_owned(),
        };
        return Some(reply(Outcome::Rejected, response));
    }
    let (jwt, authorization) = (&route.options.jwt, &route.options.authorization);
    let refusal = access::refusal(
        jwt.as_ref().map(|jwt| &*jwt.value),
        |request| credentials(tree, route, request),
        authorization.as_ref().map(|rules| &*rules.value),
        path,
        request,
    );
    refusal.map(|response| reply(Outcome::Rejected, response))
}

/// The refusal by the AuthConfig that a route refers to. One that is not there lets nobody pass.
fn credentials(tree: &Tree, route: &Route, request: &Request) -> Option<Response> {
    match &*route.options.extauth.as_ref()?.value {
        Extauth::Disabled | Extauth::Custom(_) => None,
        Extauth::Config(name) => {
            let nobody = [CredentialCheck::Impossible];
            let checks = tree
                .auth_configs
                .get(name)
                .map_or(&nobody[..], Vec::as_slice);
            credentials::refusal(checks, request)
        }
    }
}

/// How long a forwarded or answered request is kept waiting.
pub(super) fn delay(route: &Route, request: &Request) -> Option<Duration> {
    let fault = route.options.fault.as_ref()?;
    match fault.kind {
        FaultKind::Delay(delay) if is_among(fault.percentage, request) => Some(delay),
        _ => None,
    }
}

/// Who gets a copy of a forwarded request.
pub(super) fn mirrors(route: &Route, request: &Request) -> Vec<Destination> {
    let mirrors = route
        .options
        .mirrors
        .iter()
        .flat_map(|mirrors| mirrors.iter());
    mirrors
        .filter(|mirror| is_among(mirror.percentage, request))
        .map(|mirror| mirror.destination.as_ref().into())
        .collect()
}

/// Whether a request is among a share of them.
fn is_among(Percentage(millionths): Percentage, request: &Request) -> bool {
    request.random * 1e6 < f64::from(millionths)
}

/// Sets the headers that the policies of a route want in every response to a request.
pub(super) fn change_response(
    route: &Route,
    request: &Request,
    headers: &mut Vec<(String, String)>,
) {
    let Some(cors) = &route.options.cors else {
        return;
    };
    for (name, value) in allowed(cors, request) {
        headers.retain(|(other, _)| *other != name);
        headers.push((name, value));
    }
}

/// Only a preflight from an allowed origin is answered here.
fn preflight(cors: &Cors, request: &Request) -> Option<Response> {
    let asked = header(request, "access-control-request-method");
    if request.method != "OPTIONS" || asked.is_none_or(|method| method.is_empty()) {
        return None;
    }
    let mut headers = allowed(cors, request);
    if headers.is_empty() {
        return None;
    }
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            headers.push((format!("access-control-{name}"), value));
        }
    };
    // With credentials `*` is no wildcard for browsers: everything is allowed by name.
    let list = |allowed: &[String], asked: &str| match header(request, asked) {
        Some(asked) if cors.credentials && allowed == ["*"] => asked,
        _ => allowed.join(","),
    };
    add(
        "allow-methods",
        list(&cors.methods, "access-control-request-method"),
    );
    add(
        "allow-headers",
        list(&cors.headers, "access-control-request-headers"),
    );
    if let Some(max_age) = cors.max_age {
        add("max-age", max_age.as_secs().to_string());
    }
    Some(Response {
        status: 200,
        headers,
        body: String::new(),
    })
}

/// What a page of an allowed origin is told.
fn allowed(cors: &Cors, request: &Request) -> Vec<(String, String)> {
    let origin = header(request, "origin").unwrap_or_default();
    let is_allowed =
        |allowed: &TextMatch| text_matches(allowed, "*") || text_matches(allowed, &origin);
    if origin.is_empty() || !cors.origins.iter().any(is_allowed) {
        return Vec::new();
    }
    let mut headers = vec![("access-control-allow-origin".to_owned(), origin)];
    if cors.credentials {
        headers.push((
            "access-control-allow-credentials".to_owned(),
            "true".to_owned(),
        ));
    }
    if !cors.expose.is_empty() {
        headers.push((
            "access-control-expose-headers".to_owned(),
            cors.expose.join(","),
        ));
    }
    headers
}

/// Whether a request changes something and comes from a page of a foreign origin.
fn is_forged(csrf: &Csrf, request: &Request) -> bool {
    if !["POST", "PUT", "DELETE", "PATCH"].contains(&request.method.as_str()) {
        return false;
    }
    let origin = header(request, "origin").unwrap_or_default();
    let page = match origin.as_str() {
        "" | "null" => header(request, "referer").unwrap_or_default(),
        _ => origin,
    };
    if page.is_empty() {
        return true;
    }
    let source = host_and_port(&page);
    let target = format!("{}://{}", request.scheme, request.authority);
    let is_own = !request.authority.is_empty() && source == host_and_port(&target);
    let is_allowed = |origin: &TextMatch| text_matches(origin, source);
    !is_own && !csrf.origins.iter().any(is_allowed)
}

/// Host and port of an absolute URL; the whole text if it is none.
fn host_and_port(url: &str) -> &str {
    const URL: &str = r"[A-Za-z][-A-Za-z0-9+.]*://([-A-Za-z0-9_.!~*'()%;:&=+$,]*@)?([-A-Za-z0-9._]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?([/?][^\x00-\x20\x7f]*)?";
    if !regex_matches(URL, url.as_bytes()) {
        return url;
    }
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let server = rest.split(['/', '?']).next().unwrap_or_default();
    let host = server.split('@').next_back().unwrap_or_default();
    let port = host.rsplit_once(':').map(|(_, port)| port);
    match port {
        // The colon of an address in brackets names no port.
        Some(port) if !port.ends_with(']') && port.parse::<u16>().is_err() => url,
        _ => host,
    }
}

pub(super) fn text_matches(condition: &TextMatch, text: &str) -> bool {
    let TextMatch {
        kind,
        value,
        ignore_case,
    } = condition;
    let fold = |text: &str| match ignore_case {
        true => text.to_ascii_lowercase(),
        false => text.to_owned(),
    };
    match kind {
        PathKind::Exact => fold(text) == fold(value),
        PathKind::Prefix => fold(text).starts_with(&fold(value)),
        PathKind::Suffix => fold(text).ends_with(&fold(value)),
        PathKind::Regex => regex_matches(value, text.as_bytes()),
    }
}
