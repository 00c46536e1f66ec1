//! Short forms of resources, and a resolved tree as text.

use std::fmt::Write as _;

use meshgate_compiler::diagnostic::Severity;
use meshgate_compiler::resolve::{ResolveOptions, resolve};
use meshgate_compiler::rewrite::PathRewrite;
use meshgate_compiler::source::Span;
use meshgate_compiler::tree::{
    Action, HeaderMatch, Matcher, PathMatch, PathTail, QueryMatch, RedirectPath, Route, Tree,
    ValueMatch, written_out,
};
use meshgate_compiler::{lint, load};

/// What resolution and lints make of a text.
pub(crate) struct Resolved {
    pub(crate) tree: Tree,
    /// `CODE at text: message`, notes left out.
    pub(crate) findings: Vec<String>,
}

pub(crate) fn resolved(yaml: &str) -> Resolved {
    resolved_with(yaml, &ResolveOptions::default())
}

pub(crate) fn resolved_with(yaml: &str, options: &ResolveOptions) -> Resolved {
    let (sources, resources, mut diagnostics) = load::from_text("t.yaml", yaml);
    let tree = resolve(&resources, options, &mut diagnostics);
    lint::lint(&tree, &mut diagnostics);
    diagnostics.sort();
    let place = |span: Span| {
        let text = sources
            .file(span.file)
            .and_then(|file| file.text.get(span.start as usize..span.end as usize));
        text.and_then(|text| text.lines().next())
            .unwrap_or_default()
            .to_owned()
    };
    let findings = diagnostics
        .list()
        .iter()
        .filter(|diagnostic| diagnostic.severity > Severity::Note)
        .map(|diagnostic| {
            let place = diagnostic
                .primary
                .as_ref()
                .map(|label| place(label.span))
                .unwrap_or_default();
            format!(
                "{} at {place}: {}",
                diagnostic.code.as_str(),
                diagnostic.message
            )
        })
        .collect();
    Resolved { tree, findings }
}

impl Resolved {
    /// Codes of the findings.
    pub(crate) fn codes(&self) -> Vec<&str> {
        self.findings
            .iter()
            .filter_map(|finding| finding.split(' ').next())
            .collect()
    }

    /// All routes of the first gateway, one per line: `name: matchers -> action`.
    pub(crate) fn routes(&self) -> Vec<String> {
        self.tree
            .gateways
            .iter()
            .take(1)
            .flat_map(|gateway| &gateway.hosts)
            .flat_map(|host| &host.virtual_hosts)
            .flat_map(|virtual_host| written_out(&virtual_host.routes))
            .map(|route| show(&route))
            .collect()
    }

    /// Names of these routes.
    pub(crate) fn names(&self) -> Vec<String> {
        self.routes()
            .iter()
            .filter_map(|route| Some(route.split_once(": ")?.0.to_owned()))
            .collect()
    }

    /// Hosts of the first gateway: `domains: virtual hosts`.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let Some(gateway) = self.tree.gateways.first() else {
            return Vec::new();
        };
        gateway
            .hosts
            .iter()
            .map(|host| {
                let domains: Vec<String> = host.domains.iter().map(ToString::to_string).collect();
                let owners: Vec<String> = host
                    .virtual_hosts
                    .iter()
                    .map(|vh| vh.name.to_string())
                    .collect();
                format!("{}: {}", domains.join(", "), owners.join(", "))
            })
            .collect()
    }
}

/// One object; `spec` is indented here.
pub(crate) fn object(kind: &str, id: &str, metadata: &str, spec: &str) -> String {
    let (namespace, name) = id.split_once('/').expect("ids are namespace/name");
    let mut text = format!(
        "---\napiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}{metadata}}}\nspec:\n"
    );
    for line in spec.lines() {
        writeln!(text, "  {line}").expect("strings take everything");
    }
    text
}

/// A gateway that serves every virtual host.
pub(crate) fn gateway() -> String {
    gateway_with("- virtualHostSelector: {namespaces: ['*']}")
}

/// A gateway with entries of `routeConfig`.
pub(crate) fn gateway_with(entries: &str) -> String {
    let entries = entries.replace('\n', "\n    ");
    object(
        "VirtualGateway",
        "infra/gw",
        "",
        &format!(
            "ingressGatewaySelectors: [{{portName: http2}}]\nconnectionHandlers:\n- http:\n    routeConfig:\n    {entries}"
        ),
    )
}

/// A virtual host `test/vh` for `a.com` with routes.
pub(crate) fn virtual_host(routes: &str) -> String {
    virtual_host_named("test/vh", "", "[a.com]", routes)
}

pub(crate) fn virtual_host_named(id: &str, metadata: &str, domains: &str, routes: &str) -> String {
    object(
        "VirtualHost",
        id,
        metadata,
        &format!("domains: {domains}\nroutes:\n{routes}"),
    )
}

pub(crate) fn table(id: &str, routes: &str) -> String {
    table_with(id, "", "", routes)
}

/// A table with more metadata (`, labels: {…}`) and more in its spec.
pub(crate) fn table_with(id: &str, metadata: &str, spec: &str, routes: &str) -> String {
    object(
        "RouteTable",
        id,
        metadata,
        &format!("{spec}\nroutes:\n{routes}"),
    )
}

/// A route that answers by itself.
pub(crate) fn answer(name: &str, matchers: &str) -> String {
    format!("- {{name: {name}, matchers: [{matchers}], directResponseAction: {{status: 200}}}}\n")
}

/// A route that delegates to tables by name, as `ns/name ns/name`.
pub(crate) fn delegate(name: &str, matchers: &str, tables: &str) -> String {
    let refs: Vec<String> = tables
        .split(' ')
        .map(|id| {
            let (namespace, table) = id.split_once('/').expect("ids are namespace/name");
            format!("{{name: {table}, namespace: {namespace}}}")
        })
        .collect();
    format!(
        "- {{name: {name}, matchers: [{matchers}], delegateAction: {{refs: [{}]}}}}\n",
        refs.join(", ")
    )
}

pub(crate) fn prefix(path: &str) -> String {
    format!("{{uri: {{prefix: {path}}}}}")
}

pub(crate) fn exact(path: &str) -> String {
    format!("{{uri: {{exact: {path}}}}}")
}

fn show(route: &Route) -> String {
    let matchers: Vec<String> = route.matchers.iter().map(show_matcher).collect();
    let action = match &route.action {
        Action::Forward(forward) => {
            let mut text: Vec<String> = forward
                .destinations
                .iter()
                .map(|weighted| format!("{}%{}", weighted.weight, weighted.destination.cluster))
                .collect();
            text.extend(forward.path_rewrite.as_ref().map(|rewrite| match rewrite {
                PathRewrite::Prefix(prefix) => format!("rewrite {prefix}"),
                other => format!("rewrite {other:?}"),
            }));
            text.join(" ")
        }
        Action::Redirect(redirect) => match &redirect.path {
            RedirectPath::Keep | RedirectPath::Matches(_) => {
                format!("redirect {}", redirect.status)
            }
            RedirectPath::Full(path) | RedirectPath::Prefix(path) => {
                format!("redirect {} {path}", redirect.status)
            }
        },
        Action::DirectResponse(response) => response.status.to_string(),
    };
    format!("{}: {} -> {action}", route.name, matchers.join(" | "))
}

fn show_matcher(matcher: &Matcher) -> String {
    let mut text: Vec<String> = matcher.method.iter().cloned().collect();
    text.push(show_path(&matcher.path));
    text.extend(matcher.headers.iter().map(show_header));
    text.extend(
        matcher
            .query
            .iter()
            .map(|QueryMatch { name, value }| format!("?{name}{}", show_value(value))),
    );
    text.join(" ")
}

fn show_header(header: &HeaderMatch) -> String {
    let not = if header.invert { "!" } else { "" };
    format!("{not}{}{}", header.name, show_value(&header.value))
}

fn show_value(value: &ValueMatch) -> String {
    match value {
        ValueMatch::Present => String::new(),
        ValueMatch::Exact(text) => format!("={text}"),
        ValueMatch::Regex(pattern) => format!("~{}", pattern.value),
        ValueMatch::Text(place, part) => format!("={place:?}({})", part.text),
        ValueMatch::Range(start, end) => format!("={start}..{end}"),
    }
}

/// `/a$` exact, `/a*` prefix, `/a*b` suffix, `/a~b` regex; `^` before text whose case is ignored.
fn show_path(path: &PathMatch) -> String {
    let mut text = String::new();
    for part in &path.literal {
        text.push_str(if part.ignore_case { "^" } else { "" });
        text.push_str(&part.text);
    }
    match &path.tail {
        PathTail::End => text.push('$'),
        PathTail::Any => text.push('*'),
        PathTail::Suffix(suffix) => {
            text.push_str(if suffix.ignore_case { "*^" } else { "*" });
            text.push_str(&suffix.text);
        }
        PathTail::Regex(pattern) => {
            text.push('~');
            text.push_str(&pattern.value);
        }
    }
    text
}
