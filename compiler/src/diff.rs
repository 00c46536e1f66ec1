//! What differs between two resolved trees, whatever the text looks like that they come from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::resource::ObjectName;
use crate::source::Span;
use crate::tree::{
    Action, Forward, Gateway, Matcher, PathMatch, PathTail, Redirect, RedirectPath, Route, Tree,
    written_out,
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
        let both = old.zip(new);
        let parts = both.map_or_else(Vec::new, |(old, new)| gateway_parts(old, new));
        note(format!("gateway `{name}`"), spans, parts, &mut found);
        if let Some((old, new)) = both {
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

fn gateway_parts(old: &Gateway, new: &Gateway) -> Vec<&'static str> {
    let settings = |gateway: &Gateway| {
        let listener = &gateway.listener;
        (
            listener.bind.clone(),
            listener.buffer_limit,
            listener.proxy_protocol,
        )
    };
    let (extauth, limits) = (
        |gateway: &Gateway| gateway.services.extauth.clone(),
        |gateway: &Gateway| gateway.services.rate_limit.clone(),
    );
    unequal([
        (
            "ingressGatewaySelectors",
            old.workloads == new.workloads && old.port_name == new.port_name,
        ),
        ("options", settings(old) == settings(new)),
        (
            "serverNames",
            old.listener.server_names == new.listener.server_names,
        ),
        (
            "sslConfig",
            old.tls == new.tls && old.listener.tls == new.listener.tls,
        ),
        ("httpsRedirect", old.https_redirect == new.https_redirect),
        (
            "extauth",
            match (extauth(old), extauth(new)) {
                (Some(a), Some(b)) => {
                    a.destination == b.destination
                        && a.settings.http == b.settings.http
                        && a.settings.timeout == b.settings.timeout
                        && a.settings.failure_mode_allow == b.settings.failure_mode_allow
                        && a.settings.status_on_error == b.settings.status_on_error
                }
                (a, b) => a.is_none() && b.is_none(),
            },
        ),
        (
            "rateLimit",
            match (limits(old), limits(new)) {
                (Some(a), Some(b)) => {
                    a.destination == b.destination
                        && a.settings.timeout == b.settings.timeout
                        && a.settings.deny_on_fail == b.settings.deny_on_fail
                        && a.settings.before_auth == b.settings.before_auth
                }
                (a, b) => a.is_none() && b.is_none(),
            },
        ),
    ])
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
                domains.insert(domain.clone(), (names.clone(), span));
            }
        }
        domains
    };
    for (domain, before, after) in paired(domains(old), domains(new)) {
        let what = format!("domain `{domain}` of gateway `{}`", new.name);
        let same = match (&before, &after) {
            (Some((before, _)), Some((after, _))) => before == after,
            _ => true,
        };
        let spans = (
            before.and_then(|(_, span)| span),
            after.and_then(|(_, span)| span),
        );
        note(what, spans, unequal([("virtualHosts", same)]), found);
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
        let both = one.zip(other);
        let parts = both.map_or_else(Vec::new, |(one, other)| route_parts(&one, &other));
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
    old.name == new.name
        && same_path(&old.path, &new.path)
        && old.method == new.method
        && old.headers.len() == new.headers.len()
        && old.headers.iter().zip(&new.headers).all(|(a, b)| a.same(b))
        && old.query.len() == new.query.len()
        && old.query.iter().zip(&new.query).all(|(a, b)| a.same(b))
}

fn same_path(old: &PathMatch, new: &PathMatch) -> bool {
    let tail = match (&old.tail, &new.tail) {
        (PathTail::Regex(a), PathTail::Regex(b)) => a.value == b.value,
        (a, b) => a == b,
    };
    tail && old.literal == new.literal
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
    old.destinations.len() == new.destinations.len()
        && old
            .destinations
            .iter()
            .zip(&new.destinations)
            .all(|(a, b)| {
                a.weight == b.weight && a.destination == b.destination && a.headers == b.headers
            })
}

fn same_redirect(old: &Redirect, new: &Redirect) -> bool {
    let path = match (&old.path, &new.path) {
        (RedirectPath::Keep, RedirectPath::Keep) => true,
        (RedirectPath::Full(a), RedirectPath::Full(b))
        | (RedirectPath::Prefix(a), RedirectPath::Prefix(b)) => a == b,
        (RedirectPath::Matches(a), RedirectPath::Matches(b)) => a == b,
        _ => false,
    };
    path && old.host == new.host
        && old.status == new.status
        && old.scheme == new.scheme
        && old.port == new.port
        && old.strip_query == new.strip_query
}
