//! Requests from the gateway of one cluster to services of another one, through the gateway between the clusters, and what
//! is refused there.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use meshgate_host_tests::cases::read_examples;
use meshgate_host_tests::envoy::client::{self, Response, request_head};
use meshgate_host_tests::istio::{Authority, Cluster, Federation, Tools};
use meshgate_host_tests::upstream::Echo;
use serde_json::{Value, json};

use crate::Test;

pub(crate) fn tests() -> Vec<Test> {
    type Run = fn(&Tools) -> Result<(), String>;
    let tests: [(&str, Run); 3] = [
        ("federation/port_subset_and_identity", the_right_pod_answers),
        ("federation/refusals", refusals),
        ("federation/one_gateway_for_all_clusters", one_gateway),
    ];
    tests
        .into_iter()
        .map(|(name, test)| -> Test { (name.to_owned(), Box::new(test)) })
        .collect()
}

const RESOURCES: &str = include_str!("federation/resources.yaml");
const EAST: &str = include_str!("federation/east.yaml");
const WEST: &str = include_str!("federation/west.yaml");

/// The gateway between clusters, and the pods of `reviews` with its two versions.
const GATEWAY: &str = "eastwest";
const PODS: [&str; 2] = ["reviews-0", "reviews-1"];

const INGRESS: &str = "spiffe://east.example.com/ns/istio-ingress/sa/ingress";
const REVIEWS: &str = "spiffe://west.example.com/ns/shop/sa/reviews";

fn clusters(tools: &Tools) -> Result<Federation, String> {
    let inventories = [("east", EAST), ("west", WEST)];
    let inventories = inventories.map(|(name, text)| (name.to_owned(), text.to_owned()));
    Federation::start(tools, RESOURCES, &inventories)
}

fn get(cluster: &Cluster, path: &str) -> Result<Response, String> {
    let headers: [(&str, &[u8]); 2] = [("host", b"shop.example.com"), ("connection", b"close")];
    let request = request_head("GET", path.as_bytes(), headers);
    client::send(cluster.entrance("ingress")?, &request)
        .map_err(|error| format!("{path}: no answer: {error}"))
}

/// What the service behind a path has seen.
fn echo(cluster: &Cluster, path: &str) -> Result<Echo, String> {
    let response = get(cluster, path)?;
    serde_json::from_slice(&response.body).map_err(|_| {
        let body = String::from_utf8_lossy(&response.body);
        format!("{path}: {} {body}", response.status)
    })
}

fn the_right_pod_answers(tools: &Tools) -> Result<(), String> {
    let mut clusters = clusters(tools)?;
    let east = clusters.cluster("east")?;
    // The gateway between clusters chooses a pod for each connection, not for each request.
    let wanted: [(&str, &[&str]); 4] = [
        ("/v1", &["reviews-0:9080"]),
        ("/v2", &["reviews-1:9080"]),
        ("/all", &["reviews-0:9080", "reviews-1:9080"]),
        ("/ratings", &["reviews-0:9090", "reviews-1:9090"]),
    ];
    for (path, pods) in wanted {
        for _ in 0..20 {
            let echo = echo(east, path)?;
            let certificate = echo.headers.iter();
            let certificate = certificate
                .filter(|(name, _)| name == "x-forwarded-client-cert")
                .map(|(_, value)| value.as_str());
            let certificate = certificate.collect::<Vec<_>>().join(",");
            // Nobody before the pod's own proxy has a say in it.
            if certificate.matches("URI=").count() != 1
                || !certificate.contains(&format!("By={REVIEWS};"))
                || !certificate.ends_with(&format!("URI={INGRESS}"))
            {
                return Err(format!("{path}: came from `{certificate}`"));
            }
            if !pods.contains(&echo.upstream.as_str()) {
                return Err(format!("{path}: answered by {}", echo.upstream));
            }
        }
    }
    Ok(())
}

fn refusals(tools: &Tools) -> Result<(), String> {
    let mut clusters = clusters(tools)?;
    let no_certificate = json!({
        "mode": "SIMPLE",
        "sni": "outbound_.9080_._.reviews.shop.svc.west.global",
        "insecureSkipVerify": true,
    });
    with_tls(&mut clusters, &no_certificate, |west| {
        count(west, &[GATEWAY], ".no_filter_chain_match")
    })?;
    // It passes for a connection of Istio's, so it comes to a pod.
    let east = clusters.cluster("east")?;
    east.istiod.apply(&protocol_of_istio())?;
    with_tls(&mut clusters, &no_certificate, |west| {
        count(west, &PODS, ".ssl.fail_verify_no_cert")
    })?;
    clusters
        .cluster("east")?
        .istiod
        .delete(&protocol_of_istio())?;
    // Services of the other cluster that no route leads to, by their own name and by the federated one.
    for host in [
        "orders.shop.svc.cluster.local",
        "orders.shop.svc.west.global",
    ] {
        let server_name = format!("outbound_.7070_._.{host}");
        let not_exported = json!({ "mode": "ISTIO_MUTUAL", "sni": server_name });
        with_tls(&mut clusters, &not_exported, |west| {
            count(west, &[GATEWAY], ".no_filter_chain_match")
        })?;
    }
    let other = Authority::new().map_err(|error| error.to_string())?;
    let before = count(clusters.cluster("west")?, &PODS, ".ssl.fail_verify_error")?;
    let east = clusters.cluster("east")?;
    east.disguise("ingress", INGRESS, &other)?;
    until(east, "/all", 503)?;
    let after = count(clusters.cluster("west")?, &PODS, ".ssl.fail_verify_error")?;
    if after == before {
        return Err("no pod has refused the certificate of another root".to_owned());
    }
    Ok(())
}

/// Has connections to `reviews` say that they are of the kind that Istio's gateways let through.
fn protocol_of_istio() -> Value {
    let tls = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": { "alpn_protocols": ["istio"] },
    });
    json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": { "name": "protocol", "namespace": "istio-ingress" },
        "spec": {
            "workloadSelector": { "labels": { "app": "ingress" } },
            "configPatches": [{
                "applyTo": "CLUSTER",
                "match": {
                    "context": "GATEWAY",
                    "cluster": { "name": "outbound|9080||reviews.shop.svc.west.global" },
                },
                "patch": {
                    "operation": "MERGE",
                    "value": { "transport_socket": {
                        "name": "envoy.transport_sockets.tls",
                        "typed_config": tls,
                    } },
                },
            }],
        },
    })
}

/// Connects to `reviews` in another way. That has to fail, and to be counted as a refusal; and what meshgate has written
/// has to work before and after.
fn with_tls(
    clusters: &mut Federation,
    tls: &Value,
    refused: impl Fn(&Cluster) -> Result<u64, String>,
) -> Result<(), String> {
    let east = clusters.cluster("east")?;
    until(east, "/all", 200)?;
    let rule = east
        .manifests
        .iter()
        .find(|one| {
            one.object["kind"] == "DestinationRule"
                && one.object["spec"]["host"] == "reviews.shop.svc.west.global"
        })
        .ok_or("there is no rule for the federated host")?
        .object
        .clone();
    let mut changed = rule.clone();
    changed["spec"]["trafficPolicy"]["tls"] = tls.clone();
    let before = refused(clusters.cluster("west")?)?;
    let east = clusters.cluster("east")?;
    east.istiod.apply(&changed)?;
    until(east, "/all", 503)?;
    if refused(clusters.cluster("west")?)? == before {
        return Err(format!("nobody has refused a connection with {tls}"));
    }
    let east = clusters.cluster("east")?;
    east.istiod.apply(&rule)?;
    until(east, "/all", 200)
}

/// Sum of the counters of these pods.
fn count(cluster: &Cluster, pods: &[&str], counter: &str) -> Result<u64, String> {
    pods.iter()
        .map(|pod| cluster.proxy(pod)?.count(counter))
        .sum()
}

/// Asks until the answer has this status.
fn until(cluster: &Cluster, path: &str, status: u16) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let response = get(cluster, path)?;
        if response.status == status {
            return Ok(());
        }
        if Instant::now() > deadline {
            let body = String::from_utf8_lossy(&response.body);
            return Err(format!(
                "{path}: not {status} but {} {body}",
                response.status
            ));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn one_gateway(tools: &Tools) -> Result<(), String> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let groups = read_examples(&examples)?;
    let name = "examples/architectures/several-clusters-one-gateway/edge";
    let group = groups.into_iter().find(|group| group.name == name);
    let group = group.ok_or("there is no such example")?;
    let inventories = group
        .clusters
        .ok_or("the example has no clusters")?
        .inventories;
    let mut clusters = Federation::start(tools, &group.text, &inventories)?;
    let edge = clusters.cluster("edge")?;
    for (path, wanted) in [("/login", "edge"), ("/stock/5", "west")] {
        for _ in 0..20 {
            let response = get(edge, path)?;
            let cluster = response.text("x-cluster");
            if cluster != Some(wanted) {
                return Err(format!("{path}: {} from {cluster:?}", response.status));
            }
        }
    }
    let mut from_west = 0;
    const REQUESTS: u32 = 500;
    for _ in 0..REQUESTS {
        let response = get(edge, "/shoes")?;
        let echo: Echo =
            serde_json::from_slice(&response.body).map_err(|error| error.to_string())?;
        match (response.text("x-cluster"), echo.upstream.as_str()) {
            (Some("east"), "catalog-0:8080") => {}
            // The second one of them is the new version.
            (Some("west"), "catalog-1:8080") => from_west += 1,
            other => return Err(format!("the catalog is that of {other:?}")),
        }
    }
    // A tenth, give or take six times the standard deviation.
    if (10..=90).contains(&from_west) {
        Ok(())
    } else {
        Err(format!("{from_west} of {REQUESTS} go to the new version"))
    }
}
