//! Paths before they are matched: the form that a gateway gives to them, and what a virtual host does not look at.

use super::{Request, split_path};
use crate::resource::Normalization;
use crate::tree::Host;

/// The path without query that a host matches.
pub(super) fn matched(host: &Host, request: &Request) -> String {
    let (path, _) = split_path(&request.path);
    let segments = path
        .split('/')
        .map(|segment| match segment.split_once(';') {
            Some((name, _)) if host.ignores_path_parameters() => name,
            _ => segment,
        });
    segments.collect::<Vec<_>>().join("/")
}

/// How many bytes of the path as it was sent hold the first `len` bytes of what a host has matched.
pub(super) fn sent_len(host: &Host, request: &Request, len: usize) -> usize {
    let (path, _) = split_path(&request.path);
    let holds = |end: &usize| {
        let start = path.get(..*end).map(|start| Request {
            path: start.to_owned(),
            ..request.clone()
        });
        start.is_some_and(|start| matched(host, &start).len() >= len)
    };
    (0..path.len()).find(holds).unwrap_or(path.len())
}

/// The request with its path in normal form.
pub(super) fn normal(rules: Normalization, request: &Request) -> Request {
    let (path, query) = split_path(&request.path);
    let mut path = path.to_owned();
    if path.starts_with('/') {
        if rules.decode_slashes {
            for (encoded, plain) in [("%2f", "/"), ("%2F", "/"), ("%5c", "\\"), ("%5C", "\\")] {
                path = path.replace(encoded, plain);
            }
        }
        if rules.resolve {
            path = resolved(&decoded(&path).replace('\\', "/"));
        }
        if rules.merge_slashes {
            while path.contains("//") {
                path = path.replace("//", "/");
            }
        }
    }
    Request {
        path: path + query,
        ..request.clone()
    }
}

/// What need not be encoded is not encoded; a `%` that encodes nothing is.
fn decoded(path: &str) -> String {
    let mut pieces = path.split('%');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece
            .get(..2)
            .filter(|digits| digits.chars().all(|digit| digit.is_ascii_hexdigit()));
        let character = digits
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .map(char::from);
        match character {
            Some(character) if character.is_ascii_alphanumeric() || "-._~".contains(character) => {
                out.push(character);
                out.push_str(&piece[2..]);
            }
            Some(_) => out = out + "%" + piece,
            None => out = out + "%25" + piece,
        }
    }
    out
}

/// `.` is nothing, and `..` takes back what came before it, whatever their parameters are.
fn resolved(path: &str) -> String {
    let mut kept = Vec::new();
    let mut is_folder = false;
    for segment in path.split('/').skip(1) {
        let name = segment.split(';').next().unwrap_or_default();
        is_folder = matches!(name, "." | "..");
        match name {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    // They stand for a folder, which ends in a slash.
    if is_folder {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}
