//! Header operations: `headerManipulation` and what Envoy's routes, virtual hosts and weighted clusters add and remove.
//!
//! Operations and requests are generated, the same ones in every run.

use std::collections::{BTreeMap, BTreeSet};

use meshgate_host_tests::upstream::Reply;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::pair::{APP, Differences, Draw, Pair, Seen, Twin, Twins, to};
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    (
        "headers/of_routes_and_destinations",
        of_routes_and_destinations,
    ),
    ("headers/of_the_virtual_host", of_the_virtual_host),
    ("headers/levels", levels),
    ("headers/of_answers", of_answers),
    ("headers/protected", protected),
    ("headers/empty_values", empty_values),
    ("headers/replaced_by_envoy", replaced_by_envoy),
    ("headers/type_of_answers", type_of_answers),
];

/// Names, also those of which Envoy keeps one value, and in letters of both cases.
const REQUEST: &[&str] = &[
    "x-a",
    "X-A",
    "x-b",
    "X-B",
    "x-A-b",
    "accept",
    "user-agent",
    "User-Agent",
    "cookie",
    "authorization",
    "content-type",
    "via",
    "x-forwarded-for",
    "x-forwarded-proto",
    "referer",
    "te",
    "origin",
    "cache-control",
    "accept-encoding",
    "x-forwarded-host",
];
const RESPONSE: &[&str] = &[
    "x-a",
    "X-A",
    "x-b",
    "X-B",
    "x-A-b",
    "set-cookie",
    "Set-Cookie",
    "content-type",
    "cache-control",
    "etag",
    "server",
    "via",
    "location",
    "vary",
    "x-powered-by",
    "www-authenticate",
];
const VALUES: &[&str] = &[
    "",
    "1",
    "two words",
    "a,b",
    "%",
    "100%",
    "%%",
    "a=\"b;c\"",
    "ä",
    "x-a",
    " spaces ",
    "0",
];

/// What is done to the headers of a request or a response.
#[derive(Clone, Debug, Default)]
struct Operations {
    remove: Vec<&'static str>,
    set: BTreeMap<&'static str, &'static str>,
    append: BTreeMap<&'static str, &'static str>,
}

/// Of requests and of responses.
type Level = [Operations; 2];

fn operations(names: &'static [&'static str]) -> impl Strategy<Value = Operations> {
    let map = || btree_map(select(names), select(VALUES), 0..3);
    (vec(select(names), 0..3), map(), map()).prop_map(|(remove, mut set, append)| {
        // A header is set once.
        let mut seen = BTreeSet::new();
        set.retain(|name, _| seen.insert(name.to_ascii_lowercase()));
        Operations {
            remove,
            set,
            append,
        }
    })
}

fn level() -> impl Strategy<Value = Level> {
    (operations(REQUEST), operations(RESPONSE)).prop_map(|(mut request, response)| {
        // Refused: Envoy could not route the request any more.
        request.remove.retain(|name| *name != "x-forwarded-proto");
        request
            .set
            .retain(|name, value| *name != "x-forwarded-proto" || !value.is_empty());
        [request, response]
    })
}

/// Headers of a request, or of a response of an upstream.
fn headers(names: &'static [&'static str]) -> impl Strategy<Value = Vec<(String, String)>> {
    let header = (select(names), select(VALUES));
    let header = header.prop_map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    vec(header, 0..6)
}

fn ours([request, response]: &Level) -> Value {
    json!({"headerManipulation": {
        "removeRequestHeaders": request.remove,
        "setRequestHeaders": request.set,
        "appendRequestHeaders": request.append,
        "removeResponseHeaders": response.remove,
        "setResponseHeaders": response.set,
        "appendResponseHeaders": response.append,
    }})
}

fn native([request, response]: &Level) -> Value {
    let add = |operations: &Operations| -> Value {
        let all = [
            ("OVERWRITE_IF_EXISTS_OR_ADD", &operations.set),
            ("APPEND_IF_EXISTS_OR_ADD", &operations.append),
        ];
        let all = all.into_iter().flat_map(|(action, headers)| {
            // Two values for one header, as letters have two cases, are added in this order.
            let mut headers: Vec<_> = headers.iter().collect();
            headers.sort_by_key(|(name, value)| (name.to_ascii_lowercase(), **value));
            headers.into_iter().map(move |(name, value)| {
                json!({
                    // A percent sign begins what Envoy replaces.
                    "header": {"key": name, "value": value.replace('%', "%%")},
                    "append_action": action,
                    "keep_empty_value": true,
                })
            })
        });
        all.collect()
    };
    json!({
        "request_headers_to_remove": request.remove,
        "request_headers_to_add": add(request),
        "response_headers_to_remove": response.remove,
        "response_headers_to_add": add(response),
    })
}

/// A route with operations of its own and of its destination. Envoy carries out those of the destination first.
fn forwarding(route: Option<&Level>, destination: &Level) -> Twin {
    let mut to = to("app");
    to["options"] = ours(destination);
    let mut cluster = native(destination);
    cluster["name"] = json!(APP);
    cluster["weight"] = json!(1);
    let mut twin = Twin {
        ours: json!({"routeAction": {"destinations": [to]}}),
        native: json!({}),
    };
    if let Some(route) = route {
        twin.ours["options"] = ours(route);
        twin.native = native(route);
    }
    twin.native["route"] = json!({"weighted_clusters": {"clusters": [cluster]}});
    twin
}

impl Operations {
    /// What is about other headers than those of another level, so that the order of the two does not matter.
    fn beside(&self, other: &Operations) -> Operations {
        let names = other
            .remove
            .iter()
            .chain(other.set.keys())
            .chain(other.append.keys());
        let names: BTreeSet<String> = names.map(|name| name.to_ascii_lowercase()).collect();
        let is_free = |name: &str| !names.contains(&name.to_ascii_lowercase());
        let mut rest = self.clone();
        rest.remove.retain(|name| is_free(name));
        rest.set.retain(|name, _| is_free(name));
        rest.append.retain(|name, _| is_free(name));
        rest
    }
}

/// Levels that are about different headers.
fn beside([request, response]: &Level, [other_request, other_response]: &Level) -> Level {
    [
        request.beside(other_request),
        response.beside(other_response),
    ]
}

/// Asks every route several requests, and compares what the upstream gets and what the client gets.
fn compare(pair: &Pair, routes: &[Twin], draw: &mut Draw, adjust: impl Fn(Seen) -> Seen) {
    let mut differences = Differences::default();
    for (n, twin) in routes.iter().enumerate() {
        for _ in 0..4 {
            let (request, response) = (draw.one(headers(REQUEST)), draw.one(headers(RESPONSE)));
            pair.upstreams.set_every_reply(&Reply {
                headers: response.clone(),
                ..Reply::default()
            });
            let request: Vec<(&str, &str)> = request
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            let answers = pair.ask(n, "GET", "/", &request).map(&adjust);
            differences.compare(&answers, || {
                format!("{}\n{}\n{request:?}\n{response:?}", twin.ours, twin.native)
            });
        }
    }
    differences.assert_none();
    pair.assert_unharmed();
}

fn of_routes_and_destinations(tools: &Tools) {
    let mut draw = Draw::default();
    let levels = draw.several(250, (level(), level()));
    let routes: Vec<Twin> = levels
        .iter()
        .map(|(route, destination)| forwarding(Some(route), &beside(destination, route)))
        .collect();
    let twins = Twins {
        routes,
        ..Twins::default()
    };
    let pair = Pair::start(tools, &twins);
    compare(&pair, &twins.routes, &mut draw, |seen| seen);
}

/// Operations of a virtual host, for routes that have none.
fn of_the_virtual_host(tools: &Tools) {
    let mut draw = Draw::default();
    for _ in 0..3 {
        let (host, destinations) = draw.one((level(), vec(level(), 10)));
        let routes: Vec<Twin> = destinations
            .iter()
            .map(|destination| forwarding(None, &beside(destination, &host)))
            .collect();
        let twins = Twins {
            routes,
            policy: ours(&host),
            native_host: native(&host),
            ..Twins::default()
        };
        let pair = Pair::start(tools, &twins);
        compare(&pair, &twins.routes, &mut draw, |seen| seen);
    }
}

/// Where levels differ from Envoy's: those of the route take the place of those of its virtual host, and the destination has
/// the last word. In Envoy all levels count, and the destination has the first.
fn levels(tools: &Tools) {
    let setting = |value: &'static str| -> Level {
        let operations = Operations {
            set: BTreeMap::from([("x-a", value)]),
            append: BTreeMap::from([("x-b", value)]),
            ..Operations::default()
        };
        [operations.clone(), operations]
    };
    let [host, route, destination] = ["host", "route", "destination"].map(setting);
    let twins = Twins {
        routes: vec![
            forwarding(Some(&route), &Level::default()),
            forwarding(Some(&route), &destination),
        ],
        policy: ours(&host),
        native_host: native(&host),
        ..Twins::default()
    };
    let pair = Pair::start(tools, &twins);
    let values = |headers: &[(String, String)]| -> [String; 2] {
        ["x-a", "x-b"].map(|name| {
            let of_name = headers.iter().filter(|(header, _)| header == name);
            let values: Vec<&str> = of_name.map(|(_, value)| value.as_str()).collect();
            values.join(",")
        })
    };
    for (n, expected) in [
        [["route", "route"], ["host", "route,host"]],
        [
            ["destination", "route,destination"],
            ["host", "destination,route,host"],
        ],
    ]
    .into_iter()
    .enumerate()
    {
        for (seen, expected) in pair.ask(n, "GET", "/", &[]).iter().zip(expected) {
            let received = &seen.upstream.as_ref().unwrap().headers;
            assert_eq!(values(received), expected);
            assert_eq!(values(&seen.headers), expected);
        }
    }
    pair.assert_unharmed();
}

/// Redirects and direct responses.
fn of_answers(tools: &Tools) {
    let mut draw = Draw::default();
    let actions = [
        (
            json!({"directResponseAction": {"status": 200, "body": "hello"}}),
            json!({"direct_response": {"status": 200, "body": {"inline_string": "hello"}}}),
        ),
        (
            json!({"directResponseAction": {"status": 404}}),
            json!({"direct_response": {"status": 404}}),
        ),
        (
            json!({"redirectAction": {"pathRedirect": "/new"}}),
            json!({"redirect": {"path_redirect": "/new"}}),
        ),
    ];
    let levels = draw.several(120, level());
    let routes: Vec<Twin> = levels
        .iter()
        .zip(actions.iter().cycle())
        .map(|(level, (our_action, native_action))| {
            let mut twin = Twin {
                ours: our_action.clone(),
                native: native(level),
            };
            twin.ours["options"] = ours(level);
            for (name, value) in native_action.as_object().into_iter().flatten() {
                twin.native[name] = value.clone();
            }
            twin
        })
        .collect();
    let twins = Twins {
        routes,
        ..Twins::default()
    };
    let pair = Pair::start(tools, &twins);
    compare(&pair, &twins.routes, &mut draw, |seen| {
        // Envoy drops the type of an answer without body, and gives one to every other.
        let is_default = seen.header("content-type") == Some("text/plain");
        match is_default || seen.body.is_empty() {
            true => seen.without(&["content-type"]),
            false => seen,
        }
    });
}

/// What neither lets a route change, and what Envoy lets a route remove, but finds no route without.
fn protected(tools: &Tools) {
    for name in [
        ":path",
        ":authority",
        ":method",
        ":scheme",
        ":status",
        "host",
        "Host",
    ] {
        for (our_field, our_value, field, value) in [
            (
                "appendRequestHeaders",
                json!({name: "x"}),
                "request_headers_to_add",
                json!([{"header": {"key": name, "value": "x"}}]),
            ),
            (
                "setResponseHeaders",
                json!({name: "x"}),
                "response_headers_to_add",
                json!([{"header": {"key": name, "value": "x"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]),
            ),
            (
                "removeRequestHeaders",
                json!([name]),
                "request_headers_to_remove",
                json!([name]),
            ),
        ] {
            let route = Twin {
                ours: json!({"options": {"headerManipulation": {our_field: our_value}}}),
                native: json!({field: value}),
            };
            let refusals = Pair::refusals(tools, &route);
            assert!(
                refusals[0].contains("E0403"),
                "{name} {our_field}: {}",
                refusals[0]
            );
            assert!(
                refusals[1].contains("headers may not be"),
                "{name} {field}: {}",
                refusals[1]
            );
        }
    }
    for operations in [
        json!({"removeRequestHeaders": ["X-Forwarded-Proto"]}),
        json!({"setRequestHeaders": {"x-forwarded-proto": ""}}),
    ] {
        let route = Twin {
            ours: json!({"options": {"headerManipulation": operations}}),
            native: json!({"request_headers_to_remove": ["x-forwarded-proto"]}),
        };
        let [ours, native] = Pair::refusals(tools, &route);
        assert!(ours.contains("E0403"), "{operations}: {ours}");
        assert_eq!(native, "");
    }
}

/// Where they differ: an empty value is sent here, and in Envoy only on request.
fn empty_values(tools: &Tools) {
    let ours = json!({"options": {"headerManipulation": {
        "setRequestHeaders": {"x-a": ""},
        "appendRequestHeaders": {"x-b": ""},
        "setResponseHeaders": {"x-a": ""},
        "appendResponseHeaders": {"x-b": ""},
    }}});
    let routes = [false, true].map(|keep| {
        let header = |name: &str, action: &str| json!({"header": {"key": name, "value": ""}, "append_action": action, "keep_empty_value": keep});
        let headers = [
            header("x-a", "OVERWRITE_IF_EXISTS_OR_ADD"),
            header("x-b", "APPEND_IF_EXISTS_OR_ADD"),
        ];
        Twin {
            ours: ours.clone(),
            native: json!({"request_headers_to_add": headers, "response_headers_to_add": headers}),
        }
    });
    let twins = Twins {
        routes: routes.to_vec(),
        ..Twins::default()
    };
    let pair = Pair::start(tools, &twins);
    let has = |headers: &[(String, String)]| {
        ["x-a", "x-b"].map(|name| headers.contains(&(name.to_owned(), String::new())))
    };
    for (route, in_envoy) in [(0, false), (1, true)] {
        let expected = [true, in_envoy];
        for (seen, sent) in pair.ask(route, "GET", "/", &[]).iter().zip(expected) {
            let received = &seen.upstream.as_ref().unwrap().headers;
            assert_eq!(has(received), [sent; 2], "{received:?}");
            assert_eq!(has(&seen.headers), [sent; 2], "{:?}", seen.headers);
        }
    }
    pair.assert_unharmed();
}

/// Where they differ: Envoy replaces what stands between percent signs.
fn replaced_by_envoy(tools: &Tools) {
    let value = "%REQ(:path)%";
    let route = Twin {
        ours: json!({"options": {"headerManipulation": {"setRequestHeaders": {"x-a": value}}}}),
        native: json!({"request_headers_to_add": [{"header": {"key": "x-a", "value": value}}]}),
    };
    let twins = Twins {
        routes: vec![route],
        ..Twins::default()
    };
    let pair = Pair::start(tools, &twins);
    let received = pair.ask(0, "GET", "/path", &[]).map(|seen| {
        let headers = seen.upstream.unwrap().headers;
        headers.into_iter().find(|(name, _)| name == "x-a")
    });
    let expected = [value, "/path"].map(|value| Some(("x-a".to_owned(), value.to_owned())));
    assert_eq!(received, expected);
    pair.assert_unharmed();
}

/// Where they differ: the type of an answer that the gateway makes itself is what the header operations make of it.
fn type_of_answers(tools: &Tools) {
    let typed = |value: &'static str| -> Level {
        let set = BTreeMap::from([("content-type", value)]);
        let operations = Operations {
            set,
            ..Operations::default()
        };
        [Operations::default(), operations]
    };
    let untyped = [
        Operations::default(),
        Operations {
            remove: vec!["content-type"],
            ..Operations::default()
        },
    ];
    let routes = [
        (
            typed("text/html"),
            json!({"status": 200}),
            json!({"status": 200}),
        ),
        (
            untyped,
            json!({"status": 200, "body": "hello"}),
            json!({"status": 200, "body": {"inline_string": "hello"}}),
        ),
    ];
    let routes = routes.map(|(level, own, envoys)| {
        let mut native = native(&level);
        native["direct_response"] = envoys;
        Twin {
            ours: json!({"options": ours(&level), "directResponseAction": own}),
            native,
        }
    });
    let twins = Twins {
        routes: routes.to_vec(),
        ..Twins::default()
    };
    let pair = Pair::start(tools, &twins);
    for (route, expected) in [[Some("text/html"), None], [None, Some("text/plain")]]
        .into_iter()
        .enumerate()
    {
        let answers = pair.ask(route, "GET", "/", &[]);
        let types = answers.each_ref().map(|seen| seen.header("content-type"));
        assert_eq!(types, expected);
    }
    pair.assert_unharmed();
}
