//! What istiod reads of Kubernetes: Services, and the pods behind them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::proxy::Identity;

/// A Service with a port, as `NAMESPACE`, `NAME` and number.
pub(super) type ServicePort = (String, String, u16);

/// A pod behind a port of a Service.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    pub(super) service: ServicePort,
    /// Labels of the pod.
    pub(super) labels: BTreeMap<String, String>,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// Whether it speaks HTTP/2.
    pub(super) http2: bool,
}

/// A pod that has a proxy, with the Service in front of it.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    pub(super) identity: Identity,
    /// Name of the Service, and of the pod's service account.
    pub(super) service: String,
    /// Its ports: name, number, port of the pod.
    pub(super) ports: Vec<(String, u16, u16)>,
}

/// The objects of a List, or of one object.
pub(super) fn items(inventory: &mut Value) -> Vec<&mut Value> {
    if inventory["kind"] == "List" {
        let items = inventory["items"].as_array_mut();
        return items.into_iter().flatten().collect();
    }
    vec![inventory]
}

/// Whether an object is the Service of this name.
pub(super) fn is_service(object: &Value, namespace: &str, name: &str) -> bool {
    let metadata = &object["metadata"];
    object["kind"] == "Service" && metadata["namespace"] == namespace && metadata["name"] == name
}

/// All objects: the Services that there are already, those that are missing, and the pods.
pub(super) fn objects(
    mut services: Vec<Value>,
    entrances: &[Entrance],
    backends: &[Backend],
) -> Vec<Value> {
    let mut pods = Vec::new();
    for entrance in entrances {
        let Identity {
            address,
            pod,
            namespace,
            labels,
            ..
        } = &entrance.identity;
        for (name, number, target) in &entrance.ports {
            let port = Port {
                name,
                number: *number,
                target: *target,
            };
            add_port(&mut services, namespace, &entrance.service, &port);
            pods.push(slice(namespace, &entrance.service, pod, address, &port));
        }
        pods.push(self::pod(
            (namespace, pod),
            labels,
            &entrance.service,
            address,
        ));
    }
    for (n, backend) in backends.iter().enumerate() {
        let (namespace, service, number) = &backend.service;
        let default = if backend.http2 { "grpc" } else { "http" };
        let known = services
            .iter()
            .filter(|object| is_service(object, namespace, service))
            .flat_map(|object| object["spec"]["ports"].as_array().into_iter().flatten())
            .find(|port| port["port"] == *number)
            .map(|port| port["name"].as_str().unwrap_or_default().to_owned());
        let name = known.unwrap_or_else(|| format!("{default}-{number}"));
        let port = Port {
            name: &name,
            number: *number,
            target: backend.address.port(),
        };
        add_port(&mut services, namespace, service, &port);
        let name = format!("{service}-{n}");
        let address = backend.address.ip().to_string();
        pods.push(slice(namespace, service, &name, &address, &port));
        pods.push(pod(
            (namespace, &name),
            &backend.labels,
            "default",
            &address,
        ));
    }
    for (n, service) in services.iter_mut().enumerate() {
        if service["spec"]["clusterIP"].is_null() {
            service["spec"]["clusterIP"] = json!(format!("10.96.{}.{}", n / 250, n % 250 + 1));
        }
    }
    services.append(&mut pods);
    services
}

struct Port<'a> {
    name: &'a str,
    number: u16,
    target: u16,
}

/// Makes sure that a Service has a port.
fn add_port(services: &mut Vec<Value>, namespace: &str, name: &str, port: &Port<'_>) {
    let found = services
        .iter()
        .position(|object| is_service(object, namespace, name));
    let at = found.unwrap_or_else(|| {
        services.push(json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": name, "namespace": namespace },
            "spec": { "ports": [] },
        }));
        services.len() - 1
    });
    let ports = services
        .get_mut(at)
        .and_then(|service| service["spec"]["ports"].as_array_mut());
    if let Some(ports) = ports
        && !ports.iter().any(|known| known["port"] == port.number)
    {
        ports.push(json!({
            "name": port.name, "port": port.number, "targetPort": port.target, "protocol": "TCP",
        }));
    }
}

fn slice(namespace: &str, service: &str, pod: &str, address: &str, port: &Port<'_>) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{service}-{pod}-{}", port.number),
            "namespace": namespace,
            "labels": { "kubernetes.io/service-name": service },
        },
        "addressType": "IPv4",
        "endpoints": [{
            "addresses": [address],
            "conditions": { "ready": true },
            "targetRef": { "kind": "Pod", "name": pod, "namespace": namespace },
        }],
        "ports": [{ "name": port.name, "port": port.target, "protocol": "TCP" }],
    })
}

fn pod(
    (namespace, name): (&str, &str),
    labels: &BTreeMap<String, String>,
    account: &str,
    address: &str,
) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "namespace": namespace, "labels": labels },
        "spec": { "containers": [], "serviceAccountName": account },
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{ "ip": address }],
            "conditions": [{ "type": "Ready", "status": "True" }],
        },
    })
}
