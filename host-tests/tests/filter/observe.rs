//! What the filter tells about requests: metrics, and explanations for those who know the token.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meshgate_engine::policy::{Authorization, Policies, Rule};
use meshgate_engine::{ActionKind, DirectResponse, Program, Redirect, RedirectPath};
use meshgate_host_tests::wasm::{Headers, Metric, Request, Vm};
use sha2::{Digest, Sha256};

use crate::program::{ProgramBuilder, module, start};
use crate::{cluster, forwarded, get, replied, text};

const TOKEN: &str = "a-token-of-32-characters-or-more";

/// A VM whose plugin configuration says more than the program.
pub(crate) fn start_with(program: ProgramBuilder, more: &str) -> Vm {
    let data = STANDARD.encode(program.bytes());
    let configuration = format!(r#"{{"program":{{"encoding":"base64","data":"{data}"}},{more}}}"#);
    Vm::start(module(), configuration.as_bytes()).unwrap_or_else(|refused| panic!("{refused}"))
}

fn explained(program: ProgramBuilder) -> Vm {
    let digest: String = Sha256::digest(TOKEN)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    start_with(
        program,
        &format!(r#""explain":{{"tokenSha256":"{digest}"}}"#),
    )
}

/// A program with a route of each kind.
fn program() -> ProgramBuilder {
    let redirect = ActionKind::Redirect(Redirect {
        status: 301,
        host: None,
        path: RedirectPath::Full("/new".to_owned()),
        scheme: None,
        port: None,
        strip_query: false,
    });
    let direct = ActionKind::DirectResponse(DirectResponse {
        status: 200,
        body: String::new(),
    });
    let rule = |name: &str, method: &str| Rule {
        name: name.to_owned(),
        methods: vec![method.to_owned()],
        ..Rule::default()
    };
    let authorization = Authorization {
        deny: vec![rule("no-deletes", "DELETE"), rule("", "PUT")],
        ..Authorization::default()
    };
    ProgramBuilder::new("g7")
        .forward("/a", "a", |_| ())
        .route("/r", redirect, None)
        .route("/d", direct, None)
        .forward("/p", "p", |_| ())
        .policies(Policies {
            authorization: Some(authorization),
            ..Policies::default()
        })
}

fn counters(vm: &Vm) -> BTreeMap<&str, u64> {
    let counters = vm.metrics().iter().filter_map(|(name, value)| match value {
        Metric::Counter(count) => Some((name.as_str(), *count)),
        _ => None,
    });
    counters.collect()
}

fn ok() -> Headers {
    [(":status", "200")].into_iter().collect()
}

#[test]
fn outcomes_are_counted_by_virtual_host() {
    let mut vm = start(program());
    for path in ["/a", "/a", "/r", "/d", "/d", "/d", "/none"] {
        vm.request(get(path));
    }
    vm.request(Request::new("DELETE", "www.example.com", "/p"));
    let expected = [
        ("meshgate.would_refuse", 0),
        (
            "virtual_host=.=shop.www;.;outcome=.=direct_response;.;meshgate.requests",
            3,
        ),
        (
            "virtual_host=.=shop.www;.;outcome=.=forwarded;.;meshgate.requests",
            2,
        ),
        (
            "virtual_host=.=shop.www;.;outcome=.=not_found;.;meshgate.requests",
            1,
        ),
        (
            "virtual_host=.=shop.www;.;outcome=.=redirected;.;meshgate.requests",
            1,
        ),
        (
            "virtual_host=.=shop.www;.;outcome=.=rejected;.;meshgate.requests",
            1,
        ),
    ];
    assert_eq!(counters(&vm), expected.into());
}

#[test]
fn what_belongs_to_no_virtual_host_is_counted_without() {
    let mut vm = Vm::start(module(), b"").unwrap();
    vm.request(get("/"));
    let name = "outcome=.=no_program;.;meshgate.requests";
    assert_eq!(counters(&vm).get(name), Some(&1));

    let mut vm = start(program().gateway(8443).forward("/", "tls", |_| ()));
    vm.request(get("/").listener_port(1));
    let name = "outcome=.=not_found;.;meshgate.requests";
    assert_eq!(counters(&vm).get(name), Some(&1));
}

#[test]
fn counters_are_defined_once() {
    let mut vm = start(program());
    vm.request(get("/a"));
    for _ in 0..3 {
        vm.configure(&program().bytes()).unwrap();
        vm.request(get("/a"));
        assert_eq!(vm.host_calls().get("proxy_define_metric"), None);
        assert_eq!(vm.host_calls().get("proxy_increment_metric"), Some(&1));
    }
    let name = "virtual_host=.=shop.www;.;outcome=.=forwarded;.;meshgate.requests";
    assert_eq!(counters(&vm).get(name), Some(&4));
}

#[test]
fn routes_are_counted_if_they_are_asked_for() {
    let mut vm = start_with(program(), r#""metrics":["route"]"#);
    for path in ["/a", "/a", "/d", "/none"] {
        vm.request(get(path));
    }
    let routes: BTreeMap<_, _> = counters(&vm)
        .into_iter()
        .filter(|(name, _)| name.ends_with("route_requests"))
        .collect();
    let expected = [
        (
            "route=.=shop.www//a;.;outcome=.=forwarded;.;meshgate.route_requests",
            2,
        ),
        (
            "route=.=shop.www//d;.;outcome=.=direct_response;.;meshgate.route_requests",
            1,
        ),
    ];
    assert_eq!(routes, expected.into());
    let name = "virtual_host=.=shop.www;.;outcome=.=forwarded;.;meshgate.requests";
    assert_eq!(counters(&vm).get(name), Some(&2), "and virtual hosts too");
}

#[test]
fn there_are_a_thousand_series_and_the_rest_is_other() {
    let mut program = ProgramBuilder::new("many");
    for route in 0..1_200 {
        program = program.forward(&format!("/{route}/"), "a", |_| ());
    }
    let mut vm = start_with(program, r#""metrics":["route"]"#);
    for _ in 0..2 {
        for route in 0..1_200 {
            cluster(&mut vm, get(&format!("/{route}/")));
        }
    }
    let counters = counters(&vm);
    let requests = counters
        .iter()
        .filter(|(name, _)| name.contains("route_requests"));
    assert_eq!(requests.clone().map(|(_, count)| count).sum::<u64>(), 2_400);
    // One of the thousand is that of the virtual host.
    assert_eq!(requests.count(), 999 + 1);
    let other = "route=.=other;.;outcome=.=forwarded;.;meshgate.route_requests";
    assert_eq!(counters.get(other), Some(&(2 * 201)));
}

#[test]
fn times_are_measured_if_they_are_asked_for() {
    let millis = Duration::from_millis;
    let host = "virtual_host=.=shop.www;.;meshgate.duration_ms";
    let mut vm = start_with(program(), r#""metrics":["duration"]"#);
    let stream = forwarded(&mut vm, get("/a")).stream;
    vm.advance(millis(37)).unwrap();
    assert_eq!(vm.respond(stream, ok()), Ok(ok()), "nothing is changed");
    replied(&mut vm, get("/d"));
    replied(&mut vm, get("/none"));
    let expected = Metric::Histogram(vec![37, 0, 0]);
    assert_eq!(vm.metrics().get(host), Some(&expected));
    // A client that goes away has no response.
    let stream = forwarded(&mut vm, get("/a")).stream;
    vm.close(stream).unwrap();
    assert_eq!(vm.metrics().get(host), Some(&expected));

    let mut vm = start_with(program(), r#""metrics":["duration","route"]"#);
    let stream = forwarded(&mut vm, get("/a")).stream;
    vm.advance(millis(5)).unwrap();
    vm.respond(stream, ok()).unwrap();
    let route = "route=.=shop.www//a;.;meshgate.route_duration_ms";
    assert_eq!(vm.metrics().get(route), Some(&Metric::Histogram(vec![5])));
}

#[test]
fn names_of_routes_cannot_break_out_of_their_label() {
    let program = ProgramBuilder::new("g").forward("/a;.;b=.=\"\u{e9}\n", "a", |_| ());
    let mut vm = start_with(program, r#""metrics":["route"]"#);
    let path = "/a;.;b=.=\"\u{e9}\n";
    cluster(&mut vm, get(path));
    let name = "route=.=shop.www//a_._b_._____;.;outcome=.=forwarded;.;meshgate.route_requests";
    assert_eq!(counters(&vm).get(name), Some(&1), "{:?}", counters(&vm));
}

#[test]
fn a_gauge_tells_which_program_serves() {
    let number = |program: ProgramBuilder| Program::new(program.bytes()).unwrap().number();
    let gauge = |vm: &Vm| vm.metrics().get("meshgate.generation").cloned();
    let other = || ProgramBuilder::new("g8").forward("/", "a", |_| ());
    assert_ne!(number(program()), number(other()));
    let mut vm = start(program());
    assert_eq!(gauge(&vm), Some(Metric::Gauge(number(program()))));
    vm.configure(b"broken").unwrap_err();
    assert_eq!(gauge(&vm), Some(Metric::Gauge(number(program()))));
    vm.configure(&other().bytes()).unwrap();
    assert_eq!(gauge(&vm), Some(Metric::Gauge(number(other()))));
    assert!(number(other()) < 1 << 53);
}

#[test]
fn a_request_with_the_token_is_explained() {
    let mut vm = explained(program());
    let ask = |path: &str| get(path).header("x-meshgate-explain", TOKEN);
    let stream = {
        let forwarded = forwarded(&mut vm, ask("/a"));
        assert_eq!(forwarded.headers.get("x-meshgate-explain"), None);
        forwarded.stream
    };
    let response = vm.respond(stream, ok()).unwrap();
    let place = "generation=g7; gateway=infra.gateway-8080; virtual-host=shop.www; ";
    assert_eq!(
        text(response.get("x-meshgate-explain")),
        format!("{place}route=shop.www//a; outcome=forwarded; cluster=a")
    );
    for (path, explanation) in [
        ("/r", "route=shop.www//r; outcome=redirected"),
        ("/d", "route=shop.www//d; outcome=direct_response"),
        ("/none", "outcome=not_found"),
    ] {
        let reply = replied(&mut vm, ask(path));
        let expected = format!("{place}{explanation}");
        assert_eq!(text(reply.headers.get("x-meshgate-explain")), expected);
    }
    for (method, policy) in [
        ("DELETE", "authorization[no-deletes]"),
        ("PUT", "authorization"),
    ] {
        let request = Request::new(method, "www.example.com", "/p");
        let reply = replied(&mut vm, request.header("x-meshgate-explain", TOKEN));
        assert_eq!(reply.details, format!("meshgate_refused_{policy}"));
        assert_eq!(
            text(reply.headers.get("x-meshgate-explain")),
            format!(
                "{place}route=shop.www//p; policies=authorization; outcome=rejected; policy={policy}"
            )
        );
    }
}

#[test]
fn nobody_else_gets_an_explanation() {
    let hides = |vm: &mut Vm, value: &str| {
        let forwarded = forwarded(vm, get("/a").header("x-meshgate-explain", value));
        assert_eq!(forwarded.headers.get("x-meshgate-explain"), None);
        assert_eq!(vm.respond(forwarded.stream, ok()), Ok(ok()));
        let reply = replied(vm, get("/d").header("x-meshgate-explain", value));
        assert_eq!(reply.headers.get("x-meshgate-explain"), None);
        assert_eq!(reply.request.get("x-meshgate-explain"), None);
    };
    hides(&mut start(program()), TOKEN);
    let mut with = explained(program());
    hides(&mut with, &TOKEN[1..]);
    hides(&mut with, "");
    // Two values are none.
    let twice = get("/d")
        .header("x-meshgate-explain", TOKEN)
        .header("x-meshgate-explain", "other");
    assert_eq!(
        replied(&mut with, twice).headers.get("x-meshgate-explain"),
        None
    );
}

#[test]
fn a_token_is_written_as_its_digest() {
    let refused = |digest: &str| {
        let data = STANDARD.encode(program().bytes());
        let configuration = format!(
            r#"{{"program":{{"encoding":"base64","data":"{data}"}},"explain":{{"tokenSha256":"{digest}"}}}}"#
        );
        let refused = Vm::start(module(), configuration.as_bytes()).unwrap_err();
        refused.logs.first().unwrap().message.clone()
    };
    for digest in [
        TOKEN,
        "",
        &"0".repeat(62),
        &"0".repeat(66),
        &"g".repeat(64),
        &"+1".repeat(32),
    ] {
        let message = refused(digest);
        assert!(message.contains("`explain.tokenSha256`"), "{message}");
    }
}
