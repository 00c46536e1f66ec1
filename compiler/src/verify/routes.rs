//! The routes to the cluster that the filter names in a header.

use std::collections::BTreeSet;

use meshgate_engine::{ActionKind, Program};
use serde_json::Value;

use super::dump::{Manager, list, text};
use super::{Check, Gateway, Known, Report, State};
use crate::manifest::envoy::CLUSTER_HEADER;

/// What the routes of a connection manager do with the header.
#[derive(Debug, Default)]
struct Routing<'a> {
    /// One goes wherever it says.
    reads: bool,
    /// The clusters by which the others are taken: what its values begin with, before those that get a copy.
    clusters: BTreeSet<&'a str>,
    /// One sends it on.
    keeps: bool,
}

/// Reports on the routes of every connection manager.
pub(super) fn look(
    gateway: &Gateway<'_>,
    managers: &[Manager<'_>],
    programs: &[Known],
    report: &mut Report,
) {
    let known = || programs.iter().chain(gateway.program);
    let chosen: BTreeSet<&str> = known().flat_map(|known| forwards(&known.program)).collect();
    let forwards_nothing = known().next().is_some() && chosen.is_empty();
    for manager in managers {
        let listener = manager.listener;
        let mut add = |state, message: &str| {
            report.add(
                state,
                Check::Route,
                format!("listener `{listener}` {message}"),
            );
        };
        let has_filter = !manager.filters.is_empty();
        let routing = match manager.routes(gateway.config_dump) {
            Some(routes) => routing(routes),
            None if has_filter => {
                add(
                    State::Wrong,
                    "has no routes yet: its route configuration has not arrived",
                );
                continue;
            }
            None => continue,
        };
        if !routing.reads && routing.clusters.is_empty() {
            // Without the filter it is somebody else's listener.
            if has_filter && forwards_nothing {
                add(
                    State::Ok,
                    "needs no route: the program sends no request anywhere",
                );
            } else if has_filter {
                add(
                    State::Wrong,
                    "has no route that reads the cluster from `x-meshgate-cluster`: the EnvoyFilter is missing or does not match",
                );
            }
            continue;
        }
        let by_value = !routing.reads;
        if !has_filter {
            add(
                State::Wrong,
                "takes the cluster from a header, but has no filter that sets it: clients choose the cluster",
            );
        } else if routing.keeps {
            add(
                State::Wrong,
                "sends `x-meshgate-cluster` on to services: the route does not remove it",
            );
        } else if by_value && !manager.refuses_cluster_header() {
            add(
                State::Wrong,
                "does not refuse requests that come with `x-meshgate-cluster`: the AuthorizationPolicy is missing, and if the filter were too, clients would choose the cluster",
            );
        } else if by_value {
            let missing = chosen.iter().filter(|one| !routing.clusters.contains(*one));
            let missing: Vec<&str> = missing.copied().collect();
            for cluster in &missing {
                add(
                    State::Wrong,
                    &format!(
                        "has no route for cluster `{cluster}`: the VirtualService is not that of the program; requests to it get 503"
                    ),
                );
            }
            if missing.is_empty() {
                add(
                    State::Ok,
                    "has a route for every cluster that the program can choose",
                );
            }
        } else {
            add(
                State::Ok,
                "has the route that reads the cluster from `x-meshgate-cluster`",
            );
        }
    }
}

/// The clusters that a program sends requests to, without those that get copies.
fn forwards(program: &Program) -> impl Iterator<Item = &str> {
    let head = program.head();
    let shares = head.actions.iter().flat_map(|action| match &action.kind {
        ActionKind::Forward(forward) => &forward.shares[..],
        ActionKind::Redirect(_) | ActionKind::DirectResponse(_) => &[],
    });
    let destinations = shares.filter_map(|share| head.destinations.get(share.destination as usize));
    destinations.map(|destination| destination.cluster.as_str())
}

fn routing(routes: &Value) -> Routing<'_> {
    let is_header = |name: &str| name.eq_ignore_ascii_case(CLUSTER_HEADER);
    let removes = |place: &Value| {
        list(place, "request_headers_to_remove")
            .filter_map(Value::as_str)
            .any(is_header)
    };
    let mut routing = Routing::default();
    for host in list(routes, "virtual_hosts") {
        let mut routes_of_host: Vec<&Value> = list(host, "routes").collect();
        collect_routes(&host["matcher"], &mut routes_of_host);
        for route in routes_of_host {
            let mut headers = list(&route["match"], "headers");
            let value = headers.find(|header| is_header(text(header, "name")));
            let value = value.and_then(|header| header["string_match"]["exact"].as_str());
            let cluster = value.and_then(|value| value.split(',').next());
            if is_header(text(&route["route"], "cluster_header")) {
                routing.reads = true;
            } else if let Some(cluster) = cluster {
                routing.clusters.insert(cluster);
            } else {
                continue;
            }
            routing.keeps |= !(removes(routes) || removes(host) || removes(route));
        }
    }
    routing
}

/// The routes that a matcher can choose, wherever in it they stand.
fn collect_routes<'v>(matcher: &'v Value, routes: &mut Vec<&'v Value>) {
    match matcher {
        Value::Object(fields) => {
            if fields
                .get("route")
                .is_some_and(|route| route["cluster_header"].is_string())
            {
                routes.push(matcher);
            }
            fields
                .values()
                .for_each(|value| collect_routes(value, routes));
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| collect_routes(value, routes)),
        _ => {}
    }
}
