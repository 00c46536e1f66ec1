//! Clients that stay with a destination: the weights hold over many of them, and only those move that have to.

use std::collections::BTreeMap;

use meshgate_engine::{ActionKind, Forward, Property, PropertyKind, Stickiness};
use meshgate_host_tests::wasm::{Request, Vm};

use crate::program::{ProgramBuilder, start};
use crate::routing::response;
use crate::shares::check;
use crate::{cluster, forwarded, get, text};

const CLIENTS: u32 = 100_000;

/// A filter with one route to clusters with weights.
fn filter(properties: &[PropertyKind], clusters: &[(&str, u32)]) -> Vm {
    let mut program = ProgramBuilder::new("g");
    let shares = clusters.iter();
    let shares = shares.map(|(cluster, weight)| program.share(cluster, *weight, None));
    let shares: Vec<_> = shares.collect();
    let properties = properties.iter().map(|kind| Property {
        kind: kind.clone(),
        is_terminal: false,
    });
    let forward = ActionKind::Forward(Forward {
        total_weight: shares.iter().map(|share| share.weight).sum(),
        shares,
        rewrite: None,
        host: None,
        timeout_ms: None,
        stickiness: Some(Stickiness {
            properties: properties.collect(),
            names: clusters
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect(),
        }),
        retries: None,
    });
    start(program.route("/", forward, None))
}

fn by_user() -> PropertyKind {
    PropertyKind::Header("x-user".to_owned())
}

fn by_cookie(attributes: Option<&str>) -> PropertyKind {
    PropertyKind::Cookie {
        name: "visit".to_owned(),
        attributes: attributes.map(str::to_owned),
    }
}

fn user(number: u32) -> Request {
    get("/").header("x-user", number.to_string())
}

#[test]
fn weights_are_shares_of_the_clients() {
    let weights = [("a", 10), ("b", 20), ("c", 30), ("d", 40), ("never", 0)];
    let mut vm = filter(&[by_user()], &weights);
    let mut counts = BTreeMap::new();
    for number in 0..CLIENTS {
        *counts.entry(cluster(&mut vm, user(number))).or_default() += 1;
    }
    // Three degrees of freedom.
    check(
        &counts,
        &[("a", 0.1), ("b", 0.2), ("c", 0.3), ("d", 0.4)],
        16.27,
    );
}

#[test]
fn only_the_share_of_a_new_destination_moves() {
    let mut before = filter(&[by_user()], &[("a", 30), ("b", 70)]);
    // Elsewhere in the list, and with other weights of the same proportion.
    let mut after = filter(&[by_user()], &[("new", 20), ("b", 56), ("a", 24)]);
    let mut counts = BTreeMap::new();
    for number in 0..CLIENTS {
        let (old, now) = (
            cluster(&mut before, user(number)),
            cluster(&mut after, user(number)),
        );
        let what = match now == old {
            true => "stays",
            false => {
                assert_eq!(now, "new", "{number} was at {old}");
                "moves"
            }
        };
        *counts.entry(what.to_owned()).or_default() += 1;
    }
    // One degree of freedom.
    check(&counts, &[("stays", 0.8), ("moves", 0.2)], 10.83);
}

#[test]
fn clients_stay_across_other_weights_and_restarts() {
    let mut less = filter(&[by_user()], &[("a", 90), ("b", 10)]);
    let mut more = filter(&[by_user()], &[("a", 50), ("b", 50)]);
    let mut again = filter(&[by_user()], &[("a", 50), ("b", 50)]);
    let mut at_b = [0, 0];
    for number in 0..1000 {
        let (old, now) = (
            cluster(&mut less, user(number)),
            cluster(&mut more, user(number)),
        );
        assert!(old == now || now == "b", "{number}");
        assert_eq!(cluster(&mut again, user(number)), now);
        at_b[0] += u32::from(old == "b");
        at_b[1] += u32::from(now == "b");
    }
    assert!(at_b[0] > 50 && at_b[1] > 400, "{at_b:?}");
}

#[test]
fn a_client_without_the_property_goes_anywhere() {
    let mut vm = filter(&[by_user(), by_cookie(None)], &[("a", 1), ("b", 1)]);
    for request in [
        get("/"),
        get("/").header("x-user", ""),
        get("/").header("cookie", "visit=; a=b"),
    ] {
        let mut seen: Vec<String> = (0..100)
            .map(|_| cluster(&mut vm, request.clone()))
            .collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen, ["a", "b"]);
    }
}

#[test]
fn a_client_is_given_a_cookie_and_stays() {
    let attributes = "; Max-Age=60; Path=/; HttpOnly";
    let clusters = [("a", 1), ("b", 1), ("c", 1)];
    let mut vm = filter(&[by_cookie(Some(attributes))], &clusters);
    let mut destinations = BTreeMap::new();
    for _ in 0..30 {
        let first = forwarded(&mut vm, get("/"));
        let destination = text(first.headers.get("x-meshgate-cluster"));
        let answer = vm
            .respond(first.stream, response(&[("set-cookie", "own=1")]))
            .unwrap();
        let cookies = answer.get_all("set-cookie");
        assert_eq!(cookies.len(), 2);
        assert_eq!(cookies[0], b"own=1");
        let cookie = String::from_utf8(cookies[1].to_vec()).unwrap();
        let pair = cookie.strip_suffix(attributes).unwrap();
        let value = pair
            .strip_prefix("visit=\"")
            .unwrap()
            .strip_suffix('"')
            .unwrap();
        assert!(value.len() == 13 && value.bytes().all(|digit| digit.is_ascii_hexdigit()));
        // However the client writes it.
        for sent in [
            pair.to_owned(),
            format!("visit={value}"),
            format!("a=b; visit={value};c=d"),
        ] {
            let next = forwarded(&mut vm, get("/").header("cookie", sent));
            assert_eq!(text(next.headers.get("x-meshgate-cluster")), destination);
            let answer = vm.respond(next.stream, response(&[])).unwrap();
            assert_eq!(answer.get("set-cookie"), None);
        }
        *destinations.entry(destination).or_insert(0) += 1;
    }
    assert_eq!(destinations.len(), 3, "{destinations:?}");
}

#[test]
fn the_address_of_a_client_decides() {
    let mut vm = filter(&[PropertyKind::SourceAddress], &[("a", 1), ("b", 1)]);
    let mut from = |address: &str| cluster(&mut vm, get("/").property("source.address", address));
    let mut seen = Vec::new();
    for host in 0..20 {
        let at = from(&format!("10.0.0.{host}:1"));
        assert_eq!(from(&format!("10.0.0.{host}:2")), at);
        assert_eq!(from(&format!("[::ffff:10.0.0.{host}]:3")), at);
        seen.push(at);
    }
    assert!(seen.contains(&"a".to_owned()) && seen.contains(&"b".to_owned()));
}
