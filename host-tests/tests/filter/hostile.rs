//! Requests that nobody means well with: nothing steers the router, nothing traps.

use meshgate_engine::{ActionKind, PathRewrite, Redirect, RedirectPath};
use meshgate_host_tests::wasm::{Outcome, Request, Vm};
use proptest::prelude::*;

use crate::program::{ProgramBuilder, operations, start};
use crate::{cluster, forwarded, get, replied};

/// Every header by which the router of the proxy takes orders.
const CONTROL: [&str; 14] = [
    "x-meshgate-cluster",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-stream-duration-ms",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-max-retries",
    "x-envoy-retry-on",
    "x-envoy-retry-grpc-on",
    "x-envoy-retriable-status-codes",
    "x-envoy-retriable-header-names",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-decorator-operation",
];

/// A program with every kind of action, whose redirect and rewrite make use of what the client sent.
fn everything() -> Vm {
    let redirect = Redirect {
        status: 302,
        host: None,
        path: RedirectPath::Keep,
        scheme: Some("https".to_owned()),
        port: None,
        strip_query: false,
    };
    let headers = operations((&["x-a"], &[("x-b", "c")]), (&["x-d"], &[("x-e", "f")]));
    let rewrite = PathRewrite::Prefix {
        len: 3,
        to: String::new(),
    };
    start(
        ProgramBuilder::new("g")
            .forward("/rw", "rewritten", |forward| {
                forward.rewrite = Some(rewrite)
            })
            .route("/rd", ActionKind::Redirect(redirect), Some(headers))
            .forward("", "all", |_| ()),
    )
}

fn with_control_headers(path: &str) -> Request {
    CONTROL.iter().fold(get(path), |request, name| {
        request.header(name, "evil").header(name, "twice")
    })
}

#[test]
fn a_client_cannot_steer_the_router() {
    let mut vm = everything();
    for path in ["/", "/rw/x"] {
        let request = with_control_headers(path).header("x-envoy-external-address", "192.0.2.1");
        let headers = forwarded(&mut vm, request).headers;
        for name in CONTROL {
            let expected = if name == "x-meshgate-cluster" { 1 } else { 0 };
            assert_eq!(headers.get_all(name).len(), expected, "{name}");
        }
        assert_ne!(headers.get("x-meshgate-cluster"), Some(b"evil".as_slice()));
        assert!(
            headers.get("x-envoy-external-address").is_some(),
            "what Envoy says about the client stays"
        );
    }
    let mut nothing = start(ProgramBuilder::new("g").forward("/only", "only", |_| ()));
    for reply in [
        replied(&mut vm, with_control_headers("/rd")),
        replied(&mut nothing, with_control_headers("/")),
    ] {
        assert!(
            CONTROL.iter().all(|name| reply.request.get(name).is_none()),
            "{:?}",
            reply.request
        );
    }
}

#[test]
fn bytes_that_are_not_text_pass_unharmed() {
    let mut vm = everything();
    let request = Request::new("GET", b"\xff.example.com", b"/\xc3\x28?\x80")
        .header("x-bytes", b"\xfe\xff")
        .header("x-empty", "");
    let headers = forwarded(&mut vm, request).headers;
    assert_eq!(headers.get(":path"), Some(b"/\xc3\x28?\x80".as_slice()));
    assert_eq!(headers.get("x-bytes"), Some(b"\xfe\xff".as_slice()));
    assert_eq!(headers.get("x-empty"), Some(b"".as_slice()));
    let reply = replied(&mut vm, Request::new("GET", "a", b"/rd/\xff"));
    assert_eq!(
        reply.headers.get("location"),
        Some(b"https://a/rd/\xff".as_slice())
    );
}

#[test]
fn large_requests_are_routed() {
    let mut vm = everything();
    let path = format!("/rw/{}?{}", "p/".repeat(20_000), "q=1&".repeat(5_000));
    assert_eq!(cluster(&mut vm, get(&path)), "rewritten");
    let many = (0..200).fold(get("/"), |request, n| {
        request.header(format!("x-{n}"), "v".repeat(n))
    });
    assert_eq!(forwarded(&mut vm, many).headers.len(), 4 + 200 + 1);
}

#[test]
fn connect_has_no_path_and_gets_none() {
    let mut vm = start(ProgramBuilder::new("g").forward("", "tunnel", |forward| {
        forward.rewrite = Some(PathRewrite::Whole {
            to: "/x".to_owned(),
        });
    }));
    let connect = Request::new("CONNECT", "db.example.com:443", "")
        .without(":path")
        .without(":scheme")
        .with_body();
    let headers = forwarded(&mut vm, connect).headers;
    assert_eq!(headers.get(":path"), None);
    assert_eq!(headers.get_all("x-meshgate-cluster"), [b"tunnel"]);
}

#[test]
fn requests_of_every_protocol_are_routed() {
    let mut vm = everything();
    for request in [
        get("/").without(":authority"),
        get("/rd").without(":authority"),
        get("*"),
        get("/rw"),
        get("/chat")
            .header("upgrade", "websocket")
            .header("connection", "upgrade")
            .with_body(),
        Request::new("POST", "a", "/pkg.Service/Method")
            .header("content-type", "application/grpc")
            .with_body(),
        get("/")
            .without(":method")
            .without(":path")
            .without(":authority")
            .without(":scheme"),
    ] {
        let described = format!("{:?}", request.headers);
        assert!(
            !matches!(
                vm.request(request),
                Outcome::Trapped(_) | Outcome::Paused(_)
            ),
            "{described}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_request_traps(
        method in "[A-Z]{0,9}",
        authority in proptest::collection::vec(1_u8..=255, 0..40),
        path in proptest::collection::vec(1_u8..=255, 0..200),
        headers in proptest::collection::vec(("[a-z-]{1,20}", proptest::collection::vec(1_u8..=255, 0..50)), 0..20),
    ) {
        let mut vm = everything();
        for prefix in ["", "/rw", "/rd"] {
            let request = Request::new(&method, &authority, [prefix.as_bytes(), &path].concat());
            let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
            let outcome = vm.request(request);
            prop_assert!(matches!(outcome, Outcome::Forwarded(_) | Outcome::LocalReply(_)), "{:?}", outcome);
        }
    }
}
