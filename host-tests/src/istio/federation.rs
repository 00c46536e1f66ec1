//! Clusters whose requests to one another go through gateways between them, with mutual TLS: a control plane for each, an
//! Envoy for every gateway, and an Envoy beside every service.
//!
//! What there is in a cluster is what its inventory has. The objects are applied as they were written; only addresses and
//! ports of the inventory are others, because everything is on this machine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use meshgate_compiler::compile::WorkloadProgram;
use meshgate_compiler::manifest::istio::{Attach, Manifest, Wave};
use meshgate_compiler::source::SourceMap;
use serde_json::{Value, json};

use super::Tools;
use super::authority::Authority;
use super::control::{Istiod, MutualTls};
use super::kubernetes::{Entrance, items, objects};
use super::mesh::compile;
use super::proxy::{Identity, Kind, Proxy};
use super::wait::{self, address, wait_for};
use crate::envoy::free_ports;
use crate::upstream::{Reply, Upstreams};
use crate::yaml;

/// Label of pods that have a proxy, as Istio's injection writes it.
const HAS_PROXY: (&str, &str) = ("security.istio.io/tlsMode", "istio");

/// Clusters of one virtual mesh.
#[derive(Debug)]
pub struct Federation {
    /// The root of all certificates.
    pub authority: Authority,
    /// The clusters by their names.
    pub clusters: BTreeMap<String, Cluster>,
}

/// A cluster of a [`Federation`].
#[derive(Debug)]
pub struct Cluster {
    /// Its control plane.
    pub istiod: Istiod,
    /// What meshgate has written for it, in the order in which it is applied.
    pub manifests: Vec<Manifest>,
    /// What runs in it, by name: a gateway has that of its Service; pods of other Services are `SERVICE-0`, `SERVICE-1`.
    pub pods: BTreeMap<String, Pod>,
    /// The services themselves, which answer what the proxies let through. They are called `POD:PORT`, by the port of the
    /// Service.
    services: Upstreams,
    /// Where those are that have been stopped.
    stopped: BTreeMap<String, SocketAddr>,
    name: String,
    programs: Vec<WorkloadProgram>,
    envoy: PathBuf,
}

/// A pod with a proxy.
#[derive(Debug)]
pub struct Pod {
    /// The proxy; absent while the pod is down.
    pub proxy: Option<Proxy>,
    entrance: Entrance,
}

impl Federation {
    /// Starts what the inventories have, and gives it what meshgate writes for the resources.
    ///
    /// # Errors
    /// When the resources do not compile, something does not start, Istio refuses an object, or a gateway does not come to
    /// what it is to have.
    pub fn start(
        tools: &Tools,
        resources: &str,
        inventories: &[(String, String)],
    ) -> Result<Federation, String> {
        let mut sources = SourceMap::default();
        sources.add("resources.yaml".to_owned(), resources.to_owned());
        let mut known = BTreeMap::new();
        for (cluster, text) in inventories {
            let inventory =
                yaml::parse(text).map_err(|reason| format!("inventory of {cluster}: {reason}"))?;
            let inventory = on_this_machine(inventory)?;
            let name = format!("{cluster}/inventory.yaml");
            sources.add_inventory(cluster, name, inventory.to_string());
            known.insert(cluster.clone(), inventory);
        }
        let (mut programs, manifests) = compile(&sources, tools, Attach::Exclusive)?;
        let authority = Authority::new().map_err(|error| error.to_string())?;
        let names: Vec<String> = known.keys().cloned().collect();
        let mut clusters = BTreeMap::new();
        for (number, (name, mut inventory)) in (2..).zip(known) {
            let services: Vec<Value> = items(&mut inventory)
                .into_iter()
                .filter(|item| item["kind"] == "Service")
                .map(|item| item.clone())
                .collect();
            let pods = pods(&mut inventory, number);
            let others = names.iter().filter(|other| **other != name);
            let tls = MutualTls {
                root: authority.root(),
                trust_domain: &trust_domain(&name),
                others: others.map(|other| trust_domain(other)).collect(),
            };
            let istiod = Istiod::start(&tools.istiod, &objects(services, &pods, &[]), Some(&tls))?;
            let own = Some(&name);
            let (own_programs, rest) = programs
                .into_iter()
                .partition(|program| program.cluster.as_ref() == own);
            programs = rest;
            let mut cluster = Cluster {
                istiod,
                services: services_of(&pods)?,
                stopped: BTreeMap::new(),
                name: name.clone(),
                manifests: manifests
                    .iter()
                    .filter(|manifest| manifest.cluster.as_ref() == own)
                    .cloned()
                    .collect(),
                programs: own_programs,
                pods: BTreeMap::new(),
                envoy: tools.envoy.clone(),
            };
            cluster.say_where();
            cluster.start_pods(pods, &authority)?;
            clusters.insert(name, cluster);
        }
        let mut federation = Federation {
            authority,
            clusters,
        };
        federation.deploy()?;
        Ok(federation)
    }

    /// Applies wave after wave in all clusters, and waits in between until the gateways have it.
    fn deploy(&mut self) -> Result<(), String> {
        for wave in [Wave::Destinations, Wave::Listeners, Wave::Program] {
            for cluster in self.clusters.values() {
                for manifest in cluster.manifests.iter().filter(|one| one.wave == wave) {
                    cluster.istiod.apply(&manifest.object)?;
                }
            }
            for cluster in self.clusters.values_mut() {
                cluster.wait_for(wave)?;
            }
        }
        Ok(())
    }

    /// A cluster by its name.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn cluster(&mut self, name: &str) -> Result<&mut Cluster, String> {
        let found = self.clusters.get_mut(name);
        found.ok_or_else(|| format!("there is no cluster `{name}`"))
    }
}

/// First part of the names of a cluster's workloads.
fn trust_domain(cluster: &str) -> String {
    format!("{cluster}.example.com")
}

impl Cluster {
    fn start_pods(&mut self, pods: Vec<Entrance>, authority: &Authority) -> Result<(), String> {
        self.istiod.apply(&json!({
            "apiVersion": "security.istio.io/v1",
            "kind": "PeerAuthentication",
            "metadata": { "name": "default", "namespace": "istio-system" },
            "spec": { "mtls": { "mode": "STRICT" } },
        }))?;
        for entrance in pods {
            let Identity {
                kind,
                pod,
                namespace,
                ..
            } = &entrance.identity;
            let identity = spiffe(&self.name, namespace, &entrance.service);
            let certificate = authority
                .issue(&identity)
                .map_err(|error| error.to_string())?;
            self.istiod
                .set_certificate((namespace, pod), &certificate)
                .map_err(|error| error.to_string())?;
            if *kind == Kind::Sidecar {
                self.istiod.apply(&sidecar(&entrance, &self.services))?;
            }
            let name = pod.clone();
            let pod = Pod {
                proxy: None,
                entrance,
            };
            self.pods.insert(name.clone(), pod);
            self.start_pod(&name)?;
        }
        Ok(())
    }

    /// Starts a pod that is down, or for the first time.
    ///
    /// # Errors
    /// When there is none of that name, or its Envoy does not start.
    pub fn start_pod(&mut self, name: &str) -> Result<(), String> {
        let pod = self.pods.get_mut(name);
        let pod = pod.ok_or_else(|| format!("there is no pod `{name}`"))?;
        pod.proxy = None;
        let proxy = Proxy::start(&self.envoy, &pod.entrance.identity, &self.istiod)?;
        pod.proxy = Some(proxy);
        Ok(())
    }

    /// Ends a pod at once, with all of its connections. Istio is not told, as when a node dies.
    pub fn stop_pod(&mut self, name: &str) {
        if let Some(pod) = self.pods.get_mut(name) {
            pod.proxy = None;
        }
    }

    /// Ends the service behind the proxy of a pod, by its name `POD:PORT`.
    pub fn stop_service(&mut self, name: &str) {
        if let Some(address) = self.services.address(name) {
            self.stopped.insert(name.to_owned(), address);
            self.services.stop(name);
        }
    }

    /// Starts a service again that was stopped.
    ///
    /// # Errors
    /// When there is none of that name, or its port is not to be had any more.
    pub fn start_service(&mut self, name: &str) -> Result<(), String> {
        let address = self.stopped.remove(name);
        let address = address.ok_or_else(|| format!("no service `{name}` has been stopped"))?;
        let started = self.services.start_again(name, address);
        started.map_err(|error| format!("`{name}` does not start again: {error}"))?;
        self.say_where();
        Ok(())
    }

    /// Has the answers of the services say which cluster they are in.
    fn say_where(&self) {
        self.services.set_every_reply(&Reply {
            headers: vec![("x-cluster".to_owned(), self.name.clone())],
            ..Reply::default()
        });
    }

    /// Gives a pod a certificate of some root, and starts it anew.
    ///
    /// # Errors
    /// When there is none of that name, or its Envoy does not start.
    pub fn disguise(
        &mut self,
        name: &str,
        identity: &str,
        authority: &Authority,
    ) -> Result<(), String> {
        let pod = self.pods.get(name);
        let pod = pod.ok_or_else(|| format!("there is no pod `{name}`"))?;
        let certificate = authority
            .issue(identity)
            .map_err(|error| error.to_string())?;
        let place = (pod.entrance.identity.namespace.as_str(), name);
        self.istiod
            .set_certificate(place, &certificate)
            .map_err(|error| error.to_string())?;
        self.start_pod(name)
    }

    /// Where the first port of a gateway's Service leads to on this machine.
    ///
    /// # Errors
    /// When there is no such gateway.
    pub fn entrance(&self, gateway: &str) -> Result<SocketAddr, String> {
        let pod = self.pods.get(gateway);
        let port = pod.and_then(|pod| pod.entrance.ports.first());
        let (_, _, target) = port.ok_or_else(|| format!("there is no gateway `{gateway}`"))?;
        Ok(address(*target))
    }

    /// The proxy of a pod.
    ///
    /// # Errors
    /// When there is none of that name, or it is down.
    pub fn proxy(&self, pod: &str) -> Result<&Proxy, String> {
        let pods = self.pods.get(pod);
        let proxy = pods.and_then(|pod| pod.proxy.as_ref());
        proxy.ok_or_else(|| format!("there is no pod `{pod}`"))
    }

    fn wait_for(&mut self, wave: Wave) -> Result<(), String> {
        for program in &self.programs {
            let name = program.service.as_deref().unwrap_or_default();
            let pod = self.pods.get_mut(name);
            let pod = pod.ok_or_else(|| format!("there is no pod `{name}`"))?;
            let proxy = pod.proxy.as_mut();
            let proxy = proxy.ok_or_else(|| format!("pod `{name}` is down"))?;
            match wave {
                Wave::Destinations => wait::for_clusters(program, proxy)?,
                Wave::Listeners => {
                    for workload in &program.workloads {
                        wait::for_listener(proxy, workload.port, Attach::Exclusive)?;
                    }
                }
                Wave::Program => wait::for_program(program, proxy)?,
            }
        }
        wait_for("all proxies are in sync", || {
            Ok(self.istiod.unsynced()?.map_or(Ok(()), Err))
        })
    }
}

/// The name of a workload in its certificate.
fn spiffe(cluster: &str, namespace: &str, account: &str) -> String {
    format!(
        "spiffe://{}/ns/{namespace}/sa/{account}",
        trust_domain(cluster)
    )
}

/// The same inventory with other ports, and with addresses of this machine for gateways.
fn on_this_machine(mut inventory: Value) -> Result<Value, String> {
    for item in items(&mut inventory) {
        if item["kind"] != "Service" {
            continue;
        }
        let is_gateway = is_gateway(item);
        for port in item["spec"]["ports"].as_array_mut().into_iter().flatten() {
            let free = json!(free_ports(1).map_err(|error| error.to_string())?);
            // Whoever comes from another cluster comes to the port of the Service.
            if is_gateway {
                port["port"] = free.clone();
            }
            port["targetPort"] = free;
        }
        if is_gateway {
            item["status"]["loadBalancer"]["ingress"] = json!([{ "ip": "127.0.0.1" }]);
        }
    }
    Ok(inventory)
}

fn is_gateway(service: &Value) -> bool {
    service["spec"]["type"] == "LoadBalancer"
}

/// The pods of a cluster: for every gateway one with the labels that its Service selects, for every other Service one for
/// each Deployment that it selects, or else one with these labels.
fn pods(inventory: &mut Value, cluster: u8) -> Vec<Entrance> {
    let items = items(inventory);
    let deployments: Vec<(&Value, BTreeMap<String, String>)> = items
        .iter()
        .filter(|item| item["kind"] == "Deployment")
        .map(|item| {
            let template = &item["spec"]["template"]["metadata"];
            (&item["metadata"]["namespace"], labels(&template["labels"]))
        })
        .collect();
    let mut pods = Vec::new();
    let mut addresses = 1..=u8::MAX;
    for service in items.iter().filter(|item| item["kind"] == "Service") {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (name, namespace) = (
            &service["metadata"]["name"],
            &service["metadata"]["namespace"],
        );
        let selector = labels(&service["spec"]["selector"]);
        let is_selected = |labels: &BTreeMap<String, String>| {
            let mut wanted = selector.iter();
            wanted.all(|(key, value)| labels.get(key) == Some(value))
        };
        let mut all: Vec<_> = deployments
            .iter()
            .filter(|(place, labels)| *place == namespace && is_selected(labels))
            .map(|(_, labels)| labels.clone())
            .collect();
        if all.is_empty() {
            all.push(selector.clone());
        }
        let ports = service["spec"]["ports"].as_array().into_iter().flatten();
        let ports: Vec<_> = ports
            .filter_map(|port| {
                let number = |value: &Value| value.as_u64()?.try_into().ok();
                Some((
                    text(&port["name"]),
                    number(&port["port"])?,
                    number(&port["targetPort"])?,
                ))
            })
            .collect();
        let is_gateway = is_gateway(service);
        let instances = if is_gateway { 1 } else { all.len() };
        for ((n, mut labels), address) in all
            .into_iter()
            .enumerate()
            .take(instances)
            .zip(&mut addresses)
        {
            labels.insert(HAS_PROXY.0.to_owned(), HAS_PROXY.1.to_owned());
            let service = text(name);
            let pod = if is_gateway {
                service.clone()
            } else {
                format!("{service}-{n}")
            };
            pods.push(Entrance {
                identity: Identity {
                    kind: if is_gateway {
                        Kind::Gateway
                    } else {
                        Kind::Sidecar
                    },
                    address: format!("127.0.{cluster}.{address}"),
                    pod,
                    namespace: text(namespace),
                    labels,
                    trusted_proxies: 0,
                },
                service,
                ports: ports.clone(),
            });
        }
    }
    pods
}

fn labels(object: &Value) -> BTreeMap<String, String> {
    let labels = object.as_object().into_iter().flatten();
    labels
        .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
}

/// Starts the services of pods with sidecars.
fn services_of(pods: &[Entrance]) -> Result<Upstreams, String> {
    let sidecars = pods.iter().filter(|pod| pod.identity.kind == Kind::Sidecar);
    let names = sidecars.flat_map(|pod| {
        let ports = pod.ports.iter();
        ports.map(|(_, number, _)| service_name(&pod.identity.pod, *number))
    });
    Upstreams::start(names).map_err(|error| error.to_string())
}

fn service_name(pod: &str, port: u16) -> String {
    format!("{pod}:{port}")
}

/// Has the proxy of a pod take the connections to it. There are no rules here that redirect them.
fn sidecar(entrance: &Entrance, services: &Upstreams) -> Value {
    let Identity {
        address,
        pod,
        namespace,
        labels,
        ..
    } = &entrance.identity;
    let ports = entrance.ports.iter().filter_map(|(name, number, target)| {
        let service = services.address(&service_name(pod, *number))?;
        Some(json!({
            "port": { "number": target, "name": name, "protocol": "HTTP" },
            "bind": address,
            "captureMode": "NONE",
            "defaultEndpoint": service.to_string(),
        }))
    });
    let ports: Vec<Value> = ports.collect();
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "Sidecar",
        "metadata": { "name": pod, "namespace": namespace },
        "spec": {
            "workloadSelector": { "labels": labels },
            "ingress": ports,
            // The services call nobody.
            "egress": [{ "hosts": ["~/*"] }],
        },
    })
}
