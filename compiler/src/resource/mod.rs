//! What the YAML says: the resources as their users wrote them, every value with its place.
//!
//! No defaults are applied and nothing is resolved here, except that durations, enums and numbers are parsed.
//! A value that could not be read was reported and is absent.

pub mod auth_config;
pub mod destination;
pub mod external;
pub mod gateway;
pub mod inventory;
pub mod listener;
pub mod options;
pub mod route;
pub mod selector;
pub mod traffic_policy;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::source::{Span, Spanned};

pub use auth_config::{AuthConfig, Secret};
pub use destination::{
    Backends, ClusterObjectRef, Destination, DestinationKind, ExternalService, FailoverDirective,
    OutlierDetection, Service, ServicePort, ServiceType, TargetPort, TlsMode, VirtualDestination,
    WeightedDestination,
};
pub use gateway::{
    ConnectionHandler, HandlerKind, Normalization, RouteConfig, TcpRoutes, TcpSettings,
    VirtualGateway,
};
pub use inventory::{
    DestinationRule, DestinationSelector, Federation, FederationSelector, IngressGatewaySelector,
    Mesh, MeshSettings, Namespace, Node, Pods, ServiceEntry, ServiceMatcher, ServiceRef,
    VirtualMesh, Visibility,
};
pub use listener::{Listener, Tls, TlsFiles};
pub use options::{HeaderManipulation, Retries, RetryConditions, WrittenOptions};
pub use route::{
    Action, DelegateAction, DirectResponseAction, ForwardAction, HeaderMatcher, Matcher, PathKind,
    QueryMatcher, RedirectAction, Route, SortMethod, TextPlace, Uri, ValueMatcher,
};
pub use selector::{Expression, LabelSelector, ObjectSelector, Operator};
pub use traffic_policy::{DestinationSettings, RouteSelector, TrafficPolicy};

/// `namespace/name` of an object of one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A reference to an object; an absent namespace means the namespace of the object that refers.
#[derive(Clone, Debug)]
pub struct ObjectRef {
    /// Name.
    pub name: Spanned<String>,
    /// Namespace, if written.
    pub namespace: Option<Spanned<String>>,
    /// The whole reference.
    pub span: Span,
}

/// Name, labels and age of an object.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Namespace (`default` when absent) and name.
    pub id: ObjectName,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `creationTimestamp` as written (RFC 3339, so it sorts as text); absent in files that people write.
    pub created: Option<String>,
    /// Place of the name, the one to point at for findings about the whole object.
    pub span: Span,
}

/// `spec` of a VirtualHost; also written inline in a VirtualGateway.
#[derive(Clone, Debug, Default)]
pub struct VirtualHostSpec {
    /// Domains as written.
    pub domains: Vec<Spanned<String>>,
    /// Routes in order; routes that could not be read are left out.
    pub routes: Vec<Route>,
    /// `options.trafficPolicy`.
    pub options: WrittenOptions,
    /// `ignorePathParameters`.
    pub ignore_path_parameters: bool,
    /// `requireTls`.
    pub require_tls: RequireTls,
    /// The whole spec.
    pub span: Span,
}

/// Which clients a virtual host answers only over TLS. The greater one is stricter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequireTls {
    /// None.
    #[default]
    Nobody,
    /// Those that the proxy does not take for internal.
    External,
    /// All.
    Everybody,
}

/// A VirtualHost object.
#[derive(Clone, Debug)]
pub struct VirtualHost {
    /// Its metadata.
    pub metadata: Metadata,
    /// Its spec.
    pub spec: VirtualHostSpec,
}

/// A RouteTable object.
#[derive(Clone, Debug)]
pub struct RouteTable {
    /// Its metadata.
    pub metadata: Metadata,
    /// Routes in order; routes that could not be read are left out.
    pub routes: Vec<Route>,
    /// Sort key among the tables of one delegating route; higher comes first.
    pub weight: i32,
    /// `options.trafficPolicy`: defaults for its routes, below the route's own, above what it inherits.
    pub options: WrittenOptions,
    /// The whole spec.
    pub span: Span,
}

/// Everything that was read, in the order of the input.
#[derive(Debug, Default)]
pub struct Resources {
    /// VirtualGateway objects.
    pub virtual_gateways: Vec<VirtualGateway>,
    /// VirtualHost objects.
    pub virtual_hosts: Vec<VirtualHost>,
    /// RouteTable objects.
    pub route_tables: Vec<RouteTable>,
    /// TrafficPolicy objects.
    pub traffic_policies: Vec<TrafficPolicy>,
    /// VirtualDestination objects.
    pub virtual_destinations: Vec<VirtualDestination>,
    /// Discovery Destination objects (external services, and Kubernetes services found by discovery).
    pub destinations: Vec<Destination>,
    /// Plain Kubernetes Services.
    pub services: Vec<Service>,
    /// AuthConfig objects.
    pub auth_configs: Vec<AuthConfig>,
    /// Secrets that hold API keys.
    pub secrets: Vec<Secret>,
    /// RateLimitClientConfig objects.
    pub rate_limit_clients: Vec<external::RateLimitClientConfig>,
    /// RateLimitServerConfig objects.
    pub rate_limit_servers: Vec<external::RateLimitServerConfig>,
    /// Deployments and Pods.
    pub pods: Vec<Pods>,
    /// Nodes.
    pub nodes: Vec<Node>,
    /// DestinationRules of the clusters.
    pub destination_rules: Vec<DestinationRule>,
    /// ServiceEntries of the clusters.
    pub service_entries: Vec<ServiceEntry>,
    /// What Istio is told of the meshes of the clusters; several where Istio has several revisions.
    pub mesh_settings: Vec<MeshSettings>,
    /// Namespaces of the clusters.
    pub namespaces: Vec<Namespace>,
    /// Mesh objects.
    pub meshes: Vec<Mesh>,
    /// VirtualMesh objects.
    pub virtual_meshes: Vec<VirtualMesh>,
    /// Clusters of which there is an inventory.
    pub clusters: BTreeSet<String>,
    /// KubernetesCluster objects.
    pub registered_clusters: BTreeSet<String>,
    /// The objects that have a status, whether they are usable or not.
    pub objects: Vec<Object>,
    /// Objects that are there, but were reported and left out: a reference to one of them is no mistake of its own.
    pub left_out: Vec<LeftOut>,
}

impl Resources {
    /// Services of a name in a cluster: manifests first, then what discovery found. A plain manifest may be of any cluster.
    pub(crate) fn services_named(
        &self,
        name: &ObjectName,
        cluster: Option<&str>,
    ) -> impl Iterator<Item = &Service> {
        let discovered = self.destinations.iter().filter_map(|d| d.kube.as_ref());
        self.services
            .iter()
            .chain(discovered)
            .filter(move |service| {
                service.name == name.name
                    && service.namespace == name.namespace
                    && (cluster.is_none()
                        || service.cluster.is_none()
                        || service.cluster.as_deref() == cluster)
            })
    }

    /// Port of the pods that a port of their Service leads to, if it is known.
    pub(crate) fn target_port(&self, service: &Service, port: &ServicePort) -> Option<u16> {
        match &port.target {
            None => Some(port.number),
            Some(TargetPort::Number(number)) => Some(*number),
            Some(TargetPort::Name(name)) => {
                let selected = |labels: &BTreeMap<String, String>| {
                    let mut wanted = service.selector.iter();
                    wanted.all(|(key, value)| labels.get(key) == Some(value))
                };
                let pods = self.pods.iter().filter(|pods| {
                    pods.cluster == service.cluster
                        && pods.name.namespace == service.namespace
                        && selected(&pods.labels)
                });
                pods.filter_map(|pods| pods.ports.get(name).copied()).min()
            }
        }
    }

    /// Region of a cluster, if its nodes say so.
    pub(crate) fn region(&self, cluster: Option<&str>) -> Option<String> {
        let nodes = self.nodes.iter();
        nodes
            .filter(|node| node.cluster.as_deref() == cluster && node.region.is_some())
            .min_by_key(|node| &node.name)
            .and_then(|node| node.region.clone())
    }
}

/// An object that was reported and left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its kind, for example `RouteTable`.
    pub kind: &'static str,
    /// Its name.
    pub id: ObjectName,
}

/// An object of the routing API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its kind.
    pub kind: &'static str,
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its name.
    pub id: ObjectName,
    /// `metadata.generation`, if a cluster gave it one.
    pub generation: Option<i64>,
    /// Place of its name.
    pub name_span: Span,
    /// The whole object.
    pub span: Span,
}
