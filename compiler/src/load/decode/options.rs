//! Route options: decoding of those that are supported, value checks of all.

mod authorization;
mod cors;
pub(super) mod csrf;
mod fault;
mod jwt;
mod mirror;
mod retries;
mod stickiness;

use std::sync::Arc;

use super::inventory::outlier_detection;
use super::value::{duration_or_zero, header_name, header_safe, required, string_entries};
use super::{every, extauth, rate_limit};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::{Entry, Node};
use crate::policy::external::Extauth;
use crate::resource::options::WrittenOptions;
use crate::resource::{DestinationSettings, HeaderManipulation, ObjectName, TlsMode};
use crate::source::{Span, Spanned};

/// Options that concern the destinations themselves, with what to do instead of writing them on a route.
const OF_DESTINATIONS: [(&str, &str); 3] = [
    (
        "trafficShift",
        "give weights to the destinations of `routeAction`, or write a TrafficPolicy with `routeSelector` and `destinationSelector`",
    ),
    (
        "outlierDetection",
        "write it in `policy` of a TrafficPolicy whose `destinationSelector` selects the destination",
    ),
    (
        "mtls",
        "write it in `policy` of a TrafficPolicy whose `destinationSelector` selects the destination",
    ),
];

/// Options of a virtual host, a route table, a route or a destination of one.
pub(super) fn options(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<WrittenOptions> {
    let options = of_traffic_policy(node, diagnostics);
    for (name, instead) in OF_DESTINATIONS {
        if let Some(entry) = node.entry(name) {
            diagnostics.push(
                Diagnostic::at(
                    Code::OptionOfDestinations,
                    entry.key_span,
                    format!("`{name}` has no effect here: it concerns destinations, not routes"),
                )
                .help(instead),
            );
        }
    }
    options
}

/// Reports settings of a TrafficPolicy that hold for more than the routes that it selects.
pub(super) fn report_not_for_routes(node: &Node<'_>, diagnostics: &mut Diagnostics) {
    for name in SETTINGS {
        if let Some(entry) = node.entry(name) {
            diagnostics.push(
                Diagnostic::at(
                    Code::OptionOfDestinations,
                    entry.key_span,
                    format!(
                        "`{name}` concerns the destinations that `destinationSelector` selects, also where other routes lead to them"
                    ),
                )
                .help("write it in a TrafficPolicy of its own, without `routeSelector`"),
            );
        }
    }
}

/// Options that hold for destinations, whatever routes lead to them.
pub(super) const SETTINGS: [&str; 2] = ["outlierDetection", "mtls"];

/// What `policy` says about the destinations. What is wrong in it was reported with the other options.
pub(super) fn settings(node: &Node<'_>) -> DestinationSettings {
    let outliers = node.entry("outlierDetection").and_then(|entry| {
        let outliers = outlier_detection(&entry.value, &mut Diagnostics::default())?;
        Some(Spanned::new(outliers, entry.key_span))
    });
    let mtls = node.entry("mtls").and_then(|entry| {
        let istio = entry.value.get("istio")?;
        // The API cannot tell its first value from what is not written.
        let mode = match istio.text_at("tlsMode") {
            Some(mode) if mode.value == "SIMPLE" => TlsMode::Simple,
            Some(mode) if mode.value == "ISTIO_MUTUAL" => TlsMode::IstioMutual,
            _ => TlsMode::Disable,
        };
        Some(Spanned::new(mode, entry.key_span))
    });
    DestinationSettings {
        outlier_detection: outliers,
        tls_mode: mtls,
    }
}

/// Options of `policy` that concern routes. Those that concern destinations are checked.
pub(super) fn of_traffic_policy(
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<WrittenOptions> {
    let mut options = WrittenOptions::default();
    let plain = &mut options.plain;
    let mut sound = true;
    for Entry {
        key,
        key_span,
        value,
    } in node.entries()
    {
        let read = match key.as_ref() {
            "requestTimeout" => {
                plain.request_timeout = duration_or_zero(value, "`requestTimeout`", diagnostics);
                plain.request_timeout.is_some()
            }
            "retries" => {
                plain.retries = retries::retries(value, diagnostics)
                    .map(|retries| Spanned::new(retries, *key_span));
                plain.retries.is_some()
            }
            "stickiness" => {
                plain.stickiness = stickiness::stickiness(value, diagnostics)
                    .map(|stickiness| Spanned::new(Arc::new(stickiness), *key_span));
                plain.stickiness.is_some()
            }
            "headerManipulation" => {
                plain.header_manipulation = header_manipulation(value, diagnostics)
                    .map(|headers| Spanned::new(Arc::new(headers), *key_span));
                plain.header_manipulation.is_some()
            }
            "faultInjection" => {
                plain.fault = fault::fault_injection(value, diagnostics)
                    .map(|fault| Spanned::new(fault, *key_span));
                plain.fault.is_some()
            }
            "corsPolicy" => {
                plain.cors = cors::cors_policy(value, diagnostics)
                    .map(|cors| Spanned::new(Arc::new(cors), *key_span));
                plain.cors.is_some()
            }
            "jwt" => {
                plain.jwt =
                    jwt::jwt(value, diagnostics).map(|jwt| Spanned::new(Arc::new(jwt), *key_span));
                plain.jwt.is_some()
            }
            "extauth" => {
                let extauth = match value.get("configRef") {
                    Some(reference) => auth_config(reference, diagnostics),
                    None => extauth::route(value, *key_span, diagnostics),
                };
                plain.extauth = extauth.map(|extauth| Spanned::new(Arc::new(extauth), *key_span));
                plain.extauth.is_some()
            }
            "authorization" => {
                plain.authorization = authorization::authorization(value, diagnostics)
                    .map(|rules| Spanned::new(Arc::new(rules), *key_span));
                plain.authorization.is_some()
            }
            "rateLimit" => {
                options.rate_limit = rate_limit::route(value, diagnostics)
                    .map(|limit| Box::new(Spanned::new(limit, *key_span)));
                options.rate_limit.is_some()
            }
            "csrf" => {
                plain.csrf = csrf::csrf(value, diagnostics)
                    .map(|csrf| Spanned::new(Arc::new(csrf), *key_span));
                plain.csrf.is_some()
            }
            "mirror" | "mirrors" => {
                let mirrors = match key.as_ref() {
                    "mirror" => mirror::mirror(value, diagnostics).map(|mirror| vec![mirror]),
                    _ => mirror::mirrors(value, diagnostics),
                };
                options.mirrors = mirrors.map(|mirrors| Spanned::new(mirrors, *key_span));
                options.mirrors.is_some()
            }
            "outlierDetection" => outlier_detection(value, diagnostics).is_some(),
            // `trafficShift` and `mtls`.
            _ => true,
        };
        sound &= read;
    }
    sound.then_some(options)
}

/// `extauth.configRef`.
fn auth_config(reference: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Extauth> {
    // Options are inherited by objects of other namespaces, so the reference has to say it all.
    let what = "a reference to an AuthConfig";
    let namespace = required(reference, "namespace", what, diagnostics);
    let name = required(reference, "name", what, diagnostics);
    Some(Extauth::Config(ObjectName {
        namespace: namespace?.value,
        name: name?.value,
    }))
}

fn header_manipulation(
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<HeaderManipulation> {
    let remove_request = removed(node, "removeRequestHeaders", diagnostics)
        .filter(|_| keeps_forwarded_proto(node, diagnostics));
    let append_request = appended(node, "appendRequestHeaders", diagnostics);
    let remove_response = removed(node, "removeResponseHeaders", diagnostics);
    let append_response = appended(node, "appendResponseHeaders", diagnostics);
    let set_request = set(node, "setRequestHeaders", diagnostics);
    let set_response = set(node, "setResponseHeaders", diagnostics);
    Some(HeaderManipulation {
        remove_request: remove_request?,
        append_request: append_request?,
        remove_response: remove_response?,
        append_response: append_response?,
        set_request: set_request?,
        set_response: set_response?,
    })
}

fn removed(node: &Node<'_>, key: &str, diagnostics: &mut Diagnostics) -> Option<Vec<String>> {
    every(node.list_at(key), |node| {
        let name = node.text()?;
        changeable_header(&name, name.span, diagnostics)?;
        Some(name.to_ascii_lowercase())
    })
}

/// Envoy has no route for a request without `x-forwarded-proto`, and looks for it after the filter.
fn keeps_forwarded_proto(node: &Node<'_>, diagnostics: &mut Diagnostics) -> bool {
    const NAME: &str = "x-forwarded-proto";
    let removed = every(node.list_at("removeRequestHeaders"), Node::text);
    let removed = removed.unwrap_or_default().into_iter();
    let removed = removed
        .filter(|name| name.eq_ignore_ascii_case(NAME))
        .map(|name| (name.span, "removed"));
    let emptied = string_entries(node, "setRequestHeaders")
        .filter(|(entry, value)| entry.key.eq_ignore_ascii_case(NAME) && value.is_empty())
        .map(|(entry, _)| (entry.key_span, "emptied"));
    let mut kept = true;
    for (span, what) in removed.chain(emptied) {
        kept = false;
        diagnostics.push(
            Diagnostic::at(
                Code::ProtectedHeader,
                span,
                format!(
                    "the header `{NAME}` cannot be {what}: Envoy does not route requests without it"
                ),
            )
            .help("set it to `http` or `https`"),
        );
    }
    kept
}

fn appended(
    node: &Node<'_>,
    key: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<(String, String)>> {
    let mut sound = true;
    let mut headers = Vec::new();
    for (entry, value) in string_entries(node, key) {
        let name = settable_header(&entry.key, entry.key_span, diagnostics);
        let safe = header_safe(
            value,
            "the value of this header",
            entry.value.span,
            diagnostics,
        );
        sound &= name.is_some() && safe.is_some();
        if let Some(operator) = command_operator(value) {
            diagnostics.push(
                Diagnostic::at(
                    Code::CommandOperator,
                    entry.value.span,
                    format!("`{}` is sent as it stands, not replaced", operator),
                )
                .help("values of headers are literal text"),
            );
        }
        headers.push((entry.key.to_ascii_lowercase(), value.to_owned()));
    }
    headers.sort();
    sound.then_some(headers)
}

/// Headers that get one value: no two names may be the same but for the case of their letters.
fn set(node: &Node<'_>, key: &str, diagnostics: &mut Diagnostics) -> Option<Vec<(String, String)>> {
    let mut names: Vec<(String, Span)> = string_entries(node, key)
        .map(|(entry, _)| (entry.key.to_ascii_lowercase(), entry.key_span))
        .collect();
    names.sort();
    let mut sound = true;
    for pair in names.windows(2) {
        if let [(name, first), (same, second)] = pair
            && name == same
        {
            sound = false;
            diagnostics.push(
                Diagnostic::at(
                    Code::DuplicateKey,
                    *second,
                    format!("the header `{name}` is set twice; the case of letters does not count"),
                )
                .also(*first, "first here")
                .help("keep one of them"),
            );
        }
    }
    appended(node, key, diagnostics).filter(|_| sound)
}

/// Checks that a header may be changed: it has a legal name and does not steer routing.
fn changeable_header(name: &str, span: Span, diagnostics: &mut Diagnostics) -> Option<()> {
    if name.starts_with(':') || name.eq_ignore_ascii_case("host") {
        diagnostics.push(Diagnostic::at(
            Code::ProtectedHeader,
            span,
            format!("the header `{}` cannot be added, set or removed", name),
        ));
        return None;
    }
    header_name(name, span, diagnostics)
}

/// Headers that say how long a message is and what its connection is for.
const FRAMING: [&str; 4] = [
    "connection",
    "content-length",
    "transfer-encoding",
    "upgrade",
];

/// Checks that a header may have another value: besides, it does not say where a message ends. A false length would make the
/// rest of a body the next request on a connection that others use too.
fn settable_header(name: &str, span: Span, diagnostics: &mut Diagnostics) -> Option<()> {
    if FRAMING
        .iter()
        .any(|framing| name.eq_ignore_ascii_case(framing))
    {
        diagnostics.push(
            Diagnostic::at(
                Code::ProtectedHeader,
                span,
                format!(
                    "the header `{name}` cannot be added or set: the proxy says where messages end"
                ),
            )
            .help("leave it out"),
        );
        return None;
    }
    changeable_header(name, span, diagnostics)
}

/// A `%NAME%` or `%NAME(…)%` in a header value, which some proxies replace.
fn command_operator(value: &str) -> Option<&str> {
    let start = value.find('%')?;
    let rest = &value[start + 1..];
    let name = rest
        .bytes()
        .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
        .count();
    let after = &rest[name..];
    let arguments = match after.strip_prefix('(') {
        Some(arguments) => arguments.find(')').map_or(0, |end| end + 2),
        None => 0,
    };
    let length = name + arguments;
    if name > 0 && rest.as_bytes().get(length) == Some(&b'%') {
        return value.get(start..start + length + 2);
    }
    command_operator(rest)
}
