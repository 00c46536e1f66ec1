//! Virtual hosts that clauses call, and the names that come of it.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use meshgate_engine::write::{
    ClauseName, Entry, Hosts, PathTries, Predicate, Subject, Test, TrieEntry, Writer,
};
use meshgate_engine::{
    Action, ActionKind, Decision, Destination, DestinationKind, Forward, Gateway, Head,
    PathRewrite, Program, Request, SegmentKind, Share,
};

/// A program whose routes forward with a rewrite of the first byte after their prefix.
struct Builder {
    writer: Writer,
    head: Head,
}

impl Builder {
    fn new() -> Self {
        let head = Head {
            generation: "test".into(),
            gateways: vec![Gateway::default()],
            destinations: vec![Destination {
                kind: DestinationKind::KubeService,
                namespace: "ns".into(),
                name: "service".into(),
                cluster_name: None,
                subset: Vec::new(),
                port: 80,
                cluster: "service".into(),
            }],
            ..Head::default()
        };
        Self {
            writer: Writer::default(),
            head,
        }
    }

    fn name<'a>(&mut self, below: Option<&str>, text: &'a str) -> ClauseName<'a> {
        ClauseName {
            below: below.map(|below| self.writer.name(None, SegmentKind::Object, below)),
            kind: SegmentKind::Route,
            text,
        }
    }

    fn route(&mut self, below: &str, text: &str, rewrite_len: u32) -> Entry {
        let action = self.head.actions.len() as u32;
        self.head.actions.push(Action {
            kind: ActionKind::Forward(Forward {
                shares: vec![Share {
                    weight: 1,
                    destination: 0,
                    headers: None,
                }],
                total_weight: 1,
                rewrite: Some(PathRewrite::Prefix {
                    len: rewrite_len,
                    to: "/new".into(),
                }),
                host: None,
                timeout_ms: None,
                stickiness: None,
                retries: None,
            }),
            headers: None,
            policies: None,
        });
        let name = self.name(Some(below), text);
        entry(self.writer.clause(action, Some(name)).unwrap())
    }

    fn call(&mut self, host: u32, base: u32, below: Option<&str>, text: &str) -> Entry {
        let name = self.name(below, text);
        entry(self.writer.call(host, base, Some(name)).unwrap())
    }

    fn host(&mut self, places: &[(&str, &[Entry])]) -> u32 {
        let entries = places
            .iter()
            .map(|(key, entries)| TrieEntry {
                key: key.as_bytes().to_vec(),
                end: None,
                prefix: Some(self.writer.rule_set(entries).unwrap()),
            })
            .collect();
        let forward = self.writer.path_trie(entries).unwrap();
        self.writer.virtual_host(PathTries {
            forward,
            ..PathTries::default()
        })
    }

    fn program(mut self, any: u32) -> Program {
        let hosts = Hosts {
            any: Some(any),
            ..Hosts::default()
        };
        self.writer.gateway(hosts).unwrap();
        Program::new(self.writer.finish(&self.head).unwrap()).unwrap()
    }
}

fn entry(clause: u32) -> Entry {
    Entry {
        clause,
        tail: None,
        predicates: Vec::new(),
    }
}

/// Full name, own name and new path.
fn decide(program: &Program, path: &str) -> Option<(String, String, String)> {
    let headers: &[(Vec<u8>, Vec<u8>)] = &[];
    let request = Request {
        method: b"GET",
        scheme: b"http",
        authority: b"",
        path: path.as_bytes(),
        headers,
    };
    let Decision::Route(found) = program.decide(0, &request) else {
        return None;
    };
    let mut name = Vec::new();
    found.append_name(&mut name);
    assert_eq!(found.virtual_host().as_deref(), Some("ns.www"));
    let forwarding = found.forward(&request, || 0.0, || None).unwrap();
    Some((
        String::from_utf8(name).unwrap(),
        found.route_name().unwrap(),
        String::from_utf8(forwarding.path.unwrap()).unwrap(),
    ))
}

#[track_caller]
fn check(program: &Program, path: &str, name: &str, new_path: &str) {
    let (found, own, forwarded) = decide(program, path).unwrap();
    assert_eq!(
        (found.as_str(), forwarded.as_str()),
        (name, new_path),
        "{path}"
    );
    assert_eq!(own, name.rsplit('/').next().unwrap());
}

#[test]
fn the_called_host_decides_about_the_rest() {
    let mut b = Builder::new();
    let orders = b.route("ns.table", "orders", 7);
    let users = b.route("ns.table", "users", 6);
    let table = b.host(&[("/orders", &[orders]), ("/users", &[users])]);
    let before = b.route("ns.www", "before", 10);
    let call = b.call(table, 4, Some("ns.www"), "api");
    let after = b.route("ns.www", "after", 1);
    let host = b.host(&[
        ("/api/users", &[before]),
        ("/api", &[call]),
        ("/", &[after]),
    ]);
    let program = b.program(host);
    check(&program, "/api/users/1", "ns.www/before", "/new/1");
    check(
        &program,
        "/api/orders/1?q",
        "ns.www/api/ns.table/orders",
        "/new/1?q",
    );
    // Nothing there: the clauses after the call come into play.
    check(&program, "/api/other", "ns.www/after", "/newapi/other");
    check(&program, "/orders", "ns.www/after", "/neworders");
}

#[test]
fn a_call_keeps_its_place_among_the_clauses() {
    let mut b = Builder::new();
    let inner = b.route("ns.table", "inner", 0);
    let table = b.host(&[("/a", std::slice::from_ref(&inner))]);
    let early = b.call(table, 0, Some("ns.www"), "early");
    let plain = b.route("ns.www", "plain", 0);
    let late = b.call(table, 2, Some("ns.www"), "late");
    // The late call is found first on the way, and loses against what comes before it.
    let host = b.host(&[
        ("/a/", std::slice::from_ref(&late)),
        ("/", &[early]),
        ("/b", &[plain]),
    ]);
    let program = b.program(host);
    check(&program, "/a/a", "ns.www/early/ns.table/inner", "/new/a/a");
    check(&program, "/b", "ns.www/plain", "/new/b");
    assert_eq!(decide(&program, "/c/a"), None);
}

#[test]
fn calls_nest_to_a_limit() {
    let mut b = Builder::new();
    let leaf = b.route("ns.leaf", "leaf", 0);
    let mut host = b.host(&[("/x", &[leaf])]);
    for level in (0..4).rev() {
        let below = if level == 0 { "ns.www" } else { "ns.table" };
        let call = b.call(host, 2, Some(below), &format!("l{level}"));
        host = b.host(&[("/l", &[call])]);
    }
    let nested = host;
    let failing = b.call(nested, 0, Some("ns.www"), "l9");
    let deepest = b.call(nested, 1, Some("ns.www"), "too-deep");
    let other = b.route("ns.www", "other", 0);
    let outer = b.host(&[("/l", &[failing]), ("//", &[deepest]), ("", &[other])]);
    let program = b.program(outer);
    // Five calls in a row are one too many.
    check(&program, "/l/l/l/l/x", "ns.www/other", "/new/l/l/l/l/x");

    let mut b = Builder::new();
    let leaf = b.route("ns.leaf", "leaf", 0);
    let mut host = b.host(&[("/x", &[leaf])]);
    for level in (0..4).rev() {
        let below = if level == 0 { "ns.www" } else { "ns.table" };
        let call = b.call(host, 2, Some(below), &format!("l{level}"));
        host = b.host(&[("/l", &[call])]);
    }
    let program = b.program(host);
    check(
        &program,
        "/l/l/l/l/x",
        "ns.www/l0/ns.table/l1/ns.table/l2/ns.table/l3/ns.leaf/leaf",
        "/new/x",
    );
    assert_eq!(decide(&program, "/l/l/l/l/y"), None);
}

/// A call that fails after another one has succeeded must not change what that one found.
#[test]
fn a_failed_call_leaves_no_trace() {
    let mut b = Builder::new();
    let good = b.route("ns.good", "good", 0);
    let good = b.host(&[("/", &[good])]);
    let middle = b.call(good, 0, Some("ns.middle"), "middle");
    let middle = b.host(&[("/", &[middle])]);
    // Fails at its second level, after a clause of its first level was found to be no match.
    let bad = b.route("ns.bad", "bad", 0);
    let bad = b.host(&[("/never", &[bad])]);
    let failing = b.call(bad, 0, Some("ns.failing"), "failing");
    let failing = b.host(&[("/", &[failing])]);
    let first = b.call(failing, 0, Some("ns.www"), "first");
    let get = b
        .writer
        .predicate(&Predicate {
            subject: Subject::Method,
            test: Test::Exact("GET"),
            invert: false,
            missing_as_empty: false,
        })
        .unwrap();
    let second = Entry {
        predicates: vec![get],
        ..b.call(middle, 0, Some("ns.www"), "second")
    };
    let host = b.host(&[("/a", &[second]), ("/", &[first])]);
    let program = b.program(host);
    check(
        &program,
        "/a",
        "ns.www/second/ns.middle/middle/ns.good/good",
        "/new/a",
    );
}

#[test]
fn a_circle_of_calls_ends() {
    let mut b = Builder::new();
    let call = b.call(0, 0, Some("ns.www"), "again");
    let other = b.route("ns.www", "other", 0);
    let host = b.host(&[("/", &[call, other])]);
    assert_eq!(host, 0);
    let program = b.program(host);
    let (name, ..) = decide(&program, "/").unwrap();
    assert!(name.ends_with("ns.www/other"), "{name}");
}

#[test]
fn names_of_all_shapes() {
    let mut b = Builder::new();
    let long = "x".repeat(300);
    let texts = [
        "",
        "a",
        "ab",
        &long,
        &format!("{long}y"),
        "ab",
        "longer-than-seven",
        "longer-than-fifteen-characters",
        "longer-than-fifteen-characters-too",
        "ü",
        "route-10",
        "route-11",
    ];
    let places: Vec<(String, Entry)> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| (format!("/{n}/"), b.route("ns.www", text, 0)))
        .collect();
    let places: Vec<(&str, &[Entry])> = places
        .iter()
        .map(|(key, entry)| (key.as_str(), std::slice::from_ref(entry)))
        .collect();
    let host = b.host(&places);
    let program = b.program(host);
    for (n, text) in texts.iter().enumerate() {
        let (name, own, _) = decide(&program, &format!("/{n}/")).unwrap();
        assert_eq!(name, format!("ns.www/{text}"));
        assert_eq!(own, *text);
    }
}
