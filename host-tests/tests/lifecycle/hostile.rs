//! Clients and upstreams that misbehave: nothing steers the router, nothing harms the filter.

use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

use meshgate_host_tests::envoy::client::{self, Connection};
use meshgate_host_tests::upstream::Reply;

use crate::gateway::{Gateway, Start, echo, received, wait_for};
use crate::shop;
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    ("hostile/strangers_cannot_steer", strangers_cannot_steer),
    (
        "hostile/trusted_clients_cannot_steer",
        trusted_clients_cannot_steer,
    ),
    ("hostile/large_and_strange_requests", large_and_strange),
    ("hostile/forms_of_the_request_target", request_targets),
    ("hostile/damaged_requests", damaged_requests),
    ("hostile/upstream_goes_away", upstream_goes_away),
];

fn strangers_cannot_steer(tools: &Tools) {
    cannot_steer(tools, false);
}

/// Envoy leaves the headers to such clients, so it is up to the filter alone.
fn trusted_clients_cannot_steer(tools: &Tools) {
    cannot_steer(tools, true);
}

fn cannot_steer(tools: &Tools, trusts_clients: bool) {
    let gateway = Gateway::start(
        tools,
        Start {
            trusts_clients,
            ..Start::default()
        },
    );
    let stock = shop::cluster("stock");
    let wanted = shop::cluster("orders-odd");

    // The cluster.
    let value = wanted.as_bytes();
    let attempts: [&[(&str, &[u8])]; 5] = [
        &[("x-meshgate-cluster", value)],
        &[("X-MeshGate-CLUSTER", value)],
        &[("x-meshgate-cluster", value), ("X-Meshgate-Cluster", value)],
        &[("x-meshgate-cluster", b""), ("x-meshgate-cluster", value)],
        &[
            ("x-meshgate-cluster", value),
            ("connection", b"x-meshgate-cluster"),
        ],
    ];
    for headers in attempts {
        let echo = echo(&gateway.send("GET", "/stock/17", headers));
        assert_eq!(echo.upstream, stock, "{headers:?}");
        assert_eq!(received(&echo, "x-meshgate-cluster"), None, "{headers:?}");
        for (path, status) in [("/elsewhere", 404), ("/fixed", 200), ("/moved", 301)] {
            assert_eq!(gateway.send("GET", path, headers).status, status, "{path}");
        }
    }
    assert_eq!(gateway.upstreams.requests(&wanted), 0);

    // Timeouts: shorter than the upstream takes, where the route has none, and none where it has one.
    let late = |milliseconds| Reply {
        delay: Duration::from_millis(milliseconds),
        ..Reply::default()
    };
    gateway.upstreams.set_reply(&stock, late(150));
    let shorter: [(&str, &[u8]); 6] = [
        ("x-envoy-upstream-rq-timeout-ms", b"10"),
        ("X-Envoy-Upstream-Rq-Timeout-Ms", b"10"),
        ("x-envoy-upstream-rq-per-try-timeout-ms", b"10"),
        ("x-envoy-upstream-stream-duration-ms", b"10"),
        ("x-envoy-expected-rq-timeout-ms", b"10"),
        ("x-envoy-upstream-rq-timeout-alt-response", b"1"),
    ];
    let request = echo(&gateway.send("GET", "/stock/17", &shorter));
    assert_eq!(received(&request, "x-envoy-expected-rq-timeout-ms"), None);
    gateway.upstreams.set_reply(&stock, late(1000));
    let longer: [(&str, &[u8]); 3] = [
        ("x-envoy-upstream-rq-timeout-ms", b"0"),
        ("x-envoy-upstream-rq-timeout-ms", b"60000"),
        ("x-envoy-upstream-rq-timeout-alt-response", b"1"),
    ];
    assert_eq!(gateway.send("GET", "/quick", &longer).status, 504);

    // Retries, where the route has none.
    gateway.upstreams.set_reply(
        &stock,
        Reply {
            status: 503,
            ..Reply::default()
        },
    );
    let retries: [(&str, &[u8]); 8] = [
        (
            "x-envoy-retry-on",
            b"5xx,reset,connect-failure,retriable-status-codes",
        ),
        ("X-ENVOY-RETRY-ON", b"5xx"),
        ("x-envoy-retry-grpc-on", b"unavailable"),
        ("x-envoy-max-retries", b"5"),
        ("x-envoy-retriable-status-codes", b"503"),
        ("x-envoy-retriable-header-names", b"content-type"),
        ("x-envoy-hedge-on-per-try-timeout", b"true"),
        ("x-envoy-upstream-rq-per-try-timeout-ms", b"50"),
    ];
    let before = gateway.upstreams.requests(&stock);
    assert_eq!(gateway.send("GET", "/stock/17", &retries).status, 503);
    assert_eq!(gateway.upstreams.requests(&stock) - before, 1);

    // Names in statistics and traces.
    gateway.upstreams.set_reply(&stock, Reply::default());
    let names: [(&str, &[u8]); 2] = [
        ("x-envoy-upstream-alt-stat-name", b"spoofed"),
        ("x-envoy-decorator-operation", b"spoofed"),
    ];
    let request = echo(&gateway.send("GET", "/stock/17", &names));
    assert_eq!(received(&request, "x-envoy-decorator-operation"), None);
    assert_eq!(gateway.admin("/stats?filter=spoofed"), "");
    gateway.assert_unharmed();
}

fn large_and_strange(tools: &Tools) {
    let gateway = Gateway::start(tools, Start::default());
    // Of Envoy's 60 KiB for all headers, the path takes nearly all.
    let tail = "a".repeat(60_000);
    let request = echo(&gateway.get(&format!("/stock/{tail}")));
    assert_eq!(request.path, format!("/stock/{tail}"));
    let request = echo(&gateway.get(&format!("/orders/{tail}")));
    assert_eq!(request.path, format!("/p1/{tail}"));
    let response = gateway.get(&format!("/moved?{tail}"));
    let location = format!("http://shop.example/p1?{tail}");
    assert_eq!(response.text("location"), Some(location.as_str()));
    assert_eq!(gateway.get(&format!("/elsewhere/{tail}")).status, 404);

    let names: Vec<String> = (0..99).map(|index| format!("x-{index}")).collect();
    let mut headers: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), b"".as_slice()))
        .collect();
    assert_eq!(gateway.send("GET", "/fixed", &headers).status, 200);
    // The upstream takes no more than a hundred, and Envoy has some to add.
    headers.truncate(80);
    let request = echo(&gateway.send("GET", "/stock", &headers));
    assert!(
        names[..80]
            .iter()
            .all(|name| received(&request, name) == Some(""))
    );

    // The route wants `Zürich` in UTF-8. Anything else is not that, but reaches the upstream as it is.
    let response = gateway.send("GET", "/stock", &[("x-city", "Zürich".as_bytes())]);
    assert_eq!(response.body, b"UTF-8");
    for value in [b"Z\xfcrich".as_slice(), b"\xff\xfe\x80", b"Z\xc3"] {
        let request = echo(&gateway.send("GET", "/stock", &[("x-city", value)]));
        let latin: String = value.iter().copied().map(char::from).collect();
        assert_eq!(received(&request, "x-city"), Some(latin.as_str()));
        let named = gateway.send("GET", "/orders", &[("x-city", value), ("cookie", value)]);
        assert_eq!(named.status, 200);
    }
    gateway.assert_unharmed();
}

/// Requests as they stand on the wire, the statuses that they get, and from whom: the filter decides, or Envoy before or
/// after it.
fn request_targets(tools: &Tools) {
    const DIRECT: &str = "meshgate_direct_response";
    const NOT_FOUND: &str = "meshgate_route_not_found";
    let gateway = Gateway::start(tools, Start::default());
    let mut log = gateway.access_log();
    let mut check = |request: &[u8], status: u16, details: &str| {
        let response = gateway.send_bytes(request);
        let request = request.escape_ascii();
        assert_eq!(response.status, status, "{request}: {response:?}");
        let entry = log.next_entry().unwrap();
        assert_eq!(
            entry.details.as_deref(),
            Some(details),
            "{request}: {entry:?}"
        );
    };
    check(
        b"GET /fixed HTTP/1.0\r\nhost: shop.example\r\n\r\n",
        200,
        DIRECT,
    );
    check(b"GET /fixed HTTP/1.0\r\n\r\n", 400, "missing_host_header");
    check(b"GET /fixed HTTP/1.1\r\n\r\n", 400, "missing_host_header");
    check(b"GET /fixed HTTP/1.1\r\nhost:\r\n\r\n", 404, NOT_FOUND);
    check(
        b"GET /fixed HTTP/1.1\r\nhost: \xff\r\n\r\n",
        400,
        "http.invalid_authority",
    );
    check(
        b"GET /fixed?a=b HTTP/1.1\r\nHOST: SHOP.example:8080\r\n\r\n",
        200,
        DIRECT,
    );

    // The host in the target counts.
    check(
        b"GET http://shop.example/fixed HTTP/1.1\r\nhost: other.example\r\n\r\n",
        200,
        DIRECT,
    );
    check(
        b"GET http://other.example/fixed HTTP/1.1\r\nhost: shop.example\r\n\r\n",
        404,
        NOT_FOUND,
    );
    check(
        b"GET http://shop.example HTTP/1.1\r\nhost: shop.example\r\n\r\n",
        404,
        NOT_FOUND,
    );

    // No path at all. A route that takes even those cannot make Envoy open a tunnel.
    check(
        b"CONNECT shop.example:443 HTTP/1.1\r\nhost: shop.example:443\r\n\r\n",
        404,
        NOT_FOUND,
    );
    check(
        b"CONNECT any.example:443 HTTP/1.1\r\nhost: any.example:443\r\n\r\n",
        404,
        "route_not_found",
    );

    check(
        b"OPTIONS * HTTP/1.1\r\nhost: shop.example\r\n\r\n",
        404,
        "absolute_path_rejected",
    );
    check(
        b"GET fixed HTTP/1.1\r\nhost: shop.example\r\n\r\n",
        400,
        "http1.codec_error",
    );
    assert_eq!(gateway.upstreams.requests(&shop::cluster("stock")), 0);
    gateway.assert_unharmed();
}

/// Good requests with a few bytes changed. Whatever Envoy lets through must not harm the filter.
fn damaged_requests(tools: &Tools) {
    let gateway = Gateway::start(tools, Start::default());
    let good = b"GET /orders/17?a=b HTTP/1.1\r\nhost: shop.example\r\nx-city: a\r\nconnection: close\r\n\r\n";
    let mut state = 7_u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let mut answers = 0;
    for _ in 0..400 {
        let mut request = good.to_vec();
        for _ in 0..=random(3) {
            // Not among the last bytes: without them, Envoy would wait for the rest.
            let place = random(good.len() - b"connection: close\r\n\r\n".len());
            request[place] = random(256) as u8;
        }
        match client::send(gateway.address, &request) {
            Ok(_) => answers += 1,
            Err(error) => assert_ne!(
                error.kind(),
                ErrorKind::WouldBlock,
                "{}",
                request.escape_ascii()
            ),
        }
    }
    assert!(answers > 0);
    gateway.assert_unharmed();
}

fn upstream_goes_away(tools: &Tools) {
    let mut gateway = Gateway::start(tools, Start::default());
    let mut log = gateway.access_log();
    let mut flags = || log.next_entry().unwrap().flags;
    let orders = shop::cluster("orders-odd");

    let hang_up = Reply {
        hang_up: true,
        ..Reply::default()
    };
    gateway.upstreams.set_reply(&orders, hang_up);
    let response = gateway.get("/orders/17");
    assert_eq!(
        (response.status, response.text("x-program")),
        (503, Some("p1"))
    );
    assert_eq!(flags().as_deref(), Some("UC"));

    // In the middle of a request.
    let never = Reply {
        delay: Duration::from_secs(600),
        ..Reply::default()
    };
    gateway.upstreams.set_reply(&orders, never);
    let before = gateway.upstreams.requests(&orders);
    let address = gateway.address;
    let request = b"GET /orders/17 HTTP/1.1\r\nhost: shop.example\r\n\r\n";
    let waiting = thread::spawn(move || Connection::open(address)?.send(request));
    wait_for("the request to arrive", || {
        (gateway.upstreams.requests(&orders) > before).then_some(())
    });
    gateway.upstreams.stop(&orders);
    let response = waiting.join().unwrap().unwrap();
    assert_eq!(
        (response.status, response.text("x-program")),
        (503, Some("p1"))
    );
    assert_eq!(flags().as_deref(), Some("UC"));

    // And nobody there any more.
    let response = gateway.get("/orders/17");
    assert_eq!(
        (response.status, response.text("x-program")),
        (503, Some("p1"))
    );
    assert_eq!(flags().as_deref(), Some("UF"));

    // Everybody else is as well as before.
    assert_eq!(
        echo(&gateway.get("/stock/17")).upstream,
        shop::cluster("stock")
    );
    gateway.assert_unharmed();
}
