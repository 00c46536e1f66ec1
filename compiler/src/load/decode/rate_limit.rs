//! Rate limits: `rateLimit` of gateways and of routes, RateLimitClientConfig and RateLimitServerConfig.

use std::time::Duration;

use super::extauth::{optional, timeout};
use super::value::{duration, header_name, integer_in, missing, object_ref, required};
use super::{every, matcher, selector};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::{Entry, Node};
use crate::policy::TextMatch;
use crate::policy::external::{DescriptorEntry, HeaderCondition, HeaderValue, TokenBucket};
use crate::resource::external::{
    GatewayRateLimit, RateLimitActions, RateLimitClientConfig, RateLimitServerConfig,
    RouteRateLimit, ServerDescriptor, ServerLimit,
};
use crate::resource::{Metadata, PathKind};
use crate::source::Spanned;

const DEFAULT_TIMEOUT: Duration = Duration::from_millis(100);

/// Deepest nesting of the descriptors of a server.
const MAX_DESCRIPTORS: usize = 16;

/// `routeOptions.rateLimit`.
pub(super) fn gateway(
    entry: &Entry<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<GatewayRateLimit> {
    let node = &entry.value;
    let service = optional(node, "ratelimitServerRef", |node| {
        object_ref(node, "`ratelimitServerRef`", diagnostics)
    });
    let timeout = timeout(node, DEFAULT_TIMEOUT, diagnostics);
    if node.faulty {
        return None;
    }
    Some(GatewayRateLimit {
        service: service?,
        timeout: timeout?,
        deny_on_fail: node.flag("denyOnFail"),
        before_auth: node.flag("rateLimitBeforeAuth"),
        span: entry.key_span,
    })
}

/// `rateLimit` of a route.
pub(super) fn route(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<RouteRateLimit> {
    let raw = match node.get("raw") {
        Some(raw) => limits(raw, diagnostics),
        None => Some(Vec::new()),
    };
    let client = optional(node, "ratelimitClientConfigRef", |node| {
        object_ref(node, "`ratelimitClientConfigRef`", diagnostics)
    });
    let servers = optional(node, "ratelimitServerConfigSelector", |node| {
        selector::object_selector(node, diagnostics)
    });
    let local = optional(node, "local", |node| token_bucket(node, diagnostics));
    if node.faulty {
        return None;
    }
    let limit = RouteRateLimit {
        raw: raw?,
        client: client?,
        servers: servers?,
        local: local?,
    };
    if limit.raw.is_empty() && limit.client.is_none() && limit.local.is_none() {
        diagnostics.push(missing(
            node.span,
            "raw`, `ratelimitClientConfigRef` or `local",
            "`rateLimit`",
        ));
        return None;
    }
    Some(limit)
}

fn token_bucket(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<TokenBucket> {
    let mut number = |key: &str, default: Option<i64>| {
        let Some(node) = node.get(key) else {
            if default.is_none() && !node.faulty {
                diagnostics.push(missing(node.span, key, "`local`"));
            }
            return default;
        };
        let what = format!("`{key}`");
        integer_in(node, &what, 1..=i64::from(u32::MAX), diagnostics).map(|number| number.value)
    };
    let max_tokens = number("maxTokens", None);
    let per_fill = number("tokensPerFill", Some(1));
    let interval = match node.get("fillInterval") {
        // As in Envoy, which fills no bucket more often.
        Some(node) => duration(
            node,
            "`fillInterval`",
            Duration::from_millis(50),
            diagnostics,
        ),
        None => {
            if !node.faulty {
                diagnostics.push(missing(node.span, "fillInterval", "`local`"));
            }
            None
        }
    };
    let interval = u64::try_from(interval?.value.as_nanos()).ok()?;
    Some(TokenBucket {
        max_tokens: u32::try_from(max_tokens?).ok()?,
        nanoseconds_per_token: (interval / u64::try_from(per_fill?).ok()?).max(1),
        span: node.span,
    })
}

/// `raw`.
fn limits(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<RateLimitActions>> {
    every(node.list_at("rateLimits"), |node| {
        let mut entries = |key| every(node.list_at(key), |node| entry(node, diagnostics));
        let (actions, set_actions) = (entries("actions"), entries("setActions"));
        if node.faulty {
            return None;
        }
        let limit = RateLimitActions {
            actions: actions?,
            set_actions: set_actions?,
        };
        if limit.actions.is_empty() && limit.set_actions.is_empty() {
            diagnostics.push(missing(
                node.span,
                "actions` or `setActions",
                "a rate limit",
            ));
            return None;
        }
        Some(limit)
    })
}

/// One action.
fn entry(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<DescriptorEntry> {
    let Some(Entry { key, value, .. }) = node.entries().first() else {
        if !node.faulty {
            diagnostics.push(
                missing(node.span, "genericKey` or another kind", "an action")
                    .help("kinds are `sourceCluster`, `destinationCluster`, `requestHeaders`, `remoteAddress`, `genericKey`, `headerValueMatch` and `metadata`"),
            );
        }
        return None;
    };
    if node.faulty {
        return None;
    }
    let mut text =
        |key: &str, what: &str| required(value, key, what, diagnostics).map(|text| text.value);
    match key.as_ref() {
        "sourceCluster" => Some(DescriptorEntry::SourceCluster),
        "destinationCluster" => Some(DescriptorEntry::DestinationCluster),
        "remoteAddress" => Some(DescriptorEntry::RemoteAddress),
        "genericKey" => Some(DescriptorEntry::Text {
            key: "generic_key".to_owned(),
            value: text("descriptorValue", "`genericKey`")?,
        }),
        "requestHeaders" => {
            let key = text("descriptorKey", "`requestHeaders`");
            let name = required(value, "headerName", "`requestHeaders`", diagnostics)?;
            if !name.starts_with(':') {
                header_name(&name, name.span, diagnostics)?;
            }
            Some(DescriptorEntry::Header {
                key: key?,
                name: name.to_ascii_lowercase(),
            })
        }
        "headerValueMatch" => {
            let descriptor = text("descriptorValue", "`headerValueMatch`");
            let headers = every(value.list_at("headers"), |node| {
                condition(node, diagnostics)
            });
            Some(DescriptorEntry::HeaderMatch {
                value: descriptor?,
                expect: value
                    .get("expectMatch")
                    .and_then(Node::boolean)
                    .unwrap_or(true),
                headers: headers?,
            })
        }
        _ => metadata(value, diagnostics),
    }
}

fn condition(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<HeaderCondition> {
    let name = required(node, "name", "a header condition", diagnostics)?;
    if !name.starts_with(':') {
        header_name(&name, name.span, diagnostics)?;
    }
    let invert = node.flag("invertMatch");
    let text = |kind, value: &Node<'_>| {
        Some(HeaderValue::Text(TextMatch {
            kind,
            value: value.string()?.to_owned(),
            ignore_case: false,
        }))
    };
    let kinds = [
        ("exactMatch", PathKind::Exact),
        ("prefixMatch", PathKind::Prefix),
        ("suffixMatch", PathKind::Suffix),
        ("regexMatch", PathKind::Regex),
    ];
    let written = kinds
        .into_iter()
        .find_map(|(key, kind)| Some((kind, node.get(key)?)));
    let mut invert_presence = false;
    let value = match written {
        Some((kind, value)) => {
            if kind == PathKind::Regex {
                matcher::check_regex(&value.text()?, diagnostics)?;
            }
            text(kind, value)?
        }
        None => match node.get("rangeMatch") {
            Some(range) => {
                let end = |key| range.get(key).map_or(Some(0), Node::integer);
                HeaderValue::Range(end("start")?, end("end")?)
            }
            None => {
                invert_presence = node
                    .get("presentMatch")
                    .is_some_and(|_| !node.flag("presentMatch"));
                HeaderValue::Present
            }
        },
    };
    (!node.faulty).then(|| HeaderCondition {
        name: name.to_ascii_lowercase(),
        value,
        invert: invert != invert_presence,
    })
}

fn metadata(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<DescriptorEntry> {
    let key = required(node, "descriptorKey", "`metadata`", diagnostics)?;
    let Some(metadata_key) = node.get("metadataKey") else {
        if !node.faulty {
            diagnostics.push(missing(node.span, "metadataKey", "`metadata`"));
        }
        return None;
    };
    let namespace = required(metadata_key, "key", "`metadataKey`", diagnostics)?;
    let steps = every(metadata_key.list_at("path"), |node| {
        required(node, "key", "a step of `path`", diagnostics)
    })?;
    let source = node.get("source").and_then(Node::string);
    let owner: &[&str] = match source {
        Some("ROUTE_ENTRY") => &["xds", "route_metadata", "filter_metadata"],
        _ => &["metadata", "filter_metadata"],
    };
    let path = owner.iter().map(|part| (*part).to_owned());
    let path = path.chain([namespace.value]);
    Some(DescriptorEntry::Property {
        key: key.value,
        path: path
            .chain(steps.into_iter().map(|step| step.value))
            .collect(),
        default: node
            .get("defaultValue")
            .and_then(Node::string)
            .unwrap_or_default()
            .to_owned(),
    })
}

/// A RateLimitClientConfig.
pub(in crate::load) fn client_config(
    metadata: Metadata,
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<RateLimitClientConfig> {
    let raw = node.get("rateLimits").and_then(|limits| limits.get("raw"));
    let limits = match raw {
        Some(raw) => limits(raw, diagnostics)?,
        None => Vec::new(),
    };
    (!node.faulty).then_some(RateLimitClientConfig { metadata, limits })
}

/// A RateLimitServerConfig.
pub(in crate::load) fn server_config(
    metadata: Metadata,
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<RateLimitServerConfig> {
    let raw = node.get("raw");
    let list = raw.map_or(&[][..], |raw| raw.list_at("descriptors"));
    let descriptors = every(list, |node| server_descriptor(node, 0, diagnostics))?;
    let mut uncountable = Vec::new();
    if let Some(entry) = raw.and_then(|raw| raw.entry("setDescriptors"))
        && !entry.value.list().is_empty()
    {
        uncountable.push(Spanned::new("setDescriptors", entry.key_span));
    }
    list.iter()
        .for_each(|node| find_uncountable(node, &mut uncountable));
    (!node.faulty).then_some(RateLimitServerConfig {
        metadata,
        descriptors,
        uncountable,
    })
}

/// Fields by which limits take precedence over one another. The nesting of descriptors has been checked.
fn find_uncountable(node: &Node<'_>, found: &mut Vec<Spanned<&'static str>>) {
    let is_set = |node: &Node<'_>| {
        node.boolean().unwrap_or_default() || node.integer().is_some_and(|weight| weight != 0)
    };
    for key in ["alwaysApply", "weight"] {
        if let Some(entry) = node.entry(key).filter(|entry| is_set(&entry.value)) {
            found.push(Spanned::new(key, entry.key_span));
        }
    }
    for node in node.list_at("descriptors") {
        find_uncountable(node, found);
    }
}

fn server_descriptor(
    node: &Node<'_>,
    depth: usize,
    diagnostics: &mut Diagnostics,
) -> Option<ServerDescriptor> {
    if depth > MAX_DESCRIPTORS {
        diagnostics.push(Diagnostic::at(
            Code::NestingTooDeep,
            node.span,
            format!("descriptors are nested more than {MAX_DESCRIPTORS} levels deep"),
        ));
        return None;
    }
    let key = required(node, "key", "a descriptor", diagnostics);
    let limit = optional(node, "rateLimit", |node| server_limit(node, diagnostics));
    let descriptors = every(node.list_at("descriptors"), |node| {
        server_descriptor(node, depth + 1, diagnostics)
    });
    if node.faulty {
        return None;
    }
    Some(ServerDescriptor {
        key: key?.value,
        value: node
            .text_at("value")
            .map(|text| text.value)
            .filter(|value| !value.is_empty()),
        limit: limit?,
        descriptors: descriptors?,
    })
}

fn server_limit(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<ServerLimit> {
    let unit = match node.get("unit").and_then(Node::string) {
        Some("SECOND") => "second",
        Some("MINUTE") => "minute",
        Some("HOUR") => "hour",
        Some("DAY") => "day",
        _ => {
            if !node.faulty {
                diagnostics.push(missing(node.span, "unit", "a limit"));
            }
            return None;
        }
    };
    let requests = node.get("requestsPerUnit").map_or(Some(0), Node::integer)?;
    Some(ServerLimit {
        unit,
        requests: u32::try_from(requests).ok()?,
    })
}
