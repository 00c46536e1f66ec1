//! Copies of requests.

use meshgate_host_tests::upstream::Echo;

use crate::gateway::{Gateway, Start, echo, wait_for};
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    ("mirrors/requests_are_copied", requests_are_copied),
    (
        "mirrors/routes_may_stand_in_a_list",
        routes_may_stand_in_a_list,
    ),
    ("mirrors/clients_choose_nothing", clients_choose_nothing),
];

const COPY: &str = "outbound|9080||copy.platform.svc.cluster.local";
const HALF: &str = "outbound|9080||half.platform.svc.cluster.local";

fn requests_are_copied(tools: &Tools) {
    copied(&Gateway::start(tools, Start::default()));
}

fn routes_may_stand_in_a_list(tools: &Tools) {
    let start = Start {
        lists_mirrors: true,
        ..Start::default()
    };
    copied(&Gateway::start(tools, start));
}

#[track_caller]
fn copied(gateway: &Gateway) {
    let sent = 200;
    for _ in 0..sent {
        let own = gateway.send("GET", "/mirrored", &[("x-own", b"1")]);
        assert_nothing_leaks(&echo(&own));
    }
    let copies = || gateway.upstreams.requests(COPY);
    wait_for("all copies", || (copies() == sent).then_some(()));
    let half = gateway.upstreams.requests(HALF);
    // Six standard deviations around the half.
    assert!((58..=142).contains(&half), "{half}");
    for cluster in [COPY, HALF] {
        let copy = gateway.upstreams.last_request(cluster).unwrap();
        assert_eq!(copy.path, "/mirrored");
        assert_eq!(copy.authority, "shop.example-shadow");
        assert!(copy.headers.contains(&("x-own".to_owned(), "1".to_owned())));
        assert_nothing_leaks(&copy);
    }
    gateway.assert_unharmed();
}

/// A client that Envoy trusts may set every header there is.
fn clients_choose_nothing(tools: &Tools) {
    let gateway = Gateway::start(
        tools,
        Start {
            trusts_clients: true,
            ..Start::default()
        },
    );
    for name in [
        "x-meshgate-mirrors",
        "x-meshgate-mirror",
        "meshgate_mirrors",
    ] {
        let stock = gateway.send("GET", "/stock", &[(name, COPY.as_bytes())]);
        assert_eq!(echo(&stock).path, "/stock");
    }
    // Copies that were sent would arrive before this one.
    gateway.get("/mirrored");
    wait_for("a copy", || gateway.upstreams.last_request(COPY));
    assert_eq!(gateway.upstreams.requests(COPY), 1);
}

#[track_caller]
fn assert_nothing_leaks(request: &Echo) {
    let steers = |name: &str| {
        name.starts_with("x-meshgate-")
            || name.starts_with("x-envoy-upstream-rq-")
            || name.starts_with("x-envoy-retr")
            || name == "x-envoy-max-retries"
    };
    let leaked = request.headers.iter().find(|(name, _)| steers(name));
    assert_eq!(leaked, None, "{request:?}");
}
