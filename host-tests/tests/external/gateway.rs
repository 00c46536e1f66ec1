//! An Envoy with the filter, echo servers behind it, and the services that it asks.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use meshgate_compiler::compile::{CompileOptions, Compiled, compile};
use meshgate_compiler::diagnostic::{Diagnostics, Severity};
use meshgate_compiler::manifest::envoy::{EnvoyOptions, bootstrap};
use meshgate_compiler::manifest::settings::FilterSettings;
use meshgate_compiler::render;
use meshgate_compiler::source::SourceMap;
use meshgate_compiler::upstreams::{Endpoint, Upstream, UpstreamName, Upstreams};
use meshgate_host_tests::envoy::client::{self, Response, request_head};
use meshgate_host_tests::envoy::{Envoy, Settings};
use meshgate_host_tests::upstream::{self, Echo};

use crate::Tools;

/// A running gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) envoy: Envoy,
    pub(crate) address: SocketAddr,
    _servers: upstream::Upstreams,
}

/// Where a service of a gateway is, by the name of the Service.
pub(crate) type Place<'a> = (&'a str, SocketAddr);

/// The Services.
pub(crate) const FIXED: &str = "
---
apiVersion: v1
kind: Service
metadata: {name: ext-auth-service, namespace: platform}
spec: {ports: [{name: grpc, port: 8083}, {name: http, port: 8082}]}
---
apiVersion: v1
kind: Service
metadata: {name: rate-limiter, namespace: platform}
spec: {ports: [{name: grpc, port: 18081}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: platform}
spec: {ports: [{name: http, port: 9080}]}
";

/// Resources: a gateway with these options, and a virtual host with these routes, all of which go to the shop unless they say
/// otherwise.
pub(crate) fn resources(route_options: &str, routes: &[(&str, &str)]) -> String {
    let routes: String = routes
        .iter()
        .map(|(path, options)| {
            format!(
                "
  - matchers: [{{uri: {{prefix: {path}}}}}]
    routeAction: {{destinations: [{{kubeService: {{name: shop}}}}]}}
    options: {options}"
            )
        })
        .collect();
    format!(
        "apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {{name: edge, namespace: platform}}
spec:
  ingressGatewaySelectors: [{{portName: http2}}]
  connectionHandlers:
  - http:
      routeConfig: [{{virtualHostSelector: {{}}}}]
      routeOptions: {route_options}
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {{name: shop, namespace: platform}}
spec:
  domains: ['*']
  routes:{routes}
{FIXED}"
    )
}

#[track_caller]
fn compiled(resources: &str) -> Compiled {
    let mut sources = SourceMap::default();
    sources.add("resources.yaml".to_owned(), resources.to_owned());
    let mut diagnostics = Diagnostics::default();
    let compiled = compile(&sources, &CompileOptions::default(), &mut diagnostics);
    let mut findings = diagnostics.list().iter();
    let clean = findings.all(|finding| finding.severity == Severity::Note);
    assert!(clean, "{}", render::lines(&diagnostics, &sources));
    compiled
}

impl Gateway {
    /// Starts everything, and waits until Envoy listens.
    #[track_caller]
    pub(crate) fn start(
        tools: &Tools,
        resources: &str,
        services: &[Place<'_>],
        workers: u32,
    ) -> Gateway {
        Gateway::start_with(tools, resources, services, workers, |_| ())
    }

    /// The same with another bootstrap.
    #[track_caller]
    pub(crate) fn start_with(
        tools: &Tools,
        resources: &str,
        services: &[Place<'_>],
        workers: u32,
        change: impl FnOnce(&mut serde_json::Value),
    ) -> Gateway {
        let compiled = compiled(resources);
        let clusters: BTreeSet<String> = compiled
            .tree
            .destinations()
            .map(|destination| destination.cluster.clone())
            .collect();
        let servers = upstream::Upstreams::start(clusters).unwrap();
        let mut upstreams = Upstreams::default();
        upstreams.add_all(compiled.tree.destinations().map(|destination| {
            let name = UpstreamName::of(destination);
            let service = services
                .iter()
                .find(|(service, _)| name.to_string().starts_with(service));
            let echo = servers.address(&destination.cluster).unwrap();
            let address = service.map_or(echo, |(_, address)| *address);
            Upstream {
                name,
                endpoint: Endpoint {
                    host: address.ip().to_string(),
                    port: address.port(),
                },
            }
        }));
        let options = EnvoyOptions {
            listen: [127, 0, 0, 1].into(),
            ports: &[0],
            admin: None,
            filter: &tools.filter,
            access_log: true,
            settings: &FilterSettings::default(),
        };
        let mut bootstrap = bootstrap(
            &compiled.tree,
            &compiled.resources,
            compiled.program.as_deref().unwrap(),
            &upstreams,
            &options,
            &mut Diagnostics::default(),
        );
        change(&mut bootstrap);
        let envoy = Envoy::start(&Settings {
            binary: &tools.envoy,
            bootstrap: &bootstrap.to_string(),
            workers,
        })
        .unwrap_or_else(|reason| panic!("{reason}"));
        let address = wait_for("a listener", || envoy.listener());
        Gateway {
            envoy,
            address,
            _servers: servers,
        }
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.send("GET", path, &[])
    }

    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &[u8])]) -> Response {
        self.send_to("shop.example", method, path, headers)
    }

    /// Sends a request for another host.
    #[track_caller]
    pub(crate) fn send_to(
        &self,
        host: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &[u8])],
    ) -> Response {
        let host = [("host", host.as_bytes())];
        let headers = host.into_iter().chain(headers.iter().copied());
        let request = request_head(method, path.as_bytes(), headers);
        client::send(self.address, &request).unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// Nothing made the filter trap.
    #[track_caller]
    pub(crate) fn assert_unharmed(&self) {
        assert_eq!(self.envoy.first_error(), None, "{}", self.envoy.log());
    }

    /// Memory of the proxy in kilobytes.
    pub(crate) fn memory(&self) -> u64 {
        self.envoy.memory().unwrap()
    }
}

/// What the shop received, from its answer.
#[track_caller]
pub(crate) fn echo(response: &Response) -> Echo {
    assert_eq!(response.status, 200, "{response:?}");
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {response:?}"))
}

/// Values of a header that the shop received.
pub(crate) fn received<'e>(echo: &'e Echo, name: &str) -> Vec<&'e str> {
    let headers = echo.headers.iter();
    let values = headers.filter(|(header, _)| header == name);
    values.map(|(_, value)| value.as_str()).collect()
}

/// Waits until there is something.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
