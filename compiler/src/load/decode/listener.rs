//! Listener settings of a VirtualGateway: TLS, server names, buffers.

use super::value::strings;
use crate::load::node::Node;
use crate::resource::{Listener, Tls, TlsFiles};
use crate::source::Spanned;

/// Settings that only a gateway in a mesh has, with the object they are in.
const IN_OPTIONS: [&str; 2] = ["bindAddress", "perConnectionBufferLimitBytes"];

/// Reads the settings of a gateway. Mistakes in them were reported before.
pub(super) fn listener(gateway: &Node<'_>) -> Listener {
    let options = gateway.get("options");
    let handler = gateway.list_at("connectionHandlers").first();
    let connection = handler.and_then(|handler| handler.get("connectionOptions"));
    let matched = handler.and_then(|handler| handler.get("connectionMatch"));
    let mut written = Vec::new();
    let mut note = |owner: Option<&Node<'_>>, keys: &[&'static str]| {
        for key in keys {
            if let Some(entry) = owner.and_then(|owner| owner.entry(key)) {
                written.push(Spanned::new(*key, entry.key_span));
            }
        }
    };
    note(options, &IN_OPTIONS);
    note(connection, &["enableProxyProtocol"]);
    note(matched, &["serverNames"]);
    Listener {
        bind: options.and_then(|options| text(options, "bindAddress")),
        buffer_limit: options
            .and_then(|options| options.get("perConnectionBufferLimitBytes"))
            .and_then(Node::integer)
            .and_then(|limit| u32::try_from(limit).ok()),
        proxy_protocol: connection.is_some_and(|options| options.flag("enableProxyProtocol")),
        server_names: matched.map_or_else(Vec::new, |matched| texts(matched, "serverNames")),
        tls: connection
            .and_then(|options| options.get("sslConfig"))
            .map(tls),
        written,
    }
}

fn tls(node: &Node<'_>) -> Tls {
    let parameters = node.get("parameters");
    let version = |key| {
        parameters
            .and_then(|parameters| text(parameters, key))
            .filter(|version| version != "TLS_AUTO")
    };
    Tls {
        mode: text(node, "tlsMode").unwrap_or_else(|| "PASSTHROUGH".to_owned()),
        secret: text(node, "secretName"),
        files: node.get("sslFiles").map(|files| TlsFiles {
            certificate: text(files, "tlsCert"),
            key: text(files, "tlsKey"),
            authority: text(files, "rootCa"),
        }),
        subject_alt_names: texts(node, "verifySubjectAltName"),
        minimum_version: version("minimumProtocolVersion"),
        maximum_version: version("maximumProtocolVersion"),
        cipher_suites: parameters
            .map_or_else(Vec::new, |parameters| texts(parameters, "cipherSuites")),
    }
}

fn text(owner: &Node<'_>, key: &str) -> Option<String> {
    owner
        .text_at(key)
        .map(|text| text.value)
        .filter(|text| !text.is_empty())
}

fn texts(owner: &Node<'_>, key: &str) -> Vec<String> {
    strings(owner, key).into_iter().map(|s| s.value).collect()
}
