//! External authorization: `extauth` of gateways and of routes.

use std::time::Duration;

use meshgate_engine::policy::MOST_OF_BODY;

use super::every;
use super::value::{
    duration, header_name, header_safe, integer_in, missing, object_ref, path, string_entries,
};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::{Entry, Node};
use crate::policy::external::Extauth;
use crate::resource::external::{ExtauthBody, ExtauthHttp, GatewayExtauth};
use crate::source::Span;

const MILLISECOND: Duration = Duration::from_millis(1);
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(2000);
const DEFAULT_STATUS: u16 = 403;
/// `maxRequestBytes`.
const DEFAULT_BODY: u32 = 4096;

/// `routeOptions.extauth`.
pub(super) fn gateway(entry: &Entry<'_>, diagnostics: &mut Diagnostics) -> Option<GatewayExtauth> {
    let node = &entry.value;
    let service = optional(node, "extauthzRef", |node| {
        object_ref(node, "`extauthzRef`", diagnostics)
    });
    let http = optional(node, "httpService", |node| http_service(node, diagnostics));
    let timeout = timeout(node, DEFAULT_TIMEOUT, diagnostics);
    let status = optional(node, "statusOnError", |node| {
        integer_in(node, "`statusOnError`", 400..=599, diagnostics)
    });
    let body = optional(node, "requestBody", |node| request_body(node, diagnostics));
    for key in ["clearRouteCache", "statPrefix"] {
        if let Some(entry) = node.entry(key) {
            diagnostics.push(
                Diagnostic::at(
                    Code::ListenerSetting,
                    entry.key_span,
                    format!("`{key}` has no effect"),
                )
                .help("remove it; what an authorization service changes does not change the route"),
            );
        }
    }
    if node.faulty {
        return None;
    }
    Some(GatewayExtauth {
        service: service?,
        http: http?,
        body: body?,
        timeout: timeout?,
        failure_mode_allow: node.flag("failureModeAllow"),
        status_on_error: match status? {
            Some(status) => u16::try_from(status.value).ok()?,
            None => DEFAULT_STATUS,
        },
        span: entry.key_span,
    })
}

/// `requestBody`.
fn request_body(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<ExtauthBody> {
    let max_bytes = optional(node, "maxRequestBytes", |node| {
        let limits = 0..=i64::from(MOST_OF_BODY);
        integer_in(node, "`maxRequestBytes`", limits, diagnostics)
    })?;
    Some(ExtauthBody {
        // Zero means the same as an absent number, as everywhere in the API.
        max_bytes: match max_bytes.map_or(0, |number| number.value) {
            0 => DEFAULT_BODY,
            number => u32::try_from(number).ok()?,
        },
        allow_partial: node.flag("allowPartialMessage"),
        as_bytes: node.flag("packAsBytes"),
    })
}

fn http_service(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<ExtauthHttp> {
    let path_prefix = path(node, "pathPrefix", diagnostics);
    if let Some(Some(prefix)) = &path_prefix
        && !prefix.is_empty()
        && !prefix.starts_with('/')
    {
        diagnostics.push(
            Diagnostic::at(
                Code::PathWithoutSlash,
                prefix.span,
                format!("`pathPrefix` does not start with `/`: `{prefix}`"),
            )
            .help("write a slash in front of it; paths of requests start with one"),
        );
    }
    let names = |owner: &str, key: &str, diagnostics: &mut Diagnostics| match node.get(owner) {
        Some(owner) => every(owner.list_at(key), |node| {
            let name = node.string()?;
            header_name(name, node.span, diagnostics)?;
            Some(name.to_ascii_lowercase())
        }),
        None => Some(Vec::new()),
    };
    let allowed_headers = names("request", "allowedHeaders", diagnostics);
    let upstream_headers = names("response", "allowedUpstreamHeaders", diagnostics);
    let client_headers = names("response", "allowedClientHeaders", diagnostics);
    let mut sound = true;
    let mut headers_to_add = Vec::new();
    if let Some(request) = node.get("request") {
        for (entry, value) in string_entries(request, "headersToAdd") {
            let name = header_name(&entry.key, entry.key_span, diagnostics);
            let what = "the value of this header";
            let value_is_safe = header_safe(value, what, entry.value.span, diagnostics);
            sound &= name.and(value_is_safe).is_some();
            headers_to_add.push((entry.key.to_ascii_lowercase(), value.to_owned()));
        }
    }
    headers_to_add.sort();
    sound.then_some(())?;
    Some(ExtauthHttp {
        path_prefix: path_prefix?.map(|path| path.value).unwrap_or_default(),
        allowed_headers: allowed_headers?,
        headers_to_add,
        upstream_headers: upstream_headers?,
        client_headers: client_headers?,
    })
}

/// `extauth` of a route, without a reference to an AuthConfig.
pub(super) fn route(node: &Node<'_>, span: Span, diagnostics: &mut Diagnostics) -> Option<Extauth> {
    if node.flag("disable") {
        return Some(Extauth::Disabled);
    }
    if let Some(custom) = node.get("customAuth") {
        let context = string_entries(custom, "contextExtensions")
            .map(|(entry, value)| (entry.key.to_string(), value.to_owned()));
        let mut context: Vec<_> = context.collect();
        context.sort();
        return Some(Extauth::Custom(context));
    }
    if !node.faulty {
        diagnostics.push(
            missing(span, "disable`, `configRef` or `customAuth", "`extauth`")
                .help("to ask the gateway's service write `customAuth: {}`"),
        );
    }
    None
}

/// A field that may be absent: nothing after an error, nothing inside if it is absent.
pub(super) fn optional<'n, 's, T>(
    owner: &'n Node<'s>,
    key: &str,
    decode: impl FnOnce(&'n Node<'s>) -> Option<T>,
) -> Option<Option<T>> {
    match owner.get(key) {
        Some(node) => decode(node).map(Some),
        None => Some(None),
    }
}

/// `requestTimeout` of a service.
pub(super) fn timeout(
    node: &Node<'_>,
    default: Duration,
    diagnostics: &mut Diagnostics,
) -> Option<Duration> {
    let written = optional(node, "requestTimeout", |node| {
        duration(node, "`requestTimeout`", MILLISECOND, diagnostics)
    });
    Some(written?.map_or(default, |timeout| timeout.value))
}
