//! Objects for gateways in a mesh. `BLESS=1 cargo test` writes the expected files anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::folder::Folder;

pub(crate) const MODULE: [&str; 2] = ["--module", "file:///opt/meshgate/filter-1.0.wasm"];

/// A virtual gateway of the namespace `shop`, at a port of the Service with the label `app: ingress`.
pub(crate) fn virtual_gateway(name: &str, port: &str, fields: &str) -> String {
    format!(
        "---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {{name: {name}, namespace: shop}}
spec:
  ingressGatewaySelectors: [{{portName: {port}, destinationSelectors: [{{kubeServiceMatcher: {{labels: {{app: ingress}}}}}}]}}]
  {fields}
"
    )
}

/// A gateway in each of two clusters, with everything that a listener can have.
const RESOURCES: &str = "\
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {name: secure, namespace: shop}
spec:
  ingressGatewaySelectors:
  - portName: https
    destinationSelectors: [{kubeServiceMatcher: {labels: {app: ingress}}}]
  options: {bindAddress: 0.0.0.0, perConnectionBufferLimitBytes: 65536}
  connectionHandlers:
  - connectionMatch: {serverNames: [www.example.com, '*.shop.example']}
    connectionOptions:
      enableProxyProtocol: true
      sslConfig:
        tlsMode: MUTUAL
        secretName: shop-cert
        verifySubjectAltName: [client.example.com]
        parameters:
          minimumProtocolVersion: TLSv1_2
          maximumProtocolVersion: TLS_AUTO
          cipherSuites: [ECDHE-RSA-AES256-GCM-SHA384]
    http: {routeConfig: [{virtualHostSelector: {}}]}
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {name: plain, namespace: shop}
spec:
  ingressGatewaySelectors:
  - portName: http2
    destinationSelectors: [{kubeServiceMatcher: {labels: {app: ingress}}}]
  connectionHandlers: [{connectionOptions: {httpsRedirect: true}}]
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: web, namespace: shop}
spec:
  domains: [www.example.com]
  routes:
  - name: reviews
    matchers: [{uri: {prefix: /reviews}}]
    routeAction: {destinations: [{kubeService: {name: reviews, namespace: bookinfo, port: 9080, subset: {version: v2}}}]}
  - name: old
    routeAction: {destinations: [{staticDestination: {name: legacy, namespace: shop}}]}
---
apiVersion: discovery.mesh.gloo.solo.io/v1
kind: Destination
metadata: {name: legacy, namespace: shop}
spec:
  externalService:
    name: legacy
    hosts: [legacy.example.com]
    ports: [{number: 80, name: http, protocol: HTTP}]
    endpoints: [{address: a.legacy.example.com, ports: {http: 8080}}, {address: 192.0.2.1, ports: {http: 8081}}]
";

const INVENTORY: &str = "\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: ingress, namespace: istio-ingress, labels: {app: ingress}}
  spec:
    type: LoadBalancer
    selector: {istio: ingress}
    ports: [{name: http2, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]
- apiVersion: v1
  kind: Service
  metadata: {name: reviews, namespace: bookinfo}
  spec: {ports: [{name: http, port: 9080}]}
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {name: reviews, namespace: bookinfo}
  spec:
    host: reviews
    trafficPolicy: {connectionPool: {http: {http2MaxRequests: 10}}}
    subsets: [{name: canary, labels: {track: canary}}]
";

pub(crate) fn folder() -> Folder {
    let folder = Folder::new(&[("shop.yaml", RESOURCES)]);
    fs::create_dir(folder.path().join("inventory")).unwrap();
    for cluster in ["east", "west"] {
        let path = folder.path().join(format!("inventory/{cluster}.yaml"));
        fs::write(path, INVENTORY).unwrap();
    }
    folder
}

pub(crate) fn compile(folder: &Folder, more: &[&str]) -> crate::folder::Outcome {
    let args = ["compile", "shop.yaml", "--target", "istio", "-o", "out"];
    let inventories = [
        "--inventory",
        "east=inventory/east.yaml",
        "--inventory",
        "west=inventory/west.yaml",
    ];
    folder.run(&[&args[..], &inventories[..], more].concat())
}

/// All files below a folder, by name.
pub(crate) fn files(folder: &Path) -> BTreeSet<String> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap();
            path.to_string_lossy().into_owned()
        })
        .collect()
}

/// Compares a text with a file of this crate; what changes with every program is left out.
pub(crate) fn golden(name: &str, text: &str) {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| {
            let line = line.trim_start();
            // What changes with every program.
            let changing = [
                "data: ",
                "meshgate.io/program-sha256: ",
                "value: \"{\\\"program",
            ];
            !changing.iter().any(|start| line.starts_with(start))
        })
        .collect();
    let text = lines.join("\n") + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/istio/{name}"));
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap_or_default(),
        text,
        "{name}"
    );
}

#[test]
fn a_folder_per_cluster_in_the_order_of_the_waves() {
    let folder = folder();
    compile(&folder, &MODULE).ended_with(0);
    let expected = [
        "10-destinations/destinationrule.istio-ingress.meshgate--bookinfo--reviews.yaml",
        "10-destinations/serviceentry.istio-ingress.meshgate--shop--legacy.yaml",
        "20-listeners/envoyfilter.istio-ingress.meshgate--ingress.yaml",
        "20-listeners/gateway.istio-ingress.ingress--shop--plain.yaml",
        "20-listeners/gateway.istio-ingress.ingress--shop--secure.yaml",
        "20-listeners/virtualservice.istio-ingress.meshgate--ingress.yaml",
        "30-program/wasmplugin.istio-ingress.meshgate--ingress.yaml",
    ];
    let both = ["east", "west"]
        .iter()
        .flat_map(|cluster| expected.map(|file| format!("{cluster}/{file}")))
        .collect();
    assert_eq!(files(&folder.path().join("out")), both);

    // Written again in another form, nothing of the first form is left; files of others are.
    folder.write("out/east/30-program/notes.yaml", b"");
    compile(&folder, &[&MODULE[..], &["--format", "json"]].concat()).ended_with(0);
    let mut both: BTreeSet<String> = both
        .iter()
        .map(|file| file.replace(".yaml", ".json"))
        .collect();
    both.insert("east/30-program/notes.yaml".to_owned());
    assert_eq!(files(&folder.path().join("out")), both);
}

#[test]
fn the_objects_of_a_cluster() {
    let folder = folder();
    compile(&folder, &[&MODULE[..], &["--one-file"]].concat()).ended_with(0);
    let east = fs::read_to_string(folder.path().join("out/east.yaml")).unwrap();
    golden("listeners.yaml", &east);
    compile(&folder, &[&MODULE[..], &["--one-file"]].concat()).ended_with(0);
    let again = fs::read_to_string(folder.path().join("out/east.yaml")).unwrap();
    assert_eq!(east, again);
}

#[test]
fn the_plugin_holds_the_program_and_says_where_the_filter_is() {
    let folder = folder();
    let digest = "0123456789abcdef".repeat(4);
    let image = [
        "--module",
        "oci://registry.example/meshgate:1.0",
        "--module-sha256",
        &digest,
        "--pull-secret",
        "pull",
        "--fail-close",
        "--format",
        "json",
    ];
    compile(&folder, &image).ended_with(0);
    let path = "out/east/30-program/wasmplugin.istio-ingress.meshgate--ingress.json";
    let plugin: Value =
        serde_json::from_slice(&fs::read(folder.path().join(path)).unwrap()).unwrap();
    let spec = &plugin["spec"];
    assert_eq!(spec["sha256"], digest);
    assert_eq!(spec["failStrategy"], "FAIL_CLOSE");
    assert_eq!(spec["imagePullSecret"], "pull");
    assert_eq!(spec["match"][0]["ports"][1]["number"], 8443);
    assert!(spec["pluginConfig"]["program"]["data"].is_string());
}

#[test]
fn modules_that_istio_would_not_load_are_refused() {
    let folder = folder();
    for (args, message) in [
        (&[][..], "say where gateways find the filter"),
        (&["--module", "filter.wasm"], "is no URL"),
        (&["--module", "ftp://host/filter.wasm"], "Istio cannot load"),
        (&["--module", "oci://registry/meshgate"], "add its digest"),
        (
            &["--module", "https://host/f.wasm", "--module-sha256", "ABC"],
            "no SHA-256 digest",
        ),
    ] {
        compile(&folder, args).ended_with(2).said(message);
    }
    let args = ["compile", "shop.yaml", "--target", "program", "-o", "p.bin"];
    folder
        .run(&[&args[..], &MODULE[..]].concat())
        .ended_with(2)
        .said("`--module` is for gateways in a mesh");
}

#[test]
fn one_pod_cannot_have_two_programs() {
    let folder = folder();
    let second = "
- apiVersion: v1
  kind: Service
  metadata: {name: other, namespace: istio-ingress, labels: {app: ingress}}
  spec:
    selector: {istio: ingress, canary: 'yes'}
    ports: [{name: http2, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]
";
    folder.write(
        "inventory/east.yaml",
        format!("{INVENTORY}{second}").as_bytes(),
    );
    compile(&folder, &MODULE)
        .ended_with(1)
        .said("two programs for the same pods in namespace `istio-ingress`");
    assert!(!folder.path().join("out").exists());
}

#[test]
fn a_program_may_be_part_of_the_module() {
    let folder = folder();
    let digest = "0123456789abcdef".repeat(4);
    let image = |place: &str| format!("{place}=oci://registry.example/east:7@sha256:{digest}");
    let plugin = |cluster: &str| {
        let path =
            format!("out/{cluster}/30-program/wasmplugin.istio-ingress.meshgate--ingress.json");
        let bytes = fs::read(folder.path().join(path)).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()["spec"].clone()
    };
    let (east, west) = (
        image("east/istio-ingress.ingress"),
        image("west/istio-ingress.ingress"),
    );
    let json = ["--format", "json"];
    let outcome = compile(
        &folder,
        &[&MODULE[..], &json, &["--packaged", &east]].concat(),
    );
    outcome
        .ended_with(0)
        .said("bytes and is part of the module");
    let spec = plugin("east");
    assert_eq!(spec["url"], "oci://registry.example/east:7");
    assert_eq!(spec["sha256"], digest);
    assert_eq!(spec["imagePullPolicy"], "IfNotPresent");
    assert_eq!(spec["pluginConfig"], Value::Null);
    let spec = plugin("west");
    assert_eq!(spec["url"], MODULE[1]);
    assert!(spec["pluginConfig"]["program"]["data"].is_string());

    // If every gateway has an image of its own, no other module is needed.
    let both = ["--packaged", &east, "--packaged", &west];
    compile(&folder, &[&json[..], &both].concat()).ended_with(0);
    assert_eq!(plugin("west")["pluginConfig"], Value::Null);
    compile(&folder, &both[..2])
        .ended_with(2)
        .said("say where gateways find the filter");
    let elsewhere = image("north/istio-ingress.ingress");
    compile(&folder, &[&MODULE[..], &["--packaged", &elsewhere]].concat())
        .ended_with(2)
        .said("`north/istio-ingress.ingress`, which is no gateway; there is `east/istio-ingress.ingress`, `west/");
    compile(
        &folder,
        &[&MODULE[..], &["--packaged", "east=oci://a/b:1"]].concat(),
    )
    .ended_with(2)
    .said("as `meshgate package --push` prints it");
}

/// Text that hardly gets smaller.
fn noise(length: usize) -> String {
    const DIGITS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(DIGITS[(state >> 58) as usize])
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn programs_are_measured_against_what_kubernetes_takes() {
    for (kilobytes, code, said) in [
        (100, 0, "bytes, the WasmPlugin with it 1"),
        (400, 0, "and plain `kubectl apply` takes 262144"),
        (
            900,
            0,
            "put the program into the module's image with `meshgate package`",
        ),
        (
            1500,
            1,
            "put the program into the module's image with `meshgate package`",
        ),
    ] {
        // A direct response holds no more than 4096 bytes.
        let large: String = noise(kilobytes * 1000)
            .as_bytes()
            .chunks(4000)
            .enumerate()
            .map(|(number, body)| {
                let body = String::from_utf8_lossy(body);
                format!(
                    "  - name: large-{number}\n    matchers: [{{uri: {{exact: /large/{number}}}}}]\n    directResponseAction: {{status: 200, body: x{body}}}\n"
                )
            })
            .collect();
        let resources = RESOURCES.replace("  - name: old\n", &format!("{large}  - name: old\n"));
        let folder = folder();
        folder.write("shop.yaml", resources.as_bytes());
        let outcome = compile(&folder, &MODULE).ended_with(code).said(said);
        assert_eq!(
            outcome.stderr.contains("warning[W0715]"),
            (400..=900).contains(&kilobytes)
        );
    }
}

/// A folder whose gateways ask a service with the bodies of requests.
pub(crate) fn asking_with_bodies() -> Folder {
    let folder = folder();
    let service = "---
apiVersion: v1
kind: Service
metadata: {name: ext-auth-service, namespace: shop}
spec: {ports: [{name: grpc, port: 8083}]}
";
    let asking = "http:\n      routeOptions: {extauth: {requestBody: {}}}\n      routeConfig: [{virtualHostSelector: {}}]";
    let resources = RESOURCES.replace("http: {routeConfig: [{virtualHostSelector: {}}]}", asking);
    assert_ne!(resources, RESOURCES);
    folder.write("shop.yaml", (resources + service).as_bytes());
    folder
}

#[test]
fn the_filter_is_an_envoy_filter_where_it_needs_bodies() {
    let folder = asking_with_bodies();
    compile(&folder, &MODULE)
        .ended_with(0)
        .said("the EnvoyFilter with it");
    let place = folder.path().join("out/east/30-program");
    let name = "envoyfilter.istio-ingress.meshgate--ingress--program.yaml";
    assert_eq!(files(&place), BTreeSet::from([name.to_owned()]));
    let text = fs::read_to_string(place.join(name)).unwrap();
    // What changes with every program is in one line.
    let text: String = text
        .lines()
        .filter(|line| !line.contains("program\\\""))
        .map(|line| format!("{line}\n"))
        .collect();
    golden("bodies.yaml", &text);

    compile(
        &folder,
        &[&MODULE[..], &["--fail-close", "--format", "json"]].concat(),
    )
    .ended_with(0);
    let text = fs::read_to_string(place.join(name.replace("yaml", "json"))).unwrap();
    assert!(
        text.contains("\"failure_policy\": \"FAIL_CLOSED\""),
        "{text}"
    );
}

#[test]
fn without_a_file_the_filter_cannot_have_bodies() {
    let folder = asking_with_bodies();
    let digest = "0123456789abcdef".repeat(4);
    let image = [
        "--module",
        "oci://registry.example/meshgate:1.0",
        "--module-sha256",
        &digest,
    ];
    compile(&folder, &image)
        .ended_with(1)
        .said("`extauth.requestBody` needs a setting of Envoy that a WasmPlugin does not have")
        .said("mount it, and write `--module file:///PATH`");
    compile(&folder, &[&MODULE[..], &["--attach", "stable"]].concat())
        .ended_with(1)
        .said("leave out `--attach stable`");
}
