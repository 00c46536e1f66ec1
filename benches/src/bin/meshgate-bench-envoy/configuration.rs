//! The configurations that are compared: one listener each, and the same routes in different hands.
//!
//! All of them are the bootstrap that `meshgate compile --target envoy` writes. What differs is the filter, which is there
//! or not, and the virtual host. Every route is a `direct_response`, so that nothing but routing is measured.

use std::net::Ipv4Addr;
use std::path::Path;

use meshgate_benches::{Table, program_bytes, tree};
use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::manifest::envoy::{EnvoyOptions, bootstrap};
use meshgate_compiler::manifest::settings::FilterSettings;
use meshgate_compiler::resource::Resources;
use meshgate_compiler::tree::{Entry, HeaderMatch, Matcher, PathTail, Tree, ValueMatch};
use meshgate_compiler::upstreams::Upstreams;
use meshgate_host_tests::envoy::delivery::manager;
use serde_json::{Map, Value, json};

/// Who finds the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Router {
    /// Nobody: a single route takes everything.
    CatchAll,
    /// The filter, in front of a single route that takes everything.
    Meshgate,
    /// Envoy, in the list of routes of a virtual host.
    List,
    /// Envoy, in a matcher tree: a map from prefixes, paths or values of a header to routes.
    MatcherTree,
}

impl Router {
    /// Name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Router::CatchAll => "no filter",
            Router::Meshgate => "meshgate",
            Router::List => "route list",
            Router::MatcherTree => "matcher tree",
        }
    }
}

/// The bootstrap with `routes` routes of a table. `None` when the router cannot express them.
pub(crate) fn bootstrap_for(
    router: Router,
    table: Table,
    routes: usize,
    filter: &Path,
) -> Option<Value> {
    let tree = tree(table, routes);
    if router == Router::Meshgate {
        return Some(with_filter(&tree, &program_bytes(&tree), filter));
    }
    let routing = match router {
        Router::CatchAll | Router::Meshgate => json!({ "routes": [catch_all()] }),
        Router::List => json!({ "routes": list(&tree)? }),
        Router::MatcherTree => json!({ "matcher": matcher_tree(&tree)? }),
    };
    let mut bootstrap = with_filter(&tree, &[], filter);
    let manager = manager(&mut bootstrap["static_resources"]["listeners"][0]);
    if let Some(filters) = manager["http_filters"].as_array_mut() {
        filters.remove(0);
    }
    let host = &mut manager["route_config"]["virtual_hosts"][0];
    *host = json!({ "name": "all", "domains": ["*"] });
    for (field, value) in routing.as_object().into_iter().flatten() {
        host[field] = value.clone();
    }
    Some(bootstrap)
}

/// The bootstrap with a program in the filter.
pub(crate) fn with_filter(tree: &Tree, program: &[u8], filter: &Path) -> Value {
    let options = EnvoyOptions {
        listen: Ipv4Addr::LOCALHOST.into(),
        // Any free port.
        ports: &[0],
        admin: None,
        filter,
        access_log: false,
        settings: &FilterSettings::default(),
    };
    // No destination has an upstream, as no request gets that far.
    let mut remarks = Diagnostics::default();
    let mut bootstrap = bootstrap(
        tree,
        &Resources::default(),
        program,
        &Upstreams::default(),
        &options,
        &mut remarks,
    );
    let manager = manager(&mut bootstrap["static_resources"]["listeners"][0]);
    manager["route_config"]["virtual_hosts"][0]["routes"] = json!([catch_all()]);
    bootstrap
}

fn catch_all() -> Value {
    route(json!({ "prefix": "/" }))
}

fn route(condition: Value) -> Value {
    json!({ "match": condition, "direct_response": { "status": 200 } })
}

fn matchers(tree: &Tree) -> impl Iterator<Item = &Matcher> {
    let hosts = tree.gateways.iter().flat_map(|gateway| &gateway.hosts);
    let routes = hosts
        .flat_map(|host| &host.virtual_hosts)
        .flat_map(|virtual_host| &virtual_host.routes);
    routes.flat_map(|entry| match entry {
        Entry::Route(route) => route.matchers.as_slice(),
        Entry::Delegation(delegation) => std::slice::from_ref(&delegation.matcher),
    })
}

/// The routes as Envoy's list of routes; none if one of them needs more than the tables of the benchmarks do.
fn list(tree: &Tree) -> Option<Vec<Value>> {
    matchers(tree)
        .map(|matcher| Some(route(condition(matcher)?)))
        .collect()
}

fn condition(matcher: &Matcher) -> Option<Value> {
    let literal = literal(matcher)?;
    let mut condition = match &matcher.path.tail {
        PathTail::End => json!({ "path": literal }),
        PathTail::Any => json!({ "prefix": literal }),
        PathTail::Regex(pattern) => json!({ "safe_regex": {
            "regex": format!("{}{}", regex_syntax::escape(&literal), pattern.value),
        } }),
        PathTail::Suffix(_) => return None,
    };
    let headers: Option<Vec<Value>> = matcher
        .headers
        .iter()
        .map(|header| {
            let (name, value) = exact_header(header)?;
            Some(json!({ "name": name, "string_match": { "exact": value } }))
        })
        .collect();
    condition["headers"] = json!(headers?);
    Some(condition)
}

/// The routes as a matcher tree; none if they are not told apart by one thing that a map can be made of.
fn matcher_tree(tree: &Tree) -> Option<Value> {
    let mut kind = None;
    let mut map = Map::new();
    for matcher in matchers(tree) {
        let literal = literal(matcher)?;
        let (input, matching, key) = match (&matcher.path.tail, matcher.headers.as_slice()) {
            (PathTail::Any, []) => (":path", "prefix_match_map", literal),
            (PathTail::End, []) => (":path", "exact_match_map", literal),
            (PathTail::Any, [header]) if literal == "/" => {
                let (name, value) = exact_header(header)?;
                (name, "exact_match_map", value.to_owned())
            }
            _ => return None,
        };
        if *kind.get_or_insert((input, matching)) != (input, matching) {
            return None;
        }
        let action = json!({ "action": { "name": "route", "typed_config": typed("config.route.v3.Route", catch_all()) } });
        map.insert(key, action);
    }
    let (input, matching) = kind?;
    let input = typed(
        "type.matcher.v3.HttpRequestHeaderMatchInput",
        json!({ "header_name": input }),
    );
    Some(json!({ "matcher_tree": {
        "input": { "name": "input", "typed_config": input },
        matching: { "map": map },
    } }))
}

fn typed(name: &str, mut value: Value) -> Value {
    value["@type"] = json!(format!("type.googleapis.com/envoy.{name}"));
    value
}

/// The literal text of a path condition, if it is nothing but plain text and the matcher has no other conditions than on
/// headers.
fn literal(matcher: &Matcher) -> Option<String> {
    let is_plain = matcher.path.literal.iter().all(|part| !part.ignore_case)
        && !matcher.path.whole_segments
        && matcher.query.is_empty()
        && matcher.method.is_none();
    is_plain.then(|| matcher.path.literal_text())
}

fn exact_header(header: &HeaderMatch) -> Option<(&str, &str)> {
    match &header.value {
        ValueMatch::Exact(value) if !header.invert => Some((&header.name, value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(router: Router, table: Table) -> Option<Value> {
        let mut bootstrap = bootstrap_for(router, table, 4, Path::new("filter.wasm"))?;
        let manager = manager(&mut bootstrap["static_resources"]["listeners"][0]);
        let filters = manager["http_filters"].as_array().map(Vec::len);
        let expected = if router == Router::Meshgate { 2 } else { 1 };
        assert_eq!(filters, Some(expected));
        Some(manager["route_config"]["virtual_hosts"][0].take())
    }

    #[test]
    fn routes_become_a_list() {
        let host = host(Router::List, Table::Rest).expect("a list can express every table");
        let conditions = [
            json!({ "path": "/api/v1/tenant-0/billing/orders", "headers": [] }),
            json!({ "safe_regex": { "regex": r"/api/v1/tenant\-0/billing/orders/[^/]+" }, "headers": [] }),
            json!({ "safe_regex": { "regex": r"/api/v1/tenant\-0/billing/orders/[^/]+/items" }, "headers": [] }),
            json!({ "prefix": "/api/v1/tenant-0/billing/orders-files/", "headers": [] }),
        ];
        assert_eq!(host["routes"], json!(conditions.map(route)));
    }

    #[test]
    fn routes_become_a_map_if_one_thing_tells_them_apart() {
        for (table, input, kind, key) in [
            (
                Table::Prefix,
                ":path",
                "prefix_match_map",
                "/api/v1/tenant-0/orders/",
            ),
            (
                Table::Exact,
                ":path",
                "exact_match_map",
                "/api/v1/tenant-0/orders/orders",
            ),
            (Table::OneHeader, "x-tenant", "exact_match_map", "tenant-2"),
        ] {
            let host = host(Router::MatcherTree, table).expect("a map can express it");
            let tree = &host["matcher"]["matcher_tree"];
            assert_eq!(tree["input"]["typed_config"]["header_name"], input);
            let map = tree[kind]["map"].as_object().expect("there is a map");
            assert_eq!((map.len(), map.contains_key(key)), (4, true), "{map:?}");
        }
        assert_eq!(host(Router::MatcherTree, Table::Rest), None);
        assert_eq!(host(Router::MatcherTree, Table::TwoHeaders), None);
    }

    #[test]
    fn without_a_table_one_route_takes_everything() {
        for router in [Router::CatchAll, Router::Meshgate] {
            let host = host(router, Table::Exact).expect("every table can be left out");
            assert_eq!(host["routes"], json!([catch_all()]));
        }
    }
}
