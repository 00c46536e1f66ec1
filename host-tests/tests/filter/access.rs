//! Who may send requests: what the filter finds out about a connection, and what a token costs.

use meshgate_engine::policy::{
    AddressRange, Authorization, Issuer, Jwt, Policies, Rule, TextKind, TextMatch,
};
use meshgate_engine::{Algorithm, Key, KeyMaterial};
use meshgate_host_tests::tokens::TestKey;
use meshgate_host_tests::wasm::{LocalReply, Request, Vm};
use serde_json::json;

use crate::program::{ProgramBuilder, start};
use crate::{forwarded, get, replied};

fn authorized(allow: Rule, trusted_hops: u32) -> Vm {
    let authorization = Authorization {
        allow: vec![allow],
        trusted_hops,
        ..Authorization::default()
    };
    let policies = Policies {
        authorization: Some(authorization),
        ..Policies::default()
    };
    let program = ProgramBuilder::new("g").forward("/", "all", |_| ());
    start(program.policies(policies))
}

fn text(kind: TextKind) -> TextMatch {
    TextMatch {
        kind,
        ignore_case: false,
    }
}

#[track_caller]
fn is_refused(vm: &mut Vm, request: Request) {
    let LocalReply {
        status,
        body,
        details,
        ..
    } = replied(vm, request);
    assert_eq!(
        (status, body.as_slice()),
        (403, &b"RBAC: access denied"[..])
    );
    assert_eq!(details, "meshgate_refused_authorization");
}

#[track_caller]
fn passes(vm: &mut Vm, request: Request) {
    let forwarded = forwarded(vm, request);
    vm.close(forwarded.stream).expect("no trap");
}

fn sources(range: &str, bits: u8) -> Rule {
    Rule {
        sources: vec![AddressRange {
            address: range.parse().expect("an address"),
            bits,
        }],
        ..Rule::default()
    }
}

#[test]
fn the_address_of_a_connection_is_asked_for_once() {
    let mut vm = authorized(sources("10.0.0.0", 8), 0);
    passes(
        &mut vm,
        get("/").property("source.address", "10.1.2.3:4711"),
    );
    for address in ["11.0.0.1:80", "[::1]:80", "/run/socket", "10.0.0.1", ""] {
        is_refused(&mut vm, get("/").property("source.address", address));
    }
    is_refused(&mut vm, get("/"));

    let mut vm = authorized(sources("2001:db8::", 32), 0);
    let request = get("/").property("source.address", "[2001:db8::17]:4711");
    let forwarded = forwarded(&mut vm, request);
    assert_eq!(vm.host_calls().get("proxy_get_property"), Some(&1));
    vm.close(forwarded.stream).expect("no trap");
}

#[test]
fn a_client_behind_a_proxy_is_known_by_what_the_proxy_says() {
    let mut vm = authorized(sources("192.0.2.0", 24), 2);
    let from = |list: &str| {
        get("/")
            .property("source.address", "10.1.2.3:4711")
            .header("x-forwarded-for", list)
    };
    passes(&mut vm, from("192.0.2.1,10.1.2.3"));
    passes(&mut vm, from("198.51.100.1, 192.0.2.1 ,10.1.2.3"));
    for list in [
        "192.0.2.1",
        "192.0.2.1,198.51.100.1,10.1.2.3",
        ",10.1.2.3",
        "",
        "192.0.2.1,\u{e9},10.1.2.3",
    ] {
        is_refused(&mut vm, from(list));
    }
}

#[test]
fn names_of_the_handshake_and_of_the_certificate_are_found_out() {
    const NAME: &str = "connection.requested_server_name";
    let mut vm = authorized(
        Rule {
            server_names: vec![text(TextKind::Suffix(".example.com".to_owned()))],
            ..Rule::default()
        },
        0,
    );
    passes(&mut vm, get("/").property(NAME, "shop.example.com"));
    is_refused(&mut vm, get("/").property(NAME, "shop.example.org"));
    is_refused(&mut vm, get("/").property(NAME, ""));
    is_refused(&mut vm, get("/").header(":authority", "shop.example.com"));

    let mut vm = authorized(
        Rule {
            identities: vec![
                text(TextKind::Prefix("spiffe://cluster.local/".to_owned())),
                text(TextKind::Exact("client.example.com".to_owned())),
            ],
            ..Rule::default()
        },
        0,
    );
    let uri = "connection.uri_san_peer_certificate";
    let dns = "connection.dns_san_peer_certificate";
    passes(
        &mut vm,
        get("/").property(uri, "spiffe://cluster.local/ns/shop"),
    );
    passes(&mut vm, get("/").property(dns, "client.example.com"));
    is_refused(
        &mut vm,
        get("/").property(uri, "spiffe://cluster.other/ns/shop"),
    );
    is_refused(
        &mut vm,
        get("/").property(dns, "client.example.com.evil.org"),
    );
    is_refused(
        &mut vm,
        get("/").header("x-forwarded-client-cert", "URI=spiffe://cluster.local/"),
    );
}

/// A route that needs a token of one of the test keys.
fn with_token(key: &TestKey) -> Vm {
    let jwk = key.jwk();
    let bytes = |name: &str| {
        use base64::Engine;
        let text = jwk[name].as_str().unwrap_or_default();
        let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(text);
        bytes.expect("it is base64")
    };
    let material = match key {
        TestKey::Rsa(_) => KeyMaterial::Rsa {
            modulus: bytes("n"),
            exponent: bytes("e"),
        },
        TestKey::P256(_) => KeyMaterial::P256([bytes("x"), bytes("y")].concat()),
        TestKey::Ed25519(_) => KeyMaterial::Ed25519(bytes("x")),
    };
    let jwt = Jwt {
        issuers: vec![Issuer {
            name: "issuer".to_owned(),
            keys: vec![0],
            ..Issuer::default()
        }],
        header: "authorization".to_owned(),
        prefix: "Bearer ".to_owned(),
        ..Jwt::default()
    };
    let policies = Policies {
        jwt: Some(jwt),
        ..Policies::default()
    };
    let key = Key {
        id: None,
        algorithm: Algorithm::of(key.algorithm()),
        material,
    };
    let program = ProgramBuilder::new("g")
        .key(key)
        .forward("/", "all", |_| ());
    start(program.policies(policies))
}

#[test]
fn what_a_token_costs() {
    // Seen: 7,487,168 (RS256, 2048 bits), 12,971,418 (ES256) and 2,173,798 (EdDSA) instructions. A forged token costs as much.
    for (algorithm, most) in [
        ("RS256", 8_000_000),
        ("ES256", 14_000_000),
        ("EdDSA", 2_500_000),
    ] {
        let key = TestKey::of(algorithm).expect("there is one");
        let mut vm = with_token(&key);
        let good = key.token(&json!({"iss": "issuer", "exp": 4_102_444_800_u64}));
        let bearer = |token: &str| get("/").header("authorization", format!("Bearer {token}"));
        let forwarded = forwarded(&mut vm, bearer(&good));
        let instructions = vm.instructions();
        println!("{algorithm}: {instructions} instructions");
        assert!(instructions < most, "{algorithm}: {instructions}");
        assert_eq!(forwarded.headers.get("authorization"), None);
        vm.close(forwarded.stream).expect("no trap");

        let (signed, signature) = good.rsplit_once('.').expect("it has parts");
        let (start, end) = signature.split_at(20);
        let forged = format!("{start}{}", end.replace(['a', 'b'], "c"));
        let reply = replied(&mut vm, bearer(&format!("{signed}.{forged}")));
        assert_eq!(
            (reply.status, reply.details.as_str()),
            (401, "meshgate_refused_jwt")
        );
        let instructions = vm.instructions();
        println!("{algorithm}, forged: {instructions} instructions");
        assert!(instructions < most, "{algorithm}: {instructions}");
    }
}
