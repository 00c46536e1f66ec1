//! Where a redirect leads.

use crate::decision::Match;
use crate::request::Request;
use crate::tables::{Redirect, RedirectPath};

impl Match<'_> {
    /// Value of the `location` header of a redirect, which is the action of this match.
    ///
    /// Path and query stay unless replaced; a query inside the replacement wins. When the scheme changes, the old
    /// scheme's default port is dropped from the host; other ports stay.
    pub fn location<H: ?Sized>(&self, redirect: &Redirect, request: &Request<'_, H>) -> Vec<u8> {
        let scheme = match &redirect.scheme {
            Some(scheme) => scheme.as_bytes(),
            None => request.scheme,
        };
        let host = match &redirect.host {
            Some(host) => host.as_bytes(),
            None => without_default_port(request, scheme),
        };
        let port = redirect.port.map(|port| format!(":{port}"));
        let host = match &port {
            Some(_) => without_port(host),
            None => host,
        };
        let path_end = request.path_only().len();
        let path = request.path.get(..path_end).unwrap_or_default();
        let (path, mut keep_query) = match &redirect.path {
            RedirectPath::Keep => (path.to_vec(), true),
            RedirectPath::Full(path) => (path.clone().into_bytes(), !path.contains('?')),
            RedirectPath::Rewrite(rewrite) => {
                let rewritten = self.rewrite(rewrite, &Request { path, ..*request });
                (rewritten.unwrap_or_else(|| path.to_vec()), true)
            }
        };
        keep_query = keep_query && !redirect.strip_query;

        let mut location =
            Vec::with_capacity(scheme.len() + host.len() + path.len() + request.path.len() + 4);
        location.extend_from_slice(scheme);
        location.extend_from_slice(b"://");
        location.extend_from_slice(host);
        location.extend_from_slice(port.as_deref().unwrap_or_default().as_bytes());
        if !path.starts_with(b"/") {
            location.push(b'/');
        }
        location.extend_from_slice(&path);
        if keep_query && let Some(query) = request.query() {
            location.push(b'?');
            location.extend_from_slice(query);
        }
        location
    }
}

/// A host without what follows its last colon, unless that stands in brackets.
fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|&byte| byte == b':') {
        Some(colon) if !host.get(colon..).unwrap_or_default().contains(&b']') => {
            host.get(..colon).unwrap_or_default()
        }
        _ => host,
    }
}

fn without_default_port<'r, H: ?Sized>(request: &Request<'r, H>, scheme: &[u8]) -> &'r [u8] {
    let default: &[u8] = match request.scheme {
        _ if request.scheme == scheme => return request.authority,
        b"http" => b":80",
        b"https" => b":443",
        _ => return request.authority,
    };
    request
        .authority
        .strip_suffix(default)
        .unwrap_or(request.authority)
}
