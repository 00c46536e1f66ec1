//! `tcp`: handlers that forward connections as they are.

use std::collections::HashMap;
use std::time::Duration;

use super::route::cluster_object_ref;
use super::value::{duration, integer_in, object_ref};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::Node;
use crate::rare::Rare;
use crate::resource::{DestinationKind, TcpRoutes, TcpSettings, WeightedDestination};
use crate::source::{Span, Spanned};

/// Largest weight, so that their sum stays in 32 bits however many there are.
const MAX_WEIGHT: i64 = 1_000_000;

/// Reads `tcp`. `tls` says whether connections have a server name.
pub(super) fn routes(
    node: &Node<'_>,
    tls: bool,
    diagnostics: &mut Diagnostics,
) -> Option<TcpRoutes> {
    check_names(node, diagnostics)?;
    let mut destinations = Vec::new();
    let mut by_server_name = None;
    for host in node.list_at("tcpHosts") {
        let Some(destination) = host.get("destination") else {
            continue;
        };
        if let Some(entry) = destination.entry("forwardSniClusterName") {
            by_server_name = Some(entry.key_span);
        } else if let Some(kind) = kind(destination, diagnostics)? {
            destinations.push(WeightedDestination {
                kind,
                weight: weight(destination, diagnostics)?,
                options: Rare::default(),
                span: destination.span,
            });
        }
    }
    if let Some(span) = by_server_name
        && !tls
    {
        diagnostics.push(
            Diagnostic::at(
                Code::ServerNameWithoutTls,
                span,
                "without TLS, connections carry no server name to forward by",
            )
            .help("add `connectionOptions.sslConfig`"),
        );
        return None;
    }
    if node.faulty {
        return None;
    }
    let problem = match (by_server_name, destinations.first()) {
        (None, None) => Some((
            node.span,
            "this `tcp` handler has nowhere to send connections",
            "add `tcpHosts`, each with a `destination`",
        )),
        (Some(span), Some(_)) => Some((
            span,
            "where the server name says where connections go, there cannot be other destinations",
            "remove the other hosts, or this one",
        )),
        _ => None,
    };
    if let Some((span, message, help)) = problem {
        diagnostics.push(Diagnostic::at(Code::TcpGateway, span, message).help(help));
        return None;
    }
    Some(TcpRoutes {
        destinations,
        by_server_name: by_server_name.is_some(),
        settings: settings(node, diagnostics)?,
        span: node.span,
    })
}

fn check_names(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<()> {
    let mut names: HashMap<String, Span> = HashMap::new();
    for name in node
        .list_at("tcpHosts")
        .iter()
        .filter_map(|host| host.text_at("name"))
    {
        if let Some(first) = names.get(&name.value) {
            diagnostics.push(
                Diagnostic::at(
                    Code::DuplicateTcpHost,
                    name.span,
                    format!("two TCP hosts are called `{name}`"),
                )
                .also(*first, "the first one"),
            );
            return None;
        }
        names.insert(name.value, name.span);
    }
    Some(())
}

#[expect(clippy::option_option, reason = "invalid, or not written")]
fn kind(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Option<DestinationKind>> {
    let mut reference = |key: &str, what| Some(object_ref(node.get(key)?, what, diagnostics));
    Some(Some(
        if let Some(target) = reference("static", "a static destination") {
            DestinationKind::Static(target?)
        } else if let Some(target) = reference("virtual", "a virtual destination") {
            DestinationKind::Virtual {
                target: target?,
                subset: std::collections::BTreeMap::new(),
            }
        } else if let Some(service) = node.get("kube") {
            DestinationKind::KubeService(cluster_object_ref(service, diagnostics)?)
        } else {
            return Some(None);
        },
    ))
}

#[expect(clippy::option_option, reason = "invalid, or not written")]
fn weight(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Option<Spanned<u32>>> {
    let Some(node) = node.get("weight") else {
        return Some(None);
    };
    let weight = integer_in(node, "a weight", 0..=MAX_WEIGHT, diagnostics)?;
    Some(Some(Spanned::new(
        u32::try_from(weight.value).ok()?,
        weight.span,
    )))
}

fn settings(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<TcpSettings> {
    let mut settings = TcpSettings::default();
    let written = node
        .get("options")
        .and_then(|options| options.get("tcpProxySettings"));
    let Some(written) = written else {
        return Some(settings);
    };
    if let Some(attempts) = written.get("maxConnectAttempts") {
        let what = "`maxConnectAttempts`";
        let attempts = integer_in(attempts, what, 1..=i64::from(u32::MAX), diagnostics)?;
        settings.max_connect_attempts = u32::try_from(attempts.value).ok();
    }
    if let Some(time) = written.get("idleTimeout") {
        let time = duration(time, "`idleTimeout`", Duration::from_millis(1), diagnostics)?;
        settings.idle_timeout = Some(time.value);
    }
    let tunnel = written.get("tunnelingConfig");
    let tunnel = tunnel.and_then(|tunnel| tunnel.text_at("hostname"));
    settings.tunnel = tunnel
        .map(|host| host.value)
        .filter(|host| !host.is_empty());
    Some(settings)
}
