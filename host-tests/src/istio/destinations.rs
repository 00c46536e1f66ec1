//! The destinations of a configuration as echo servers: which there are, and how the mesh comes to know them.

use std::collections::{BTreeMap, BTreeSet};

use meshgate_compiler::manifest::istio::Manifest;
use meshgate_compiler::tree::{Destination, DestinationTarget, Tree};
use serde_json::{Value, json};

use super::kubernetes::Backend;
use crate::upstream::Upstreams;

/// What hosts of Services of the gateway's own mesh end in.
const LOCAL: &str = ".svc.cluster.local";

/// Some pods of a Service: those with the labels of a subset. One echo server stands for them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pods {
    host: String,
    port: u16,
    labels: BTreeMap<String, String>,
    /// They speak HTTP/2.
    http2: bool,
}

/// The pods that the routes of a configuration can lead to, each by the name of the cluster that leads to them alone.
#[derive(Debug)]
pub(super) struct Destinations(BTreeMap<String, Pods>);

impl Destinations {
    pub(super) fn of(tree: &Tree) -> Destinations {
        let grpc: BTreeSet<&str> = tree
            .services()
            .filter(|(_, is_grpc)| *is_grpc)
            .map(|(destination, _)| destination.cluster.as_str())
            .collect();
        let mut all = BTreeMap::new();
        for destination in tree.destinations() {
            let subset = subset_and_host(&destination.cluster).map_or("", |(subset, _)| subset);
            for (host, port) in services(tree, destination) {
                let pods = Pods {
                    host: host.to_owned(),
                    port,
                    labels: labels(&destination.target).clone(),
                    http2: grpc.contains(destination.cluster.as_str()),
                };
                all.insert(format!("outbound|{port}|{subset}|{host}"), pods);
            }
        }
        Destinations(all)
    }

    /// Names for the echo servers.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Those of Services of the gateway's own mesh, as Kubernetes knows them.
    pub(super) fn backends(&self, upstreams: &Upstreams) -> Vec<Backend> {
        let backend = |(name, pods): (&String, &Pods)| {
            let mut names = pods.host.strip_suffix(LOCAL)?.split('.');
            let (service, namespace) = (names.next()?.to_owned(), names.next()?.to_owned());
            Some(Backend {
                service: (namespace, service, pods.port),
                labels: pods.labels.clone(),
                address: upstreams.address(name)?,
                http2: pods.http2,
            })
        };
        self.0.iter().filter_map(backend).collect()
    }

    /// Objects for the hosts that only other clusters have, and that none of these manifests makes known.
    pub(super) fn federated(&self, manifests: &[Manifest], upstreams: &Upstreams) -> Vec<Value> {
        let mut hosts: BTreeSet<&str> = self.0.values().map(|pods| pods.host.as_str()).collect();
        hosts.retain(|host| !host.ends_with(LOCAL));
        for manifest in manifests {
            hosts.retain(|host| !is_entry_for(&manifest.object, host));
        }
        let mut objects = Vec::new();
        for host in hosts {
            let metadata = json!({ "name": host, "namespace": "istio-system" });
            let pods = || self.0.iter().filter(|(_, pods)| pods.host == host);
            let ports: BTreeSet<u16> = pods().map(|(_, pods)| pods.port).collect();
            let ports: Vec<Value> = ports
                .into_iter()
                .map(|port| {
                    json!({ "number": port, "name": format!("http-{port}"), "protocol": "HTTP" })
                })
                .collect();
            let mut entry = json!({
                "apiVersion": "networking.istio.io/v1",
                "kind": "ServiceEntry",
                "metadata": metadata,
                "spec": { "hosts": [host], "location": "MESH_INTERNAL", "ports": ports },
            });
            self.lead_home(&mut entry, upstreams);
            objects.push(entry);
            let subsets: Vec<Value> = pods()
                .filter(|(_, pods)| !pods.labels.is_empty())
                .filter_map(|(name, pods)| {
                    let (subset, _) = subset_and_host(name)?;
                    Some(json!({ "name": subset, "labels": pods.labels }))
                })
                .collect();
            if !subsets.is_empty() {
                objects.push(json!({
                    "apiVersion": "networking.istio.io/v1",
                    "kind": "DestinationRule",
                    "metadata": metadata,
                    "spec": { "host": host, "subsets": subsets },
                }));
            }
        }
        objects
    }

    /// Has an object lead to echo servers on this machine instead of other clusters or the rest of the world: a
    /// ServiceEntry gets their addresses, a DestinationRule for hosts of other clusters loses its mutual TLS.
    pub(super) fn lead_home(&self, object: &mut Value, upstreams: &Upstreams) {
        if object["kind"] == "DestinationRule" {
            let is_local = |host: &str| host.ends_with(LOCAL);
            if object["spec"]["host"]
                .as_str()
                .is_some_and(|host| !is_local(host))
            {
                without_tls(&mut object["spec"]);
            }
            return;
        }
        let names: BTreeMap<u64, Value> = object["spec"]["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|port| Some((port["number"].as_u64()?, port["name"].clone())))
            .collect();
        let mut endpoints = Vec::new();
        for (name, pods) in &self.0 {
            let port = names.get(&pods.port.into()).and_then(Value::as_str);
            let (Some(port), Some(address)) = (port, upstreams.address(name)) else {
                continue;
            };
            if is_entry_for(object, &pods.host) {
                endpoints.push(json!({
                    "address": address.ip().to_string(),
                    "ports": { port: address.port() },
                    "labels": pods.labels,
                }));
            }
        }
        if !endpoints.is_empty() {
            object["spec"]["resolution"] = json!("STATIC");
            object["spec"]["endpoints"] = json!(endpoints);
        }
    }
}

/// Whether requests to a destination may be answered by an echo server: a subset's pods are also pods of their Service.
pub(super) fn leads_to(tree: &Tree, cluster: &str, upstream: &str) -> bool {
    let mut destinations = tree.destinations();
    let Some(asked) = destinations.find(|destination| destination.cluster == cluster) else {
        return false;
    };
    let all = Destinations::of(tree);
    let Some(pods) = all.0.get(upstream) else {
        return false;
    };
    let mut subset = labels(&asked.target).iter();
    services(tree, asked).contains(&(pods.host.as_str(), pods.port))
        && subset.all(|(key, value)| pods.labels.get(key) == Some(value))
}

/// Host and port of every service behind a destination. Only a virtual destination has more than one.
fn services<'t>(tree: &'t Tree, destination: &'t Destination) -> Vec<(&'t str, u16)> {
    if let DestinationTarget::VirtualDestination { name, .. } = &destination.target {
        let mut virtuals = tree.virtual_destinations.iter();
        let found = virtuals.find(|one| one.name == *name);
        let backends = found.into_iter().flat_map(|found| &found.backends);
        return backends
            .map(|backend| (backend.host.as_str(), backend.port))
            .collect();
    }
    let host = subset_and_host(&destination.cluster).map(|(_, host)| host);
    host.map(|host| (host, destination.port))
        .into_iter()
        .collect()
}

/// Of `outbound|9080|version-v2|reviews.bookinfo.svc.cluster.local`: `version-v2` and the host.
fn subset_and_host(cluster: &str) -> Option<(&str, &str)> {
    let mut parts = cluster.splitn(4, '|').skip(2);
    Some((parts.next()?, parts.next()?))
}

fn labels(target: &DestinationTarget) -> &BTreeMap<String, String> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    match target {
        DestinationTarget::KubeService { subset, .. }
        | DestinationTarget::VirtualDestination { subset, .. } => subset,
        DestinationTarget::StaticDestination { .. } => &NONE,
    }
}

fn is_entry_for(object: &Value, host: &str) -> bool {
    let mut hosts = object["spec"]["hosts"].as_array().into_iter().flatten();
    object["kind"] == "ServiceEntry" && hosts.any(|one| one == host)
}

fn without_tls(policies: &mut Value) {
    if policies["trafficPolicy"]["tls"].is_object() {
        policies["trafficPolicy"]["tls"] = json!({ "mode": "DISABLE" });
    }
    let subsets = policies.get_mut("subsets").and_then(Value::as_array_mut);
    for subset in subsets.into_iter().flatten() {
        if subset["trafficPolicy"]["tls"].is_object() {
            subset["trafficPolicy"]["tls"] = json!({ "mode": "DISABLE" });
        }
    }
}
