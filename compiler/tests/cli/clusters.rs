//! Inventories, programs for several gateways, and statuses.

use std::fs;

use meshgate_engine::Program;
use serde_json::Value;

use crate::folder::Folder;

/// A gateway in each of two clusters that serves one virtual host, and a route table that has a mistake.
const RESOURCES: &str = "\
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {name: www, namespace: shop, generation: 3}
spec:
  ingressGatewaySelectors:
  - portName: http2
    destinationSelectors: [{kubeServiceMatcher: {labels: {app: ingress}}}]
  connectionHandlers: [{http: {routeConfig: [{virtualHostSelector: {}}]}}]
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: web, namespace: shop}
spec:
  domains: [www.example.com]
  routes:
  - name: ratings
    matchers: [{uri: {prefix: /ratings}}]
    routeAction: {destinations: [{kubeService: {name: ratings, namespace: bookinfo, clusterName: east}}]}
  - name: rest
    delegateAction: {refs: [{name: rest, namespace: shop}]}
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: RouteTable
metadata: {name: rest, namespace: shop}
spec:
  routes:
  - directResponseAction: {status: 200}
---
apiVersion: networking.mesh.gloo.solo.io/v1
kind: VirtualMesh
metadata: {name: mesh, namespace: gloo-mesh}
spec:
  meshes: [{name: istiod-istio-system-east}, {name: istiod-istio-system-west}]
  federation: {selectors: [{}]}
";

const INVENTORY: &str = "\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: ingress, namespace: istio-ingress, labels: {app: ingress}}
  spec: {type: LoadBalancer, selector: {app: ingress}, ports: [{name: http2, port: 80, targetPort: 8080}]}
  status: {loadBalancer: {ingress: [{ip: 192.0.2.7}]}}
- apiVersion: v1
  kind: Service
  metadata: {name: ratings, namespace: bookinfo}
  spec: {ports: [{name: http, port: 9080}]}
";

const INVENTORIES: [&str; 4] = [
    "--inventory",
    "east=inventory/east.yaml",
    "--inventory",
    "west=inventory/west.yaml",
];

fn folder(resources: &str) -> Folder {
    let folder = Folder::new(&[("shop.yaml", resources)]);
    fs::create_dir(folder.path().join("inventory")).unwrap();
    for cluster in ["east", "west"] {
        let path = folder.path().join(format!("inventory/{cluster}.yaml"));
        fs::write(path, INVENTORY).unwrap();
    }
    folder
}

fn clusters(program: Vec<u8>) -> String {
    let program = Program::new(program).expect("a program");
    format!("{:?}", program.head())
}

#[test]
fn every_gateway_that_runs_has_a_program_of_its_own() {
    let folder = folder(RESOURCES);
    // The inventories lie among the resources, and are not taken for part of them.
    let args = [&["compile", ".", "--target", "program"], &INVENTORIES[..]].concat();
    let outcome = folder.run(&[&args[..], &["--output-dir", "out"]].concat());
    let outcome = outcome.ended_with(0);
    assert!(
        outcome
            .stderr
            .contains("istio-ingress.ingress.bin: shop/www on port 8080"),
        "{}",
        outcome.stderr
    );
    for (cluster, destination) in [
        ("east", "outbound|9080||ratings.bookinfo.svc.cluster.local"),
        ("west", "outbound|9080||ratings.bookinfo.svc.east.global"),
    ] {
        let path = format!("out/{cluster}/istio-ingress.ingress.bin");
        let program = fs::read(folder.path().join(&path)).unwrap();
        assert!(clusters(program).contains(destination), "{cluster}");
    }
    fs::remove_dir_all(folder.path().join("out")).unwrap();

    // One program cannot be right for both clusters.
    let outcome = folder
        .run(&[&args[..], &["-o", "one.bin"]].concat())
        .ended_with(2);
    assert!(
        outcome
            .stderr
            .contains("gateways run in several clusters (east, west)"),
        "{}",
        outcome.stderr
    );
    let west = [&args[..], &["-o", "one.bin", "--cluster", "west"]].concat();
    folder.run(&west).ended_with(0);
    assert!(clusters(fs::read(folder.path().join("one.bin")).unwrap()).contains("svc.east.global"));
}

#[test]
fn one_file_may_be_the_inventory_of_several_clusters() {
    let folder = folder(RESOURCES);
    let inventories = ["east", "west"].map(|cluster| format!("{cluster}=inventory/east.yaml"));
    let [east, west] = inventories.each_ref().map(String::as_str);
    let args = ["compile", "shop.yaml", "--target", "program"];
    let inventories = ["--inventory", east, "--inventory", west];
    let args = [&args[..], &inventories, &["--output-dir", "out"]].concat();
    folder.run(&args).ended_with(0);
    for cluster in ["east", "west"] {
        let path = format!("out/{cluster}/istio-ingress.ingress.bin");
        assert!(folder.path().join(path).exists(), "{cluster}");
    }
}

#[test]
fn findings_of_every_cluster_are_reported() {
    let folder = folder(&RESOURCES.replace("  federation: {selectors: [{}]}\n", ""));
    let args = [&["check", "--format", "short", "."], &INVENTORIES[..]].concat();
    let outcome = folder.run(&args).ended_with(1);
    let stdout = String::from_utf8(outcome.stdout).unwrap();
    assert!(stdout.contains("E0370"), "{stdout}");
    assert!(
        stdout.contains("cannot be reached from gateways in cluster `west`"),
        "{stdout}"
    );
}

fn statuses(folder: &Folder) -> Vec<Value> {
    let args = [&["status", ".", "--format", "json"], &INVENTORIES[..]].concat();
    let stdout = folder.run(&args).ended_with(0).stdout;
    String::from_utf8(stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_object_has_a_status() {
    let folder = folder(RESOURCES);
    let expected = r#"{"apiVersion":"networking.enterprise.mesh.gloo.solo.io/v1beta1","kind":"RouteTable","metadata":{"name":"rest","namespace":"shop"},"status":{"selectedBy":[{"name":"web","namespace":"shop","type":"VirtualHost"}],"state":"ACCEPTED"}}
{"apiVersion":"networking.enterprise.mesh.gloo.solo.io/v1beta1","kind":"VirtualGateway","metadata":{"name":"www","namespace":"shop"},"status":{"appliedIngressGateways":[{"destinationRef":{"clusterName":"east","name":"ingress","namespace":"istio-ingress"},"externalAddresses":["192.0.2.7"],"externalPort":80,"port":80},{"destinationRef":{"clusterName":"west","name":"ingress","namespace":"istio-ingress"},"externalAddresses":["192.0.2.7"],"externalPort":80,"port":80}],"observedGeneration":3,"selectedRouteTables":[{"name":"rest","namespace":"shop"}],"selectedVirtualHosts":[{"name":"web","namespace":"shop"}],"state":"ACCEPTED"}}
{"apiVersion":"networking.enterprise.mesh.gloo.solo.io/v1beta1","kind":"VirtualHost","metadata":{"name":"web","namespace":"shop"},"status":{"attachedVirtualGateways":[{"name":"www","namespace":"shop"}],"selectedRouteTables":[{"name":"rest","namespace":"shop"}],"state":"ACCEPTED"}}
{"apiVersion":"networking.mesh.gloo.solo.io/v1","kind":"VirtualMesh","metadata":{"name":"mesh","namespace":"gloo-mesh"},"status":{"state":"ACCEPTED"}}"#;
    let expected: Vec<Value> = expected
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(statuses(&folder), expected);
}

#[test]
fn findings_belong_to_their_object() {
    let broken = RESOURCES
        .replace("status: 200", "status: 99")
        .replace("  federation: {selectors: [{}]}\n", "");
    let folder = folder(&broken);
    let states: Vec<(String, String, String)> = statuses(&folder)
        .iter()
        .map(|object| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let first = text(&object["status"]["errors"][0]);
            (
                text(&object["kind"]),
                text(&object["status"]["state"]),
                first.split(' ').next().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    let expected = [
        ("RouteTable", "INVALID", "E0038"),
        ("VirtualGateway", "ACCEPTED", ""),
        // What cannot be reached from the other cluster is this object's mistake.
        ("VirtualHost", "INVALID", "E0370"),
        ("VirtualMesh", "ACCEPTED", ""),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|&(kind, state, code)| (kind.to_owned(), state.to_owned(), code.to_owned()))
        .collect();
    assert_eq!(states, expected);

    // `compile` writes the same, also if it fails.
    let args = [
        &[
            "compile",
            ".",
            "--target",
            "program",
            "-o",
            "x.bin",
            "--status",
            "status.yml",
        ],
        &INVENTORIES[..],
    ];
    folder.run(&args.concat()).ended_with(1);
    let written = fs::read_to_string(folder.path().join("status.yml")).unwrap();
    assert!(
        written.starts_with("apiVersion: networking.enterprise"),
        "{written}"
    );
    assert_eq!(written.matches("state: INVALID").count(), 2, "{written}");
}

#[test]
fn without_an_inventory_it_is_said_what_is_taken_on_trust() {
    let folder = Folder::new(&[("shop.yaml", RESOURCES)]);
    let outcome = folder.run(&["status", "."]).ended_with(0);
    assert!(
        outcome.stderr.contains(
            "`shop/www` is taken to run as pods `app=ingress` in namespace `istio-system`, port 80"
        ),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_request_arrives_in_a_cluster() {
    let folder = folder(RESOURCES);
    for (cluster, destination) in [
        ("east", "outbound|9080||ratings.bookinfo.svc.cluster.local"),
        ("west", "outbound|9080||ratings.bookinfo.svc.east.global"),
    ] {
        let request = ["GET", "http://www.example.com/ratings"];
        let args = [
            &["route", "-f", "."],
            &INVENTORIES[..],
            &["--cluster", cluster],
            &request,
        ];
        let outcome = folder.run(&args.concat()).ended_with(0);
        assert!(outcome.text().contains(destination), "{}", outcome.text());
    }
}

#[test]
fn statuses_say_which_policies_routes_have() {
    let folder = Folder::new(&[(
        "all.yaml",
        "\
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: web, namespace: shop}
spec:
  domains: [www.example.com]
  routes:
  - {name: pay, labels: {retry: never}, directResponseAction: {status: 200}}
  - {matchers: [{uri: {prefix: /x}}], labels: {retry: never}, directResponseAction: {status: 200}}
  - {labels: {retry: never}, delegateAction: {refs: [{name: rest}]}}
  - {name: other, delegateAction: {refs: [{name: rest}]}}
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: RouteTable
metadata: {name: rest, namespace: shop}
spec:
  routes:
  - directResponseAction: {status: 200}
---
apiVersion: networking.mesh.gloo.solo.io/v1
kind: TrafficPolicy
metadata: {name: young, namespace: shop}
spec: {routeSelector: [{virtualHostSelector: {}}, {virtualHostSelector: {}, routeLabelMatcher: {retry: never}}], policy: {requestTimeout: 5s}}
---
apiVersion: networking.mesh.gloo.solo.io/v1
kind: TrafficPolicy
metadata: {name: zero, namespace: shop, generation: 4, creationTimestamp: \"2020-01-01T00:00:00Z\"}
spec: {routeSelector: [{routeLabelMatcher: {retry: never}}, {routeTableSelector: {}}], policy: {retries: {attempts: 0}}}
---
apiVersion: networking.mesh.gloo.solo.io/v1
kind: TrafficPolicy
metadata: {name: mesh, namespace: shop}
spec: {policy: {retries: {attempts: 0}}}
",
    )]);
    let stdout = folder
        .run(&["status", ".", "--format", "json"])
        .ended_with(0)
        .stdout;
    let statuses: Vec<Value> = String::from_utf8(stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let status = |kind: &str, name: &str| {
        let mut objects = statuses.iter();
        let found = objects.find(|o| o["kind"] == kind && o["metadata"]["name"] == name);
        found.unwrap()["status"].clone()
    };
    let young = serde_json::json!({"ref": {"name": "young", "namespace": "shop"}, "routes": ["*"], "spec": {
        "routeSelector": [
            {"virtualHostSelector": {}},
            {"virtualHostSelector": {}, "routeLabelMatcher": {"retry": "never"}},
        ],
        "policy": {"requestTimeout": "5s"},
    }});
    let zero = |routes: &[&str]| {
        serde_json::json!({"observedGeneration": 4, "ref": {"name": "zero", "namespace": "shop"}, "routes": routes, "spec": {
            "routeSelector": [{"routeLabelMatcher": {"retry": "never"}}, {"routeTableSelector": {}}],
            "policy": {"retries": {"attempts": 0}},
        }})
    };
    assert_eq!(
        status("VirtualHost", "web")["appliedTrafficPolicies"],
        serde_json::json!([zero(&["pay", "/x", "#2"]), young])
    );
    assert_eq!(
        status("RouteTable", "rest")["appliedTrafficPolicies"],
        serde_json::json!([zero(&["*"])])
    );
    assert_eq!(
        status("TrafficPolicy", "zero"),
        serde_json::json!({"observedGeneration": 4, "state": "ACCEPTED", "gatewayRoutes": {
            "rest.shop (RouteTable)": {"routes": ["*"]},
            "web.shop (VirtualHost)": {"routes": ["pay", "/x", "#2"]},
        }})
    );
    assert_eq!(
        status("TrafficPolicy", "young")["gatewayRoutes"],
        serde_json::json!({"web.shop (VirtualHost)": {"routes": ["*"]}})
    );
    assert_eq!(
        status("TrafficPolicy", "mesh"),
        serde_json::json!({"state": "ACCEPTED"})
    );
}

/// Names in the input must not lead out of the folder that is written to.
#[test]
fn names_do_not_lead_elsewhere() {
    let service = "\
---
apiVersion: v1
kind: Service
metadata: {name: ../../../elsewhere, namespace: a, labels: {app: ingress}}
spec: {selector: {app: ingress}, ports: [{name: http2, port: 80}]}
";
    let discovered = "\
---
apiVersion: discovery.mesh.gloo.solo.io/v1
kind: Destination
metadata: {name: d, namespace: a}
spec:
  kubeService:
    ref: {name: ../../../elsewhere, namespace: a, clusterName: east}
    labels: {app: ingress}
    workloadSelectorLabels: {app: ingress}
    ports: [{name: http2, port: 80}]
";
    for (object, said) in [
        (
            service,
            "error[E0027]: `../../../elsewhere` cannot be the name of an object",
        ),
        (
            discovered,
            "`a.../../../elsewhere.bin` cannot be the name of a file",
        ),
    ] {
        let folder = Folder::new(&[("shop.yaml", &(RESOURCES.to_owned() + object))]);
        let outcome = folder
            .run(&[
                "compile",
                ".",
                "--target",
                "program",
                "--output-dir",
                "out/deep",
            ])
            .ended_with(1);
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
        assert!(!folder.path().join("out/elsewhere.bin").exists());
        assert!(!folder.path().join("out/deep/elsewhere.bin").exists());
    }
}
