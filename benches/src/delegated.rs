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

    /// The resources.
    pub fn yaml(&self) -> String {
        let mut text = gateway();
        for host in 0..self.hosts {
            let table = host % self.tables;
            let _ = write!(
                text,
                "---\napiVersion: {API}\nkind: VirtualHost\nmetadata: {{name: h{host}, namespace: bench}}\nspec:\n  \
                 domains: [host-{host}.example.com]\n  routes:\n  - name: api\n    \
                 matchers: [{{uri: {{prefix: /v1}}}}]\n    \
                 delegateAction: {{refs: [{{name: t{table}, namespace: bench}}]}}\n"
            );
        }
        for table in 0..self.tables {
            let _ = write!(
                text,
                "---\napiVersion: {API}\nkind: RouteTable\nmetadata: {{name: t{table}, namespace: bench}}\nspec:\n  routes:\n"
            );
            for route in 0..self.routes {
                let _ = write!(
                    text,
                    "  - name: r{route}\n    matchers: [{{uri: {{prefix: /orders-{route}/}}}}]\n    \
                     routeAction: {{destinations: [{{kubeService: {{name: orders, namespace: bench, port: 80}}}}]}}\n"
                );
            }
        }
        text
    }

    /// Compiles the resources.
    ///
    /// # Panics
    /// When there is an error in them: a mistake in this file.
    pub fn compile(&self) -> Compiled {
        let mut sources = SourceMap::default();
        sources.add("delegated.yaml".to_owned(), self.yaml());
        let mut diagnostics = Diagnostics::default();
        let compiled = compile(&sources, &CompileOptions::default(), &mut diagnostics);
        let errors = diagnostics.count(Severity::Error);
        assert_eq!(errors, 0, "the generated resources have errors");
        compiled
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

fn gateway() -> String {
    format!(
        "apiVersion: {API}\nkind: VirtualGateway\nmetadata: {{name: gateway, namespace: bench}}\nspec:\n  \
         ingressGatewaySelectors:\n  - portName: http2\n    destinationSelectors:\n    - kubeServiceMatcher:\n        \
         namespaces: [istio-ingress]\n        labels: {{istio: ingressgateway}}\n  connectionHandlers:\n  - http:\n      \
         routeConfig:\n      - virtualHostSelector: {{namespaces: [bench]}}\n"
    )
}
