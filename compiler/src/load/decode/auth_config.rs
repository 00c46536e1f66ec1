//! AuthConfig, and Secrets with API keys.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::every;
use super::value::{header_name, header_safe, missing, object_ref};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::{Entry, Node};
use crate::resource::auth_config::{AuthCheck, AuthConfig, BasicUser, Secret};
use crate::resource::{Metadata, ObjectName};

/// The field of a Secret that holds an API key, and the header that requests have it in.
const API_KEY: &str = "api-key";

/// An AuthConfig. One with a check that cannot be made lets nobody pass.
pub(in crate::load) fn auth_config(
    metadata: Metadata,
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<AuthConfig> {
    if let Some(entry) = node.entry("booleanExpr") {
        diagnostics.push(unsupported("booleanExpr", entry));
        return Some(AuthConfig {
            metadata,
            checks: vec![AuthCheck::Unsupported],
        });
    }
    let namespace = metadata.id.namespace.clone();
    let checks = every(node.list_at("configs"), |node| {
        check(node, &namespace, diagnostics)
    });
    if checks.as_ref().is_some_and(Vec::is_empty) && !node.faulty {
        diagnostics.push(missing(node.span, "configs", "an AuthConfig"));
        return None;
    }
    Some(AuthConfig {
        metadata,
        checks: checks.filter(|_| !node.faulty)?,
    })
}

fn unsupported(name: &str, entry: &Entry<'_>) -> Diagnostic {
    Diagnostic::at(
        Code::UnsupportedAuth,
        entry.key_span,
        format!("`{name}` of an AuthConfig is not supported: routes that refer to it refuse all requests"),
    )
    .help("use `basicAuth` with `sha256`, `apiKeyAuth`, the option `jwt`, or a service of your own with `customAuth`")
}

fn check(node: &Node<'_>, namespace: &str, diagnostics: &mut Diagnostics) -> Option<AuthCheck> {
    let mut kinds = node.entries().iter().filter(|entry| entry.key != "name");
    let Some(entry) = kinds.next() else {
        diagnostics.push(missing(node.span, "basicAuth` or `apiKeyAuth", "a check"));
        return None;
    };
    match entry.key.as_ref() {
        "basicAuth" => basic(&entry.value, diagnostics),
        "apiKeyAuth" => api_key(&entry.value, namespace, diagnostics),
        name => {
            diagnostics.push(unsupported(name, entry));
            Some(AuthCheck::Unsupported)
        }
    }
}

fn basic(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<AuthCheck> {
    if let Some(entry) = node.entry("apr") {
        diagnostics.push(unsupported("basicAuth.apr", entry));
        return Some(AuthCheck::Unsupported);
    }
    let realm = node
        .text_at("realm")
        .map_or_else(String::new, |realm| realm.value);
    header_safe(&realm, "`realm`", node.span, diagnostics)?;
    if realm.contains(['"', '\\']) {
        let message = "`realm` has a quote or a backslash, and stands between quotes";
        diagnostics.push(Diagnostic::at(Code::InvalidCredential, node.span, message));
        return None;
    }
    let users = node.get("sha256").and_then(|sha256| sha256.get("users"));
    let Some(users) = users else {
        diagnostics.push(missing(node.span, "sha256.users", "`basicAuth`"));
        return None;
    };
    let mut sound = Vec::new();
    for entry in users.entries() {
        let hash = entry.value.get("hashedPassword").and_then(Node::string);
        let hash = hash.and_then(bytes_of_hex).filter(|hash| hash.len() == 32);
        let salt = entry.value.get("salt").and_then(Node::string);
        let (Some(hash), false) = (hash, entry.key.contains(':')) else {
            diagnostics.push(
                Diagnostic::at(
                    Code::InvalidCredential,
                    entry.key_span,
                    "a user has a name without `:`, and a `hashedPassword` of 64 hexadecimal digits",
                )
                .help("write what `printf %s \"$SALT$PASSWORD\" | sha256sum` prints"),
            );
            return None;
        };
        sound.push(BasicUser {
            name: entry.key.to_string(),
            salt: salt.unwrap_or_default().to_owned(),
            hash,
        });
    }
    Some(AuthCheck::Basic {
        realm,
        users: sound,
    })
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let (pairs, rest) = digits.as_ref()?.as_chunks::<2>();
    let byte = |[high, low]: &[u32; 2]| u8::try_from(high * 16 + low).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

fn api_key(node: &Node<'_>, namespace: &str, diagnostics: &mut Diagnostics) -> Option<AuthCheck> {
    let header = match node.text_at("headerName") {
        Some(header) => {
            header_name(&header, header.span, diagnostics)?;
            header.to_ascii_lowercase()
        }
        None => API_KEY.to_owned(),
    };
    let secrets = every(node.list_at("apiKeySecretRefs"), |node| {
        let reference = object_ref(node, "a reference to a Secret", diagnostics)?;
        Some(ObjectName {
            namespace: reference
                .namespace
                .map_or_else(|| namespace.to_owned(), |namespace| namespace.value),
            name: reference.name.value,
        })
    })?;
    let labels = node.string_map_at("labelSelector");
    if labels.is_empty() && secrets.is_empty() && !node.faulty {
        diagnostics.push(missing(
            node.span,
            "labelSelector` or `apiKeySecretRefs",
            "`apiKeyAuth`",
        ));
        return None;
    }
    Some(AuthCheck::ApiKey {
        header,
        labels,
        secrets,
    })
}

/// A Secret; nothing if it holds no API key.
pub(in crate::load) fn secret(
    metadata: Metadata,
    object: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Secret> {
    let text = |field| object.get(field).and_then(|data| data.get(API_KEY));
    let key = match (text("stringData"), text("data")) {
        (Some(key), _) => key.string()?.as_bytes().to_vec(),
        (None, Some(encoded)) => match BASE64_STANDARD.decode(encoded.string()?.trim()) {
            Ok(key) => key,
            Err(_) => {
                let message = "`data` of a Secret is base64, and this is not";
                diagnostics.push(Diagnostic::at(
                    Code::InvalidCredential,
                    encoded.span,
                    message,
                ));
                return None;
            }
        },
        (None, None) => return None,
    };
    if key.is_empty() {
        return None;
    }
    Some(Secret {
        metadata,
        hash: Sha256::digest(&key).to_vec(),
    })
}
