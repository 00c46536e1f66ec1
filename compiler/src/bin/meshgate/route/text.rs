//! An answer as text for people.

use std::fmt::Write as _;

use meshgate_compiler::answer::{Answer, Destination, Outcome, WeightedDestination};
use meshgate_compiler::render::printable;
use meshgate_compiler::route::{GatewayChoice, Request, find_route};
use meshgate_compiler::source::{SourceMap, Span};
use meshgate_compiler::tree::Tree;

/// Lines of a response body that are shown.
const BODY_LINES: usize = 5;

/// Renders an answer, with the places of the tree that explain it.
pub(super) fn render(
    request: &Request,
    answer: &Answer,
    choice: GatewayChoice,
    tree: &Tree,
    sources: &SourceMap,
) -> String {
    let route = find_route(tree, choice.index, answer);
    let place = |span: Span| format!("  ({})", sources.location(span));
    let mut lines = Lines::default();

    let alternatives = match choice.others {
        0 => String::new(),
        others => format!(
            "  (the first of {} that serve this host; choose with --gateway)",
            others + 1
        ),
    };
    lines.add(
        "gateway",
        &format!(
            "{}{alternatives}",
            answer.gateway.as_deref().unwrap_or("none")
        ),
    );
    lines.add(
        "virtual host",
        answer.virtual_host.as_deref().unwrap_or("none"),
    );
    let route_place = route
        .as_ref()
        .map(|route| place(route.span))
        .unwrap_or_default();
    lines.add(
        "route",
        &format!("{}{route_place}", answer.route.as_deref().unwrap_or("none")),
    );
    lines.add("outcome", outcome(answer));

    if let Some(destination) = &answer.destination {
        lines.add(
            "destination",
            &format!("{}  cluster {}", named(destination), destination.cluster),
        );
    }
    let shares = answer.destinations.as_deref().unwrap_or_default();
    if shares.len() > 1 {
        for WeightedDestination {
            destination,
            weight,
        } in shares
        {
            lines.add(
                "share",
                &format!("{weight:>3} of 100: cluster {}", destination.cluster),
            );
        }
    }
    if let Some(forwarded) = &answer.request {
        let unchanged = if forwarded.path == request.path {
            "  (unchanged)"
        } else {
            ""
        };
        lines.add("path", &format!("{}{unchanged}", forwarded.path));
        headers(&mut lines, request, &forwarded.headers);
    }
    if let Some(options) = &answer.options {
        let origin = route.as_ref().map(|route| &*route.options);
        let timeout_place = origin
            .and_then(|options| options.request_timeout.as_ref())
            .map(|timeout| place(timeout.span));
        if let Some(timeout) = &options.request_timeout {
            lines.add(
                "timeout",
                &format!("{timeout}{}", timeout_place.unwrap_or_default()),
            );
        }
        let retries_place = origin
            .and_then(|options| options.retries.as_ref())
            .map(|retries| place(retries.span));
        if let Some(retries) = &options.retries {
            let each = retries
                .per_try_timeout
                .as_ref()
                .map(|timeout| format!(", {timeout} each"))
                .unwrap_or_default();
            lines.add(
                "retries",
                &format!(
                    "{} after the first try{each}{}",
                    retries.attempts,
                    retries_place.unwrap_or_default()
                ),
            );
        }
        let mirrors_place = origin
            .and_then(|options| options.mirrors.as_ref())
            .map(|mirrors| place(mirrors.span));
        for mirror in &options.mirrors {
            let place = mirrors_place.as_deref().unwrap_or_default();
            lines.add("copied to", &format!("{}{place}", mirror.cluster));
        }
    }
    if let Some(options) = &answer.options {
        let origin = route.as_ref().map(|route| &*route.options);
        let mut asked = |is_asked: bool, name: &str, span: Option<Span>| {
            if is_asked {
                let place = span.map(place).unwrap_or_default();
                lines.add(name, &format!("not asked here, taken to allow it{place}"));
            }
        };
        let extauth = origin.and_then(|options| options.extauth.as_ref());
        asked(
            options.extauth,
            "extauth",
            extauth.map(|extauth| extauth.span),
        );
        let limit = origin.and_then(|options| options.rate_limit.as_ref());
        asked(
            options.rate_limit,
            "rate limit",
            limit.map(|limit| limit.span),
        );
    }
    if let Some(manipulation) = route
        .as_ref()
        .and_then(|route| route.options.header_manipulation.as_ref())
    {
        lines.add(
            "headers from",
            &sources.location(manipulation.span).to_string(),
        );
    }
    if let Some(response) = &answer.response {
        lines.add("status", &response.status.to_string());
        for (name, value) in &response.headers {
            lines.add("header", &format!("{name}: {value}"));
        }
        for line in response.body.lines().take(BODY_LINES) {
            lines.add("body", line);
        }
        let more = response.body.lines().count().saturating_sub(BODY_LINES);
        if more > 0 {
            lines.add("body", &format!("({more} more lines)"));
        }
    }
    lines.text
}

fn outcome(answer: &Answer) -> &'static str {
    match answer.outcome {
        Outcome::Forward => "forward",
        Outcome::Redirect => "redirect",
        Outcome::DirectResponse => "direct response",
        Outcome::NotFound if answer.virtual_host.is_none() => {
            "not found: no virtual host has this domain"
        }
        Outcome::NotFound => "not found: no route of the virtual host matches",
        Outcome::Rejected => "rejected",
    }
}

fn named(destination: &Destination) -> String {
    format!(
        "{}.{}:{}",
        destination.name, destination.namespace, destination.port
    )
}

/// Request headers that come and go on the way.
fn headers(lines: &mut Lines, request: &Request, forwarded: &[(String, String)]) {
    let received: Vec<(String, &str)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
        .collect();
    for (name, value) in &received {
        if !forwarded.iter().any(|(n, v)| n == name && v == value) {
            lines.add("header", &format!("- {name}: {value}"));
        }
    }
    let mut left: Vec<_> = received.iter().collect();
    for (name, value) in forwarded {
        match left.iter().position(|(n, v)| n == name && v == value) {
            Some(at) => {
                left.remove(at);
            }
            None => lines.add("header", &format!("+ {name}: {value}")),
        }
    }
}

/// Lines of a name and a value.
#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn add(&mut self, name: &str, value: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{name:<13} {}", printable(value));
    }
}
