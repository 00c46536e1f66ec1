//! Requests and answers as text: each request on a line, its answer indented below it.
//!
//! A request is a method, a URL, and headers after ` | `. Blank lines separate, and `gateway N` chooses one.

use std::fmt::Write as _;

use meshgate_engine::{ActionKind, Decision, HeaderOperations, Match, Program, Request};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The text with its answers replaced by those of a program.
pub(crate) fn answer(program: &Program, text: &str) -> String {
    let mut answered = String::new();
    let mut gateway = 0;
    for line in text.lines().filter(|line| !line.starts_with(' ')) {
        answered.push_str(line);
        answered.push('\n');
        if let Some(number) = line.strip_prefix("gateway ") {
            gateway = number.parse().unwrap();
        } else if !line.is_empty() {
            write!(answered, "{}", decide(program, gateway, line)).unwrap();
        }
    }
    answered
}

fn decide(program: &Program, gateway: usize, line: &str) -> String {
    let mut parts = line.split(" | ");
    let (method, url) = parts.next().unwrap().split_once(' ').unwrap();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let headers: Fields = parts
        .map(|header| header.split_once(": ").unwrap())
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let request = Request {
        method: method.as_bytes(),
        scheme: scheme.as_bytes(),
        authority: authority.as_bytes(),
        path: path.as_bytes(),
        headers: headers.as_slice(),
    };
    match program.decide(gateway, &request) {
        Decision::NotFound => "    not found\n".to_owned(),
        Decision::Route(found) => describe(&found, &request),
    }
}

fn describe(found: &Match<'_>, request: &Request<'_, [(Vec<u8>, Vec<u8>)]>) -> String {
    let mut name = Vec::new();
    found.append_name(&mut name);
    let mut lines = vec![format!(
        "{}, route {:?} of {:?}",
        String::from_utf8(name).unwrap(),
        found.route_name(),
        found.virtual_host()
    )];
    match &found.action().kind {
        ActionKind::Forward(forward) => {
            for random in [0.0, 0.99] {
                let forwarding = found.forward(request, || random, || None).unwrap();
                let path = forwarding.path.map(|path| String::from_utf8(path).unwrap());
                let destination = forwarding.destination;
                lines.push(format!(
                    "{random}: {} {:?} {:?}, path {path:?}",
                    destination.cluster, destination.kind, destination.subset
                ));
                let cookies = forwarding.cookies.into_iter();
                lines.extend(cookies.map(|cookie| String::from_utf8(cookie).unwrap()));
                lines.extend(forwarding.headers.into_iter().flatten().map(operations));
            }
            lines.push(format!(
                "timeout {:?}, {:?}",
                forward.timeout_ms, forward.retries
            ));
        }
        ActionKind::Redirect(redirect) => {
            let location = found.location(redirect, request);
            let location = String::from_utf8(location).unwrap();
            lines.push(format!("{} to {location}", redirect.status));
        }
        ActionKind::DirectResponse(response) => {
            lines.push(format!("{} {:?}", response.status, response.body));
        }
    }
    lines.iter().map(|line| format!("    {line}\n")).collect()
}

fn operations(operations: &HeaderOperations) -> String {
    let HeaderOperations {
        remove_request,
        set_request,
        append_request,
        remove_response,
        set_response,
        append_response,
    } = operations;
    format!(
        "request -{remove_request:?} ={set_request:?} +{append_request:?}, response -{remove_response:?} ={set_response:?} +{append_response:?}"
    )
}
