//! Where requests and connections go.

use std::collections::BTreeMap;

use crate::resource::ObjectName;

/// A resolved destination. Equal destinations compare equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    /// Kind and object.
    pub target: DestinationTarget,
    /// Port.
    pub port: u16,
    /// Name of the Envoy cluster, Istio style: `outbound|9080|version-v2|reviews.bookinfo.svc.cluster.local`.
    pub cluster: String,
}

/// The object behind a [`Destination`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DestinationTarget {
    /// A Kubernetes Service.
    KubeService {
        /// Namespace and name.
        name: ObjectName,
        /// Cluster it was asked for in, if written.
        cluster_name: Option<String>,
        /// Pod labels.
        subset: BTreeMap<String, String>,
    },
    /// A VirtualDestination.
    VirtualDestination {
        /// Namespace and name.
        name: ObjectName,
        /// Pod labels.
        subset: BTreeMap<String, String>,
    },
    /// A discovery Destination with an external service.
    StaticDestination {
        /// Namespace and name.
        name: ObjectName,
        /// `address:port` of its endpoints (its first host when it lists none), for targets that write clusters.
        endpoints: Vec<(String, u16)>,
    },
}

impl Destination {
    /// Name of the VirtualDestination, if it is one.
    pub(crate) fn virtual_name(&self) -> Option<&ObjectName> {
        match &self.target {
            DestinationTarget::VirtualDestination { name, .. } => Some(name),
            DestinationTarget::KubeService { .. } | DestinationTarget::StaticDestination { .. } => {
                None
            }
        }
    }
}
