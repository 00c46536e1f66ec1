//! An answer as text for people.

use std::fmt::Write as _;

use meshgate_compiler::answer::{Answer, Destination, Options, Outcome, WeightedDestination};
use meshgate_compiler::render::printable;
use meshgate_compiler::route::{GatewayChoice, Request, find_route};
use meshgate_compiler::source::{SourceMap, Span};

use crate::router::Target;

/// Lines of a response body that are shown.
const BODY_LINES: usize = 5;

/// Renders an answer, with the places of the tree that explain it.
pub(super) fn render(
    request: &Request,
    answer: &Answer,
    choice: GatewayChoice,
    target: &Target,
    sources: &SourceMap,
) -> String {
    let route = find_route(&target.tree, choice.index, answer);
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
        let total: u32 = shares.iter().map(|share| share.weight).sum();
        for WeightedDestination {
            destination,
            weight,
        } in shares
        {
            lines.add(
                "share",
                &format!("{weight:>3} of {total}: cluster {}", destination.cluster),
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
    for mirror in answer.options.iter().flat_map(|options| &options.mirrors) {
        lines.add("copied to", &mirror.cluster);
    }
    let asked = answer.options.as_ref();
    for (is_asked, name) in [
        (asked.is_some_and(|options| options.extauth), "extauth"),
        (
            asked.is_some_and(|options| options.rate_limit),
            "rate limit",
        ),
    ] {
        if is_asked {
            lines.add(name, "not asked here, taken to allow it");
        }
    }
    let places = route.map(|route| route.options.places());
    for (name, span) in places.unwrap_or_default() {
        let value = value(name, answer.options.as_ref());
        lines.add("option", &format!("{name}{value}{}", place(span)));
    }
    let settings = target.settings(answer);
    for (name, span) in settings.places() {
        let value = match (name, settings.tls_mode) {
            ("mtls", Some(mode)) => format!(": {}", mode.as_str()),
            _ => String::new(),
        };
        lines.add("setting", &format!("{name}{value}{}", place(span)));
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

/// What an option comes to for this request, as far as the answer says.
fn value(name: &str, options: Option<&Options>) -> String {
    let value = options.and_then(|options| match name {
        "requestTimeout" => options.request_timeout.clone(),
        "retries" => options.retries.as_ref().map(|retries| {
            let each = retries.per_try_timeout.as_ref();
            let each = each.map(|timeout| format!(", {timeout} each"));
            let attempts = retries.attempts;
            let conditions = match retries.retry_on.as_slice() {
                [] => String::new(),
                conditions => format!(", on {}", conditions.join(", ")),
            };
            let codes = retries.retriable_status_codes.iter();
            let codes: Vec<String> = codes.map(u16::to_string).collect();
            let codes = match codes.as_slice() {
                [] => String::new(),
                codes => format!(" ({})", codes.join(", ")),
            };
            let each = each.unwrap_or_default();
            format!("{attempts} after the first try{each}{conditions}{codes}")
        }),
        "faultInjection" => (options.delay.as_ref()).map(|delay| format!("waits {delay}")),
        _ => None,
    });
    value.map(|value| format!(": {value}")).unwrap_or_default()
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
pub(crate) struct Lines {
    pub(crate) text: String,
}

impl Lines {
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{name:<13} {}", printable(value));
    }
}
