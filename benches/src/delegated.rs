//! Many virtual hosts that delegate to a few route tables.
//!
//! Written as YAML, because delegation is resolved on the way from resources to the tree.

use std::fmt::Write;

use meshgate_compiler::compile::{CompileOptions, Compiled, compile};
use meshgate_compiler::diagnostic::{Diagnostics, Severity};
use meshgate_compiler::source::SourceMap;

use crate::requests::{OwnedRequest, Random};

/// A gateway with hosts that all delegate.
#[derive(Clone, Copy, Debug)]
pub struct Delegated {
    /// Number of virtual hosts; each delegates everything below `/v1` to one table.
    pub hosts: usize,
    /// Number of route tables, given to the hosts in turn.
    pub tables: usize,
    /// Number of routes in each table.
    pub routes: usize,
}

const API: &str = "networking.enterprise.mesh.gloo.solo.io/v1beta1";

impl Delegated {
    /// Number of routes that a request can take.
    pub fn effective_routes(&self) -> usize {
        self.hosts * self.routes
    }

    /// The resources, each route table in a file of its own.
    pub fn sources(&self) -> SourceMap {
        let mut sources = SourceMap::default();
        sources.add("hosts.yaml".to_owned(), self.hosts_yaml());
        for table in 0..self.tables {
            sources.add(format!("table-{table}.yaml"), self.table_yaml(table));
        }
        sources
    }

    fn hosts_yaml(&self) -> String {
        let mut text = format!(
            "apiVersion: {API}
kind: VirtualGateway
metadata: {{name: gateway, namespace: bench}}
spec:
  ingressGatewaySelectors: [{{portName: http2}}]
  connectionHandlers:
  - http:
      routeConfig:
      - virtualHostSelector: {{namespaces: [bench]}}
"
        );
        for host in 0..self.hosts {
            let table = host % self.tables;
            let _ = write!(
                text,
                "---
apiVersion: {API}
kind: VirtualHost
metadata: {{name: h{host}, namespace: bench}}
spec:
  domains: [host-{host}.example.com]
  routes:
  - name: api
    matchers: [{{uri: {{prefix: /v1}}}}]
    delegateAction: {{refs: [{{name: t{table}, namespace: bench}}]}}
"
            );
        }
        text
    }

    fn table_yaml(&self, table: usize) -> String {
        let mut text = format!(
            "apiVersion: {API}
kind: RouteTable
metadata: {{name: t{table}, namespace: bench}}
spec:
  routes:
"
        );
        for route in 0..self.routes {
            let _ = write!(
                text,
                "  - name: r{route}
    matchers:
    - uri:
        prefix: /orders-{route}/
    routeAction:
      destinations:
      - kubeService: {{name: orders, namespace: bench, port: 80}}
"
            );
        }
        text
    }

    /// `count` requests spread over hosts and routes; one in ten just misses a route.
    pub fn requests(&self, count: usize) -> Vec<OwnedRequest> {
        let mut random = Random::default();
        (0..count)
            .map(|i| {
                let host = random.below(self.hosts);
                let route = random.below(self.routes);
                let hit = i % 10 != 9;
                let rest = if hit { "/4711" } else { "x/4711" };
                OwnedRequest::new(
                    format!("host-{host}.example.com"),
                    format!("/v1/orders-{route}{rest}"),
                    hit.then_some(route),
                )
            })
            .collect()
    }
}

/// Compiles resources that have no errors.
///
/// # Panics
/// When there are errors: a mistake in this file.
pub fn compile_sources(sources: &SourceMap) -> Compiled {
    let mut diagnostics = Diagnostics::default();
    let compiled = compile(sources, &CompileOptions::default(), &mut diagnostics);
    let errors = diagnostics.count(Severity::Error);
    assert_eq!(errors, 0, "the generated resources have errors");
    compiled
}
