//! Attaching with Istio's stable API alone: the VirtualService has a route for every choice that the program can make.
//!
//! The filter names its choice in a request header, as it does everywhere, and each route is taken by one value of it. An
//! EnvoyFilter would have Envoy strip this header from the requests of clients. Here an AuthorizationPolicy refuses requests
//! that come with it: Istio's authorization stands before the filter, and it is in place a wave before the routes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::destination::subset_and_host;
use super::{Wave, Workload, name};
use crate::code::Code;
use crate::manifest::envoy::CLUSTER_HEADER;
use crate::manifest::mirrors;
use crate::resource::ObjectName;
use crate::source::Span;
use crate::tree::{Action, Tree};

/// With more routes than this a warning says that each of them costs time.
const MANY_ROUTES: usize = 300;

/// What the filter can choose for a request: the cluster that it goes to, then those that get a copy.
type Choice<'t> = Vec<&'t str>;

/// Writes the AuthorizationPolicy of a workload, and says what the routes of its program want that cannot be had.
pub(super) fn write(workload: &mut Workload<'_>) {
    refuse(workload);
    if workload.of_requests().next().is_none() {
        return;
    }
    let mut rule = json!({
        "when": [{ "key": format!("request.headers[{CLUSTER_HEADER}]"), "values": ["*"] }],
    });
    // To connections that are not understood as HTTP, a rule about headers would apply without them.
    match workload.request_ports() {
        Some(ports) => {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            rule["to"] = json!([{ "operation": { "ports": ports } }]);
        }
        None => {
            let found = workload.finding(
                Code::EveryPort,
                "the ports of its pods are not known, so the AuthorizationPolicy holds on all of them, and refuses every \
                 connection that is not HTTP",
            );
            workload.report(found.help(super::PASS_SERVICE));
        }
    }
    let spec = json!({
        "selector": { "matchLabels": workload.program.labels },
        "action": "DENY",
        "rules": [rule],
    });
    let name = name::join(&["meshgate", &workload.id]);
    workload.add(
        Wave::Destinations,
        ("security.istio.io/v1", "AuthorizationPolicy"),
        name,
        &[],
        spec,
    );
}

/// The routes, one for each choice, in the order of their names.
pub(super) fn routes(workload: &mut Workload<'_>) -> Vec<Value> {
    let choices = choices(&workload.program.tree);
    if choices.len() > MANY_ROUTES {
        let message = format!(
            "the program can choose between {} destinations, and Envoy looks at the routes to them one after the other for every \
             request",
            choices.len()
        );
        let found = workload.finding(Code::ManyChoices, message);
        workload.report(found.help("with `--attach exclusive` there is one route"));
    }
    choices.iter().map(|choice| route(choice)).collect()
}

fn choices(tree: &Tree) -> BTreeSet<Choice<'_>> {
    let choices = mirrors::with_destinations(tree);
    choices
        .map(|(destination, mirrors)| [&[destination.cluster.as_str()][..], &mirrors].concat())
        .collect()
}

fn route(choice: &[&str]) -> Value {
    let value = choice.join(",");
    let mut destinations = choice.iter().filter_map(|cluster| destination(cluster));
    let mut route = json!({
        "name": value,
        "match": [{ "headers": { CLUSTER_HEADER: { "exact": value } } }],
        "headers": { "request": { "remove": [CLUSTER_HEADER] } },
        // Without any, Istio retries on its own. This condition holds for no status until the filter names some; whether there
        // are retries, and when, it says request by request, as it does for timeouts.
        "retries": { "attempts": 1, "retryOn": "retriable-status-codes" },
        "route": destinations.next().into_iter().collect::<Value>(),
    });
    let mirrors: Vec<Value> = destinations.collect();
    if !mirrors.is_empty() {
        route["mirrors"] = mirrors.into();
    }
    route
}

/// The destination that Istio makes this cluster of, as an entry of a list of destinations.
fn destination(cluster: &str) -> Option<Value> {
    let port: u16 = cluster.split('|').nth(1)?.parse().ok()?;
    let (subset, host) = subset_and_host(cluster)?;
    let mut destination = json!({ "host": host, "port": { "number": port } });
    if !subset.is_empty() {
        destination["subset"] = json!(subset);
    }
    Some(json!({ "destination": destination }))
}

/// Says what only an EnvoyFilter can do.
fn refuse(workload: &mut Workload<'_>) {
    let tree = &workload.program.tree;
    let mut faults = Vec::new();
    for gateway in &tree.gateways {
        let tcp = gateway.tcp.as_ref();
        let tcp = tcp.map(|tcp| crate::manifest::tcp::settings(&tcp.settings));
        for (field, is_set) in [
            (
                "options.perConnectionBufferLimitBytes",
                gateway.listener.buffer_limit.is_some(),
            ),
            (
                "connectionOptions.enableProxyProtocol",
                gateway.listener.proxy_protocol,
            ),
            (
                "tcpProxySettings",
                tcp.is_some_and(|settings| !settings.is_empty()),
            ),
        ] {
            if is_set {
                let message = format!(
                    "`{field}` of virtual gateway `{}` needs an EnvoyFilter",
                    gateway.name
                );
                faults.push((gateway.span, message, "remove it"));
            }
        }
    }
    for (name, (user, span)) in virtual_destinations(tree) {
        let message =
            format!("virtual destination `{name}`, which {user} goes to, needs an EnvoyFilter");
        faults.push((span, message, "name one of its services instead"));
    }
    for (span, message, instead) in faults {
        let found = workload.finding_at(Code::NeedsEnvoyFilter, span, message);
        workload.report(found.help(format!("{instead}, or leave out `--attach stable`")));
    }
}

/// The virtual destinations, each with the first route or virtual gateway that goes there, and its place.
fn virtual_destinations(tree: &Tree) -> BTreeMap<&ObjectName, (String, Span)> {
    let mut found = BTreeMap::new();
    for route in tree.routes() {
        let destinations = match &route.action {
            Action::Forward(forward) => &forward.destinations[..],
            Action::Redirect(_) | Action::DirectResponse(_) => &[],
        };
        let destinations = destinations.iter().map(|weighted| &weighted.destination);
        let mirrors = route.mirrors().iter().map(|mirror| &mirror.destination);
        for name in destinations
            .chain(mirrors)
            .filter_map(|one| one.virtual_name())
        {
            let user = || (format!("route `{}`", route.name), route.span);
            found.entry(name).or_insert_with(user);
        }
    }
    for gateway in &tree.gateways {
        let of_connections = gateway.tcp.iter().flat_map(|tcp| &tcp.destinations);
        let destinations = of_connections.map(|(destination, _)| destination);
        let services = gateway.services.destinations().map(|(service, _)| service);
        for name in destinations
            .chain(services)
            .filter_map(|one| one.virtual_name())
        {
            let user = || (format!("virtual gateway `{}`", gateway.name), gateway.span);
            found.entry(name).or_insert_with(user);
        }
    }
    found
}
