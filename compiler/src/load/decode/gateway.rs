//! VirtualGateway and its connection handlers.

use std::sync::Arc;

use super::cluster::gateway_selectors;
use super::options::csrf;
use super::value::strings;
use super::{every_mut, extauth, listener, rate_limit, selector, virtual_host};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::Node;
use crate::options::Options;
use crate::resource::external::{GatewayExtauth, GatewayRateLimit};
use crate::resource::{
    ConnectionHandler, HandlerKind, Metadata, Normalization, RouteConfig, VirtualGateway,
};
use crate::source::Spanned;

/// A VirtualGateway.
pub(in crate::load) fn virtual_gateway(
    metadata: Metadata,
    node: &mut Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<VirtualGateway> {
    let handlers = match node.list_mut("connectionHandlers") {
        Some(handlers) => every_mut(handlers, |node| connection_handler(node, diagnostics)),
        None => Some(Vec::new()),
    };
    let selectors = gateway_selectors(node, diagnostics);
    let written = node.list_at("connectionHandlers");
    if written.is_empty() && !node.faulty {
        diagnostics.push(
            Diagnostic::at(
                Code::NoConnectionHandler,
                metadata.span,
                "this gateway has no connection handler",
            )
            .help("add `connectionHandlers` with one entry that holds `http`"),
        );
        return None;
    }
    if let [first, second, ..] = written {
        diagnostics.push(
            Diagnostic::at(
                Code::SeveralConnectionHandlers,
                second.span,
                "a gateway can have only one connection handler",
            )
            .also(first.span, "the first one")
            .help("move the others to VirtualGateways of their own"),
        );
        return None;
    }
    let (handlers, selectors) = (handlers?, selectors?);
    let (extauth, rate_limit) = services(node, diagnostics);
    if node.faulty {
        return None;
    }
    let port_name = selectors
        .iter()
        .find_map(|selector| selector.port_name.clone());
    let http = handlers
        .iter()
        .any(|handler| matches!(handler.kind, HandlerKind::Http(_)));
    if http && port_name.is_none() {
        diagnostics.push(
            Diagnostic::at(
                Code::NoPortName,
                metadata.span,
                "this gateway names no port; it gets the port `tls`, which is for traffic between clusters",
            )
            .help("add `portName: http2` or `portName: https` to its `ingressGatewaySelectors`"),
        );
    }
    Some(VirtualGateway {
        metadata,
        port_name,
        selectors,
        listener: Arc::new(listener::listener(node)),
        paths: normalization(node),
        handlers,
        extauth,
        rate_limit,
        span: node.span,
    })
}

/// What is done to paths.
fn normalization(gateway: &Node<'_>) -> Normalization {
    let options = gateway.get("options");
    let flag = |key| options.is_some_and(|options| options.flag(key));
    let escaped = options.and_then(|options| options.text_at("pathWithEscapedSlashesAction"));
    Normalization {
        resolve: flag("normalizePath"),
        merge_slashes: flag("mergeSlashes"),
        decode_slashes: escaped.is_some_and(|action| action.value == "UNESCAPE_AND_FORWARD"),
    }
}

/// The services of the gateway. Without them, or with faulty ones, routes that ask for them get what their failure
/// means.
fn services(
    gateway: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> (Option<GatewayExtauth>, Option<GatewayRateLimit>) {
    let options = gateway
        .list_at("connectionHandlers")
        .first()
        .and_then(|handler| handler.get("http")?.get("routeOptions"));
    let entry = |key| options.and_then(|options| options.entry(key));
    (
        entry("extauth").and_then(|entry| extauth::gateway(entry, diagnostics)),
        entry("rateLimit").and_then(|entry| rate_limit::gateway(entry, diagnostics)),
    )
}

fn connection_handler(
    node: &mut Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<ConnectionHandler> {
    let routes = node
        .get_mut("http")
        .map(|http| route_configs(http, diagnostics));
    let options = node.get("connectionOptions");
    let https_redirect = options.is_some_and(|options| options.flag("httpsRedirect"));
    let tls = options.and_then(|options| options.get("sslConfig"));
    let mut defaults = Options::default();
    let kind = if let Some(http) = node.get("http") {
        defaults = route_options(http, diagnostics)?;
        HandlerKind::Http(routes.flatten()?)
    } else if let Some(tcp) = node.get("tcp") {
        HandlerKind::Tcp(super::tcp::routes(tcp, tls.is_some(), diagnostics)?)
    } else {
        HandlerKind::None
    };
    if matches!(kind, HandlerKind::None) && !https_redirect && !node.faulty {
        diagnostics.push(
            Diagnostic::at(
                Code::IdleConnectionHandler,
                node.span,
                "this connection handler does nothing",
            )
            .help("add `http`, `tcp`, or `connectionOptions.httpsRedirect: true`"),
        );
        return None;
    }
    settings_without_effect(options, &["strictFilterManagement"], diagnostics);
    let connection_match = node.get("connectionMatch");
    settings_without_effect(connection_match, &["transportProtocol"], diagnostics);
    check_server_names(node, diagnostics)?;
    if let Some(tls) = tls {
        check_tls(tls, matches!(kind, HandlerKind::Http(_)), diagnostics)?;
    }
    Some(ConnectionHandler {
        kind,
        https_redirect,
        tls: tls.is_some(),
        defaults,
        span: node.span,
    })
}

/// Inline hosts with mistakes are left out; their siblings stay.
fn route_configs(http: &mut Node<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<RouteConfig>> {
    let mut configs = Vec::new();
    let mut sound = true;
    let nodes = http
        .list_mut("routeConfig")
        .map_or(&mut [][..], |list| list);
    for node in nodes {
        if let Some(host) = node.get_mut("virtualHost").filter(|node| !node.is_null()) {
            let spec = virtual_host::spec(host, diagnostics);
            configs.extend(spec.map(|spec| RouteConfig::Inline(Box::new(spec))));
        } else if let Some(selector) = node.get("virtualHostSelector") {
            match selector::object_selector(selector, diagnostics) {
                Some(selector) => configs.push(RouteConfig::Selector(selector)),
                None => sound = false,
            }
        } else if !node.faulty {
            diagnostics.push(
                Diagnostic::at(
                    Code::MissingField,
                    node.span,
                    "this entry of `routeConfig` names no virtual host",
                )
                .help("add `virtualHostSelector` or `virtualHost`"),
            );
            sound = false;
        }
    }
    sound.then_some(configs)
}

/// Gateway-wide defaults of options.
fn route_options(http: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Options> {
    let options = http.get("routeOptions");
    let mut defaults = Options::default();
    if let Some(entry) = options.and_then(|options| options.entry("csrf")) {
        let csrf = csrf::csrf(&entry.value, diagnostics)?;
        defaults.csrf = Some(Spanned::new(Arc::new(csrf), entry.key_span));
    }
    Some(defaults)
}

fn settings_without_effect(owner: Option<&Node<'_>>, keys: &[&str], diagnostics: &mut Diagnostics) {
    for key in keys {
        if let Some(entry) = owner.and_then(|owner| owner.entry(key)) {
            diagnostics.push(
                Diagnostic::at(
                    Code::ListenerSetting,
                    entry.key_span,
                    format!("`{key}` has no effect yet"),
                )
                .help("configure it where the gateway itself is configured"),
            );
        }
    }
}

fn check_server_names(handler: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<()> {
    let Some(connection_match) = handler.get("connectionMatch") else {
        return Some(());
    };
    let names = strings(connection_match, "serverNames");
    let mut sound = true;
    for name in names.iter().filter(|name| !is_server_name(name)) {
        sound = false;
        diagnostics.push(
            Diagnostic::at(
                Code::InvalidServerName,
                name.span,
                format!("`{}` is not a server name", name),
            )
            .help(
                "write a DNS name; only its first label may be a wildcard, as in `*.example.com`",
            ),
        );
    }
    sound.then_some(())
}

/// A DNS name, whose first label may be `*`.
fn is_server_name(name: &str) -> bool {
    let labels = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name == "*" || (name.len() <= 253 && labels.split('.').all(label))
}

fn check_tls(tls: &Node<'_>, http: bool, diagnostics: &mut Diagnostics) -> Option<()> {
    if tls.faulty {
        return None;
    }
    let written = tls.get("tlsMode");
    let span = written.map_or(tls.span, |mode| mode.span);
    let mode = written.map_or(Some("PASSTHROUGH"), Node::string)?;
    let certificate = tls.get("secretName").is_some() || tls.get("sslFiles").is_some();
    let problem = match mode {
        "PASSTHROUGH" | "AUTO_PASSTHROUGH" if http => Some((
            format!("the TLS mode {mode} does not decrypt, so `http` cannot work"),
            if written.is_none() {
                "PASSTHROUGH is the default; write `tlsMode: SIMPLE`"
            } else {
                "write `tlsMode: SIMPLE`"
            },
        )),
        "SIMPLE" | "MUTUAL" if !certificate => Some((
            format!("the TLS mode {mode} needs a certificate"),
            "add `secretName` or `sslFiles`",
        )),
        "ISTIO_MUTUAL" if certificate => Some((
            "the TLS mode ISTIO_MUTUAL brings its own certificates".to_owned(),
            "remove `secretName` and `sslFiles`",
        )),
        _ => None,
    };
    if let Some((message, help)) = problem {
        diagnostics.push(Diagnostic::at(Code::TlsMode, span, message).help(help));
        return None;
    }
    check_tls_versions(tls, diagnostics)?;
    let names = tls.list_at("verifySubjectAltName");
    let authority = match tls.get("sslFiles") {
        Some(files) => files.get("rootCa").is_some(),
        None => mode == "MUTUAL",
    };
    if let Some(name) = names.first()
        && !authority
    {
        diagnostics.push(
            Diagnostic::at(
                Code::NoCertificateAuthority,
                name.span,
                "names of clients can be verified only against a certificate authority",
            )
            .help("use `tlsMode: MUTUAL` with a secret that holds the authority, or add `sslFiles.rootCa`"),
        );
    }
    Some(())
}

fn check_tls_versions(tls: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<()> {
    let parameters = tls.get("parameters");
    let version = |key| {
        parameters
            .and_then(|parameters| parameters.text_at(key))
            .filter(|v| v.value != "TLS_AUTO")
    };
    let (Some(minimum), Some(maximum)) = (
        version("minimumProtocolVersion"),
        version("maximumProtocolVersion"),
    ) else {
        return Some(());
    };
    // The names sort like the versions.
    if minimum.value <= maximum.value {
        return Some(());
    }
    diagnostics.push(
        Diagnostic::at(
            Code::TlsVersions,
            minimum.span,
            format!(
                "the minimum version {} is above the maximum version {}",
                minimum.value, maximum.value
            ),
        )
        .also(maximum.span, "the maximum"),
    );
    None
}
