//! What runs in the clusters: selectors of Services, and the objects that a cluster's inventory holds.

use std::collections::BTreeMap;

use super::{LabelSelector, Metadata, ObjectName, ObjectRef, ServicePort};
use crate::source::{Span, Spanned};

/// Selects the Services of gateways, and a port of theirs.
#[derive(Clone, Debug)]
pub struct IngressGatewaySelector {
    /// Any of them has to select the Service. Absent: Services whose pods are labelled `istio: ingressgateway`; an
    /// empty list: all Services.
    pub destinations: Option<Vec<DestinationSelector>>,
    /// Name of the port; `tls` when absent.
    pub port_name: Option<Spanned<String>>,
    /// The whole selector.
    pub span: Span,
}

/// Selects Services. One that says nothing selects nothing.
#[derive(Clone, Debug)]
pub struct DestinationSelector {
    /// By labels, namespaces and clusters.
    pub matcher: Option<ServiceMatcher>,
    /// By name.
    pub refs: Vec<ServiceRef>,
    /// Static destinations by name; only in a TrafficPolicy.
    pub external: Vec<Spanned<ObjectName>>,
}

/// All of its parts must hold; an empty part holds always.
#[derive(Clone, Debug, Default)]
pub struct ServiceMatcher {
    /// Labels of the Service.
    pub labels: BTreeMap<String, String>,
    /// Namespaces.
    pub namespaces: Vec<Spanned<String>>,
    /// Clusters.
    pub clusters: Vec<Spanned<String>>,
}

/// One Service in one cluster.
#[derive(Clone, Debug)]
pub struct ServiceRef {
    /// Namespace and name.
    pub name: ObjectName,
    /// Cluster.
    pub cluster: String,
}

/// Pods that run together: a Deployment or a single Pod.
#[derive(Clone, Debug)]
pub struct Pods {
    /// Namespace and name.
    pub name: ObjectName,
    /// Cluster; absent in plain manifests.
    pub cluster: Option<String>,
    /// Labels of the pods.
    pub labels: BTreeMap<String, String>,
    /// Named ports of their containers.
    pub ports: BTreeMap<String, u16>,
    /// Place of the name.
    pub span: Span,
}

/// A machine of a cluster.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name.
    pub name: String,
    /// Cluster; absent in plain manifests.
    pub cluster: Option<String>,
    /// Addresses for clients outside; those inside if there are none.
    pub addresses: Vec<String>,
    /// `topology.kubernetes.io/region`.
    pub region: Option<String>,
    /// `topology.kubernetes.io/zone`.
    pub zone: Option<String>,
}

/// An Istio DestinationRule that somebody wrote.
#[derive(Clone, Debug)]
pub struct DestinationRule {
    /// Namespace and name.
    pub name: ObjectName,
    /// Cluster; absent in plain manifests.
    pub cluster: Option<String>,
    /// `spec.host` as written.
    pub host: String,
    /// Labels by which meshgate knows its own rules.
    pub labels: BTreeMap<String, String>,
    /// The whole spec.
    pub spec: serde_json::Value,
    /// Place of the name.
    pub span: Span,
}

/// An Istio ServiceEntry that somebody wrote.
#[derive(Clone, Debug)]
pub struct ServiceEntry {
    /// Namespace and name.
    pub name: ObjectName,
    /// Cluster; absent in plain manifests.
    pub cluster: Option<String>,
    /// Labels by which meshgate knows its own entries.
    pub labels: BTreeMap<String, String>,
    /// `spec.hosts`; a host may start with `*.`.
    pub hosts: Vec<String>,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
    /// `spec.exportTo`.
    pub visibility: Visibility,
    /// Place of the name.
    pub span: Span,
}

/// Namespaces whose proxies know a Service or an object of Istio: `exportTo` as written, namespaces, `.` (its own), `*`
/// (all) and `~` (none). Empty: all, unless the mesh says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visibility(pub Vec<String>);

impl Visibility {
    /// Whether proxies in a namespace know what stands in namespace `own`.
    pub fn includes(&self, namespace: &str, own: &str) -> bool {
        let has = |wanted: &str| self.0.iter().any(|one| one == wanted);
        if self.0.is_empty() || has("*") {
            return true;
        }
        !has("~") && (has(namespace) || has(".") && namespace == own)
    }
}

/// What a cluster's ConfigMap of Istio says of the mesh.
#[derive(Clone, Debug)]
pub struct MeshSettings {
    /// Namespace and name of the ConfigMap.
    pub name: ObjectName,
    /// Cluster.
    pub cluster: String,
    /// `defaultServiceExportTo`: who knows Services and ServiceEntries that do not say it themselves.
    pub visibility: Visibility,
    /// `discoverySelectors`: Istio knows namespaces that one of them selects; all if there is none.
    pub discovery: Vec<LabelSelector>,
    /// Place of the text of the mesh.
    pub span: Span,
}

/// A namespace of a cluster.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// Name.
    pub name: String,
    /// Cluster.
    pub cluster: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A Mesh object: an Istio installation in one cluster.
#[derive(Clone, Debug)]
pub struct Mesh {
    /// Its metadata.
    pub metadata: Metadata,
    /// Cluster it is installed in.
    pub cluster: Option<String>,
    /// Namespace of istiod.
    pub namespace: Option<String>,
    /// Whether its proxies resolve names of the mesh; absent when discovery does not say.
    pub smart_dns: Option<bool>,
    /// Trust domain.
    pub trust_domain: Option<String>,
}

/// A VirtualMesh object.
#[derive(Clone, Debug)]
pub struct VirtualMesh {
    /// Its metadata.
    pub metadata: Metadata,
    /// Meshes that belong to it.
    pub meshes: Vec<ObjectRef>,
    /// How services are made known to the other meshes; absent: they are not.
    pub federation: Option<Federation>,
}

/// `spec.federation`.
#[derive(Clone, Debug)]
pub struct Federation {
    /// What is federated: nothing if there is no selector.
    pub selectors: Vec<FederationSelector>,
    /// Everything is federated to all meshes.
    pub permissive: bool,
    /// Pods reach one another directly.
    pub flat_network: bool,
    /// What federated names end with, if written.
    pub suffix: Option<Spanned<String>>,
    /// Gateways for traffic between clusters; empty: the usual ones.
    pub gateways: Vec<IngressGatewaySelector>,
    /// The whole federation.
    pub span: Span,
}

/// Services that are federated, and where to.
#[derive(Clone, Debug)]
pub struct FederationSelector {
    /// Any of them has to select the Service; an empty list selects all.
    pub destinations: Vec<DestinationSelector>,
    /// Meshes they become known to; empty: all of the virtual mesh.
    pub meshes: Vec<ObjectRef>,
}
