//! One Envoy with two listeners: one has the filter, the other Envoy's own routes and filters. Both have the same
//! upstreams.

use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use meshgate_host_tests::cases::Configuration;
use meshgate_host_tests::envoy::bootstrap::{cluster_names, echo_bootstrap};
use meshgate_host_tests::envoy::client::{Connection, Response, request_head};
use meshgate_host_tests::envoy::{Envoy, Settings, free_ports};
use meshgate_host_tests::upstream::{Echo, Upstreams};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::Tools;

/// Cluster of the Service `app`.
pub(crate) const APP: &str = "outbound|80||app.test.svc.cluster.local";
/// The request header that names the route a request is for, by its number.
const CHOICE: &str = "x-route";

/// A route in both notations.
#[derive(Clone, Debug)]
pub(crate) struct Twin {
    /// A route of a VirtualHost. One without action goes to `app`.
    pub(crate) ours: Value,
    /// A route of Envoy. One without match takes every path; one without action goes to `app`.
    pub(crate) native: Value,
}

/// What both listeners have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Twins {
    pub(crate) routes: Vec<Twin>,
    /// Of the virtual host, `options.trafficPolicy`.
    pub(crate) policy: Value,
    /// Further fields of Envoy's virtual host, and of its route configuration.
    pub(crate) native_host: Value,
    pub(crate) native_configuration: Value,
    /// Further filters of Envoy's, names and configurations, in order.
    pub(crate) filters: Vec<(&'static str, Value)>,
}

/// A running Envoy with both.
#[derive(Debug)]
pub(crate) struct Pair {
    envoy: Envoy,
    pub(crate) upstreams: Upstreams,
    /// First those to the listener with the filter.
    clients: [Client; 2],
}

/// A connection that is opened again when the server has closed it.
#[derive(Debug)]
struct Client {
    address: SocketAddr,
    connection: RefCell<Option<Connection>>,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    /// Of the response, by name; of one name, in order. Times are left out.
    pub(crate) headers: Vec<(String, String)>,
    /// Of a response that the gateway makes.
    pub(crate) body: String,
    /// What an upstream received. What is drawn for each request is left out.
    pub(crate) upstream: Option<Echo>,
}

impl Pair {
    #[track_caller]
    pub(crate) fn start(tools: &Tools, twins: &Twins) -> Pair {
        Pair::try_start(tools, twins).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Why the compiler refuses a route, and why Envoy does. Empty for one that does not.
    pub(crate) fn refusals(tools: &Tools, route: &Twin) -> [String; 2] {
        let Twin { ours, native } = route.clone();
        let fine = json!({});
        [(ours, fine.clone()), (fine, native)].map(|(ours, native)| {
            let twins = Twins {
                routes: vec![Twin { ours, native }],
                ..Twins::default()
            };
            Pair::try_start(tools, &twins).err().unwrap_or_default()
        })
    }

    fn try_start(tools: &Tools, twins: &Twins) -> Result<Pair, String> {
        let first = free_ports(2).unwrap();
        let configuration = Configuration::compile(&resources(twins).to_string(), first);
        let program = configuration.program()?;
        let compiled = &configuration.compiled;
        let upstreams = Upstreams::start(cluster_names(compiled)).unwrap();
        let mut bootstrap = echo_bootstrap(compiled, program, &tools.filter, &upstreams);
        add_native(&mut bootstrap, first + 1, twins);
        let envoy = Envoy::start(&Settings {
            binary: &tools.envoy,
            bootstrap: &bootstrap.to_string(),
            workers: 1,
        })?;
        let client = |port| Client {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            connection: RefCell::default(),
        };
        Ok(Pair {
            envoy,
            upstreams,
            clients: [client(first), client(first + 1)],
        })
    }

    /// Sends a request for a route to both: what becomes of it in the filter, and in Envoy's own.
    #[track_caller]
    pub(crate) fn ask(
        &self,
        route: usize,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> [Seen; 2] {
        let choice = route.to_string();
        let host = headers.iter().all(|(name, _)| *name != "host");
        let host = host.then_some(("host", "h"));
        let own = [(CHOICE, choice.as_str())];
        let headers = host.into_iter().chain(own).chain(headers.iter().copied());
        let headers = headers.map(|(name, value)| (name, value.as_bytes()));
        let request = request_head(method, target.as_bytes(), headers);
        self.clients.each_ref().map(|client| {
            let response = client.send(&request);
            let context = || String::from_utf8_lossy(&request);
            seen(response.unwrap_or_else(|error| panic!("no answer: {error}: {}", context())))
        })
    }

    /// Nothing went wrong in the filter.
    #[track_caller]
    pub(crate) fn assert_unharmed(&self) {
        assert_eq!(self.envoy.first_error(), None, "{}", self.envoy.log());
    }
}

impl Client {
    fn send(&self, request: &[u8]) -> io::Result<Response> {
        let mut kept = self.connection.borrow_mut();
        let again = kept.as_mut().map(|connection| connection.send(request));
        let response = match again {
            Some(Ok(response)) => response,
            _ => kept.insert(Connection::open(self.address)?).send(request)?,
        };
        if response.text("connection") == Some("close") {
            *kept = None;
        }
        Ok(response)
    }
}

fn seen(response: Response) -> Seen {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut upstream: Option<Echo> = serde_json::from_slice(&response.body).ok();
    // How long the answer of an upstream is depends on how much it received.
    const SERVICE_TIME: &str = "x-envoy-upstream-service-time";
    let left_out: &[&str] = match upstream.is_some() || response.text(SERVICE_TIME).is_some() {
        true => &["date", SERVICE_TIME, "content-length"],
        false => &["date"],
    };
    if let Some(echo) = &mut upstream {
        echo.headers.retain(|(name, _)| name != "x-request-id");
        echo.headers.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    let mut headers: Vec<(String, String)> = response
        .headers
        .iter()
        .filter(|(name, _)| !left_out.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), text(value)))
        .collect();
    headers.sort_by(|(a, _), (b, _)| a.cmp(b));
    Seen {
        status: response.status,
        headers,
        body: match upstream {
            Some(_) => String::new(),
            None => text(&response.body),
        },
        upstream,
    }
}

impl Seen {
    /// First value of a header of the response.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        Some(value)
    }

    /// All of it, part by part.
    fn parts(&self) -> [String; 6] {
        let upstream = self.upstream.as_ref();
        [
            format!("status {}", self.status),
            format!("headers {:?}", self.headers),
            format!("body {:?}", self.body),
            format!("host {:?}", upstream.map(|echo| &echo.authority)),
            format!("path {:?}", upstream.map(|echo| &echo.path)),
            format!("received {:?}", upstream.map(|echo| &echo.headers)),
        ]
    }

    /// Leaves headers of the response out.
    pub(crate) fn without(mut self, names: &[&str]) -> Seen {
        self.headers
            .retain(|(name, _)| !names.contains(&name.as_str()));
        self
    }
}

/// Collects what differs, to show it all at once.
#[derive(Debug, Default)]
pub(crate) struct Differences(Vec<String>);

impl Differences {
    pub(crate) fn compare(&mut self, [ours, native]: &[Seen; 2], context: impl Fn() -> String) {
        if ours != native {
            let parts: Vec<String> = ours
                .parts()
                .into_iter()
                .zip(native.parts())
                .filter(|(ours, native)| ours != native)
                .map(|(ours, native)| format!("{ours}\nis not {native}"))
                .collect();
            self.0
                .push(format!("{}\n{}\n", context(), parts.join("\n")));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[track_caller]
    pub(crate) fn assert_none(&self) {
        let some = self.0.get(..8).unwrap_or(&self.0);
        assert!(
            self.0.is_empty(),
            "{} differences:\n{}",
            self.0.len(),
            some.join("\n")
        );
    }
}

/// Draws values, the same ones in every run.
pub(crate) struct Draw(TestRunner);

impl Default for Draw {
    fn default() -> Draw {
        Draw(TestRunner::deterministic())
    }
}

impl Draw {
    pub(crate) fn one<S: Strategy>(&mut self, strategy: S) -> S::Value {
        strategy.new_tree(&mut self.0).unwrap().current()
    }

    pub(crate) fn several<S: Strategy>(&mut self, count: usize, strategy: S) -> Vec<S::Value> {
        (0..count).map(|_| self.one(&strategy)).collect()
    }
}

/// A destination of a route.
pub(crate) fn to(service: &str) -> Value {
    json!({"kubeService": {"name": service, "port": 80}})
}

fn resources(twins: &Twins) -> Value {
    let routes = twins.routes.iter().enumerate().map(|(n, twin)| {
        let mut route = twin.ours.clone();
        if route["matchers"].is_null() {
            route["matchers"] = json!([{"uri": {"prefix": "/"}}]);
        }
        for matcher in route["matchers"].as_array_mut().into_iter().flatten() {
            matcher["headers"] = json!([{"name": CHOICE, "value": n.to_string()}]);
        }
        let answers = ["routeAction", "redirectAction", "directResponseAction"];
        if answers.iter().all(|action| route.get(action).is_none()) {
            route["routeAction"] = json!({"destinations": [to("app")]});
        }
        route
    });
    let mut virtual_host = json!({"domains": ["*"], "routes": routes.collect::<Vec<_>>()});
    if !twins.policy.is_null() {
        virtual_host["options"] = json!({"trafficPolicy": twins.policy});
    }
    json!({
        "apiVersion": "networking.enterprise.mesh.gloo.solo.io/v1beta1",
        "kind": "VirtualGateway",
        "metadata": {"name": "gw", "namespace": "test"},
        "spec": {
            "ingressGatewaySelectors": [{"portName": "http2"}],
            "connectionHandlers": [{"http": {"routeConfig": [{"virtualHost": virtual_host}]}}],
        },
    })
}

/// Adds a listener like the first one, but with Envoy's own routes and filters.
fn add_native(bootstrap: &mut Value, port: u16, twins: &Twins) {
    let routes = twins.routes.iter().enumerate().map(|(n, twin)| {
        let mut route = twin.native.clone();
        if route["match"].is_null() {
            route["match"] = json!({"prefix": "/"});
        }
        route["match"]["headers"] =
            json!([{"name": CHOICE, "string_match": {"exact": n.to_string()}}]);
        let answers = ["route", "redirect", "direct_response"];
        if answers.iter().all(|action| route.get(action).is_none()) {
            route["route"] = json!({"cluster": APP});
        }
        if let Some(action) = route.get_mut("route") {
            // As the route behind the filter has it.
            action["timeout"] = json!("0s");
        }
        route
    });
    let routes: Vec<Value> = routes.collect();
    let mut host = json!({"name": "native", "domains": ["*"], "routes": routes});
    add(&mut host, &twins.native_host);
    let mut configuration = json!({"name": "native", "virtual_hosts": [host]});
    add(&mut configuration, &twins.native_configuration);
    let router =
        json!({"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"});
    let filters = twins.filters.iter().cloned();
    let filters = filters.chain([("envoy.filters.http.router", router)]);
    let mut listener = bootstrap["static_resources"]["listeners"][0].clone();
    listener["name"] = json!("native");
    listener["address"]["socket_address"]["port_value"] = json!(port);
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    manager["route_config"] = configuration;
    manager["http_filters"] = filters
        .map(|(name, config)| json!({"name": name, "typed_config": config}))
        .collect();
    if let Some(listeners) = bootstrap["static_resources"]["listeners"].as_array_mut() {
        listeners.push(listener);
    }
}

fn add(object: &mut Value, fields: &Value) {
    for (name, value) in fields.as_object().into_iter().flatten() {
        object[name] = value.clone();
    }
}
