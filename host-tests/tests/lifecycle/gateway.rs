//! An Envoy with the filter whose program can be replaced while it runs, and the upstreams behind it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use meshgate_host_tests::envoy::bootstrap::{cluster_names, echo_bootstrap};
use meshgate_host_tests::envoy::client::{self, Response, request_head};
use meshgate_host_tests::envoy::delivery::{Delivery, Payload, WatchedFile, manager};
use meshgate_host_tests::envoy::log::AccessLog;
use meshgate_host_tests::envoy::{Envoy, Settings};
use meshgate_host_tests::upstream::{Echo, Upstreams};
use serde_json::{Value, json};

use crate::{Tools, shop};

/// How long Envoy may take for what it does in its own time. Only a test that fails waits this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a gateway is started.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) delivery: Delivery,
    pub(crate) workers: u32,
    /// Envoy takes its clients for internal ones, and leaves them the headers by which they can steer it.
    pub(crate) trusts_clients: bool,
    /// The routes of requests with copies stand in a list, as in Istio, instead of a tree of matchers.
    pub(crate) lists_mirrors: bool,
    /// Routes of others stand behind that of the filter.
    pub(crate) has_others: bool,
    pub(crate) configuration: Payload,
}

impl Default for Start {
    /// The first program, and clients that nobody trusts.
    fn default() -> Start {
        Start {
            delivery: Delivery::Filter,
            workers: 1,
            trusts_clients: false,
            lists_mirrors: false,
            has_others: false,
            configuration: Payload::Bytes(shop::program(1)),
        }
    }
}

/// A running gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) envoy: Envoy,
    pub(crate) upstreams: Upstreams,
    pub(crate) address: SocketAddr,
    file: WatchedFile,
    delivery: Delivery,
}

/// How Envoy has answered the configurations that it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Updates {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
}

impl Gateway {
    /// Starts the upstreams and Envoy, and waits until it listens.
    pub(crate) fn start(tools: &Tools, start: Start) -> Gateway {
        let compiled = shop::compiled(1);
        let upstreams = Upstreams::start(cluster_names(&compiled)).unwrap();
        let mut bootstrap = echo_bootstrap(&compiled, &[], &tools.filter, &upstreams);
        if start.trusts_clients {
            let listener = &mut bootstrap["static_resources"]["listeners"][0];
            manager(listener)["internal_address_config"] =
                json!({ "cidr_ranges": [{ "address_prefix": "127.0.0.0", "prefix_len": 8 }] });
        }
        if start.lists_mirrors {
            let listener = &mut bootstrap["static_resources"]["listeners"][0];
            list_mirrors(&mut manager(listener)["route_config"]["virtual_hosts"][0]);
        }
        if start.has_others {
            let listener = &mut bootstrap["static_resources"]["listeners"][0];
            add_others(&mut manager(listener)["route_config"]["virtual_hosts"][0]);
        }
        let mut file = WatchedFile::take_listener(start.delivery, &mut bootstrap).unwrap();
        file.write(&start.configuration).unwrap();
        let envoy = Envoy::start(&Settings {
            binary: &tools.envoy,
            bootstrap: &bootstrap.to_string(),
            workers: start.workers,
        })
        .unwrap_or_else(|reason| panic!("{reason}"));
        let mut gateway = Gateway {
            envoy,
            upstreams,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            file,
            delivery: start.delivery,
        };
        gateway.address = wait_for("a listener", || gateway.envoy.listener());
        gateway
    }

    /// What the admin interface says.
    pub(crate) fn admin(&self, path: &str) -> String {
        let response = self.envoy.admin("GET", path).unwrap();
        String::from_utf8(response.body).unwrap()
    }

    /// How many requests had an outcome.
    pub(crate) fn count(&self, outcome: &str) -> u64 {
        let name = format!("outcome=.={outcome};.;meshgate.requests: ");
        let stats = self.admin("/stats");
        let counts = stats.lines().filter_map(|line| {
            let (_, count) = line.split_once(&name)?;
            count.parse::<u64>().ok()
        });
        counts.sum()
    }

    /// What became of the configurations so far.
    pub(crate) fn updates(&self) -> Updates {
        let subscription = match self.delivery {
            Delivery::Filter => "extension_config_discovery.http_filter.meshgate",
            Delivery::Listener => "listener_manager.lds",
        };
        let count = |name| self.envoy.stat(&format!("{subscription}.{name}"));
        Updates {
            accepted: count("update_success").expect("Envoy counts what it accepts"),
            refused: count("update_rejected").expect("Envoy counts what it refuses"),
        }
    }

    /// Delivers a configuration that Envoy must accept.
    pub(crate) fn replace(&mut self, payload: &Payload) {
        let before = self.updates();
        let after = self.deliver(payload);
        assert_eq!(after.refused, before.refused, "{}", self.envoy.log());
    }

    /// Delivers a configuration that Envoy must refuse; returns what is new in its log.
    pub(crate) fn replace_in_vain(&mut self, payload: &Payload) -> String {
        let before = self.updates();
        let log = self.envoy.log();
        let after = self.deliver(payload);
        assert_eq!(after.accepted, before.accepted, "{}", self.envoy.log());
        // The log is written before the counters.
        self.envoy.log().split_off(log.len())
    }

    fn deliver(&mut self, payload: &Payload) -> Updates {
        let before = self.updates();
        self.file.write(payload).unwrap();
        wait_for("a configuration to be looked at", || {
            Some(self.updates()).filter(|&updates| updates != before)
        })
    }

    /// Sends a request with a host and nothing else.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.send("GET", path, &[])
    }

    /// Sends a request to the shop, with more headers.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &[u8])]) -> Response {
        let host = [("host", b"shop.example".as_slice())];
        let headers = host.into_iter().chain(headers.iter().copied());
        self.send_bytes(&request_head(method, path.as_bytes(), headers))
    }

    /// Sends bytes on a connection of their own.
    #[track_caller]
    pub(crate) fn send_bytes(&self, request: &[u8]) -> Response {
        client::send(self.address, request).unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// The filter still answers, and nothing that went before made it trap.
    #[track_caller]
    pub(crate) fn assert_unharmed(&self) {
        let status = self.get("/fixed").status;
        assert!(matches!(status, 200 | 503), "{status}");
        assert_eq!(self.envoy.first_error(), None, "{}", self.envoy.log());
    }

    /// The access log, from its beginning.
    pub(crate) fn access_log(&self) -> AccessLog {
        AccessLog::open(&self.envoy.output_path()).unwrap()
    }

    /// Memory of the proxy in kilobytes.
    pub(crate) fn memory(&self) -> u64 {
        self.envoy.memory().unwrap()
    }
}

/// What an upstream received, from its answer.
#[track_caller]
pub(crate) fn echo(response: &Response) -> Echo {
    assert_eq!(response.status, 200, "{response:?}");
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {response:?}"))
}

/// First value of a header that an upstream received.
pub(crate) fn received<'e>(echo: &'e Echo, name: &str) -> Option<&'e str> {
    let (_, value) = echo.headers.iter().find(|(header, _)| header == name)?;
    Some(value)
}

/// Waits until there is something.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Turns the tree of matchers of a virtual host into routes that are matched by the filter state.
fn list_mirrors(virtual_host: &mut Value) {
    let matcher = virtual_host
        .as_object_mut()
        .and_then(|host| host.remove("matcher"))
        .unwrap();
    let route = |on_match: &Value| {
        let mut route = on_match["action"]["typed_config"].clone();
        route.as_object_mut().unwrap().remove("@type");
        route
    };
    let choices = matcher["matcher_tree"]["exact_match_map"]["map"].as_object();
    let mut routes: Vec<Value> = Vec::new();
    for (choice, on_match) in choices.unwrap() {
        let mut route = route(on_match);
        let state = json!({ "key": "wasm.meshgate_mirrors", "string_match": { "exact": choice } });
        route["match"]["filter_state"] = json!([state]);
        routes.push(route);
    }
    assert!(!routes.is_empty());
    routes.push(route(&matcher["on_no_match"]));
    virtual_host["routes"] = json!(routes);
}

/// Has the route of the filter taken as it is beside others, and adds one of theirs.
fn add_others(virtual_host: &mut Value) {
    let state = json!({ "key": "wasm.meshgate_route", "string_match": { "safe_regex": { "regex": ".+" } } });
    *virtual_host = json!({
        "name": "shared",
        "domains": ["*"],
        "routes": [
            {
                "match": {
                    "prefix": "/",
                    "headers": [{ "name": "x-meshgate-cluster", "present_match": true }],
                    "filter_state": [state],
                },
                "route": { "cluster_header": "x-meshgate-cluster", "timeout": "0s" },
                "request_headers_to_remove": ["x-meshgate-cluster"],
            },
            {
                "match": { "prefix": "/" },
                "route": { "cluster": shop::cluster("copy"), "timeout": "0s" },
            },
        ],
    });
}
