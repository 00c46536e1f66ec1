//! The executor that sends requests through a real Envoy.
//!
//! One Envoy serves all groups, each on ports of its own. Destinations are echo servers with the names of their clusters;
//! groups share those. Requests are sent one at a time, so that each belongs to the next entry of the access log.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use meshgate_compiler::answer::{Asks, Request as Received, Response};
use meshgate_compiler::cases::{Observed, Request, Unseen, UpstreamResponse};

use super::configuration::Configuration;
use super::executor::{Executor, Session, needs_no_client};
use super::format::Group;
use super::observe::Seen;
use crate::envoy::bootstrap::{HTTPS_ADDRESS, cluster_names, echo_bootstrap, merge};
use crate::envoy::client::{self, request_head};
use crate::envoy::log::AccessLog;
use crate::envoy::{Envoy, Settings, free_ports};
use crate::services;
use crate::upstream::{Echo, Reply, Upstreams};

/// The filter in Envoy. Envoy is started for the first request.
#[derive(Debug)]
pub struct InEnvoy {
    name: &'static str,
    binary: PathBuf,
    filter: PathBuf,
    groups: Vec<Arc<Group>>,
    fleet: OnceLock<Result<Fleet, String>>,
}

#[derive(Debug)]
struct Fleet {
    configurations: BTreeMap<String, Configuration>,
    proxy: Mutex<Proxy>,
}

#[derive(Debug)]
struct Proxy {
    log: AccessLog,
    upstreams: Upstreams,
    envoy: Envoy,
}

impl InEnvoy {
    /// An executor for the groups that it is given, under a name of its own.
    pub fn new(
        name: &'static str,
        binary: &Path,
        filter: &Path,
        groups: Vec<Arc<Group>>,
    ) -> InEnvoy {
        InEnvoy {
            name,
            binary: binary.to_owned(),
            filter: filter.to_owned(),
            groups,
            fleet: OnceLock::new(),
        }
    }

    fn start(&self) -> Result<Fleet, String> {
        let mut configurations = BTreeMap::new();
        let mut clusters = BTreeSet::new();
        // Each gateway needs a port, and how many there are is known only when they are compiled.
        let gateways = |group: &Arc<Group>| {
            let configuration = Configuration::of(group, 1);
            configuration.compiled.tree.gateways.len()
        };
        let count = self.groups.iter().map(gateways).sum();
        let mut port = free_ports(count).map_err(|error| error.to_string())?;
        for group in &self.groups {
            let configuration = Configuration::of(group, port);
            port += configuration.compiled.tree.gateways.len() as u16;
            clusters.append(&mut cluster_names(&configuration.compiled));
            configurations.insert(group.name.clone(), configuration);
        }
        let upstreams = Upstreams::start(clusters).map_err(|error| error.to_string())?;
        let bootstraps = configurations.values().filter_map(|configuration| {
            let program = configuration.program().ok()?;
            let compiled = &configuration.compiled;
            Some(echo_bootstrap(compiled, program, &self.filter, &upstreams))
        });
        let envoy = Envoy::start(&Settings {
            binary: &self.binary,
            bootstrap: &merge(bootstraps).to_string(),
            workers: 1,
        })?;
        let log = AccessLog::open(&envoy.output_path()).map_err(|error| error.to_string())?;
        let proxy = Proxy {
            log,
            upstreams,
            envoy,
        };
        Ok(Fleet {
            configurations,
            proxy: Mutex::new(proxy),
        })
    }
}

impl InEnvoy {
    /// Where the first gateway of a group listens. `None` before the first request, and for groups it was not given.
    pub fn address(&self, group: &Group) -> Option<SocketAddr> {
        let fleet = self.fleet.get()?.as_ref().ok()?;
        let ports = &fleet.configurations.get(&group.name)?.compiled.ports;
        Some(SocketAddr::from((Ipv4Addr::LOCALHOST, *ports.first()?)))
    }
}

impl Executor for InEnvoy {
    fn name(&self) -> &'static str {
        self.name
    }

    fn load(&self, group: &Group) -> Result<Box<dyn Session + '_>, String> {
        let fleet = self.fleet.get_or_init(|| self.start()).as_ref()?;
        let configuration = fleet
            .configurations
            .get(&group.name)
            .ok_or_else(|| format!("Envoy was started without group `{}`", group.name))?;
        configuration.program()?;
        Ok(Box::new(EnvoySession {
            configuration,
            proxy: &fleet.proxy,
        }))
    }
}

struct EnvoySession<'f> {
    configuration: &'f Configuration,
    proxy: &'f Mutex<Proxy>,
}

impl Session for EnvoySession<'_> {
    fn answer(
        &mut self,
        request: &Request,
        upstream: &UpstreamResponse,
    ) -> Result<Observed, String> {
        needs_no_client(request)?;
        let gateway = self.configuration.gateway(request.gateway.as_deref())?;
        let port = self.configuration.compiled.ports.get(gateway);
        let port = *port.ok_or("the gateway has no port")?;
        let reply = Reply {
            headers: upstream.headers.clone(),
            ..Reply::default()
        };
        // A test that failed while it held the proxy has left nothing behind that would matter.
        let mut proxy = self.proxy.lock().unwrap_or_else(PoisonError::into_inner);
        proxy.upstreams.set_every_reply(&reply);
        let services: Vec<_> = self.configuration.compiled.tree.services().collect();
        for (service, _) in &services {
            proxy.upstreams.take_request(&service.cluster);
        }
        let mut seen = proxy.send(gateway, port, request)?;
        for (service, _) in &services {
            if let Some(asked) = proxy.upstreams.take_request(&service.cluster) {
                services::add(&mut seen.asks, &asked.path, message(&asked))?;
            }
        }
        drop(proxy);
        seen.observe(
            self.configuration,
            &[Unseen::Weights, Unseen::RandomChoice, Unseen::Options],
        )
    }
}

impl Proxy {
    fn send(&mut self, gateway: usize, port: u16, request: &Request) -> Result<Seen, String> {
        let host = match request.scheme.as_str() {
            "https" => HTTPS_ADDRESS,
            _ => Ipv4Addr::LOCALHOST,
        };
        let address = SocketAddr::from((host, port));
        // The entry of a request that was given up must not be taken for that of this one.
        self.log.skip().map_err(|error| error.to_string())?;
        let response = client::send(address, &http1(request))
            .map_err(|error| format!("no answer: {error}"))?;
        let entry = self.log.next_entry().map_err(|error| {
            let (status, complaint) = (response.status, self.envoy.first_error());
            format!("{error}; the answer was {status}, and Envoy complains: {complaint:?}")
        })?;
        let details = entry.details.unwrap_or_default();
        let cluster = entry.cluster.filter(|_| details == "via_upstream");
        let echo = cluster
            .as_deref()
            .and_then(|cluster| self.upstreams.last_request(cluster));
        Ok(Seen {
            gateway,
            route: entry.route,
            details,
            request: echo.map(|echo| Received {
                method: echo.method,
                authority: echo.authority,
                path: echo.path,
                headers: echo.headers,
            }),
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

/// The message of a question by gRPC: what follows a byte and the length.
fn message(asked: &Echo) -> &[u8] {
    asked.body.get(5..).unwrap_or_default()
}

/// The bytes of a request.
pub(super) fn http1(request: &Request) -> Vec<u8> {
    let own = [
        ("host", request.authority.as_bytes()),
        ("connection", b"close".as_slice()),
    ];
    let headers = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    request_head(
        &request.method,
        request.path.as_bytes(),
        own.into_iter().chain(headers),
    )
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
