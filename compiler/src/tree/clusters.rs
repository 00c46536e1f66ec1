//! What a configuration means in its clusters: gateways that run, meshes, and what is behind virtual destinations.

use std::collections::BTreeMap;

use crate::resource::{FailoverDirective, ObjectName, OutlierDetection};

/// A gateway that runs: the pods behind one Service, and the port of theirs that a VirtualGateway has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GatewayWorkload {
    /// Cluster it runs in; absent if the input does not say.
    pub cluster: Option<String>,
    /// Namespace of its pods and of its Service.
    pub namespace: String,
    /// Labels of its pods.
    pub labels: BTreeMap<String, String>,
    /// Name of the Service, if known.
    pub service: Option<String>,
    /// Port of the Service.
    pub port: u16,
    /// Name of this port.
    pub port_name: String,
    /// Port of the pods, if known.
    pub target_port: Option<u16>,
    /// Where clients outside the cluster reach it: IP addresses and host names.
    pub external_addresses: Vec<String>,
    /// Port at these addresses.
    pub external_port: Option<u16>,
}

impl GatewayWorkload {
    /// Whether it runs in a cluster. One whose cluster is not known may run in any.
    pub fn in_cluster(&self, cluster: &str) -> bool {
        self.cluster.as_ref().is_none_or(|own| own == cluster)
    }
}

/// Meshes whose services may reach one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualMesh {
    /// Namespace and name.
    pub name: ObjectName,
    /// Its meshes, in the order they are written.
    pub members: Vec<MeshMember>,
    /// What federated names end with.
    pub suffix: String,
    /// Whether any service is federated.
    pub is_federated: bool,
    /// Whether pods reach one another directly.
    pub flat_network: bool,
}

/// A mesh of a [`VirtualMesh`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshMember {
    /// Namespace and name of the Mesh.
    pub mesh: ObjectName,
    /// Its cluster, if the Mesh object is among the input.
    pub cluster: Option<String>,
    /// Gateways for traffic from the other meshes.
    pub gateways: Vec<GatewayWorkload>,
}

/// A VirtualDestination and what is behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualDestination {
    /// Namespace and name.
    pub name: ObjectName,
    /// Host that stands for it.
    pub hostname: String,
    /// Listening port.
    pub port: u16,
    /// Protocol as written.
    pub protocol: Option<String>,
    /// Services behind it: in order of preference if it is static, else by cluster.
    pub backends: Vec<Backend>,
    /// The nearest backend is preferred, not the first one.
    pub is_localized: bool,
    /// Which regions take over from which.
    pub failover: Vec<FailoverDirective>,
    /// When an instance that fails is left alone, if it is localized and says so.
    pub outlier_detection: Option<OutlierDetection>,
}

/// A Service behind a [`VirtualDestination`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Namespace and name.
    pub service: ObjectName,
    /// Its cluster, if known.
    pub cluster: Option<String>,
    /// Host by which gateways reach it: its own in their cluster, else its federated one.
    pub host: String,
    /// Port of the Service.
    pub port: u16,
    /// Region of its cluster, if the nodes say so.
    pub region: Option<String>,
}
