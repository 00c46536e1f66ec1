//! What runs in the clusters: meshes, pods, nodes, rules, and selectors of Services.

use super::every;
use super::value::{non_empty, object_ref, required, service_port, strings};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::node::Node;
use crate::resource::{
    self, DestinationRule, DestinationSelector, Federation, FederationSelector,
    IngressGatewaySelector, Mesh, Metadata, ObjectName, Pods, ServiceEntry, ServiceMatcher,
    ServiceRef, VirtualMesh, Visibility,
};
use crate::source::Spanned;

/// `ingressGatewaySelectors`.
pub(super) fn gateway_selectors(
    owner: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<IngressGatewaySelector>> {
    every(owner.list_at("ingressGatewaySelectors"), |node| {
        let destinations = match node.get("destinationSelectors") {
            Some(list) => Some(every(list.list(), |node| {
                destination_selector(node, diagnostics)
            })?),
            None => None,
        };
        Some(IngressGatewaySelector {
            destinations,
            port_name: non_empty(node.text_at("portName")),
            span: node.span,
        })
    })
}

/// An element of `destinationSelectors`.
pub(super) fn destination_selector(
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<DestinationSelector> {
    let services = node
        .get("kubeServiceRefs")
        .map_or(&[][..], |refs| refs.list_at("services"));
    let refs = every(services, |node| {
        let mut part = |key| required(node, key, "a reference to a service", diagnostics);
        let (name, namespace, cluster) = (part("name"), part("namespace"), part("clusterName"));
        Some(ServiceRef {
            name: ObjectName {
                namespace: namespace?.value,
                name: name?.value,
            },
            cluster: cluster?.value,
        })
    });
    let external = node
        .get("externalServiceRefs")
        .map_or(&[][..], |refs| refs.list_at("externalServices"));
    let external = every(external, |node| {
        let mut part = |key| required(node, key, "a reference to a service", diagnostics);
        let (name, namespace) = (part("name"), part("namespace"));
        let id = ObjectName {
            namespace: namespace?.value,
            name: name?.value,
        };
        Some(Spanned::new(id, node.span))
    });
    Some(DestinationSelector {
        matcher: node
            .get("kubeServiceMatcher")
            .map(|matcher| ServiceMatcher {
                labels: matcher.string_map_at("labels"),
                namespaces: strings(matcher, "namespaces"),
                clusters: strings(matcher, "clusters"),
            }),
        refs: refs?,
        external: external?,
    })
}

/// A Mesh. Only Istio is of interest.
pub(in crate::load) fn mesh(metadata: Metadata, node: &Node<'_>) -> Option<Mesh> {
    if node.faulty {
        return None;
    }
    let istio = node.get("istio");
    let installation = istio.and_then(|istio| istio.get("installation"));
    let installed = |key| installation?.text_at(key).map(|text| text.value);
    Some(Mesh {
        cluster: installed("cluster"),
        namespace: installed("namespace"),
        smart_dns: istio.map(|istio| istio.flag("smartDnsProxyingEnabled")),
        trust_domain: istio
            .and_then(|istio| istio.text_at("trustDomain"))
            .map(|domain| domain.value),
        metadata,
    })
}

/// A VirtualMesh.
pub(in crate::load) fn virtual_mesh(
    metadata: Metadata,
    node: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<VirtualMesh> {
    let meshes = every(node.list_at("meshes"), |node| {
        object_ref(node, "a mesh", diagnostics)
    });
    let federation = match node.get("federation") {
        Some(node) => Some(federation(node, diagnostics)?),
        None => None,
    };
    if node.faulty {
        return None;
    }
    let keepalive = node.get("federation").and_then(|f| f.entry("tcpKeepalive"));
    let others = ["globalAccessPolicy", "mtlsConfig"];
    let others = others.iter().filter_map(|key| node.entry(key));
    for entry in others.chain(keepalive) {
        diagnostics.push(
            Diagnostic::at(
                Code::MeshSetting,
                entry.key_span,
                format!("`{}` of a virtual mesh has no effect on routing", entry.key),
            )
            .help("configure it in the meshes themselves"),
        );
    }
    Some(VirtualMesh {
        metadata,
        meshes: meshes?,
        federation,
    })
}

fn federation(node: &Node<'_>, diagnostics: &mut Diagnostics) -> Option<Federation> {
    let selectors = every(node.list_at("selectors"), |node| {
        let destinations = every(node.list_at("destinationSelectors"), |node| {
            destination_selector(node, diagnostics)
        });
        let meshes = every(node.list_at("meshes"), |node| {
            object_ref(node, "a mesh", diagnostics)
        });
        Some(FederationSelector {
            destinations: destinations?,
            meshes: meshes?,
        })
    });
    Some(Federation {
        selectors: selectors?,
        permissive: node.get("permissive").is_some(),
        flat_network: node.flag("flatNetwork"),
        suffix: non_empty(node.text_at("hostnameSuffix")),
        gateways: gateway_selectors(node, diagnostics)?,
        span: node.span,
    })
}

/// A Deployment, whose pods its template describes, or a Pod.
pub(in crate::load) fn pods(
    metadata: Metadata,
    cluster: Option<String>,
    spec: &Node<'_>,
) -> Option<Pods> {
    if spec.faulty {
        return None;
    }
    let template = spec.get("template");
    let labels = match template {
        Some(template) => template
            .get("metadata")
            .map(|metadata| metadata.string_map_at("labels"))
            .unwrap_or_default(),
        None => metadata.labels,
    };
    let containers = template
        .map_or(Some(spec), |template| template.get("spec"))
        .map_or(&[][..], |spec| spec.list_at("containers"));
    let ports = containers
        .iter()
        .flat_map(|container| container.list_at("ports"))
        .filter_map(|port| {
            let number = port.get("containerPort").and_then(Node::integer)?;
            Some((port.text_at("name")?.value, u16::try_from(number).ok()?))
        })
        .collect();
    Some(Pods {
        name: metadata.id,
        cluster,
        labels,
        ports,
        span: metadata.span,
    })
}

/// A Node, from the whole object.
pub(in crate::load) fn node(
    metadata: Metadata,
    cluster: Option<String>,
    object: &Node<'_>,
) -> resource::Node {
    let addresses = |kind: &str| -> Vec<String> {
        object
            .get("status")
            .map_or(&[][..], |status| status.list_at("addresses"))
            .iter()
            .filter(|address| address.get("type").and_then(Node::string) == Some(kind))
            .filter_map(|address| Some(address.text_at("address")?.value))
            .collect()
    };
    let outside = addresses("ExternalIP");
    let label = |key: &str| metadata.labels.get(key).cloned();
    resource::Node {
        addresses: if outside.is_empty() {
            addresses("InternalIP")
        } else {
            outside
        },
        region: label("topology.kubernetes.io/region"),
        zone: label("topology.kubernetes.io/zone"),
        name: metadata.id.name,
        cluster,
    }
}

/// An Istio DestinationRule.
pub(in crate::load) fn destination_rule(
    metadata: Metadata,
    cluster: Option<String>,
    spec: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<DestinationRule> {
    let host = required(spec, "host", "a destination rule", diagnostics)?;
    Some(DestinationRule {
        name: metadata.id,
        cluster,
        host: host.value,
        labels: metadata.labels,
        spec: spec.json(),
        span: metadata.span,
    })
}

/// An Istio ServiceEntry. What is wrong with it is for its owner to find.
pub(in crate::load) fn service_entry(
    metadata: Metadata,
    cluster: Option<String>,
    spec: &Node<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<ServiceEntry> {
    let texts = |key: &str| -> Vec<String> {
        let texts = strings(spec, key).into_iter();
        texts.map(|text| text.value).collect()
    };
    let ports = spec.list_at("ports").iter();
    Some(ServiceEntry {
        name: metadata.id,
        cluster,
        labels: metadata.labels,
        hosts: texts("hosts"),
        ports: every(ports, |port| service_port(port, "number", diagnostics))?,
        visibility: Visibility(texts("exportTo")),
        span: metadata.span,
    })
}

/// Addresses of a load balancer, from the status of a Service.
pub(super) fn balancer_addresses(object: &Node<'_>) -> Vec<String> {
    object
        .get("status")
        .and_then(|status| status.get("loadBalancer"))
        .map_or(&[][..], |balancer| balancer.list_at("ingress"))
        .iter()
        .filter_map(|ingress| {
            let address = ingress
                .text_at("hostname")
                .or_else(|| ingress.text_at("ip"));
            Some(address?.value)
        })
        .collect()
}
