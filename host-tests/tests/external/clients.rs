//! Clients that leave while a service is asked.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use meshgate_host_tests::envoy::client::request_head;
use prost::Message;

use crate::authorization::pass;
use crate::gateway::{Gateway, echo, resources, wait_for};
use crate::service::{Behaviour, Service, message};
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    ("clients/that_leave", that_leave),
    ("clients/with_bodies", with_bodies),
];

/// What the service takes for an answer.
const DELAY: Duration = Duration::from_millis(20);

fn start(tools: &Tools, service: &Service) -> Gateway {
    let resources = resources("{extauth: {}}", &[("/", "{extauth: {customAuth: {}}}")]);
    Gateway::start(
        tools,
        &resources,
        &[("ext-auth-service", service.address)],
        2,
    )
}

fn that_leave(tools: &Tools) {
    let service = Service::start(Behaviour::Late(DELAY, pass().encode_to_vec()));
    let gateway = start(tools, &service);
    let request = request_head("GET", b"/", [("host", b"shop.example".as_slice())]);
    let leave = |number: u64| {
        let mut client = TcpStream::connect(gateway.address).unwrap();
        client.write_all(&request).unwrap();
        // Before the question, while it is asked, and about when the answer comes.
        std::thread::sleep(Duration::from_micros(number % 7 * 4_000));
    };
    let many = |count: u64| {
        std::thread::scope(|scope| {
            for thread in 0..16 {
                let leave = &leave;
                scope.spawn(move || (0..count / 16).for_each(|number| leave(number * 3 + thread)));
            }
        });
    };
    let ended = || {
        wait_for("requests to end", || {
            let active = gateway
                .envoy
                .stat("http.platform/edge.downstream_rq_active");
            (active == Some(0)).then_some(())
        });
        gateway.memory()
    };
    // Memory grows and stays while more requests are open than before; but what is lost with requests is lost in every
    // round: a kilobyte for each would be 2,000 kB.
    let sizes: Vec<u64> = (0..5)
        .map(|_| {
            many(2_000);
            ended()
        })
        .collect();
    let grown = sizes
        .windows(2)
        .map(|sizes| sizes[1].saturating_sub(sizes[0]));
    let least = grown.min().unwrap_or(u64::MAX);
    assert!(
        least < 1_000,
        "kB after rounds of 2,000 requests: {sizes:?}"
    );
    for _ in 0..10 {
        echo(&gateway.get("/"));
    }
    gateway.assert_unharmed();
}

fn with_bodies(tools: &Tools) {
    let service = Service::start(Behaviour::Late(DELAY, pass().encode_to_vec()));
    let gateway = start(tools, &service);
    let body = vec![b'x'; 300_000];
    let length = body.len().to_string();
    let host = [
        ("host", b"shop.example".as_slice()),
        ("content-length", length.as_bytes()),
    ];
    let request = [request_head("POST", b"/", host), body].concat();
    let send = || meshgate_host_tests::envoy::client::send(gateway.address, &request).unwrap();
    assert_eq!(echo(&send()).body_length, 300_000);
    service.set(message(&pass()));
    assert_eq!(echo(&send()).body_length, 300_000);
    gateway.assert_unharmed();
}
