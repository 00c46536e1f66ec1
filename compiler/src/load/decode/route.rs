//! Routes and their actions.

use std::sync::Arc;

use super::value::{
    header_name, header_safe, integer_in, missing, non_empty, object_ref, path, port, required,
};
use super::{every, matcher, options, selector, template};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::{Entry, Node, Routes, Value};
use crate::rare::Rare;
use crate::resource::{
    Action, ClusterObjectRef, DelegateAction, DestinationKind, DirectResponseAction, ForwardAction,
    RedirectAction, Route, SortMethod, WeightedDestination,
};
use crate::rewrite::{HostRewrite, PathRewrite};
use crate::source::Spanned;

/// Longest body of a direct response in bytes; Envoy refuses more.
const MAX_BODY_BYTES: usize = 4096;

/// Takes the routes of a virtual host or route table out; a route with an error is left out.
pub(super) fn routes(owner: &mut Node<'_>, diagnostics: &mut Diagnostics) -> Vec<Route> {
    let mut routes = match owner.get_mut("routes").map(|node| &mut node.value) {
        Some(Value::Routes(routes)) => std::mem::take(&mut **routes),
        Some(Value::List(list)) => {
            let mut routes = Routes::default();
            for node in std::mem::take(list) {
                add(&node, &mut routes);
            }
            routes
        }
        _ => Routes::default(),
    };
    diagnostics.append(routes.findings);
    routes.decoded.shrink_to_fit();
    routes.decoded
}

/// Decodes the next route of a list.
pub(in crate::load) fn add(node: &Node<'_>, routes: &mut Routes) {
    let route = route(routes.count, node, &mut routes.findings);
    routes.decoded.extend(route);
    routes.count += 1;
}

fn route(index: usize, node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Route> {
    let matchers = every(node.list_at("matchers"), |node| {
        matcher::matcher(node, diagnostics)
    });
    let action = action(node, diagnostics);
    let options = match node.get("options") {
        Some(options) => options::options(options, diagnostics).map(Rare::from),
        None => Some(Rare::default()),
    };
    if node.faulty {
        return None;
    }
    Some(Route {
        name: non_empty(node.text_at("name")),
        index,
        matchers: matchers?,
        action: action?,
        options: options?,
        labels: node.string_map_at("labels"),
        span: node.span,
    })
}

/// The one action of a route. Several are reported by the schema check.
fn action(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Spanned<Action>> {
    let mut found: Option<Spanned<Action>> = None;
    let mut written = false;
    for Entry {
        key,
        key_span,
        value,
    } in node.entries()
    {
        let action =
            match key.as_ref() {
                "routeAction" => forward(value, diagnostics).map(Action::Forward),
                "redirectAction" => redirect(value, diagnostics)
                    .map(|redirect| Action::Redirect(Box::new(redirect))),
                "directResponseAction" => direct_response(value, diagnostics)
                    .map(|response| Action::DirectResponse(Box::new(response))),
                "delegateAction" => delegate(value, diagnostics)
                    .map(|delegate| Action::Delegate(Box::new(delegate))),
                _ => continue,
            };
        written = true;
        let span = crate::source::Span {
            end: value.span.end.max(key_span.end),
            ..*key_span
        };
        found = action.map(|action| Spanned::new(action, span));
    }
    if !written && !node.faulty {
        diagnostics.push(
            Diagnostic::at(Code::NoAction, node.span, "this route has no action").help(
                "add one of `routeAction`, `redirectAction`, `directResponseAction` and `delegateAction`",
            ),
        );
    }
    found
}

fn forward(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<ForwardAction> {
    let entries = node.list_at("destinations");
    if entries.is_empty() && !node.faulty {
        diagnostics.push(
            Diagnostic::at(
                Code::NoDestinations,
                node.span,
                "this `routeAction` has no destinations",
            )
            .help("add at least one entry to `destinations`"),
        );
        return None;
    }
    let destinations = every(entries, |node| weighted_destination(node, diagnostics));
    let path_rewrite = path_rewrite(node, diagnostics);
    let host_rewrite = host_rewrite(node, diagnostics);
    Some(ForwardAction {
        destinations: destinations?,
        path_rewrite: path_rewrite?,
        host_rewrite: host_rewrite?,
    })
}

#[expect(clippy::option_option, reason = "invalid, or not written")]
fn path_rewrite(
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Option<Spanned<PathRewrite>>> {
    if let Some(node) = node.get("regexRewrite") {
        let replacement = template::replacement(node, "`regexRewrite`", diagnostics)?;
        let rewrite = PathRewrite::Matches(Arc::new(replacement));
        return Some(Some(Spanned::new(rewrite, node.span)));
    }
    if let Some(text) = non_empty(path(node, "pathTemplateRewrite", diagnostics)?) {
        let parts = template::rewrite(&text, diagnostics)?;
        let rewrite = PathRewrite::Template(Arc::new(parts));
        return Some(Some(Spanned::new(rewrite, text.span)));
    }
    let prefix = path(node, "pathRewrite", diagnostics)?;
    check_not_empty("pathRewrite", prefix.as_ref(), diagnostics);
    let prefix = non_empty(prefix);
    Some(prefix.map(|path| Spanned::new(PathRewrite::Prefix(with_slash(&path)), path.span)))
}

/// Somebody who writes a rewrite to nothing may expect the prefix to go.
fn check_not_empty(key: &str, text: Option<&Spanned<String>>, diagnostics: &mut Diagnostics) {
    if let Some(text) = text
        && text.is_empty()
    {
        diagnostics.push(
            Diagnostic::at(
                Code::EmptyRewrite,
                text.span,
                format!("an empty `{key}` changes nothing"),
            )
            .help("write `/` to take the prefix away, or remove the field"),
        );
    }
}

/// A host that requests get, or clients are sent to.
fn new_host(
    node: &Node<'_>,
    key: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Option<Spanned<String>>> {
    let Some(host) = non_empty(node.text_at(key)) else {
        return Some(None);
    };
    header_safe(&host, &format!("`{key}`"), host.span, diagnostics)?;
    let other = |c: &char| !c.is_ascii() || " \t/\\?#@".contains(*c);
    let Some(found) = host.chars().find(other) else {
        return Some(Some(host));
    };
    let help = match found {
        '/' if host.contains("://") => {
            "leave out the scheme; a redirect has `httpsRedirect` for it"
        }
        '/' | '?' | '#' => "leave out what follows the host",
        '@' => "leave out the user",
        _ if !found.is_ascii() => "write it in its ASCII form, which begins with `xn--`",
        _ => "write a name or an address, and a port if wanted",
    };
    diagnostics.push(
        Diagnostic::at(
            Code::InvalidHost,
            host.span,
            format!(
                "`{}` is no host: `{found}` cannot be part of one",
                host.value
            ),
        )
        .help(help),
    );
    None
}

/// Paths start with a slash, written or not.
fn with_slash(path: &str) -> String {
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{slash}{path}")
}

#[expect(clippy::option_option, reason = "invalid, or not written")]
fn host_rewrite(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Option<HostRewrite>> {
    if let Some(node) = node.get("hostRewritePathRegex") {
        let replacement = template::replacement(node, "`hostRewritePathRegex`", diagnostics)?;
        return Some(Some(HostRewrite::Path(Arc::new(replacement))));
    }
    if let Some(name) = non_empty(node.text_at("hostRewriteHeader")) {
        header_name(&name, name.span, diagnostics)?;
        return Some(Some(HostRewrite::Header(name.to_ascii_lowercase())));
    }
    let host = new_host(node, "hostRewrite", diagnostics)?;
    Some(host.map(|host| HostRewrite::Text(host.value)))
}

pub(super) fn weighted_destination(
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<WeightedDestination> {
    let kind = destination_kind(node, diagnostics);
    let weight = match node.get("weight") {
        Some(weight) => Some(integer_in(
            weight,
            "a weight",
            0..=i64::from(u32::MAX),
            diagnostics,
        )?),
        None => None,
    };
    let weight = weight
        .and_then(|weight| Some(Spanned::new(u32::try_from(weight.value).ok()?, weight.span)));
    let options = match node.get("options") {
        Some(options) => options::options(options, diagnostics).map(Rare::from),
        None => Some(Rare::default()),
    };
    Some(WeightedDestination {
        kind: kind?,
        weight,
        options: options?,
        span: node.span,
    })
}

fn destination_kind(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<DestinationKind> {
    if let Some(reference) = node.get("kubeService") {
        return cluster_object_ref(reference, diagnostics).map(DestinationKind::KubeService);
    }
    if let Some(reference) = node.get("virtualDestination") {
        let target = object_ref(
            reference,
            "a reference to a virtual destination",
            diagnostics,
        )?;
        return Some(DestinationKind::Virtual {
            target,
            subset: reference.string_map_at("subset"),
        });
    }
    if let Some(reference) = node.get("staticDestination") {
        return object_ref(
            reference,
            "a reference to a static destination",
            diagnostics,
        )
        .map(DestinationKind::Static);
    }
    if let Some(entry) = node.entry("clusterHeader") {
        diagnostics.push(
            Diagnostic::at(Code::ClusterHeader, entry.key_span, "`clusterHeader` is not supported")
                .help("name the destination with `kubeService`, `virtualDestination` or `staticDestination`"),
        );
    } else if !node.faulty {
        diagnostics.push(
            Diagnostic::at(
                Code::NoDestinationKind,
                node.span,
                "this destination does not say where to go",
            )
            .help("add `kubeService`, `virtualDestination` or `staticDestination`"),
        );
    }
    None
}

pub(super) fn cluster_object_ref(
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<ClusterObjectRef> {
    let name = required(node, "name", "a reference to a Service", diagnostics);
    let port = match node.get("port") {
        Some(node) => Some(port(node, diagnostics)?),
        None => None,
    };
    Some(ClusterObjectRef {
        name: name?,
        namespace: non_empty(node.text_at("namespace")),
        cluster: non_empty(node.text_at("clusterName")),
        subset: node.string_map_at("subset"),
        port,
        span: node.span,
    })
}

fn redirect(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<RedirectAction> {
    let host = new_host(node, "hostRedirect", diagnostics);
    let path_redirect = path(node, "pathRedirect", diagnostics);
    let prefix_rewrite = path(node, "prefixRewrite", diagnostics);
    check_not_empty(
        "prefixRewrite",
        prefix_rewrite.iter().flatten().next(),
        diagnostics,
    );
    let regex_rewrite = match node.get("regexRewrite") {
        Some(node) => {
            let replacement = template::replacement(node, "`regexRewrite`", diagnostics)?;
            Some(Arc::new(replacement))
        }
        None => None,
    };
    let port = match node.get("portRedirect") {
        Some(node) => Some(port(node, diagnostics)?.value),
        None => None,
    };
    let status = match node.get("responseCode") {
        None => None,
        Some(code) => Some(match code.string()? {
            "MOVED_PERMANENTLY" => 301,
            "FOUND" => 302,
            "SEE_OTHER" => 303,
            "TEMPORARY_REDIRECT" => 307,
            "PERMANENT_REDIRECT" => 308,
            _ => return None,
        }),
    };
    let redirect = RedirectAction {
        host: host?,
        path: non_empty(path_redirect?),
        prefix_rewrite: non_empty(prefix_rewrite?),
        regex_rewrite,
        status,
        scheme: scheme(node, diagnostics)?,
        port,
        strip_query: node.flag("stripQuery"),
    };
    let changes_nothing = redirect.host.is_none()
        && redirect.path.is_none()
        && redirect.prefix_rewrite.is_none()
        && redirect.regex_rewrite.is_none()
        && redirect.scheme.is_none()
        && redirect.port.is_none()
        && !redirect.strip_query;
    if changes_nothing && !node.faulty {
        diagnostics.push(
            Diagnostic::at(Code::EmptyRedirect, node.span, "this redirect changes nothing, so clients will loop")
                .help("set `hostRedirect`, `pathRedirect`, `prefixRewrite`, `httpsRedirect` or `stripQuery`"),
        );
    }
    Some(redirect)
}

/// The new scheme of a redirect.
#[expect(clippy::option_option, reason = "invalid, or not written")]
fn scheme(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Option<String>> {
    if node.flag("httpsRedirect") {
        return Some(Some("https".to_owned()));
    }
    let Some(scheme) = non_empty(node.text_at("schemeRedirect")) else {
        return Some(None);
    };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if is_scheme {
        return Some(Some(scheme.to_ascii_lowercase()));
    }
    diagnostics.push(
        Diagnostic::at(
            Code::InvalidScheme,
            scheme.span,
            format!("`{}` is no scheme", scheme.value),
        )
        .help("a scheme is a word such as `https`, without `://`"),
    );
    None
}

fn direct_response(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<DirectResponseAction> {
    let body = node.text_at("body");
    let body = match body {
        Some(body) if body.len() > MAX_BODY_BYTES => {
            diagnostics.push(Diagnostic::at(
                Code::BodyTooLarge,
                body.span,
                format!(
                    "the body has {} bytes; a direct response holds at most {MAX_BODY_BYTES}",
                    body.len()
                ),
            ));
            return None;
        }
        body => body,
    };
    let Some(status) = node.get("status") else {
        if !node.faulty {
            diagnostics.push(missing(node.span, "status", "a direct response"));
        }
        return None;
    };
    let status = integer_in(
        status,
        "the status of a direct response",
        200..=599,
        diagnostics,
    )?;
    Some(DirectResponseAction {
        status: Spanned::new(u16::try_from(status.value).ok()?, status.span),
        body,
    })
}

fn delegate(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<DelegateAction> {
    let refs = every(node.list_at("refs"), |node| {
        object_ref(node, "a reference to a route table", diagnostics)
    });
    let selector = match node.get("selector") {
        Some(selector) => Some(selector::object_selector(selector, diagnostics)?),
        None => None,
    };
    let sort = match node.get("sortMethod").and_then(Node::string) {
        Some("ROUTE_SPECIFICITY") => SortMethod::RouteSpecificity,
        _ => SortMethod::TableWeight,
    };
    Some(DelegateAction {
        refs: refs?,
        selector,
        sort,
    })
}
