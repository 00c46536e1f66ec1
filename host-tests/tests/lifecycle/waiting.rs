//! Requests that wait for the time that fault injection gives them.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use meshgate_host_tests::envoy::client::request_head;
use meshgate_host_tests::envoy::delivery::Payload;

use crate::gateway::{Gateway, Start, echo};
use crate::shop;
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    ("waiting/requests_are_delayed", requests_are_delayed),
    ("waiting/clients_that_leave", clients_that_leave),
    ("waiting/updates_meanwhile", updates_meanwhile),
];

/// What `/delayed` waits for.
const DELAY: Duration = Duration::from_millis(200);

fn requests_are_delayed(tools: &Tools) {
    let gateway = Gateway::start(tools, Start::default());
    let start = Instant::now();
    thread::scope(|scope| {
        let requests: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| gateway.get("/delayed")))
            .collect();
        // Others do not wait for them.
        assert_eq!(gateway.get("/fixed").status, 200);
        assert!(start.elapsed() < DELAY, "{:?}", start.elapsed());
        for request in requests {
            let response = request.join().unwrap();
            assert_eq!(echo(&response).path, "/delayed");
            assert_eq!(response.text("x-program"), Some("p1"));
        }
    });
    assert!(start.elapsed() >= DELAY, "{:?}", start.elapsed());

    let body = vec![b'x'; 300_000];
    let length = body.len().to_string();
    let host = [
        ("host", b"shop.example".as_slice()),
        ("content-length", length.as_bytes()),
    ];
    let request = [request_head("POST", b"/delayed", host), body].concat();
    assert_eq!(echo(&gateway.send_bytes(&request)).body_length, 300_000);
    assert_eq!(gateway.count("forwarded"), 21);
    gateway.assert_unharmed();
}

fn clients_that_leave(tools: &Tools) {
    let gateway = Gateway::start(tools, Start::default());
    let host = [("host", b"shop.example".as_slice())];
    let request = request_head("GET", b"/delayed", host);
    let mut kept = Vec::new();
    for number in 0..1_000 {
        let mut client = TcpStream::connect(gateway.address).unwrap();
        client.write_all(&request).unwrap();
        // Some stay, so that those before and after them are called for.
        if number % 50 == 0 {
            kept.push(client);
        }
    }
    thread::sleep(DELAY * 2);
    drop(kept);
    for _ in 0..10 {
        assert_eq!(gateway.get("/delayed").status, 200);
    }
    gateway.assert_unharmed();
    let active = gateway
        .envoy
        .stat("http.platform/edge.downstream_rq_active");
    assert!(active.is_some_and(|active| active <= 1), "{active:?}");
}

/// Each request is decided by the program that it began with, also when that is no longer there when it goes on.
fn updates_meanwhile(tools: &Tools) {
    let mut gateway = Gateway::start(tools, Start::default());
    for number in 2..6 {
        let address = gateway.address;
        let host = [("host", b"shop.example".as_slice())];
        let request = request_head("GET", b"/delayed", host);
        let before = thread::spawn(move || {
            meshgate_host_tests::envoy::client::send(address, &request).unwrap()
        });
        thread::sleep(DELAY / 4);
        gateway.replace(&Payload::Bytes(shop::program(number)));
        let response = before.join().unwrap();
        let old = shop::name(number - 1);
        assert_eq!(response.text("x-program"), Some(&*old));
        let (response, new) = (gateway.get("/delayed"), shop::name(number));
        assert_eq!(response.text("x-program"), Some(&*new));
    }
    gateway.assert_unharmed();
}
