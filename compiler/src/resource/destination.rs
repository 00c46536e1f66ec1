//! Destinations: what routes point at, and the objects that define them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{DestinationSelector, Metadata, ObjectRef, Visibility, WrittenOptions};
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
    /// Protocol as written; `http` when absent.
    pub protocol: Option<String>,
    /// Port of the Services behind it; absent: the same number, else their only port.
    pub target: Option<Spanned<TargetPort>>,
    /// The Services behind it.
    pub backends: Backends,
    /// The whole spec.
    pub span: Span,
}

/// What is behind a VirtualDestination.
#[derive(Clone, Debug)]
pub enum Backends {
    /// The resource does not say.
    Unknown,
    /// `static`: in the order in which they are preferred.
    Static(Vec<ClusterObjectRef>),
    /// `localized`: the nearest one.
    Localized {
        /// Any of them selects.
        selectors: Vec<DestinationSelector>,
        /// Which regions take over from which.
        failover: Vec<FailoverDirective>,
        /// When an instance is left alone for a while.
        outlier_detection: Option<OutlierDetection>,
    },
}

/// `outlierDetection`: when an instance that fails is left alone for a while. What is not written has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutlierDetection {
    /// Errors in a row, at least 1.
    pub consecutive_errors: Option<u32>,
    /// Time between two looks, at least 1 ms.
    pub interval: Option<Duration>,
    /// Shortest time it is left alone, at least 1 ms.
    pub base_ejection_time: Option<Duration>,
    /// Most instances that are left alone at a time, in percent, at least 1.
    pub max_ejection_percent: Option<u32>,
}

impl OutlierDetection {
    /// What a TrafficPolicy means that says no more than that there is outlier detection.
    pub const OF_POLICIES: Self = Self {
        consecutive_errors: Some(5),
        interval: Some(Duration::from_secs(10)),
        base_ejection_time: Some(Duration::from_secs(30)),
        max_ejection_percent: Some(100),
    };

    /// What a VirtualDestination means that says nothing: instances are left alone soon enough for other services to take
    /// over.
    pub const OF_VIRTUAL_DESTINATIONS: Self = Self {
        consecutive_errors: Some(10),
        interval: Some(Duration::from_secs(5)),
        base_ejection_time: Some(Duration::from_secs(120)),
        max_ejection_percent: Some(100),
    };

    /// Completes it with what is usual.
    #[must_use]
    pub fn or(&self, usual: &Self) -> Self {
        Self {
            consecutive_errors: self.consecutive_errors.or(usual.consecutive_errors),
            interval: self.interval.or(usual.interval),
            base_ejection_time: self.base_ejection_time.or(usual.base_ejection_time),
            max_ejection_percent: self.max_ejection_percent.or(usual.max_ejection_percent),
        }
    }
}

/// `mtls.istio.tlsMode`: whether gateways speak TLS to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// They do not.
    Disable,
    /// They do, and the destination alone has a certificate.
    Simple,
    /// Both have certificates of the mesh.
    IstioMutual,
}

impl TlsMode {
    /// As it is written, by resources and by Istio.
    pub fn as_str(self) -> &'static str {
        match self {
            TlsMode::Disable => "DISABLE",
            TlsMode::Simple => "SIMPLE",
            TlsMode::IstioMutual => "ISTIO_MUTUAL",
        }
    }
}

/// Regions that take over from another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailoverDirective {
    /// Region whose services fail.
    pub from: String,
    /// Regions that take over, in order.
    pub to: Vec<String>,
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
    /// Port on every node, if it has one.
    pub node_port: Option<u16>,
    /// Port of the pods; absent: the same number.
    pub target: Option<TargetPort>,
}

/// Port of the pods behind a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPort {
    /// Its number.
    Number(u16),
    /// Name of a port of their containers.
    Name(String),
}

/// How a Service is reached from outside its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ServiceType {
    /// Not at all.
    #[default]
    ClusterIp,
    /// By a port of the nodes.
    NodePort,
    /// By a load balancer.
    LoadBalancer,
    /// It is another name of something outside.
    ExternalName,
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
    /// Labels of the Service itself.
    pub labels: BTreeMap<String, String>,
    /// Labels of its pods.
    pub selector: BTreeMap<String, String>,
    /// How it is reached from outside.
    pub service_type: ServiceType,
    /// Addresses of its load balancer, or what discovery says about its addresses outside.
    pub addresses: Vec<String>,
    /// Name by which other meshes reach it, as discovery recorded it.
    pub federated_host: Option<String>,
    /// Ports.
    pub ports: Vec<ServicePort>,
    /// Namespaces whose proxies know it.
    pub visibility: Visibility,
    /// Discovery tells of it, and not of its annotations; otherwise it is as its manifest says.
    pub is_discovered: bool,
    /// The place to point at.
    pub span: Span,
}

impl Service {
    /// A Service of which only the name is known.
    pub(crate) fn unknown(name: &super::ObjectName, cluster: &str) -> Self {
        Self {
            name: name.name.clone(),
            namespace: name.namespace.clone(),
            cluster: Some(cluster.to_owned()),
            labels: BTreeMap::new(),
            selector: BTreeMap::new(),
            service_type: ServiceType::default(),
            addresses: Vec::new(),
            federated_host: None,
            ports: Vec::new(),
            visibility: Visibility::default(),
            is_discovered: false,
            span: Span::default(),
        }
    }
}
