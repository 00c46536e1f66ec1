//! The executor that sends requests through gateways of a mesh, which get their configuration from Istio.

use std::net::SocketAddr;

use meshgate_compiler::answer::{Asks, Request as Received, Response};
use meshgate_compiler::cases::{Observed, Request, Unseen, UpstreamResponse};
use meshgate_compiler::manifest::istio::Attach;

use super::envoy::{http1, text};
use super::executor::{Executor, Session, needs_no_client};
use super::format::Group;
use super::observe::Seen;
use crate::envoy::client;
use crate::istio::{Mesh, Tools};
use crate::upstream::{Echo, Reply};

/// The filter in a mesh. Every group has a mesh of its own.
#[derive(Debug)]
pub struct InIstio {
    tools: Tools,
    attach: Attach,
}

impl InIstio {
    /// An executor that uses these programs, and attaches to the gateways in this way.
    pub fn new(tools: Tools, attach: Attach) -> InIstio {
        InIstio { tools, attach }
    }
}

impl Executor for InIstio {
    fn name(&self) -> &'static str {
        "istio"
    }

    fn load(&self, group: &Group) -> Result<Box<dyn Session + '_>, String> {
        let mut mesh = Mesh::start(&self.tools, group, self.attach)?;
        mesh.deploy()?;
        Ok(Box::new(MeshSession {
            mesh,
            passes_on: self.attach == Attach::Beside,
        }))
    }
}

struct MeshSession {
    mesh: Mesh,
    /// Who answers requests without a route is the proxy.
    passes_on: bool,
}

impl Session for MeshSession {
    fn answer(
        &mut self,
        request: &Request,
        upstream: &UpstreamResponse,
    ) -> Result<Observed, String> {
        needs_no_client(request)?;
        let gateway = self
            .mesh
            .configuration
            .gateway(request.gateway.as_deref())?;
        let (proxy, address) = self
            .mesh
            .entrance(gateway)
            .ok_or("nobody serves the gateway")?;
        self.mesh.upstreams.set_every_reply(&Reply {
            headers: upstream.headers.clone(),
            ..Reply::default()
        });
        let seen = self.send(gateway, proxy, address, request)?;
        seen.observe(
            &self.mesh.configuration,
            &[
                Unseen::Weights,
                Unseen::RandomChoice,
                Unseen::Options,
                Unseen::Asks,
            ],
        )
    }
}

impl MeshSession {
    fn send(
        &mut self,
        gateway: usize,
        proxy: usize,
        address: SocketAddr,
        request: &Request,
    ) -> Result<Seen, String> {
        let mut request = request.clone();
        if request.scheme == "https" {
            let name = "x-forwarded-proto".to_owned();
            request.headers.push((name, request.scheme.clone()));
        }
        let response = client::send(address, &http1(&request))
            .map_err(|error| format!("no answer: {error}"))?;
        let proxy = self
            .mesh
            .proxies
            .get_mut(proxy)
            .ok_or("there is no such proxy")?;
        let entry = proxy.log.next_entry().map_err(|error| error.to_string())?;
        let mut details = entry.details.unwrap_or_default();
        if self.passes_on && details == "route_not_found" {
            details = "meshgate_route_not_found".to_owned();
        }
        let cluster = entry.cluster.filter(|_| details == "via_upstream");
        let mut received = None;
        if let Some(cluster) = &cluster {
            let echo: Echo = serde_json::from_slice(&response.body)
                .map_err(|error| format!("this is no echo: {error}"))?;
            if !self.mesh.leads_to(cluster, &echo.upstream) {
                return Err(format!("`{cluster}` leads to `{}`", echo.upstream));
            }
            received = Some(Received {
                method: echo.method,
                authority: echo.authority,
                path: echo.path,
                headers: echo.headers,
            });
        }
        Ok(Seen {
            gateway,
            route: entry.route,
            details,
            request: received,
            cluster,
            response: Response {
                status: response.status,
                headers: response
                    .headers
                    .into_iter()
                    .map(|(name, value)| (name, text(&value)))
                    .collect(),
                body: text(&response.body),
            },
            asks: Asks::default(),
        })
    }
}
