//! Virtual destinations: one cluster, whose requests go to the first of several services that has an instance left.
//!
//! The cluster is an aggregate of the clusters that Istio makes of the services, so that pods come and go without us. The
//! order is decided here, for each gateway: an order of regions is more than Istio's own failover can express.

use serde_json::{Value, json};

use super::destination_rule::{Behind, Subset};
use super::{Wave, Workload, name};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::resource::Resources;
use crate::tree::{Backend, Destination, VirtualDestination};

/// The subset of a Service that a virtual destination uses, with its name. It is one of its own: pods that are left alone
/// because others can take over must not be missing for routes that go to the Service itself.
pub(super) fn subset<'a>(
    destination: &'a VirtualDestination,
    plain: &'a str,
    labels: &'a std::collections::BTreeMap<String, String>,
    port: u16,
) -> (String, Subset<'a>) {
    let behind = Behind {
        outliers: destination.outlier_detection.as_ref(),
        port,
        plain,
    };
    let subset = Subset {
        labels,
        behind: Some(behind),
    };
    (subset_name(destination, plain), subset)
}

fn subset_name(destination: &VirtualDestination, plain: &str) -> String {
    let (namespace, name) = (&destination.name.namespace, &destination.name.name);
    let parts = ["for", namespace, name, plain];
    let used = if plain.is_empty() { 3 } else { 4 };
    name::join(parts.get(..used).unwrap_or(&parts))
}

/// The services behind it, those that a gateway prefers first. A static one says the order. Else the gateway's own
/// cluster comes first, then its region, then the regions that take over from it, then the rest.
fn in_order<'a>(
    destination: &'a VirtualDestination,
    cluster: Option<&str>,
    region: Option<&str>,
) -> Vec<&'a Backend> {
    let mut backends: Vec<&Backend> = destination.backends.iter().collect();
    if !destination.is_localized {
        return backends;
    }
    let directives = destination.failover.iter();
    let heirs: Vec<&String> = directives
        .filter(|directive| region == Some(directive.from.as_str()))
        .flat_map(|directive| &directive.to)
        .collect();
    backends.sort_by_key(|backend| {
        let rank = match &backend.region {
            _ if backend.cluster.is_none() || backend.cluster.as_deref() == cluster => 0,
            Some(own) if region == Some(own) => 1,
            Some(other) => {
                let heir = heirs.iter().position(|heir| *heir == other);
                2 + heir.unwrap_or(heirs.len())
            }
            None => 2 + heirs.len(),
        };
        (rank, &backend.cluster)
    });
    backends
}

/// Writes the clusters of the virtual destinations that a workload's routes go to.
pub(super) fn write(workload: &mut Workload<'_>, resources: &Resources) {
    let program = workload.program;
    let mut patches = Vec::new();
    let mut hosts: Vec<&str> = Vec::new();
    let mut destinations: Vec<&Destination> = (program.tree.destinations())
        .map(std::convert::AsRef::as_ref)
        .collect();
    destinations.sort_by_key(|destination| &destination.cluster);
    destinations.dedup_by_key(|destination| &destination.cluster);
    for destination in destinations {
        let Some(name) = destination.virtual_name() else {
            continue;
        };
        let mut virtuals = program.tree.virtual_destinations.iter();
        let Some(found) = virtuals.find(|one| one.name == *name) else {
            continue;
        };
        check(workload, resources, found);
        hosts.extend(found.backends.iter().map(|backend| backend.host.as_str()));
        patches.extend(cluster(workload, found, destination, resources));
    }
    if patches.is_empty() {
        return;
    }
    hosts.sort_unstable();
    hosts.dedup();
    let services = [("envoyfilter.istio.io/referenced-services", hosts.join(","))];
    let spec = json!({
        "workloadSelector": { "labels": program.labels },
        "configPatches": patches,
    });
    let name = name::join(&["meshgate", &workload.id, "virtual-destinations"]);
    workload.add(
        Wave::Destinations,
        ("networking.istio.io/v1alpha3", "EnvoyFilter"),
        name,
        &services,
        spec,
    );
}

fn check(workload: &mut Workload<'_>, resources: &Resources, destination: &VirtualDestination) {
    let id = &destination.name;
    let written = resources
        .virtual_destinations
        .iter()
        .find(|one| one.metadata.id == *id);
    let Some(span) = written.map(|one| one.metadata.span) else {
        return;
    };
    let mut clusters: Vec<&str> = destination
        .backends
        .iter()
        .filter_map(|backend| backend.cluster.as_deref())
        .collect();
    clusters.dedup();
    if destination.backends.is_empty() {
        let message = format!(
            "no service is known to be behind virtual destination `{id}`, to which routes go"
        );
        let found = workload.finding_at(Code::UnknownBackends, span, message);
        workload.report(
            found.help("pass the inventories of the clusters with `--inventory CLUSTER=PATH`"),
        );
    } else if workload.program.cluster.is_none() && clusters.len() > 1 {
        let message = format!(
            "services of the clusters {} are behind virtual destination `{id}`, and which one is the gateway's own is not known",
            clusters.join(", ")
        );
        let found = workload.finding_at(Code::UnknownBackends, span, message);
        workload.report(found.help("pass `--cluster NAME`, or an inventory"));
    }
    let limit = destination.outlier_detection.as_ref();
    if let Some(percent) = limit.and_then(|outliers| outliers.max_ejection_percent)
        && percent < 100
        && destination.backends.len() > 1
    {
        let message = format!(
            "at most {percent}% of the instances of a service behind virtual destination `{id}` are left alone, so while any is \
             left no other service takes over from failing ones"
        );
        workload.report(
            Diagnostic::at(Code::NoTakeover, span, message).help("write `maxEjectionPercent: 100`"),
        );
    }
}

/// The patches that put a cluster into the gateway.
fn cluster(
    workload: &Workload<'_>,
    found: &VirtualDestination,
    destination: &Destination,
    resources: &Resources,
) -> [Value; 2] {
    let own = workload.program.cluster.as_deref();
    let region = resources.region(own);
    let plain = super::destination::subset_and_host(&destination.cluster);
    let subset = subset_name(found, plain.map_or("", |(subset, _)| subset));
    let mut members: Vec<String> = Vec::new();
    for backend in in_order(found, own, region.as_deref()) {
        let member = format!("outbound|{}|{subset}|{}", backend.port, backend.host);
        if !members.contains(&member) {
            members.push(member);
        }
    }
    let value = json!({
        "name": destination.cluster,
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED",
        // As Istio's clusters have them. Envoy counts retries here, not in the clusters behind, and its own limit of three at
        // a time is reached at once when a service is lost.
        "circuit_breakers": { "thresholds": [{
            "max_connections": u32::MAX,
            "max_pending_requests": u32::MAX,
            "max_requests": u32::MAX,
            "max_retries": u32::MAX,
        }] },
        // What telemetry calls it.
        "metadata": { "filter_metadata": { "istio": { "services": [{
            "host": found.hostname,
            "name": found.name.name,
            "namespace": found.name.namespace,
        }] } } },
        "cluster_type": {
            "name": "envoy.clusters.aggregate",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig",
                "clusters": members,
            },
        },
    });
    // Somebody may have a ServiceEntry for the host; two clusters of one name would be refused by Envoy.
    let taken = json!({ "context": "GATEWAY", "cluster": { "name": destination.cluster } });
    [
        json!({ "applyTo": "CLUSTER", "match": taken, "patch": { "operation": "REMOVE" } }),
        json!({
            "applyTo": "CLUSTER",
            "match": { "context": "GATEWAY" },
            "patch": { "operation": "ADD", "value": value },
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::in_order;
    use crate::resource::{FailoverDirective, ObjectName};
    use crate::tree::{Backend, VirtualDestination};

    #[test]
    fn the_nearest_service_comes_first() {
        let name = |name: &str| ObjectName {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
        };
        let backend = |(cluster, region): (&str, Option<&str>)| Backend {
            service: name("reviews"),
            cluster: Some(cluster.to_owned()),
            host: format!("reviews.shop.svc.{cluster}.global"),
            port: 9080,
            region: region.map(str::to_owned),
        };
        let places = [
            ("a", None),
            ("asia", Some("asia")),
            ("east", Some("us-east")),
            ("east-2", Some("us-east")),
            ("eu", Some("eu")),
            ("west", Some("us-west")),
        ];
        let to = |from: &str, to: &[&str]| FailoverDirective {
            from: from.to_owned(),
            to: to.iter().map(|&region| region.to_owned()).collect(),
        };
        let mut destination = VirtualDestination {
            name: name("reviews"),
            hostname: "reviews.global".to_owned(),
            port: 80,
            protocol: None,
            backends: places.map(backend).to_vec(),
            is_localized: true,
            failover: vec![to("eu", &["asia"]), to("us-east", &["us-west", "eu"])],
            outlier_detection: None,
        };
        let order = |destination: &VirtualDestination, cluster, region| -> Vec<String> {
            let backends = in_order(destination, Some(cluster), region);
            backends.iter().filter_map(|b| b.cluster.clone()).collect()
        };
        assert_eq!(
            order(&destination, "east-2", Some("us-east")),
            ["east-2", "east", "west", "eu", "a", "asia"]
        );
        assert_eq!(
            order(&destination, "eu", Some("eu")),
            ["eu", "asia", "a", "east", "east-2", "west"]
        );
        assert_eq!(
            order(&destination, "other", None),
            ["a", "asia", "east", "east-2", "eu", "west"]
        );
        destination.is_localized = false;
        destination.backends.reverse();
        assert_eq!(
            order(&destination, "east-2", Some("us-east")),
            ["west", "eu", "east-2", "east", "asia", "a"]
        );
    }
}
