//! What differs between two resolved trees, whatever the text looks like that they come from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::resource::external::{GatewayExtauth, GatewayRateLimit};
use crate::resource::{Listener, ObjectName};
use crate::source::Span;
use crate::tree::{
    Action, AuthService, Forward, Gateway, Matcher, PathMatch, PathTail, RateLimitService,
    Redirect, RedirectPath, Route, Tcp, Tree, WeightedDestination, written_out,
};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What happened to it.
    pub change: Change,
    /// What is different: ``route `shop.web/home` of gateway `shop/www` ``.
    pub what: String,
    /// What of it changed, by names of the API: `matchers`, `requestTimeout`.
    pub parts: Vec<&'static str>,
    /// Where it stands in the old text, if it has a place there.
    pub old: Option<Span>,
    /// Where it stands in the new text.
    pub new: Option<Span>,
}

/// What happened to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the new tree has it.
    Added,
    /// Only the old tree has it.
    Removed,
    /// Both have it, and it is not the same.
    Changed,
}

/// Compares two trees. Routes are told apart by their full names; those of one name by their order.
pub fn differences(old: &Tree, new: &Tree) -> Vec<Difference> {
    let mut found = Vec::new();
    for (name, old, new) in paired(gateways(old), gateways(new)) {
        let spans = (
            old.map(|gateway| gateway.span),
            new.map(|gateway| gateway.span),
        );
        let pair = old.zip(new);
        let parts = pair.map_or_else(Vec::new, |(old, new)| gateway_parts(old, new));
        note(format!("gateway `{name}`"), spans, parts, &mut found);
        if let Some((old, new)) = pair {
            domains(old, new, &mut found);
            routes(old, new, &mut found);
        }
    }
    let kinds = [
        objects("AuthConfig", &old.auth_configs, &new.auth_configs),
        objects(
            "virtual destination",
            &old.virtual_destinations
                .iter()
                .map(|one| (one.name.clone(), one))
                .collect(),
            &new.virtual_destinations
                .iter()
                .map(|one| (one.name.clone(), one))
                .collect(),
        ),
        objects(
            "virtual mesh",
            &old.virtual_meshes
                .iter()
                .map(|one| (one.name.clone(), one))
                .collect(),
            &new.virtual_meshes
                .iter()
                .map(|one| (one.name.clone(), one))
                .collect(),
        ),
    ];
    found.extend(kinds.into_iter().flatten());
    found
}

fn gateways(tree: &Tree) -> BTreeMap<ObjectName, &Gateway> {
    let gateways = tree.gateways.iter();
    gateways
        .map(|gateway| (gateway.name.clone(), gateway))
        .collect()
}

/// Puts the values of two maps together that have one key.
fn paired<K: Ord + Clone, V>(
    mut old: BTreeMap<K, V>,
    mut new: BTreeMap<K, V>,
) -> Vec<(K, Option<V>, Option<V>)> {
    let keys: BTreeSet<K> = old.keys().chain(new.keys()).cloned().collect();
    keys.into_iter()
        .map(|key| {
            let (old, new) = (old.remove(&key), new.remove(&key));
            (key, old, new)
        })
        .collect()
}

/// Adds a difference, unless both have it and no part changed.
fn note(
    what: String,
    (old, new): (Option<Span>, Option<Span>),
    parts: Vec<&'static str>,
    found: &mut Vec<Difference>,
) {
    let change = match (old, new) {
        (None, _) => Change::Added,
        (_, None) => Change::Removed,
        _ if parts.is_empty() => return,
        _ => Change::Changed,
    };
    found.push(Difference {
        change,
        what,
        parts,
        old,
        new,
    });
}

/// Objects that have no place in the tree.
fn objects<V: PartialEq>(
    kind: &str,
    old: &BTreeMap<ObjectName, V>,
    new: &BTreeMap<ObjectName, V>,
) -> Vec<Difference> {
    let all = paired(old.iter().collect(), new.iter().collect());
    all.into_iter()
        .filter(|(_, old, new)| old != new)
        .map(|(name, old, new)| Difference {
            change: match (old, new) {
                (None, _) => Change::Added,
                (_, None) => Change::Removed,
                _ => Change::Changed,
            },
            what: format!("{kind} `{name}`"),
            parts: Vec::new(),
            old: None,
            new: None,
        })
        .collect()
}

/// The names of the parts that are not the same.
fn unequal<const N: usize>(parts: [(&'static str, bool); N]) -> Vec<&'static str> {
    let unequal = parts.into_iter().filter(|(_, same)| !same);
    unequal.map(|(name, _)| name).collect()
}

// Fields are named one by one here and below, so that a new one is not forgotten.
fn gateway_parts(old: &Gateway, new: &Gateway) -> Vec<&'static str> {
    let Gateway {
        name: _,
        workloads,
        workloads_known: _,
        listener,
        paths,
        port_name,
        https_redirect,
        tls,
        hosts: _,
        tcp,
        services,
        span: _,
    } = old;
    let Listener {
        bind,
        buffer_limit,
        proxy_protocol,
        server_names,
        tls: tls_settings,
        written: _,
    } = &**listener;
    let other = &new.listener;
    unequal([
        (
            "ingressGatewaySelectors",
            *workloads == new.workloads && *port_name == new.port_name,
        ),
        (
            "options",
            *bind == other.bind && *buffer_limit == other.buffer_limit && *paths == new.paths,
        ),
        (
            "enableProxyProtocol",
            *proxy_protocol == other.proxy_protocol,
        ),
        ("serverNames", *server_names == other.server_names),
        ("sslConfig", *tls == new.tls && *tls_settings == other.tls),
        ("httpsRedirect", *https_redirect == new.https_redirect),
        ("tcp", both(tcp.as_ref(), new.tcp.as_ref(), same_tcp)),
        (
            "extauth",
            both(
                services.extauth.as_ref(),
                new.services.extauth.as_ref(),
                same_auth,
            ),
        ),
        (
            "rateLimit",
            both(
                services.rate_limit.as_ref(),
                new.services.rate_limit.as_ref(),
                same_limits,
            ),
        ),
    ])
}

/// Whether both are absent, or there and the same.
fn both<T>(old: Option<&T>, new: Option<&T>, same: fn(&T, &T) -> bool) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => same(old, new),
        (old, new) => old.is_none() && new.is_none(),
    }
}

fn same_tcp(old: &Tcp, new: &Tcp) -> bool {
    let Tcp {
        destinations,
        by_server_name,
        settings,
        span: _,
    } = old;
    *destinations == new.destinations
        && *by_server_name == new.by_server_name
        && *settings == new.settings
}

fn same_auth(old: &AuthService, new: &AuthService) -> bool {
    let GatewayExtauth {
        service: _,
        http,
        body,
        timeout,
        failure_mode_allow,
        status_on_error,
        span: _,
    } = &old.settings;
    old.destination == new.destination
        && *http == new.settings.http
        && *body == new.settings.body
        && *timeout == new.settings.timeout
        && *failure_mode_allow == new.settings.failure_mode_allow
        && *status_on_error == new.settings.status_on_error
}

fn same_limits(old: &RateLimitService, new: &RateLimitService) -> bool {
    let GatewayRateLimit {
        service: _,
        timeout,
        deny_on_fail,
        before_auth,
        span: _,
    } = &old.settings;
    old.destination == new.destination
        && *timeout == new.settings.timeout
        && *deny_on_fail == new.settings.deny_on_fail
        && *before_auth == new.settings.before_auth
}

/// Domains, and the virtual hosts behind each.
fn domains(old: &Gateway, new: &Gateway, found: &mut Vec<Difference>) {
    let domains = |gateway: &Gateway| {
        let mut domains = BTreeMap::new();
        for host in &gateway.hosts {
            let names: Vec<ObjectName> = host
                .virtual_hosts
                .iter()
                .map(|host| host.name.clone())
                .collect();
            let span = host.virtual_hosts.first().map(|host| host.span);
            for domain in &host.domains {
                let value = (names.clone(), host.ignores_path_parameters(), span);
                domains.insert(domain.clone(), value);
            }
        }
        domains
    };
    for (domain, before, after) in paired(domains(old), domains(new)) {
        let what = format!("domain `{domain}` of gateway `{}`", new.name);
        let parts = match (&before, &after) {
            (Some((names, ignores, _)), Some((other, other_ignores, _))) => unequal([
                ("virtualHosts", names == other),
                ("ignorePathParameters", ignores == other_ignores),
            ]),
            _ => Vec::new(),
        };
        let spans = (
            before.and_then(|(.., span)| span),
            after.and_then(|(.., span)| span),
        );
        note(what, spans, parts, found);
    }
}

/// What tells routes apart: the virtual host, the full name, and which one of this name it is.
type Key = (ObjectName, String, usize);

type Keyed = Vec<(Key, Arc<Route>)>;

fn routes(old: &Gateway, new: &Gateway, found: &mut Vec<Difference>) {
    let (before, after) = (keyed(old), keyed(new));
    let map = |routes: &Keyed| -> BTreeMap<Key, Arc<Route>> { routes.iter().cloned().collect() };
    for ((_, name, _), one, other) in paired(map(&before), map(&after)) {
        let spans = (
            one.as_ref().map(|route| route.span),
            other.as_ref().map(|route| route.span),
        );
        let pair = one.zip(other);
        let parts = pair.map_or_else(Vec::new, |(one, other)| route_parts(&one, &other));
        let what = format!("route `{name}` of gateway `{}`", new.name);
        note(what, spans, parts, found);
    }
    order(&before, &after, new, found);
}

/// The first match wins, so the order of routes is part of what they mean.
fn order(before: &Keyed, after: &Keyed, gateway: &Gateway, found: &mut Vec<Difference>) {
    let keys =
        |routes: &Keyed| -> BTreeSet<Key> { routes.iter().map(|(key, _)| key.clone()).collect() };
    let (old, new) = (keys(before), keys(after));
    let hosts: BTreeSet<&ObjectName> = after.iter().map(|((host, ..), _)| host).collect();
    for host in hosts {
        let in_both = |(key, _): &&(Key, Arc<Route>)| {
            key.0 == *host && old.contains(key) && new.contains(key)
        };
        let pairs = before
            .iter()
            .filter(in_both)
            .zip(after.iter().filter(in_both));
        let moved = pairs
            .into_iter()
            .find(|((one, _), (other, _))| one != other);
        if let Some(((_, one), (_, other))) = moved {
            let what = format!(
                "order of routes in virtual host `{host}` of gateway `{}`, from `{}` on",
                gateway.name, other.name
            );
            note(
                what,
                (Some(one.span), Some(other.span)),
                vec!["order"],
                found,
            );
        }
    }
}

/// The routes of a gateway in order. Virtual hosts that stand behind several domains come once.
fn keyed(gateway: &Gateway) -> Keyed {
    let mut seen = BTreeSet::new();
    let mut counts: BTreeMap<(ObjectName, String), usize> = BTreeMap::new();
    let mut routes = Vec::new();
    for host in gateway.hosts.iter().flat_map(|host| &host.virtual_hosts) {
        if !seen.insert(host.name.clone()) {
            continue;
        }
        for route in written_out(&host.routes) {
            let name = route.name.to_string();
            let count = counts.entry((host.name.clone(), name.clone())).or_default();
            routes.push(((host.name.clone(), name, *count), route));
            *count += 1;
        }
    }
    routes
}

fn route_parts(old: &Route, new: &Route) -> Vec<&'static str> {
    let matchers = old.matchers.len() == new.matchers.len()
        && old
            .matchers
            .iter()
            .zip(&new.matchers)
            .all(|(a, b)| same_matcher(a, b));
    let mut parts = unequal([("matchers", matchers)]);
    parts.extend(action_parts(&old.action, &new.action));
    parts.extend(old.options.differing(&new.options));
    parts
}

fn same_matcher(old: &Matcher, new: &Matcher) -> bool {
    let Matcher {
        name,
        path,
        headers,
        query,
        method,
        span: _,
    } = old;
    *name == new.name
        && same_path(path, &new.path)
        && *method == new.method
        && headers.len() == new.headers.len()
        && headers.iter().zip(&new.headers).all(|(a, b)| a.same(b))
        && query.len() == new.query.len()
        && query.iter().zip(&new.query).all(|(a, b)| a.same(b))
}

fn same_path(old: &PathMatch, new: &PathMatch) -> bool {
    let PathMatch {
        literal,
        whole_segments,
        tail,
    } = old;
    let tail = match (tail, &new.tail) {
        (PathTail::Regex(a), PathTail::Regex(b)) => a.value == b.value,
        (a, b) => a == b,
    };
    tail && *literal == new.literal && *whole_segments == new.whole_segments
}

fn action_parts(old: &Action, new: &Action) -> Vec<&'static str> {
    match (old, new) {
        (Action::Forward(old), Action::Forward(new)) => unequal([
            ("destinations", same_destinations(old, new)),
            ("pathRewrite", old.path_rewrite == new.path_rewrite),
            ("hostRewrite", old.host_rewrite == new.host_rewrite),
        ]),
        (Action::Redirect(old), Action::Redirect(new)) => {
            unequal([("redirectAction", same_redirect(old, new))])
        }
        (Action::DirectResponse(old), Action::DirectResponse(new)) => unequal([(
            "directResponseAction",
            old.status == new.status && old.body == new.body,
        )]),
        _ => vec!["action"],
    }
}

fn same_destinations(old: &Forward, new: &Forward) -> bool {
    let same = |old: &WeightedDestination, new: &WeightedDestination| {
        let WeightedDestination {
            weight,
            destination,
            headers,
        } = old;
        *weight == new.weight && *destination == new.destination && *headers == new.headers
    };
    let pairs = || old.destinations.iter().zip(&new.destinations);
    old.destinations.len() == new.destinations.len() && pairs().all(|(a, b)| same(a, b))
}

fn same_redirect(old: &Redirect, new: &Redirect) -> bool {
    let Redirect {
        host,
        path,
        status,
        scheme,
        port,
        strip_query,
    } = old;
    let same_path = match (path, &new.path) {
        (RedirectPath::Keep, RedirectPath::Keep) => true,
        (RedirectPath::Full(a), RedirectPath::Full(b))
        | (RedirectPath::Prefix(a), RedirectPath::Prefix(b)) => a == b,
        (RedirectPath::Matches(a), RedirectPath::Matches(b)) => a == b,
        _ => false,
    };
    same_path
        && *host == new.host
        && *status == new.status
        && *scheme == new.scheme
        && *port == new.port
        && *strip_query == new.strip_query
}
