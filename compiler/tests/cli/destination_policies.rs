//! What TrafficPolicies say about destinations, in the objects for Istio and in Envoy's clusters.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::envoy;
use crate::folder::{Folder, Outcome};
use crate::istio::{MODULE, files, virtual_gateway};
use crate::istio_clusters;

/// Routes to two Services of the gateway's cluster and to a service outside.
const ROUTES: &str = "\
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: web, namespace: shop}
spec:
  domains: [www.example.com]
  routes:
  - name: reviews
    matchers: [{uri: {prefix: /reviews}}]
    routeAction: {destinations: [{kubeService: {name: reviews, namespace: bookinfo, port: 9080, subset: {version: v2}}}]}
  - name: ratings
    matchers: [{uri: {prefix: /ratings}}]
    routeAction: {destinations: [{kubeService: {name: ratings, namespace: bookinfo, port: 9080}}]}
  - name: payments
    routeAction: {destinations: [{staticDestination: {name: payments, namespace: shop}}]}
---
apiVersion: discovery.mesh.gloo.solo.io/v1
kind: Destination
metadata: {name: payments, namespace: shop}
spec:
  externalService:
    name: payments
    hosts: [api.payments.example]
    ports: [{number: 443, name: https, protocol: HTTPS}]
";

const INVENTORY: &str = "\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: ingress, namespace: istio-ingress, labels: {app: ingress}}
  spec: {type: LoadBalancer, selector: {istio: ingress}, ports: [{name: http2, port: 80, targetPort: 8080}]}
  status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}
- apiVersion: v1
  kind: Service
  metadata: {name: reviews, namespace: bookinfo, labels: {app: reviews}}
  spec: {ports: [{name: http, port: 9080}]}
- apiVersion: v1
  kind: Service
  metadata: {name: ratings, namespace: bookinfo, labels: {app: ratings}}
  spec: {ports: [{name: http, port: 9080}]}
";

/// A rule that the owner of `reviews` has, in a namespace.
fn owners(namespace: &str) -> String {
    format!(
        "\
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {{name: reviews, namespace: {namespace}}}
  spec:
    host: reviews.bookinfo.svc.cluster.local
    trafficPolicy: {{connectionPool: {{http: {{http2MaxRequests: 10}}}}}}
    subsets: [{{name: canary, labels: {{track: canary}}, trafficPolicy: {{outlierDetection: {{interval: 1s}}}}}}]
"
    )
}

const EXTERNAL: &str = "destinationSelector: [{externalServiceRefs: {externalServices: [{name: payments, namespace: shop}]}}]";

/// A TrafficPolicy, whose age its name tells.
fn policy(age: u32, spec: &str) -> String {
    format!(
        "---
apiVersion: networking.mesh.gloo.solo.io/v1
kind: TrafficPolicy
metadata: {{name: p{age}, namespace: shop, creationTimestamp: '2026-01-0{age}T00:00:00Z'}}
spec:
  {spec}
"
    )
}

fn folder(policies: &[String], inventory: &str) -> Folder {
    let gateway = virtual_gateway(
        "www",
        "http2",
        "connectionHandlers: [{http: {routeConfig: [{virtualHostSelector: {}}]}}]",
    );
    let text = [ROUTES, &gateway, &policies.concat()].concat();
    let folder = Folder::new(&[("shop.yaml", &text)]);
    fs::write(
        folder.path().join("east.yaml"),
        [INVENTORY, inventory].concat(),
    )
    .unwrap();
    folder
}

fn compile(folder: &Folder) -> Outcome {
    let args = [
        "compile",
        "shop.yaml",
        "--target",
        "istio",
        "--format",
        "json",
        "-o",
        "out",
        "--inventory",
        "east=east.yaml",
    ];
    folder.run(&[&args[..], &MODULE].concat())
}

/// The rule for a destination, by the end of its name.
fn rule_of(folder: &Folder, name: &str) -> Value {
    let out = folder.path().join("out");
    let file = format!("east/10-destinations/destinationrule.istio-ingress.meshgate--{name}.json");
    match fs::read(out.join(&file)) {
        Ok(text) => serde_json::from_slice::<Value>(&text).unwrap()["spec"].clone(),
        Err(_) => panic!("no {file}, only {:?}", files(&out)),
    }
}

/// Outlier detection after so many errors, and else as usual.
fn outliers(errors: u32) -> Value {
    json!({
        "consecutive5xxErrors": errors,
        "consecutiveGatewayErrors": errors,
        "interval": "10s",
        "baseEjectionTime": "30s",
        "maxEjectionPercent": 100,
    })
}

#[test]
fn every_destination_has_the_settings_of_the_oldest_policy_that_selects_it() {
    let policies = [
        policy(
            3,
            "policy: {outlierDetection: {}, mtls: {istio: {tlsMode: DISABLE}}}",
        ),
        policy(
            2,
            "destinationSelector: [{kubeServiceMatcher: {labels: {app: reviews}}}]
  policy: {outlierDetection: {consecutiveErrors: 2}}",
        ),
        policy(
            1,
            &format!("{EXTERNAL}\n  policy: {{mtls: {{istio: {{tlsMode: SIMPLE}}}}}}"),
        ),
    ];
    let folder = folder(&policies, "");
    let outcome = compile(&folder).ended_with(0);
    assert!(!outcome.stderr.contains("warning"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("N0115"), "{}", outcome.stderr);
    assert_eq!(
        rule_of(&folder, "bookinfo--reviews"),
        json!({
            "host": "reviews.bookinfo.svc.cluster.local",
            "exportTo": ["."],
            "trafficPolicy": { "outlierDetection": outliers(2), "tls": { "mode": "DISABLE" } },
            "subsets": [{ "name": "version-v2", "labels": { "version": "v2" } }],
        })
    );
    assert_eq!(
        rule_of(&folder, "bookinfo--ratings"),
        json!({
            "host": "ratings.bookinfo.svc.cluster.local",
            "exportTo": ["."],
            "trafficPolicy": { "outlierDetection": outliers(5), "tls": { "mode": "DISABLE" } },
        })
    );
    assert_eq!(
        rule_of(&folder, "static--shop--payments"),
        json!({
            "host": "api.payments.example",
            "exportTo": ["."],
            "trafficPolicy": {
                "outlierDetection": outliers(5),
                "tls": {
                    "mode": "SIMPLE",
                    "sni": "api.payments.example",
                    "subjectAltNames": ["api.payments.example"],
                },
            },
        })
    );
}

#[test]
fn no_rule_is_written_where_nothing_is_said() {
    let policies = [policy(
        1,
        "destinationSelector: [{kubeServiceRefs: {services: [{name: ratings, namespace: bookinfo, clusterName: west}]}}]
  policy: {outlierDetection: {}}",
    )];
    let folder = folder(&policies, "");
    // TLS to the payments has to come from somewhere.
    compile(&folder).ended_with(0).said("W0712").said(
        "write a TrafficPolicy with `mtls: {istio: {tlsMode: SIMPLE}}` and `destinationSelector: [{externalServiceRefs: {externalServices: [{name: payments, namespace: shop}]}}]`",
    );
    let rules: Vec<String> = files(&folder.path().join("out"))
        .into_iter()
        .filter(|file| file.contains("destinationrule"))
        .collect();
    assert_eq!(
        rules,
        ["east/10-destinations/destinationrule.istio-ingress.meshgate--bookinfo--reviews.json"]
    );
    assert_eq!(
        rule_of(&folder, "bookinfo--reviews")["trafficPolicy"],
        Value::Null
    );
}

#[test]
fn the_owners_rule_is_kept_around_the_settings() {
    let folder = folder(
        &[policy(1, "policy: {outlierDetection: {}}")],
        &owners("bookinfo"),
    );
    compile(&folder).ended_with(0);
    assert_eq!(
        rule_of(&folder, "bookinfo--reviews"),
        json!({
            "host": "reviews.bookinfo.svc.cluster.local",
            "exportTo": ["."],
            "trafficPolicy": {
                "connectionPool": { "http": { "http2MaxRequests": 10 } },
                "outlierDetection": outliers(5),
            },
            "subsets": [
                {
                    "name": "canary",
                    "labels": { "track": "canary" },
                    "trafficPolicy": { "outlierDetection": outliers(5) },
                },
                { "name": "version-v2", "labels": { "version": "v2" } },
            ],
        })
    );
}

#[test]
fn a_rule_in_the_gateways_namespace_has_the_last_word_and_that_is_said() {
    let policies = [policy(1, "policy: {outlierDetection: {}}")];
    let folder = folder(&policies, &owners("istio-ingress"));
    compile(&folder).ended_with(0).said("W0718").said(
        "DestinationRule `istio-ingress/reviews` is in the gateway's own namespace, so what it says of \
         `reviews.bookinfo.svc.cluster.local` holds, and not the TrafficPolicy",
    );
    // Istio merges them: what is said twice would be said by the older one.
    assert_eq!(
        rule_of(&folder, "bookinfo--reviews"),
        json!({
            "host": "reviews.bookinfo.svc.cluster.local",
            "subsets": [{ "name": "version-v2", "labels": { "version": "v2" } }],
        })
    );

    let silent = "\
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {name: ratings, namespace: istio-ingress}
  spec: {host: ratings.bookinfo.svc.cluster.local, subsets: [{name: canary, labels: {track: canary}}]}
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {name: payments, namespace: istio-ingress}
  spec: {host: api.payments.example, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /etc/ca.pem}}}
";
    let policies = [
        policy(
            1,
            "destinationSelector: [{kubeServiceMatcher: {}}]\n  policy: {outlierDetection: {}}",
        ),
        policy(
            2,
            &format!("{EXTERNAL}\n  policy: {{mtls: {{istio: {{tlsMode: SIMPLE}}}}}}"),
        ),
    ];
    let folder = self::folder(&policies, silent);
    let outcome = compile(&folder).ended_with(0);
    assert!(!outcome.stderr.contains("warning"), "{}", outcome.stderr);
    assert_eq!(
        rule_of(&folder, "bookinfo--ratings"),
        json!({
            "host": "ratings.bookinfo.svc.cluster.local",
            "trafficPolicy": { "outlierDetection": outliers(5) },
        })
    );
    let names = files(&folder.path().join("out"));
    assert!(
        !names
            .iter()
            .any(|name| name.contains("static--shop--payments")),
        "{names:?}"
    );
}

#[test]
fn a_rule_for_the_gateways_pods_has_the_last_word_as_well() {
    let rule = |selector: &str| {
        format!(
            "\
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {{name: ratings, namespace: istio-ingress}}
  spec:
    host: ratings.bookinfo.svc.cluster.local
    workloadSelector: {{matchLabels: {{istio: {selector}}}}}
    trafficPolicy: {{connectionPool: {{http: {{http2MaxRequests: 10}}}}}}
"
        )
    };
    let policies = [policy(1, "policy: {outlierDetection: {}}")];
    let folder = folder(&policies, &rule("ingress"));
    compile(&folder).ended_with(0).said("W0718").said(
        "DestinationRule `istio-ingress/ratings` is for the gateway's pods (`workloadSelector`), so what it says of \
         `ratings.bookinfo.svc.cluster.local` holds, and not the TrafficPolicy",
    );
    let folder = self::folder(&policies, &rule("other"));
    let outcome = compile(&folder).ended_with(0);
    assert!(!outcome.stderr.contains("W0718"), "{}", outcome.stderr);
    // For Istio not exported alike, so that the two stay apart.
    assert_eq!(
        rule_of(&folder, "bookinfo--ratings"),
        json!({
            "host": "ratings.bookinfo.svc.cluster.local",
            "exportTo": ["istio-ingress"],
            "trafficPolicy": { "outlierDetection": outliers(5) },
        })
    );
}

#[test]
fn static_destinations_that_are_not_there_are_reported() {
    let spec = format!("{EXTERNAL}\n  policy: {{outlierDetection: {{}}}}");
    let folder = folder(&[policy(1, &spec.replace("payments", "payment"))], "");
    compile(&folder)
        .ended_with(0)
        .said("W0114")
        .said("there is no static destination `shop/payment`");
}

#[test]
fn services_of_other_clusters_and_behind_virtual_destinations_have_them() {
    let resources = istio_clusters::RESOURCES.to_owned()
        + &policy(
            1,
            "destinationSelector: [{kubeServiceMatcher: {labels: {app: reviews}, clusters: [east, west]}}]
  policy: {outlierDetection: {consecutiveErrors: 4}, mtls: {istio: {tlsMode: DISABLE}}}",
        );
    let folder = istio_clusters::folder(&resources);
    istio_clusters::compile(&folder, &["--format", "json"])
        .ended_with(0)
        .said("W0718")
        .said(
            "`tlsMode: DISABLE` does not hold for `bookinfo/reviews` of cluster `west`: the gateways between clusters take mutual TLS of the mesh alone",
        );
    let subset = |rule: &Value, name: &str| {
        let mut subsets = rule["subsets"].as_array().unwrap().iter();
        let found = subsets.find(|subset| subset["name"] == name);
        found.unwrap()["trafficPolicy"].clone()
    };
    let (nearest, ordered) = ("for--shop--nearest", "for--shop--ordered--version-v2");
    let here = rule_of(&folder, "bookinfo--reviews");
    assert_eq!(here["trafficPolicy"]["outlierDetection"], outliers(4));
    assert_eq!(here["trafficPolicy"]["tls"], json!({ "mode": "DISABLE" }));
    // What the virtual destination says itself goes before the policy; what the owner's rule says comes after it.
    assert_eq!(
        subset(&here, nearest)["outlierDetection"]["consecutive5xxErrors"],
        3
    );
    assert_eq!(subset(&here, ordered)["outlierDetection"], outliers(4));
    let west = rule_of(&folder, "bookinfo--reviews--west");
    assert_eq!(
        west["trafficPolicy"],
        json!({ "tls": { "mode": "ISTIO_MUTUAL" }, "outlierDetection": outliers(4) })
    );
    assert_eq!(subset(&west, ordered)["outlierDetection"], outliers(4));
    let eu = rule_of(&folder, "bookinfo--reviews--eu");
    assert_eq!(
        eu["trafficPolicy"],
        json!({ "tls": { "mode": "ISTIO_MUTUAL" } })
    );
}

#[test]
fn what_gateways_cannot_follow_is_said() {
    let sources = "sourceSelector: [{kubeWorkloadMatcher: {namespaces: [web]}}]\n  policy:";
    for (spec, code, message) in [
        (
            format!("{sources} {{mtls: {{istio: {{tlsMode: DISABLE}}}}}}"),
            "N0115",
            "`mtls` of a policy with `sourceSelector` is about traffic inside the mesh, so gateways do not have it",
        ),
        (
            "routeSelector: [{}]\n  policy: {outlierDetection: {}}".to_owned(),
            "W0452",
            "`outlierDetection` concerns the destinations that `destinationSelector` selects, also where other routes lead to them",
        ),
        (
            "policy: {outlierDetection: {}, requestTimeout: 1s}".to_owned(),
            "N0115",
            "TrafficPolicy `shop/p1` has no `routeSelector`, so routes of gateways do not have its options",
        ),
    ] {
        let folder = folder(&[policy(1, &spec)], "");
        compile(&folder).ended_with(0).said(code).said(message);
        let out = files(&folder.path().join("out"));
        let has_ratings = out.iter().any(|name| name.contains("bookinfo--ratings"));
        assert_eq!(has_ratings, spec.contains("outlierDetection"), "{spec}");
    }
    let folder = folder(
        &[policy(1, &format!("{sources} {{outlierDetection: {{}}}}"))],
        "",
    );
    compile(&folder).ended_with(1).said("E0454");
}

#[test]
fn a_host_without_a_dot_cannot_have_a_rule() {
    let spec = format!("{EXTERNAL}\n  policy: {{mtls: {{istio: {{tlsMode: SIMPLE}}}}}}");
    let folder = folder(&[policy(1, &spec)], "");
    let text = fs::read_to_string(folder.path().join("shop.yaml")).unwrap();
    folder.write(
        "shop.yaml",
        text.replace("api.payments.example", "payments").as_bytes(),
    );
    compile(&folder).ended_with(0).said("W0718").said(
        "no DestinationRule can be for the host `payments` of static destination `shop/payments`",
    );
}

/// The clusters of a bootstrap, which Envoys take, by the ends of their names.
fn bootstrap(folder: &Folder, upstreams: &[&str]) -> (impl Fn(&str) -> Value, Outcome) {
    let tools = envoy::tools();
    let filter = tools.as_ref().and_then(|(_, filter)| filter.to_str());
    let filter = filter.unwrap_or("f.wasm");
    let args = [
        "compile",
        "shop.yaml",
        "--target",
        "envoy",
        "--filter",
        filter,
        "-o",
        "envoy.json",
        "--upstream",
        "reviews.bookinfo=127.0.0.1:1",
        "--upstream",
        "ratings.bookinfo=127.0.0.1:2",
    ];
    let outcome = folder.run(&[&args[..], upstreams].concat()).ended_with(0);
    for envoy in tools.iter().flat_map(|(envoys, _)| envoys) {
        let mut validate = Command::new(envoy);
        validate.args(["--mode", "validate", "-c", "envoy.json"]);
        let output = validate.current_dir(folder.path()).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{log}");
    }
    let text = fs::read(folder.path().join("envoy.json")).unwrap();
    let bootstrap: Value = serde_json::from_slice(&text).unwrap();
    let clusters = bootstrap["static_resources"]["clusters"]
        .as_array()
        .unwrap()
        .clone();
    let find = move |end: &str| {
        let mut clusters = clusters.iter();
        let found = clusters.find(|cluster| cluster["name"].as_str().unwrap().ends_with(end));
        found.unwrap().clone()
    };
    (find, outcome)
}

#[test]
fn an_envoy_without_a_mesh_has_them_as_far_as_it_can() {
    let policies = [
        policy(
            1,
            "destinationSelector: [{kubeServiceMatcher: {labels: {app: reviews}}}]
  policy: {outlierDetection: {consecutiveErrors: 2, interval: 500ms}, mtls: {istio: {tlsMode: ISTIO_MUTUAL}}}",
        ),
        policy(
            2,
            &format!("{EXTERNAL}\n  policy: {{mtls: {{istio: {{tlsMode: SIMPLE}}}}}}"),
        ),
    ];
    let folder = folder(&policies, "");
    let services = INVENTORY.replace("kind: List", "kind: List\nmetadata: {name: all}");
    folder.write("east.yaml", services.as_bytes());
    let (cluster, outcome) = bootstrap(&folder, &["--inventory", "east=east.yaml"]);
    outcome.said(
        "`tlsMode: ISTIO_MUTUAL` does not hold for `reviews.bookinfo:9080/version=v2`, to which requests are sent without TLS: their upstreams are given for trying things out",
    );
    let reviews = cluster("reviews.bookinfo.svc.cluster.local");
    assert_eq!(
        reviews["outlier_detection"],
        json!({
            "consecutive_5xx": 2,
            "enforcing_consecutive_5xx": 100,
            "consecutive_gateway_failure": 2,
            "enforcing_consecutive_gateway_failure": 100,
            "enforcing_success_rate": 0,
            "interval": "0.500000000s",
            "base_ejection_time": "30.000000000s",
            "max_ejection_percent": 100,
        })
    );
    assert_eq!(reviews["transport_socket"], Value::Null);
    let ratings = cluster("ratings.bookinfo.svc.cluster.local");
    assert_eq!(ratings["outlier_detection"], Value::Null);
    let payments = cluster("|api.payments.example");
    let tls = &payments["transport_socket"]["typed_config"];
    assert_eq!(tls["sni"], "api.payments.example");
    let names = &tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"];
    assert_eq!(names[0]["matcher"]["exact"], "api.payments.example");

    let given = [
        "--inventory",
        "east=east.yaml",
        "--upstream",
        "payments.shop=127.0.0.1:3",
    ];
    let (cluster, outcome) = bootstrap(&folder, &given);
    outcome.said(
        "`tlsMode: SIMPLE` does not hold for `payments.shop:443`, to which requests are sent without TLS: their upstreams are given for trying things out",
    );
    let payments = cluster("|api.payments.example");
    assert_eq!(payments["transport_socket"], Value::Null);

    let text = fs::read_to_string(folder.path().join("shop.yaml")).unwrap();
    folder.write(
        "shop.yaml",
        text.replace("SIMPLE", "ISTIO_MUTUAL").as_bytes(),
    );
    let (cluster, outcome) = bootstrap(&folder, &given[..2]);
    outcome.said("W0718").said(
        "`tlsMode: ISTIO_MUTUAL` does not hold for `payments.shop:443`, to which requests are sent without TLS: without a mesh there are no certificates for it",
    );
    let payments = cluster("|api.payments.example");
    assert_eq!(payments["transport_socket"], Value::Null);
}

#[test]
fn a_program_alone_says_nothing_of_destinations() {
    let policies = [policy(
        1,
        "policy: {outlierDetection: {}, mtls: {istio: {tlsMode: SIMPLE}}}",
    )];
    let folder = folder(&policies, "");
    let args = [
        "compile",
        "shop.yaml",
        "--target",
        "program",
        "-o",
        "out.program",
        "--inventory",
        "east=east.yaml",
    ];
    let outcome = folder.run(&args).ended_with(0);
    for word in ["outlierDetection", "mtls", "tlsMode", "TrafficPolicy"] {
        assert!(!outcome.stderr.contains(word), "{}", outcome.stderr);
    }
}

#[test]
fn the_settings_of_the_chosen_destination_are_shown_with_their_places() {
    let policies = [
        policy(2, "policy: {outlierDetection: {}}"),
        policy(
            1,
            &format!("{EXTERNAL}\n  policy: {{mtls: {{istio: {{tlsMode: SIMPLE}}}}}}"),
        ),
        // Of the same Service in another cluster.
        policy(
            3,
            "destinationSelector: [{kubeServiceMatcher: {clusters: [west]}}]\n  policy: {mtls: {istio: {tlsMode: DISABLE}}}",
        ),
    ];
    let folder = folder(&policies, "");
    let ask = |path: &str, more: &[&str]| {
        let url = format!("http://www.example.com{path}");
        let args = [
            "route",
            "-f",
            "shop.yaml",
            "--inventory",
            "east=east.yaml",
            "GET",
            &url,
        ];
        folder.run(&[&args[..], more].concat()).ended_with(0)
    };
    let lines = |text: String| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("setting"));
        lines
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    };
    assert_eq!(
        lines(ask("/pay", &[]).text()),
        [
            "setting outlierDetection (shop.yaml:36:12)",
            "setting mtls: SIMPLE (shop.yaml:43:12)",
        ]
    );
    assert_eq!(
        lines(ask("/ratings", &[]).text()),
        ["setting outlierDetection (shop.yaml:36:12)"]
    );
    let answer: Value = serde_json::from_str(&ask("/pay", &["-o", "json"]).text()).unwrap();
    assert_eq!(
        answer["optionPlaces"],
        json!({ "mtls": "shop.yaml:43:12", "outlierDetection": "shop.yaml:36:12" })
    );
}
