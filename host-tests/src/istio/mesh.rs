//! A mesh with everything that a configuration needs, and the configuration in it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use meshgate_compiler::compile::{CompileOptions, WorkloadProgram, workload_programs};
use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::manifest::istio::{Attach, IstioOptions, Manifest, Wave, manifests};
use meshgate_compiler::render;
use meshgate_compiler::source::SourceMap;
use serde_json::{Value, json};

use super::control::Istiod;
use super::destinations::{self, Destinations};
use super::istioctl;
use super::kubernetes::{Entrance, is_service, items, objects};
use super::proxy::{Identity, Kind, Proxy};
use super::wait::{self, address, wait_for};
use crate::cases::{Clusters, Configuration, Group};
use crate::envoy::free_ports;
use crate::upstream::Upstreams;
use crate::yaml;

/// The programs that a mesh is made of.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The control plane.
    pub istiod: PathBuf,
    /// The command-line tool.
    pub istioctl: PathBuf,
    /// The proxy.
    pub envoy: PathBuf,
    /// The filter.
    pub filter: PathBuf,
}

/// A mesh: a control plane, a proxy for every gateway that runs, an echo server for every destination.
#[derive(Debug)]
pub struct Mesh {
    /// What is there besides the objects: the control plane.
    pub istiod: Istiod,
    /// The destinations. An echo server has the name of the cluster that leads to it and to nothing else.
    pub upstreams: Upstreams,
    /// The gateways, in the order of `programs`.
    pub proxies: Vec<Proxy>,
    /// The configuration as a tree, with places.
    pub configuration: Configuration,
    /// What every gateway is to serve.
    pub programs: Vec<WorkloadProgram>,
    /// The objects, in the order in which they are applied.
    pub manifests: Vec<Manifest>,
    /// Ports of the pods of every gateway, in the order of its virtual gateways.
    ports: Vec<Vec<u16>>,
    group: Group,
    tools: Tools,
    attach: Attach,
}

impl Mesh {
    /// Starts everything for a group. Nothing is applied yet but what the inventory has already.
    ///
    /// # Errors
    /// When the resources do not compile, or something does not start.
    pub fn start(tools: &Tools, group: &Group, attach: Attach) -> Result<Mesh, String> {
        let (group, mut inventory) = with_free_ports(group)?;
        let configuration = Configuration::of(&group, 1);
        configuration.program()?;
        let (programs, manifests) = compile_own(&configuration, &group, tools, attach)?;
        let destinations = Destinations::of(&configuration.compiled.tree);
        let upstreams =
            Upstreams::start_apart(destinations.names()).map_err(|error| error.to_string())?;
        // There is no TLS here: a request that came with it is one that a proxy in front of the gateway says came with it.
        let behind_proxy = group
            .cases
            .iter()
            .any(|case| case.request.scheme == "https");
        let entrances = entrances(&programs, u32::from(behind_proxy))?;
        let ports = programs.iter().zip(&entrances).map(|(program, entrance)| {
            let target = |port: u16| {
                let mut ports = entrance.ports.iter();
                ports.find_map(|(_, number, target)| (*number == port).then_some(*target))
            };
            let ports = program.workloads.iter().map(|workload| workload.port);
            ports.filter_map(target).collect()
        });
        let ports = ports.collect();
        let (services, existing): (Vec<_>, Vec<_>) = items(&mut inventory)
            .into_iter()
            .map(|item| item.clone())
            .partition(|item| {
                let kind = item["kind"].as_str();
                matches!(kind, Some("Service" | "ConfigMap" | "Namespace"))
            });
        let backends = destinations.backends(&upstreams);
        let istiod = Istiod::start(
            &tools.istiod,
            &objects(services, &entrances, &backends),
            None,
        )?;
        for object in existing {
            let api = object["apiVersion"].as_str().unwrap_or_default();
            if api.starts_with("networking.istio.io/") {
                istiod.apply(&object)?;
            }
        }
        for object in destinations.federated(&manifests, &upstreams) {
            istiod.apply(&object)?;
        }
        let proxies = entrances
            .iter()
            .map(|entrance| Proxy::start(&tools.envoy, &entrance.identity, &istiod))
            .collect::<Result<_, _>>()?;
        Ok(Mesh {
            istiod,
            upstreams,
            proxies,
            configuration,
            programs,
            manifests,
            ports,
            group,
            tools: tools.clone(),
            attach,
        })
    }

    /// Applies wave after wave, and waits in between until the gateways have it.
    ///
    /// # Errors
    /// When Istio refuses an object, or a gateway does not come to what the wave is for.
    pub fn deploy(&mut self) -> Result<(), String> {
        self.apply(Wave::Destinations)?;
        self.wait_for_clusters()?;
        self.apply(Wave::Listeners)?;
        self.wait_for_listeners()?;
        self.apply(Wave::Program)?;
        self.wait_for_programs()?;
        wait_for("all proxies are in sync", || {
            Ok(self.istiod.unsynced()?.map_or(Ok(()), Err))
        })
    }

    /// Applies the objects of a wave.
    ///
    /// # Errors
    /// What Istio has against one of them.
    pub fn apply(&self, wave: Wave) -> Result<(), String> {
        let destinations = Destinations::of(&self.configuration.compiled.tree);
        for manifest in self.manifests.iter().filter(|one| one.wave == wave) {
            let mut object = manifest.object.clone();
            destinations.lead_home(&mut object, &self.upstreams);
            self.istiod.apply(&object)?;
        }
        Ok(())
    }

    /// Takes other resources for the same gateways. Nothing is applied, and there are no echo servers for destinations
    /// that are new.
    ///
    /// # Errors
    /// When they do not compile.
    pub fn change(&mut self, resources: &str) -> Result<(), String> {
        self.group.text = resources.to_owned();
        self.configuration = Configuration::of(&self.group, 1);
        self.configuration.program()?;
        (self.programs, self.manifests) =
            compile_own(&self.configuration, &self.group, &self.tools, self.attach)?;
        Ok(())
    }

    /// Waits until every gateway has the clusters that its program can choose.
    ///
    /// # Errors
    /// When one is missing for long.
    pub fn wait_for_clusters(&self) -> Result<(), String> {
        for (program, proxy) in self.programs.iter().zip(&self.proxies) {
            wait::for_clusters(program, proxy)?;
        }
        Ok(())
    }

    /// Waits until every port that has no program yet answers 503, or redirects: for want of a cluster, or of a route where
    /// every cluster has its own. 404 is what others answer.
    ///
    /// # Errors
    /// When one gives another answer, or none for long.
    pub fn wait_for_listeners(&mut self) -> Result<(), String> {
        for (proxy, ports) in self.proxies.iter_mut().zip(&self.ports) {
            for &port in ports {
                wait::for_listener(proxy, port, self.attach)?;
            }
        }
        Ok(())
    }

    /// Waits until `meshgate verify` finds every gateway to serve its program.
    ///
    /// # Errors
    /// When it finds something wrong for long.
    pub fn wait_for_programs(&self) -> Result<(), String> {
        for (program, proxy) in self.programs.iter().zip(&self.proxies) {
            wait::for_program(program, proxy)?;
        }
        Ok(())
    }

    /// Where a virtual gateway of the tree listens: index of the proxy, and address.
    pub fn entrance(&self, gateway: usize) -> Option<(usize, SocketAddr)> {
        let name = &self.configuration.compiled.tree.gateways.get(gateway)?.name;
        let mut programs = self.programs.iter().zip(&self.ports).enumerate();
        programs.find_map(|(proxy, (program, ports))| {
            let mut gateways = program.gateways.iter().zip(ports);
            let (_, &port) = gateways.find(|((served, _), _)| served == name)?;
            Some((proxy, address(port)))
        })
    }

    /// Whether requests to a cluster may be answered by the echo server of this name: a subset's pod is also one of its
    /// Service.
    pub fn leads_to(&self, cluster: &str, upstream: &str) -> bool {
        destinations::leads_to(&self.configuration.compiled.tree, cluster, upstream)
    }
}

/// What `meshgate compile --target istio` writes, for all clusters. `istioctl` has nothing against it.
pub(super) fn compile(
    sources: &SourceMap,
    tools: &Tools,
    attach: Attach,
) -> Result<(Vec<WorkloadProgram>, Vec<Manifest>), String> {
    // They have been looked at already.
    let mut diagnostics = Diagnostics::default();
    let options = CompileOptions::default();
    let (resources, programs) = workload_programs(sources, &options, &mut diagnostics);
    let options = IstioOptions {
        attach,
        ..IstioOptions::for_file(&tools.filter.display().to_string())
    };
    let written = manifests(&programs, &resources, &options);
    if written.diagnostics.has_errors() {
        return Err(render::lines(&written.diagnostics, sources));
    }
    istioctl::validate(&tools.istioctl, &written.list)?;
    Ok((programs, written.list))
}

/// The same, of several clusters the folder of the group's own.
fn compile_own(
    configuration: &Configuration,
    group: &Group,
    tools: &Tools,
    attach: Attach,
) -> Result<(Vec<WorkloadProgram>, Vec<Manifest>), String> {
    let (mut programs, mut manifests) = compile(&configuration.sources, tools, attach)?;
    if let Some(clusters) = &group.clusters {
        let own = Some(&clusters.own);
        programs.retain(|program| program.cluster.as_ref() == own);
        manifests.retain(|manifest| manifest.cluster.as_ref() == own);
    }
    Ok((programs, manifests))
}

/// The same group with other ports of the gateways' pods, because all of them listen on this machine; and the inventory
/// of its own cluster.
fn with_free_ports(group: &Group) -> Result<(Group, Value), String> {
    let mut group = group.clone();
    let Some(Clusters { own, inventories }) = &mut group.clusters.clone() else {
        return Ok((group, json!({ "kind": "List" })));
    };
    let configuration = Configuration::of(&group, 1);
    let gateways = &configuration.compiled.tree.gateways;
    let workloads = gateways.iter().flat_map(|gateway| &gateway.workloads);
    let services: BTreeSet<(&str, &str)> = workloads
        .filter(|workload| workload.in_cluster(own))
        .filter_map(|workload| Some((workload.namespace.as_str(), workload.service.as_deref()?)))
        .collect();
    let mut inventory = Value::Null;
    for (cluster, text) in inventories.iter_mut().filter(|(cluster, _)| cluster == own) {
        inventory =
            yaml::parse(text).map_err(|reason| format!("inventory of {cluster}: {reason}"))?;
        for item in items(&mut inventory) {
            let is_gateway = services
                .iter()
                .any(|(namespace, name)| is_service(item, namespace, name));
            let ports = item.pointer_mut("/spec/ports").filter(|_| is_gateway);
            let ports = ports.and_then(Value::as_array_mut);
            for port in ports.into_iter().flatten() {
                port["targetPort"] = json!(free_ports(1).map_err(|error| error.to_string())?);
            }
        }
        *text = inventory.to_string();
    }
    group.clusters = Some(Clusters {
        own: own.clone(),
        inventories: inventories.clone(),
    });
    Ok((group, inventory))
}

/// The pod of every gateway that runs, and its Service. What the inventory does not tell is made up.
fn entrances(programs: &[WorkloadProgram], trusted_proxies: u32) -> Result<Vec<Entrance>, String> {
    let mut entrances = Vec::new();
    for (n, program) in programs.iter().enumerate() {
        let service = program.service.clone();
        let service = service.unwrap_or_else(|| format!("gateway-{n}"));
        let mut ports = BTreeMap::new();
        for workload in &program.workloads {
            let target = match workload.target_port {
                Some(target) => target,
                None => free_ports(1).map_err(|error| error.to_string())?,
            };
            ports.entry(workload.port).or_insert((
                workload.port_name.clone(),
                workload.port,
                target,
            ));
        }
        entrances.push(Entrance {
            identity: Identity {
                kind: Kind::Gateway,
                address: format!("10.255.0.{}", n + 1),
                pod: format!("{service}-0"),
                namespace: program.namespace.clone(),
                labels: program.labels.clone(),
                trusted_proxies,
            },
            service,
            ports: ports.into_values().collect(),
        });
    }
    Ok(entrances)
}
