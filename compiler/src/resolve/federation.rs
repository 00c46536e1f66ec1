//! What gateways of one cluster may reach in another one: virtual meshes, and the services that are federated in them.

use std::collections::BTreeMap;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{Federation, ObjectName, ObjectRef, Resources, Service, VirtualMesh};
use crate::source::Span;
use crate::tree;

use super::inventory::full_name;
use super::workload::{Gateways, selects_any};

/// What federated names end with unless a virtual mesh says otherwise.
const DEFAULT_SUFFIX: &str = "global";

/// Looks up virtual meshes.
#[derive(Debug)]
pub(super) struct Federations<'r> {
    resources: &'r Resources,
    /// Virtual meshes, oldest first.
    meshes: Vec<&'r VirtualMesh>,
    /// Cluster of each Mesh object.
    clusters: BTreeMap<&'r ObjectName, &'r str>,
    /// Hosts that discovery recorded, by cluster, namespace and name of the Service.
    recorded: BTreeMap<(&'r str, &'r str, &'r str), &'r str>,
    /// Clusters whose gateways are compiled for.
    own: Option<&'r str>,
}

impl<'r> Federations<'r> {
    /// Indexes the input. `own` is where the gateways run.
    pub(super) fn new(resources: &'r Resources, own: Option<&'r str>) -> Self {
        let mut meshes: Vec<&VirtualMesh> = resources.virtual_meshes.iter().collect();
        meshes.sort_by_key(|mesh| super::age(&mesh.metadata));
        Self {
            meshes,
            clusters: resources
                .meshes
                .iter()
                .filter_map(|mesh| Some((&mesh.metadata.id, mesh.cluster.as_deref()?)))
                .collect(),
            recorded: resources
                .destinations
                .iter()
                .filter_map(|destination| destination.kube.as_ref())
                .filter_map(|service| {
                    let cluster = service.cluster.as_deref()?;
                    let host = service.federated_host.as_deref()?;
                    Some((
                        (cluster, service.namespace.as_str(), service.name.as_str()),
                        host,
                    ))
                })
                .collect(),
            resources,
            own,
        }
    }

    /// The host by which gateways reach a Service: its own in their cluster, else its federated one. `service` is absent
    /// if the input does not have it. `None` after an error.
    pub(super) fn host(
        &self,
        name: &ObjectName,
        cluster: Option<&str>,
        service: Option<&Service>,
        place: Span,
        diagnostics: &mut Diagnostics,
    ) -> Option<String> {
        let (Some(own), Some(cluster)) = (self.own, cluster) else {
            return Some(local_host(name));
        };
        let host = self.federated_host(name, Some(cluster));
        if own == cluster || self.recorded(name, cluster).is_some() {
            return Some(host);
        }
        // Nothing is known about meshes: names are taken on trust.
        if self.meshes.is_empty()
            && self.resources.meshes.is_empty()
            && self.resources.clusters.is_empty()
        {
            return Some(host);
        }
        let mesh = self.common_mesh(own, cluster);
        match mesh.and_then(|mesh| self.federates(mesh, own, name, cluster, service)) {
            Ok(()) => Some(host),
            Err(missing) => {
                diagnostics.push(missing.report(
                    format!("service `{name}` of cluster `{cluster}` cannot be reached from gateways in cluster `{own}`"),
                    place,
                ));
                None
            }
        }
    }

    /// The host of a Service for gateways, whether it is federated to them or not.
    pub(super) fn federated_host(&self, name: &ObjectName, cluster: Option<&str>) -> String {
        let (Some(own), Some(cluster)) = (self.own, cluster) else {
            return local_host(name);
        };
        if own == cluster {
            return local_host(name);
        }
        if let Some(recorded) = self.recorded(name, cluster) {
            return recorded.to_owned();
        }
        let mesh = self.common_mesh(own, cluster).ok();
        let federation = mesh.and_then(|mesh| mesh.federation.as_ref());
        let suffix = federation.and_then(|federation| federation.suffix.as_ref());
        let suffix = suffix.map_or(DEFAULT_SUFFIX, |suffix| suffix.value.as_str());
        format!("{}.{}.svc.{cluster}.{suffix}", name.name, name.namespace)
    }

    fn recorded(&self, name: &ObjectName, cluster: &str) -> Option<&'r str> {
        let key = (cluster, name.namespace.as_str(), name.name.as_str());
        self.recorded.get(&key).copied()
    }

    /// Whether gateways may send requests to a cluster at all; reported if not.
    pub(super) fn reaches(
        &self,
        cluster: Option<&str>,
        place: Span,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        let (Some(own), Some(cluster)) = (self.own, cluster) else {
            return true;
        };
        if own == cluster || self.meshes.is_empty() && self.resources.clusters.is_empty() {
            return true;
        }
        match self.common_mesh(own, cluster) {
            Ok(_) => true,
            Err(missing) => {
                diagnostics.push(missing.report(
                    format!(
                        "cluster `{cluster}` cannot be reached from gateways in cluster `{own}`"
                    ),
                    place,
                ));
                false
            }
        }
    }

    fn common_mesh(&self, own: &str, cluster: &str) -> Result<&'r VirtualMesh, Missing> {
        let meshes = &self.meshes;
        let with = |cluster: &str| meshes.iter().find(|mesh| self.has_member(mesh, cluster));
        if let Some(both) = meshes
            .iter()
            .find(|mesh| self.has_member(mesh, own) && self.has_member(mesh, cluster))
        {
            return Ok(both);
        }
        Err(match (with(own), with(cluster)) {
            _ if meshes.is_empty() => Missing::new(
                "there is no VirtualMesh",
                "pass the VirtualMesh that both meshes belong to",
            ),
            (Some(mine), Some(other)) => Missing::new(
                format!(
                    "their meshes are in different virtual meshes, `{}` and `{}`",
                    mine.metadata.id, other.metadata.id
                ),
                "put both meshes into one VirtualMesh",
            )
            .at(mine.metadata.span),
            (Some(mine), None) => Missing::new(
                format!(
                    "no mesh of cluster `{cluster}` is in the virtual mesh `{}`",
                    mine.metadata.id
                ),
                "add it to `meshes`",
            )
            .at(mine.metadata.span),
            (None, _) => Missing::new(
                format!("no mesh of cluster `{own}` is in a virtual mesh"),
                "add it to the `meshes` of a VirtualMesh",
            ),
        })
    }

    fn federates(
        &self,
        mesh: &VirtualMesh,
        own: &str,
        name: &ObjectName,
        cluster: &str,
        service: Option<&Service>,
    ) -> Result<(), Missing> {
        let id = &mesh.metadata.id;
        let Some(federation) = &mesh.federation else {
            return Err(Missing::new(
                format!("the virtual mesh `{id}` has no `federation`"),
                "add `federation: {selectors: [{}]}` to federate every service",
            )
            .at(mesh.metadata.span));
        };
        if federation.permissive {
            return Ok(());
        }
        if federation.selectors.is_empty() {
            return Err(Missing::new(
                format!("the federation of the virtual mesh `{id}` selects nothing"),
                "add `selectors: [{}]` to federate every service",
            )
            .at(federation.span));
        }
        let unknown = Service::unknown(name, cluster);
        let service = service.unwrap_or(&unknown);
        let selecting = federation
            .selectors
            .iter()
            .filter(|selector| selects_any(&selector.destinations, service));
        let mut any = false;
        for selector in selecting {
            any = true;
            let mut meshes = selector.meshes.iter();
            if selector.meshes.is_empty() || meshes.any(|one| self.is_of(one, id, own)) {
                return Ok(());
            }
        }
        Err(if any {
            Missing::new(
                format!(
                    "the virtual mesh `{id}` federates it, but not to a mesh of cluster `{own}`"
                ),
                "add the mesh to the `meshes` of the federation's selector",
            )
        } else {
            Missing::new(
                format!("no federation selector of the virtual mesh `{id}` selects it"),
                "add it to `federation.selectors`",
            )
        }
        .at(federation.span))
    }

    fn has_member(&self, mesh: &VirtualMesh, cluster: &str) -> bool {
        let id = &mesh.metadata.id;
        mesh.meshes
            .iter()
            .any(|member| self.is_of(member, id, cluster))
    }

    /// Whether a reference means a mesh of a cluster. Discovery names meshes `istiod-NAMESPACE-CLUSTER`, which has to do
    /// for those that are not among the input.
    fn is_of(&self, mesh: &ObjectRef, owner: &ObjectName, cluster: &str) -> bool {
        let name = full_name(mesh, &owner.namespace);
        match self.clusters.get(&name) {
            Some(&of) => of == cluster,
            None => name
                .name
                .strip_suffix(cluster)
                .is_some_and(|rest| rest.starts_with("istiod-") && rest.ends_with('-')),
        }
    }

    /// All virtual meshes, checked: each with its members and the gateways between their clusters.
    pub(super) fn resolve(
        &self,
        running: &Gateways<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Vec<tree::VirtualMesh> {
        let mut owners: BTreeMap<ObjectName, &VirtualMesh> = BTreeMap::new();
        let mut resolved = Vec::new();
        for &mesh in &self.meshes {
            let id = &mesh.metadata.id;
            let mut members = Vec::new();
            for reference in &mesh.meshes {
                let name = full_name(reference, &id.namespace);
                let first = *owners.entry(name.clone()).or_insert(mesh);
                if !std::ptr::eq(first, mesh) {
                    diagnostics.push(
                        Diagnostic::at(
                            Code::MeshInTwoVirtualMeshes,
                            reference.span,
                            format!(
                                "mesh `{name}` is in the virtual mesh `{}` as well",
                                first.metadata.id
                            ),
                        )
                        .also(first.metadata.span, "this one")
                        .help("remove it from one of them"),
                    );
                }
                members.push((name, reference.span));
            }
            if let Some(federation) = &mesh.federation {
                self.check_suffix(federation, &members, diagnostics);
            }
            resolved.push(self.virtual_mesh(mesh, members, running, diagnostics));
        }
        resolved.sort_by(|a, b| a.name.cmp(&b.name));
        resolved
    }

    fn virtual_mesh(
        &self,
        mesh: &VirtualMesh,
        members: Vec<(ObjectName, Span)>,
        running: &Gateways<'_>,
        diagnostics: &mut Diagnostics,
    ) -> tree::VirtualMesh {
        let federation = mesh.federation.as_ref();
        let several = members.len() > 1;
        let members = members.into_iter().map(|(name, span)| {
            let cluster = self.clusters.get(&name).map(|&cluster| cluster.to_owned());
            let gateways = match (federation, &cluster) {
                (Some(federation), Some(cluster)) if several && !federation.flat_network => {
                    running.between_clusters(&federation.gateways, cluster, span, diagnostics)
                }
                _ => Vec::new(),
            };
            let inventoried = cluster.as_ref().is_some_and(|cluster| running.knows(cluster));
            if federation.is_some_and(|f| !f.flat_network) && several && inventoried && gateways.is_empty() {
                diagnostics.push(
                    Diagnostic::at(
                        Code::NoGatewayBetweenClusters,
                        span,
                        format!("the inventory has no gateway for traffic from other clusters into mesh `{name}`"),
                    )
                    .help("select one with `federation.ingressGatewaySelectors`; by default it is a Service whose pods are labelled `istio: ingressgateway`, with a port named `tls`"),
                );
            }
            tree::MeshMember { mesh: name, cluster, gateways }
        });
        tree::VirtualMesh {
            name: mesh.metadata.id.clone(),
            members: members.collect(),
            suffix: federation
                .and_then(|f| f.suffix.as_ref())
                .map_or(DEFAULT_SUFFIX.to_owned(), |suffix| suffix.value.clone()),
            is_federated: federation.is_some_and(|f| f.permissive || !f.selectors.is_empty()),
            flat_network: federation.is_some_and(|f| f.flat_network),
        }
    }

    /// Names that end with anything but `global` are resolved by the proxies themselves.
    fn check_suffix(
        &self,
        federation: &Federation,
        members: &[(ObjectName, Span)],
        diagnostics: &mut Diagnostics,
    ) {
        let Some(suffix) = federation
            .suffix
            .as_ref()
            .filter(|s| s.value != DEFAULT_SUFFIX)
        else {
            return;
        };
        for mesh in &self.resources.meshes {
            if mesh.smart_dns == Some(false)
                && members.iter().any(|(name, _)| *name == mesh.metadata.id)
            {
                diagnostics.push(
                    Diagnostic::at(
                        Code::SuffixWithoutDns,
                        suffix.span,
                        format!(
                            "names that end with `{suffix}` cannot be resolved in mesh `{}`",
                            mesh.metadata.id
                        ),
                    )
                    .also(mesh.metadata.span, "it has no smart DNS proxying")
                    .help("enable smart DNS proxying there, or use the suffix `global`"),
                );
            }
        }
    }
}

/// `<name>.<namespace>.svc.cluster.local`.
pub(super) fn local_host(name: &ObjectName) -> String {
    format!("{}.{}.svc.cluster.local", name.name, name.namespace)
}

/// What is missing on the way to another cluster.
struct Missing {
    what: String,
    help: String,
    place: Option<Span>,
}

impl Missing {
    fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: help.into(),
            place: None,
        }
    }

    fn at(mut self, place: Span) -> Self {
        self.place = Some(place);
        self
    }

    fn report(self, message: String, place: Span) -> Diagnostic {
        let diagnostic = Diagnostic::at(
            Code::NotFederated,
            place,
            format!("{message}: {}", self.what),
        )
        .help(self.help);
        match self.place {
            Some(place) => diagnostic.also(place, "declared here"),
            None => diagnostic,
        }
    }
}
