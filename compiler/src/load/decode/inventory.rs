//! What routes point at: VirtualDestination, Destination, Service.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cluster::{balancer_addresses, destination_selector};
use super::every;
use super::route::cluster_object_ref;
use super::value::{self, missing, port, required, service_port, strings};
use crate::diagnostic::Diagnostics;
use crate::load::node::Node;
use crate::resource::destination::Endpoint;
use crate::resource::{
    Backends, Destination, ExternalService, FailoverDirective, Metadata, OutlierDetection, Service,
    ServiceType, TargetPort, VirtualDestination, Visibility,
};
use crate::source::Spanned;

/// Annotation of a Service: the namespaces whose proxies know it.
const EXPORT_TO: &str = "networking.istio.io/exportTo";

/// A VirtualDestination.
pub(in crate::load) fn virtual_destination(
    metadata: Metadata,
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<VirtualDestination> {
    let hostname = required(node, "hostname", "a virtual destination", diagnostics);
    let port = match node.get("port").and_then(|port| port.get("number")) {
        Some(number) => port(number, diagnostics),
        None => {
            if !node.faulty {
                diagnostics.push(missing(node.span, "port.number", "a virtual destination"));
            }
            None
        }
    };
    let backends = backends(node, diagnostics);
    if node.faulty {
        return None;
    }
    let written = node.get("port");
    let target = |key: &str| written.and_then(|port| port.get(key));
    Some(VirtualDestination {
        metadata,
        hostname: hostname?,
        port: port?,
        protocol: written
            .and_then(|port| port.text_at("protocol"))
            .map(|protocol| protocol.value),
        target: match (target("targetNumber"), target("targetName")) {
            (Some(number), _) => {
                let number = value::port(number, diagnostics)?;
                Some(Spanned::new(TargetPort::Number(number.value), number.span))
            }
            (None, Some(name)) => name
                .text()
                .map(|name| Spanned::new(TargetPort::Name(name.value), name.span)),
            (None, None) => None,
        },
        backends: backends?,
        span: node.span,
    })
}

fn backends(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Backends> {
    if let Some(fixed) = node.get("static") {
        let services = fixed.list_at("destinations").iter();
        let services = services.filter_map(|destination| destination.get("kubeService"));
        return every(services, |service| cluster_object_ref(service, diagnostics))
            .map(Backends::Static);
    }
    let Some(localized) = node.get("localized") else {
        return Some(Backends::Unknown);
    };
    let region = |node: &Node<'_>| node.text_at("region").map(|region| region.value);
    let failover = localized
        .list_at("failoverDirectives")
        .iter()
        .filter_map(|directive| {
            Some(FailoverDirective {
                from: region(directive.get("from")?)?,
                to: directive.list_at("to").iter().filter_map(region).collect(),
            })
        })
        .collect();
    let selectors = every(localized.list_at("destinationSelectors"), |node| {
        destination_selector(node, diagnostics)
    });
    let outliers = match localized.get("outlierDetection") {
        Some(node) => Some(outlier_detection(node, diagnostics)?),
        None => None,
    };
    Some(Backends::Localized {
        selectors: selectors?,
        failover,
        outlier_detection: outliers,
    })
}

/// `outlierDetection`.
pub(super) fn outlier_detection(
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<OutlierDetection> {
    let mut time = |key: &str| match node.get(key) {
        Some(node) => {
            let what = format!("`{key}`");
            let time = value::duration(node, &what, Duration::from_millis(1), diagnostics)?;
            Some(Some(time.value))
        }
        None => Some(None),
    };
    let (interval, base_ejection_time) = (time("interval"), time("baseEjectionTime"));
    let percent = match node.get("maxEjectionPercent") {
        Some(node) => {
            let what = "`maxEjectionPercent`";
            let percent = value::integer_in(node, what, 0..=100, diagnostics)?;
            Some(u32::try_from(percent.value).ok()?)
        }
        None => None,
    };
    // The API cannot tell zero from what is not written.
    let written = |number: &u32| *number != 0;
    Some(OutlierDetection {
        consecutive_errors: node
            .get("consecutiveErrors")
            .and_then(Node::integer)
            .and_then(|errors| u32::try_from(errors).ok())
            .filter(written),
        interval: interval?,
        base_ejection_time: base_ejection_time?,
        max_ejection_percent: percent.filter(written),
    })
}

/// A discovery Destination.
pub(in crate::load) fn destination(
    metadata: Metadata,
    node: &Node<'_>,
    federated_host: Option<String>,
    diagnostics: &mut Diagnostics,
) -> Option<Destination> {
    let external = match node.get("externalService") {
        Some(external) => Some(external_service(external, diagnostics)?),
        None => None,
    };
    let kube = match node.get("kubeService") {
        Some(kube) => Some(kube_service(kube, federated_host, diagnostics)?),
        None => None,
    };
    if node.faulty {
        return None;
    }
    if external.is_none() && kube.is_none() {
        diagnostics.push(missing(
            node.span,
            "externalService` or `kubeService",
            "a destination",
        ));
        return None;
    }
    Some(Destination {
        metadata,
        external,
        kube,
        span: node.span,
    })
}

fn external_service(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<ExternalService> {
    let hosts = strings(node, "hosts");
    if hosts.is_empty() && !node.faulty {
        diagnostics.push(missing(node.span, "hosts", "an external service"));
        return None;
    }
    if node.list_at("ports").is_empty() && !node.faulty {
        diagnostics.push(missing(node.span, "ports", "an external service"));
        return None;
    }
    let ports = every(node.list_at("ports"), |node| {
        service_port(node, "number", diagnostics)
    });
    let endpoints = every(node.list_at("endpoints"), |node| {
        endpoint(node, diagnostics)
    });
    Some(ExternalService {
        hosts,
        ports: ports?,
        endpoints: endpoints?,
    })
}

fn endpoint(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Endpoint> {
    let address = required(node, "address", "an endpoint", diagnostics);
    let mut ports = BTreeMap::new();
    for entry in node.get("ports").map_or(&[][..], Node::entries) {
        ports.insert(
            entry.key.clone().into_owned(),
            port(&entry.value, diagnostics)?.value,
        );
    }
    Some(Endpoint {
        address: address?,
        ports,
    })
}

fn kube_service(
    node: &Node<'_>,
    federated_host: Option<String>,
    diagnostics: &mut Diagnostics,
) -> Option<Service> {
    let Some(reference) = node.get("ref") else {
        diagnostics.push(missing(node.span, "ref", "a discovered service"));
        return None;
    };
    let name = required(reference, "name", "a discovered service", diagnostics);
    let namespace = required(reference, "namespace", "a discovered service", diagnostics);
    let ports = every(node.list_at("ports"), |node| {
        service_port(node, "port", diagnostics)
    });
    Some(Service {
        name: name?.value,
        namespace: namespace?.value,
        cluster: reference
            .text_at("clusterName")
            .map(|cluster| cluster.value),
        labels: node.string_map_at("labels"),
        selector: node.string_map_at("workloadSelectorLabels"),
        service_type: match node.get("serviceType").and_then(Node::string) {
            Some("LOAD_BALANCER") => ServiceType::LoadBalancer,
            Some("NODE_PORT") => ServiceType::NodePort,
            Some("EXTERNAL_NAME") => ServiceType::ExternalName,
            _ => ServiceType::ClusterIp,
        },
        addresses: node
            .list_at("externalAddresses")
            .iter()
            .filter_map(|address| {
                let address = address.text_at("dnsName").or_else(|| address.text_at("ip"));
                Some(address?.value)
            })
            .collect(),
        federated_host,
        ports: ports?,
        visibility: Visibility::default(),
        is_discovered: true,
        span: node.span,
    })
}

/// A plain Kubernetes Service, from the whole object.
pub(in crate::load) fn service(
    metadata: &Metadata,
    cluster: Option<String>,
    object: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Service> {
    let node = object.get("spec")?;
    let ports = every(node.list_at("ports"), |node| {
        service_port(node, "port", diagnostics)
    })?;
    if node.faulty {
        return None;
    }
    let annotations = object.get("metadata").and_then(|it| it.get("annotations"));
    let export_to = annotations.and_then(|annotations| annotations.text_at(EXPORT_TO));
    let export_to = export_to.map(|list| list.value).unwrap_or_default();
    let export_to = export_to.split(',').map(str::trim);
    let export_to = export_to.filter(|one| !one.is_empty()).map(str::to_owned);
    let export_to: Vec<String> = export_to.collect();
    Some(Service {
        name: metadata.id.name.clone(),
        namespace: metadata.id.namespace.clone(),
        cluster,
        labels: metadata.labels.clone(),
        selector: node.string_map_at("selector"),
        service_type: match node.get("type").and_then(Node::string) {
            Some("LoadBalancer") => ServiceType::LoadBalancer,
            Some("NodePort") => ServiceType::NodePort,
            Some("ExternalName") => ServiceType::ExternalName,
            _ => ServiceType::ClusterIp,
        },
        addresses: balancer_addresses(object),
        federated_host: None,
        ports,
        visibility: Visibility(export_to),
        is_discovered: false,
        span: metadata.span,
    })
}
