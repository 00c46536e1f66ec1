//! Programs replaced while clients are at work: no answer is lost, and each is that of one program.

use std::thread;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use meshgate_engine::write::{index_range, reseal};
use meshgate_host_tests::envoy::client;
use meshgate_host_tests::envoy::delivery::{Delivery, Payload};
use meshgate_host_tests::upstream::Reply;

use crate::gateway::{Gateway, Start, echo, wait_for};
use crate::load::{Connections, Load};
use crate::shop;
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    ("updates/of_the_filter_on_open_connections", of_the_filter),
    ("updates/of_the_listener", of_the_listener),
    (
        "updates/broken_programs_for_the_filter",
        broken_for_the_filter,
    ),
    (
        "updates/broken_programs_for_the_listener",
        broken_for_the_listener,
    ),
    ("updates/no_program", no_program),
    ("updates/broken_program_at_the_start", broken_at_the_start),
    ("updates/requests_in_flight", requests_in_flight),
];

fn of_the_filter(tools: &Tools) {
    let mut gateway = Gateway::start(
        tools,
        Start {
            workers: 2,
            ..Start::default()
        },
    );
    replace_under_load(&mut gateway, Connections::Kept, 50);
}

fn of_the_listener(tools: &Tools) {
    // With several workers, a client could get a connection of one that does not have the new listener yet.
    let mut gateway = Gateway::start(
        tools,
        Start {
            delivery: Delivery::Listener,
            ..Start::default()
        },
    );
    replace_under_load(&mut gateway, Connections::New, 10);
}

fn replace_under_load(gateway: &mut Gateway, connections: Connections, last: u64) {
    let load = Load::start(gateway.address, 4, connections);
    load.wait_for_program(1);
    for number in 2..=last {
        gateway.replace(&Payload::Bytes(shop::program(number)));
        load.wait_for_program(number);
        load.wait_for_requests(100);
    }
    let requests = load.stop();
    check_access_log(gateway, requests, last);
}

/// Every request is in the log once, with route and generation of one program.
fn check_access_log(gateway: &Gateway, requests: u64, last: u64) {
    let mut log = gateway.access_log();
    let mut counts = vec![0; last as usize + 1];
    for _ in 0..requests {
        let entry = log.next_entry().unwrap();
        let generation = entry.generation.as_deref().unwrap();
        if let Some(route) = entry.route.as_deref() {
            assert!(route.ends_with(&format!("-{generation}")), "{entry:?}");
        } else {
            assert_eq!(entry.status, 404, "{entry:?}");
        }
        let number: usize = generation.strip_prefix('p').unwrap().parse().unwrap();
        counts[number] += 1;
    }
    assert!(!counts[1..].contains(&0), "requests by program: {counts:?}");
    let outcomes = ["forwarded", "redirected", "direct_response", "not_found"];
    let counted: u64 = outcomes.map(|name| gateway.count(name)).iter().sum();
    assert_eq!(counted, requests);
}

fn broken_for_the_filter(tools: &Tools) {
    refuse_under_load(tools, Delivery::Filter, Connections::Kept);
}

fn broken_for_the_listener(tools: &Tools) {
    refuse_under_load(tools, Delivery::Listener, Connections::New);
}

fn refuse_under_load(tools: &Tools, delivery: Delivery, connections: Connections) {
    let mut gateway = Gateway::start(
        tools,
        Start {
            delivery,
            ..Start::default()
        },
    );
    let load = Load::start(gateway.address, 3, connections);
    load.wait_for_program(1);
    for (broken, payload, reason) in broken_configurations() {
        let log = gateway.replace_in_vain(&payload);
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("meshgate: configuration refused: "))
            .collect();
        match lines.as_slice() {
            [line] => assert!(line.contains(reason), "{broken}: {line}"),
            _ => panic!("{broken}: {} lines in\n{log}", lines.len()),
        }
        // Answers of a program that should not be there would end the clients, as programs come in order.
        load.wait_for_requests(100);
    }
    // None of it is in the way of a good one.
    for (number, payload) in [(2, Payload::Bytes(shop::program(2))), (3, json_program(3))] {
        gateway.replace(&payload);
        load.wait_for_program(number);
    }
    let requests = load.stop();
    check_access_log(&gateway, requests, 3);
}

/// A program in the form for channels that carry text.
fn json_program(number: u64) -> Payload {
    let data = BASE64_STANDARD.encode(shop::program(number));
    Payload::Text(format!(
        r#"{{"program": {{"encoding": "base64", "data": "{data}"}}}}"#
    ))
}

/// What is wrong, the configuration, and what the filter has to say about it.
fn broken_configurations() -> Vec<(&'static str, Payload, &'static str)> {
    let good = shop::program(99);
    let cut = good[..good.len() - 1].to_vec();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    // After an array of six, and a name of eight.
    const VERSION: usize = 1 + 9;
    let mut future = good.clone();
    assert_eq!(u16::from(good[VERSION]), meshgate_engine::MAJOR_VERSION);
    future[VERSION] += 1;
    // Whoever breaks a program on purpose gets the checksum right.
    let mut forged = good.clone();
    let index = index_range(&good).unwrap();
    forged[index][..8].fill(0xff);
    let forged = reseal(&forged).unwrap();
    let mut state = 1_u32;
    let random = (0..4096).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let text = |text: &str| Payload::Text(text.to_owned());
    vec![
        ("a flipped bit", Payload::Bytes(flipped), "checksum"),
        (
            "the last byte missing",
            Payload::Bytes(cut),
            "not a meshgate routing program",
        ),
        (
            "a later version",
            Payload::Bytes(future),
            "format version 2",
        ),
        ("a forged index", Payload::Bytes(forged), "(at offset 0x"),
        (
            "random bytes",
            Payload::Bytes(random.collect()),
            "not a meshgate routing program",
        ),
        (
            "bad base64",
            text(r#"{"program": {"encoding": "base64", "data": "$$$$"}}"#),
            "not base64",
        ),
        (
            "another field",
            text(r#"{"program": {"encoding": "base64", "data": ""}, "debug": true}"#),
            "unknown field `debug`",
        ),
        (
            "no program in it",
            text(r#"{"program": {"encoding": "base64", "data": ""}}"#),
            "not a meshgate routing program",
        ),
    ]
}

fn no_program(tools: &Tools) {
    let mut gateway = Gateway::start(
        tools,
        Start {
            configuration: Payload::Bytes(Vec::new()),
            ..Start::default()
        },
    );
    for path in ["/fixed", "/orders/17", "/elsewhere"] {
        let cluster = shop::cluster("stock");
        let spoofed = [("x-meshgate-cluster", cluster.as_bytes())];
        let response = gateway.send("GET", path, &spoofed);
        assert_eq!(response.status, 503);
        assert_eq!(response.body, b"the gateway has no routing program yet\n");
    }
    assert_eq!(gateway.count("no_program"), 3);
    let entry = gateway.access_log().next_entry().unwrap();
    assert_eq!(entry.details.as_deref(), Some("meshgate_no_program"));
    assert_eq!((entry.route, entry.generation), (None, None));
    gateway.replace(&Payload::Bytes(shop::program(1)));
    assert_eq!(gateway.get("/fixed").body, b"p1");
    // The way back is open too.
    gateway.replace(&Payload::Bytes(Vec::new()));
    assert_eq!(gateway.get("/fixed").status, 503);
}

/// Envoy has nothing to fall back on then. It must not let requests pass without the filter.
fn broken_at_the_start(tools: &Tools) {
    let mut gateway = Gateway::start(
        tools,
        Start {
            configuration: Payload::Bytes(b"broken".to_vec()),
            ..Start::default()
        },
    );
    let stock = shop::cluster("stock");
    let spoofed = [("x-meshgate-cluster", stock.as_bytes())];
    assert_eq!(gateway.send("GET", "/stock", &spoofed).status, 500);
    assert_eq!(gateway.upstreams.requests(&stock), 0);
    gateway.replace(&Payload::Bytes(shop::program(1)));
    assert_eq!(gateway.send("GET", "/stock", &spoofed).status, 200);
}

/// A response is changed as the program says that routed the request, even if that one has been replaced since.
fn requests_in_flight(tools: &Tools) {
    const REQUEST: &[u8] = b"GET /orders/17 HTTP/1.1\r\nhost: shop.example\r\n\r\n";
    let mut gateway = Gateway::start(tools, Start::default());
    let address = gateway.address;
    let slow = Reply {
        delay: Duration::from_secs(1),
        ..Reply::default()
    };
    gateway.upstreams.set_every_reply(&slow);
    let mut waiting = Vec::new();
    for number in 1..=3 {
        let upstream = shop::cluster(&format!("orders-{}", shop::parity(number)));
        let before = gateway.upstreams.requests(&upstream);
        waiting.push(thread::spawn(move || client::send(address, REQUEST)));
        wait_for("the request to arrive", || {
            (gateway.upstreams.requests(&upstream) > before).then_some(())
        });
        gateway.replace(&Payload::Bytes(shop::program(number + 1)));
    }
    for (number, request) in (1..).zip(waiting) {
        let response = request.join().unwrap().unwrap();
        let program = shop::name(number);
        assert_eq!(response.text("x-program"), Some(program.as_str()));
        assert_eq!(echo(&response).path, format!("/{program}/17"));
    }
    gateway.assert_unharmed();
}
