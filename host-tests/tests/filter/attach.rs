//! What the ways to attach to a gateway ask of the filter.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meshgate_engine::policy::{Mirror, Percentage, Policies};
use meshgate_host_tests::cases::{Configuration, Group};
use meshgate_host_tests::wasm::{Metric, Request, Vm};

use crate::observe::start_with;
use crate::program::{ProgramBuilder, module, start};
use crate::{forwarded, get, replied, text};

#[test]
fn mirrors_may_follow_the_cluster_in_its_header() {
    let mirror = |destination| Mirror {
        destination,
        percentage: Percentage::ALL,
    };
    let program = || {
        ProgramBuilder::new("g")
            .forward("/plain", "a", |_| ())
            .forward("/b", "b", |_| ())
            .forward("/copied", "c", |forward| forward.timeout_ms = Some(5))
            .policies(Policies {
                mirrors: vec![mirror(0), mirror(1)],
                ..Policies::default()
            })
    };
    let mut vm = start_with(program(), r#""mirrorsInHeader":true"#);
    let copied = forwarded(&mut vm, get("/copied"));
    assert_eq!(copied.headers.get_all("x-meshgate-cluster"), [b"c,a,b"]);
    assert_eq!(copied.properties.get("meshgate_mirrors"), None);
    let timeout = copied.headers.get("x-envoy-upstream-rq-timeout-ms");
    assert_eq!(text(timeout), "5");
    let plain = forwarded(&mut vm, get("/plain"));
    assert_eq!(plain.headers.get_all("x-meshgate-cluster"), [b"a"]);

    let copied = forwarded(&mut start(program()), get("/copied"));
    assert_eq!(copied.headers.get_all("x-meshgate-cluster"), [b"c"]);
    let mirrors = copied.properties.get("meshgate_mirrors");
    assert_eq!(mirrors, Some(&b"a,b".to_vec()));
}

const SHARED: &str = "\
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {name: www, namespace: shop}
spec:
  options: {normalizePath: true, mergeSlashes: true}
  connectionHandlers: [{http: {routeConfig: [{virtualHostSelector: {}}]}}]
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: www, namespace: shop}
spec:
  domains: [www.example.com]
  routes:
  - {name: hello, matchers: [{uri: {prefix: /hello}}], directResponseAction: {status: 200, body: hello}}
  - {name: denied, matchers: [{uri: {prefix: /denied}}], options: {authorization: {rules: [{methods: [POST]}]}}, directResponseAction: {status: 200}}
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: secure, namespace: shop}
spec:
  domains: [secure.example.com]
  requireTls: ALL
  routes: [{name: hello, matchers: [{uri: {prefix: /hello}}], directResponseAction: {status: 200, body: hello}}]
";

fn passing_on() -> Vm {
    let configuration = Configuration::of(&Group::new("shared", SHARED.to_owned()), 1);
    let data = STANDARD.encode(configuration.program().unwrap());
    let configuration =
        format!(r#"{{"program":{{"encoding":"base64","data":"{data}"}},"passOn":true}}"#);
    Vm::start(module(), configuration.as_bytes()).unwrap()
}

fn count(vm: &Vm, name: &str) -> u64 {
    match vm.metrics().get(name) {
        Some(Metric::Counter(count)) => *count,
        _ => 0,
    }
}

#[test]
fn requests_without_route_go_on_as_they_came() {
    let mut vm = passing_on();
    for (host, path) in [
        ("www.example.com", "/"),
        ("www.example.com", "//a/./b/../%7e?x=//"),
        ("others.example.com", "/hello"),
        ("others.example.com", "//hello"),
    ] {
        let request = Request::new("GET", host, path)
            .header("accept", "*/*")
            .header("x-meshgate-cluster", "a")
            .header("x-meshgate-explain", "please")
            .header("x-envoy-max-retries", "3")
            .header("x-envoy-upstream-rq-timeout-ms", "1");
        let passed = forwarded(&mut vm, request);
        assert_eq!(passed.headers.get_all(":path"), [path.as_bytes()]);
        assert_eq!(passed.headers.get_all("accept"), [b"*/*"]);
        for name in [
            "x-meshgate-cluster",
            "x-meshgate-explain",
            "x-envoy-max-retries",
            "x-envoy-upstream-rq-timeout-ms",
        ] {
            assert_eq!(passed.headers.get(name), None, "{name}");
        }
        assert_eq!(passed.properties.get("meshgate_route"), None);
    }
    let of_host = "virtual_host=.=shop.www;.;outcome=.=unclaimed;.;meshgate.requests";
    assert_eq!(count(&vm, of_host), 2);
    assert_eq!(count(&vm, "outcome=.=unclaimed;.;meshgate.requests"), 2);
}

#[test]
fn what_a_virtual_host_says_is_an_answer() {
    let mut vm = passing_on();
    assert_eq!(replied(&mut vm, get("//hello")).status, 200);
    assert_eq!(replied(&mut vm, get("/denied")).status, 403);
    // All of the host wants TLS, whatever the path is.
    let request = Request::new("GET", "secure.example.com", "/others");
    assert_eq!(replied(&mut vm, request).status, 301);
}

#[test]
fn without_a_program_everything_goes_on() {
    let mut vm = Vm::start(module(), br#"{"passOn":true}"#).unwrap();
    let request = get("//a").header("x-meshgate-cluster", "a");
    let passed = forwarded(&mut vm, request);
    assert_eq!(passed.headers.get_all(":path"), [b"//a"]);
    assert_eq!(passed.headers.get("x-meshgate-cluster"), None);
    assert_eq!(count(&vm, "outcome=.=no_program;.;meshgate.requests"), 1);
}
