//! Destinations: what routes point at, and the objects that define them.

use std::collections::BTreeMap;

use super::{Metadata, ObjectRef, WrittenOptions};
use crate::rare::Rare;
use crate::source::{Span, Spanned};

/// One entry of `routeAction.destinations`.
#[derive(Clone, Debug)]
pub struct WeightedDestination {
    /// Which kind, and which object.
    pub kind: DestinationKind,
    /// Weight, if written.
    pub weight: Option<Spanned<u32>>,
    /// `options`; only `headerManipulation` exists on this level.
    pub options: Rare<WrittenOptions>,
    /// The whole entry.
    pub span: Span,
}

/// The object a destination points at.
#[derive(Clone, Debug)]
pub enum DestinationKind {
    /// `kubeService`.
    KubeService(ClusterObjectRef),
    /// `virtualDestination`.
    Virtual {
        /// The VirtualDestination.
        target: ObjectRef,
        /// Pod labels.
        subset: BTreeMap<String, String>,
    },
    /// `staticDestination`: a discovery Destination with `externalService`.
    Static(ObjectRef),
}

/// A Service in one named cluster.
#[derive(Clone, Debug)]
pub struct ClusterObjectRef {
    /// Name.
    pub name: Spanned<String>,
    /// Namespace, if written.
    pub namespace: Option<Spanned<String>>,
    /// Cluster, if written.
    pub cluster: Option<Spanned<String>>,
    /// Pod labels.
    pub subset: BTreeMap<String, String>,
    /// Service port, 1 to 65535; required when the Service has several.
    pub port: Option<Spanned<u16>>,
    /// The whole reference.
    pub span: Span,
}

/// A VirtualDestination object.
#[derive(Clone, Debug)]
pub struct VirtualDestination {
    /// Its metadata.
    pub metadata: Metadata,
    /// Host that stands for it.
    pub hostname: Spanned<String>,
    /// Listening port.
    pub port: Spanned<u16>,
    /// The whole spec.
    pub span: Span,
}

/// A discovery Destination object.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Its metadata.
    pub metadata: Metadata,
    /// `spec.externalService`, which makes it a static destination.
    pub external: Option<ExternalService>,
    /// `spec.kubeService`: a Service that discovery found.
    pub kube: Option<Service>,
    /// The whole spec.
    pub span: Span,
}

/// `spec.externalService`.
#[derive(Clone, Debug)]
pub struct ExternalService {
    /// DNS names clients use; the first one is the service's own.
    pub hosts: Vec<Spanned<String>>,
    /// Ports.
    pub ports: Vec<ServicePort>,
    /// Where it really is; empty = its first host.
    pub endpoints: Vec<Endpoint>,
}

/// A real address of an external service.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// IP address or DNS name.
    pub address: Spanned<String>,
    /// Port by port name.
    pub ports: BTreeMap<String, u16>,
}

/// A port of a service.
#[derive(Clone, Debug)]
pub struct ServicePort {
    /// Number.
    pub number: u16,
    /// Name; empty when there is only one.
    pub name: String,
    /// Protocol as written.
    pub protocol: String,
}

/// A Kubernetes Service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Cluster it lives in; absent in plain manifests.
    pub cluster: Option<String>,
    /// Ports.
    pub ports: Vec<ServicePort>,
    /// The place to point at.
    pub span: Span,
}
