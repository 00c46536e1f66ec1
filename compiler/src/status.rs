//! The `status` of every object: what became of it.
//!
//! Every finding belongs to the object in whose text it is. An object with an error is `INVALID`, whether the whole of it
//! is left out or a part; all others are `ACCEPTED`.

mod policies;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::compile::Compiled;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::resolve::{self, Delegations};
use crate::resource::{Object, ObjectName};
use crate::source::{SourceMap, Span};
use crate::tree::{Gateway, GatewayWorkload, Tree};

use self::policies::Applied;

pub use yaml::to_yaml;

/// Objects with nothing but `apiVersion`, `kind`, `metadata` and `status`, in order of kind, namespace and name.
pub fn statuses(compiled: &Compiled, diagnostics: &Diagnostics, sources: &SourceMap) -> Vec<Value> {
    let delegations = resolve::delegations(&compiled.resources);
    let applied = Applied::new(
        resolve::selected_routes(&compiled.resources),
        &compiled.resources.objects,
    );
    let mut objects: Vec<&Object> = compiled.resources.objects.iter().collect();
    // Objects do not overlap: the last one that begins before a finding is the only one that can hold it.
    objects.sort_by_key(|object| object.span);
    let mut findings: BTreeMap<Span, Vec<&Diagnostic>> = BTreeMap::new();
    for finding in diagnostics.list() {
        let Some(place) = finding.primary.as_ref().map(|label| label.span) else {
            continue;
        };
        let after = objects.partition_point(|object| {
            (object.span.file, object.span.start) <= (place.file, place.start)
        });
        let before = after.checked_sub(1).and_then(|at| objects.get(at));
        if let Some(object) = before
            && object.span.file == place.file
            && place.end <= object.span.end
        {
            findings.entry(object.span).or_default().push(finding);
        }
    }
    let served = Served::new(&compiled.tree);
    objects.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
    objects
        .into_iter()
        .map(|object| {
            let own = findings.remove(&object.span).unwrap_or_default();
            let mut status = general(object, &own, sources);
            match object.kind {
                "VirtualGateway" => served.gateway(object, &delegations, &mut status),
                "VirtualHost" => {
                    served.host(object, &delegations, &mut status);
                    applied.owner(object, &mut status);
                }
                "RouteTable" => {
                    table(object, &delegations, &mut status);
                    applied.owner(object, &mut status);
                }
                "TrafficPolicy" => applied.policy(object, &mut status),
                "VirtualDestination" => {
                    virtual_destination(object, &compiled.tree, &mut status);
                }
                _ => {}
            }
            json!({
                "apiVersion": object.api_version,
                "kind": object.kind,
                "metadata": reference(&object.id),
                "status": status,
            })
        })
        .collect()
}

/// What the status of every kind has.
fn general(object: &Object, findings: &[&Diagnostic], sources: &SourceMap) -> Map<String, Value> {
    let texts = |severity: Severity| -> Vec<String> {
        findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .map(|finding| text(finding, sources))
            .collect()
    };
    let (errors, warnings) = (texts(Severity::Error), texts(Severity::Warning));
    let mut status = Map::new();
    if let Some(generation) = object.generation {
        status.insert("observedGeneration".to_owned(), generation.into());
    }
    let state = if errors.is_empty() {
        "ACCEPTED"
    } else {
        "INVALID"
    };
    status.insert("state".to_owned(), state.into());
    insert(&mut status, "errors", errors);
    insert(&mut status, "warnings", warnings);
    status
}

/// `E0350 at routes.yaml:12:9: there is no …`
fn text(finding: &Diagnostic, sources: &SourceMap) -> String {
    let mut text = finding.code.as_str().to_owned();
    if let Some(place) = &finding.primary {
        text.push_str(&format!(" at {}", sources.location(place.span)));
    }
    text.push_str(": ");
    text.push_str(&finding.message);
    if let Some(help) = &finding.help {
        text.push_str(&format!(" ({help})"));
    }
    text
}

/// Adds a list, unless it is empty.
fn insert<T: Into<Value>>(status: &mut Map<String, Value>, key: &str, list: Vec<T>) {
    if !list.is_empty() {
        status.insert(key.to_owned(), list.into_iter().map(Into::into).collect());
    }
}

fn references<'o>(names: impl IntoIterator<Item = &'o ObjectName>) -> Vec<Value> {
    names.into_iter().map(reference).collect()
}

fn reference(name: &ObjectName) -> Value {
    json!({ "name": name.name, "namespace": name.namespace })
}

/// Which gateways serve which virtual hosts.
struct Served<'t> {
    gateways: BTreeMap<&'t ObjectName, &'t Gateway>,
    /// Gateways by the place of the virtual host: inline hosts bear the name of their gateway.
    of_host: BTreeMap<Span, BTreeSet<&'t ObjectName>>,
}

impl<'t> Served<'t> {
    fn new(tree: &'t Tree) -> Self {
        let mut of_host: BTreeMap<Span, BTreeSet<&ObjectName>> = BTreeMap::new();
        for gateway in &tree.gateways {
            for host in gateway.hosts.iter().flat_map(|host| &host.virtual_hosts) {
                of_host.entry(host.span).or_default().insert(&gateway.name);
            }
        }
        Self {
            gateways: tree
                .gateways
                .iter()
                .map(|gateway| (&gateway.name, gateway))
                .collect(),
            of_host,
        }
    }

    fn gateway(&self, object: &Object, delegations: &Delegations, status: &mut Map<String, Value>) {
        let Some(gateway) = self.gateways.get(&object.id) else {
            return;
        };
        let known = gateway.workloads.iter().filter(|_| gateway.workloads_known);
        insert(
            status,
            "appliedIngressGateways",
            known.map(applied).collect(),
        );
        let inside = |span: Span| {
            span.file == object.span.file
                && object.span.start <= span.start
                && span.end <= object.span.end
        };
        let hosts: BTreeSet<&ObjectName> = gateway
            .hosts
            .iter()
            .flat_map(|host| &host.virtual_hosts)
            .filter(|host| !inside(host.span))
            .map(|host| &host.name)
            .collect();
        let tables: BTreeSet<&ObjectName> = hosts
            .iter()
            .filter_map(|&host| delegations.of_hosts.get(host))
            .chain(delegations.of_gateways.get(&object.id))
            .flatten()
            .collect();
        insert(status, "selectedVirtualHosts", references(hosts));
        insert(status, "selectedRouteTables", references(tables));
    }

    fn host(&self, object: &Object, delegations: &Delegations, status: &mut Map<String, Value>) {
        let gateways = self.of_host.get(&object.name_span);
        let gateways = gateways.into_iter().flatten().copied();
        insert(status, "attachedVirtualGateways", references(gateways));
        let tables = delegations.of_hosts.get(&object.id).into_iter().flatten();
        insert(status, "selectedRouteTables", references(tables));
    }
}

fn applied(workload: &GatewayWorkload) -> Value {
    let mut destination = Map::new();
    destination.insert("name".to_owned(), json!(workload.service));
    destination.insert("namespace".to_owned(), json!(workload.namespace));
    if let Some(cluster) = &workload.cluster {
        destination.insert("clusterName".to_owned(), json!(cluster));
    }
    let mut applied = Map::new();
    applied.insert("destinationRef".to_owned(), destination.into());
    insert(
        &mut applied,
        "externalAddresses",
        workload.external_addresses.clone(),
    );
    applied.insert("port".to_owned(), workload.port.into());
    if let Some(port) = workload.external_port {
        applied.insert("externalPort".to_owned(), port.into());
    }
    applied.into()
}

fn table(object: &Object, delegations: &Delegations, status: &mut Map<String, Value>) {
    if let Some([tables, hosts, gateways]) = delegations.selected_by.get(&object.id) {
        let by = |names: &BTreeSet<ObjectName>, kind: &str| -> Vec<Value> {
            names
                .iter()
                .map(|name| json!({ "name": name.name, "namespace": name.namespace, "type": kind }))
                .collect()
        };
        let all = [
            by(gateways, "VirtualGateway"),
            by(hosts, "VirtualHost"),
            by(tables, "RouteTable"),
        ];
        insert(status, "selectedBy", all.concat());
    }
    let tables = delegations.of_tables.get(&object.id).into_iter().flatten();
    insert(status, "selectedRouteTables", references(tables));
}

fn virtual_destination(object: &Object, tree: &Tree, status: &mut Map<String, Value>) {
    let found = tree
        .virtual_destinations
        .iter()
        .find(|destination| destination.name == object.id);
    let backends = found
        .into_iter()
        .flat_map(|destination| &destination.backends);
    let backends = backends.map(|backend| {
        let mut service = Map::new();
        service.insert("name".to_owned(), json!(backend.service.name));
        service.insert("namespace".to_owned(), json!(backend.service.namespace));
        if let Some(cluster) = &backend.cluster {
            service.insert("clusterName".to_owned(), json!(cluster));
        }
        json!({ "destination": { "kubeService": service } })
    });
    insert(status, "selectedDestinations", backends.collect());
}
