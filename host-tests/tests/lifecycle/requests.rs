//! Requests of every kind, and what the gateway says about them afterwards.

use meshgate_host_tests::envoy::client::{Connection, request_head};
use meshgate_host_tests::envoy::delivery::Payload;
use meshgate_host_tests::upstream::Reply;

use crate::gateway::{Gateway, Start, received};
use crate::grpc;
use crate::shop;
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    ("requests/are_logged_and_counted", logged_and_counted),
    ("requests/head", head),
    ("requests/grpc", grpc),
    ("requests/websocket", websocket),
];

fn logged_and_counted(tools: &Tools) {
    let gateway = Gateway::start(tools, Start::default());
    // Path, status, details, and the route, if any.
    let expected = [
        ("/orders/17", 200, "via_upstream", Some("orders-p1")),
        ("/stock/17", 200, "via_upstream", Some("stock-p1")),
        ("/moved", 301, "meshgate_redirect", Some("moved-p1")),
        ("/fixed", 200, "meshgate_direct_response", Some("fixed-p1")),
        (
            "/forbidden",
            403,
            "meshgate_direct_response",
            Some("forbidden-p1"),
        ),
        ("/elsewhere", 404, "meshgate_route_not_found", None),
    ];
    let mut log = gateway.access_log();
    for (path, status, details, route) in expected {
        assert_eq!(gateway.get(path).status, status, "{path}");
        let entry = log.next_entry().unwrap();
        assert_eq!(entry.status, status, "{entry:?}");
        assert_eq!(entry.details.as_deref(), Some(details), "{entry:?}");
        assert_eq!(entry.generation.as_deref(), Some("p1"), "{entry:?}");
        let name = entry.route.as_deref();
        let leaf = name.map(|name| name.rsplit(['.', '/']).next().unwrap());
        assert_eq!(leaf, route, "{entry:?}");
    }
    let counts = [
        "forwarded",
        "redirected",
        "direct_response",
        "not_found",
        "no_program",
    ];
    assert_eq!(counts.map(|name| gateway.count(name)), [2, 1, 2, 1, 0]);
    let configuration = gateway.admin("/config_dump");
    assert!(
        configuration.contains(r#""failure_policy": "FAIL_RELOAD""#),
        "{configuration}"
    );
    gateway.assert_unharmed();
}

fn head(tools: &Tools) {
    let gateway = Gateway::start(tools, Start::default());
    // If anything came as a body, the next response on the connection would not begin where it should.
    let mut connection = Connection::open(gateway.address).unwrap();
    for path in ["/stock", "/fixed", "/moved", "/forbidden", "/elsewhere"] {
        let host = [("host", b"shop.example".as_slice())];
        let mut ask = |method| {
            let request = request_head(method, path.as_bytes(), host);
            connection.send(&request).unwrap()
        };
        let (head, get) = (ask("HEAD"), ask("GET"));
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.text("location"), get.text("location"), "{path}");
        assert_eq!(head.text("x-program"), get.text("x-program"), "{path}");
    }
}

fn grpc(tools: &Tools) {
    let mut gateway = Gateway::start(tools, Start::default());
    let greeter = shop::cluster("greeter");
    let grpc_status = |status: &str| Reply {
        headers: vec![("grpc-status".to_owned(), status.to_owned())],
        ..Reply::default()
    };
    gateway.upstreams.set_reply(&greeter, grpc_status("0"));
    let answer = grpc::call(gateway.address, "/greeter.Greeter/SayHello");
    assert_eq!(
        (answer.header("grpc-status"), answer.header("x-program")),
        (Some("0"), Some("p1"))
    );
    let request = gateway.upstreams.last_request(&greeter).unwrap();
    assert_eq!(request.path, "/greeter.Greeter/SayHello");
    assert_eq!(received(&request, "content-type"), Some("application/grpc"));
    assert_eq!(received(&request, "te"), Some("trailers"));
    assert_eq!(request.body_length, grpc::MESSAGE.len());

    // The route allows two more attempts.
    gateway.upstreams.set_reply(&greeter, grpc_status("14"));
    let before = gateway.upstreams.requests(&greeter);
    let answer = grpc::call(gateway.address, "/greeter.Greeter/SayHello");
    assert_eq!(answer.header("grpc-status"), Some("14"));
    assert_eq!(gateway.upstreams.requests(&greeter) - before, 3);

    // Answers of the gateway's own are told in gRPC's terms.
    let answer = grpc::call(gateway.address, "/unknown.Service/Method");
    assert_eq!(
        (answer.status, answer.header("grpc-status")),
        (200, Some("12"))
    );
    let answer = grpc::call(gateway.address, "/forbidden");
    assert_eq!(
        (answer.status, answer.header("grpc-status")),
        (200, Some("7"))
    );
    assert_eq!(answer.header("grpc-message"), Some("not for you"));
    gateway.replace(&Payload::Bytes(Vec::new()));
    let answer = grpc::call(gateway.address, "/greeter.Greeter/SayHello");
    assert_eq!(
        (answer.status, answer.header("grpc-status")),
        (200, Some("14"))
    );
    gateway.assert_unharmed();
}

fn websocket(tools: &Tools) {
    let mut gateway = Gateway::start(tools, Start::default());
    let mut connection = Connection::open(gateway.address).unwrap();
    let headers: [(&str, &[u8]); 5] = [
        ("host", b"shop.example"),
        ("connection", b"Upgrade"),
        ("upgrade", b"websocket"),
        ("sec-websocket-version", b"13"),
        ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let request = request_head("GET", b"/orders/live", headers);
    let response = connection.send(&request).unwrap();
    assert_eq!(response.status, 101, "{response:?}");
    assert_eq!(response.text("upgrade"), Some("websocket"));
    assert_eq!(response.text("x-program"), Some("p1"));
    // A program that comes later does not disturb it.
    for size in [5, 125, 65_000] {
        let frame = text_frame(size);
        connection.write(&frame).unwrap();
        assert_eq!(connection.read(frame.len()).unwrap(), frame);
        gateway.replace(&Payload::Bytes(shop::program(size as u64)));
    }
    // A route that does not forward answers an upgrade like any request.
    let request = request_head("GET", b"/fixed", headers);
    assert_eq!(gateway.send_bytes(&request).status, 200);
    gateway.assert_unharmed();
}

/// A WebSocket frame with text, masked as a client's must be.
fn text_frame(size: usize) -> Vec<u8> {
    const FINAL_TEXT: u8 = 0x81;
    const MASKED: u8 = 0x80;
    const MASK: [u8; 4] = [1, 2, 3, 4];
    let mut frame = vec![FINAL_TEXT];
    match u8::try_from(size) {
        Ok(size) if size < 126 => frame.push(MASKED | size),
        _ => {
            frame.push(MASKED | 126);
            frame.extend_from_slice(&u16::try_from(size).unwrap().to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    frame.extend(
        (0..size)
            .zip(MASK.iter().cycle())
            .map(|(_, mask)| b'a' ^ mask),
    );
    frame
}
