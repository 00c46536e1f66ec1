//! The programs, and what they are asked.

use meshgate_engine::write::{
    Automaton, Entry, Hosts, PathTries, Predicate, Subject, Test, TrieEntry, Writer,
};
use meshgate_engine::{
    Action, ActionKind, Destination, DestinationKind, DirectResponse, Forward, Gateway, Head,
    HeaderOperations, PathRewrite, Redirect, RedirectPath, Retries, SegmentKind, Share,
};

/// Name, program and requests of each.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    vec![
        ("actions", actions(), ACTIONS),
        ("paths", paths(), PATHS),
        ("rule-sets", rule_sets(), RULE_SETS),
    ]
}

/// A program in the making, with a name that routes are called by.
struct Builder {
    writer: Writer,
    head: Head,
    host: u32,
}

impl Builder {
    fn new(gateways: &[&str]) -> Self {
        let gateways = gateways.iter().zip(8080..).map(|(name, port)| Gateway {
            namespace: "edge".to_owned(),
            name: (*name).to_owned(),
            port,
        });
        let mut writer = Writer::default();
        let host = writer.name(None, SegmentKind::Object, "shop.www");
        Self {
            head: Head {
                generation: "golden".to_owned(),
                gateways: gateways.collect(),
                ..Head::default()
            },
            writer,
            host,
        }
    }

    fn clause(&mut self, name: &str, kind: ActionKind, headers: Option<u32>) -> u32 {
        let action = self.head.actions.len() as u32;
        self.head.actions.push(Action { kind, headers });
        let name = self.writer.name(Some(self.host), SegmentKind::Route, name);
        self.writer.clause(action, Some(name))
    }

    /// A clause that answers with its own name.
    fn answer(&mut self, name: &str) -> u32 {
        let response = DirectResponse {
            status: 200,
            body: name.to_owned(),
        };
        self.clause(name, ActionKind::DirectResponse(response), None)
    }

    fn entry(&mut self, name: &str, tail: Option<u32>, predicates: &[Predicate<'_>]) -> Entry {
        let clause = self.answer(name);
        let predicates = predicates
            .iter()
            .map(|predicate| self.writer.predicate(predicate).unwrap());
        Entry {
            clause,
            tail,
            predicates: predicates.collect(),
        }
    }

    fn set(&mut self, entries: &[Entry]) -> u32 {
        self.writer.rule_set(entries).unwrap()
    }

    fn always(&mut self, clause: u32) -> u32 {
        self.set(&[Entry {
            clause,
            tail: None,
            predicates: Vec::new(),
        }])
    }

    /// A trie from keys, each with a set for the whole path and one for what begins with it.
    fn trie(&mut self, entries: &[(&str, Option<u32>, Option<u32>)]) -> Option<u32> {
        let entries = entries.iter().map(|&(key, end, prefix)| TrieEntry {
            key: key.into(),
            end,
            prefix,
        });
        self.writer.path_trie(entries.collect()).unwrap()
    }

    fn virtual_host(&mut self, entries: &[(&str, Option<u32>, Option<u32>)]) -> u32 {
        let forward = self.trie(entries);
        self.writer.virtual_host(PathTries {
            forward,
            ..PathTries::default()
        })
    }

    fn gateway(&mut self, hosts: Hosts) {
        self.writer.gateway(hosts).unwrap();
    }

    fn finish(mut self) -> Vec<u8> {
        self.writer.finish(&self.head).unwrap()
    }
}

/// Accepts one or more of the bytes.
fn some_of(bytes: &[u8]) -> Automaton {
    let mut classes = Box::new([0; 256]);
    for byte in bytes {
        classes[usize::from(*byte)] = 1;
    }
    Automaton {
        classes,
        stride: 2,
        start: 1,
        table: vec![0, 0, 0, 2, 0, 2],
        accept: vec![false, false, true],
    }
}

fn text(bytes: &str) -> Vec<u8> {
    bytes.as_bytes().to_vec()
}

fn reversed(text: &str) -> Vec<u8> {
    text.bytes().rev().collect()
}

const ACTIONS: &str = "\
GET http://a.example/old/x?q=1
GET http://a.example/whole/x?q=1
GET http://a.example/plain
GET http://a.example:80/https/x?q
GET http://a.example/host?q
GET http://a.example/full?q
GET http://a.example/prefix/x?q
GET http://a.example/found
GET http://a.example/unnamed
GET http://a.example/matcher
GET http://a.example/table
GET http://a.example/

gateway 1
GET http://a.example/plain
GET http://b.example/anything
";

/// Every kind of action, destination, header operation and name; two gateways.
fn actions() -> Vec<u8> {
    let mut b = Builder::new(&["public", "private"]);
    let destination = |kind, name: &str, subset: &[(&str, &str)]| Destination {
        kind,
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        cluster_name: (!subset.is_empty()).then(|| "west".to_owned()),
        subset: subset
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        port: 9080,
        cluster: format!("outbound|9080||{name}"),
    };
    b.head.destinations = vec![
        destination(DestinationKind::KubeService, "one", &[("version", "v1")]),
        destination(DestinationKind::VirtualDestination, "two", &[]),
        destination(DestinationKind::StaticDestination, "three", &[]),
    ];
    let pair = |name: &str| (name.to_owned(), "1".to_owned());
    b.head.header_operations = vec![
        HeaderOperations {
            remove_request: vec!["x-gone".to_owned()],
            append_request: vec![pair("x-new")],
            ..HeaderOperations::default()
        },
        HeaderOperations {
            remove_response: vec!["server".to_owned()],
            append_response: vec![pair("via")],
            ..HeaderOperations::default()
        },
    ];
    let share = |weight, destination, headers| Share {
        weight,
        destination,
        headers,
    };
    let forward = |shares: Vec<Share>, rewrite| {
        ActionKind::Forward(Forward {
            total_weight: shares.iter().map(|share| share.weight).sum(),
            shares,
            rewrite,
            timeout_ms: Some(1500),
            retries: Some(Retries {
                attempts: 2,
                per_try_timeout_ms: Some(500),
            }),
        })
    };
    let prefix = |len, to: &str| PathRewrite::Prefix {
        len,
        to: to.to_owned(),
    };
    let weighted = forward(
        vec![share(30, 0, Some(1)), share(70, 1, None)],
        Some(prefix(4, "/new")),
    );
    let whole = PathRewrite::Whole {
        to: "/w".to_owned(),
    };
    let whole = forward(vec![share(1, 2, None)], Some(whole));
    let plain = ActionKind::Forward(Forward {
        shares: vec![share(1, 1, None)],
        total_weight: 1,
        rewrite: None,
        timeout_ms: None,
        retries: None,
    });
    let redirect = |status, host: Option<&str>, path, https, strip_query| {
        ActionKind::Redirect(Redirect {
            status,
            host: host.map(str::to_owned),
            path,
            https,
            strip_query,
        })
    };
    let full = RedirectPath::Full("/elsewhere?own".to_owned());
    let rewrite = RedirectPath::Rewrite(prefix(7, "/p"));
    let routes = [
        ("/old", b.clause("weighted", weighted, Some(0))),
        ("/whole", b.clause("whole", whole, Some(1))),
        ("/plain", b.clause("plain", plain.clone(), None)),
        (
            "/https",
            b.clause(
                "https",
                redirect(301, None, RedirectPath::Keep, true, false),
                None,
            ),
        ),
        (
            "/host",
            b.clause(
                "host",
                redirect(307, Some("b.example:81"), RedirectPath::Keep, false, true),
                None,
            ),
        ),
        (
            "/full",
            b.clause("full", redirect(302, None, full, false, false), None),
        ),
        (
            "/prefix",
            b.clause("prefix", redirect(308, None, rewrite, false, false), None),
        ),
        ("/found", b.answer("found")),
        (
            "/unnamed",
            b.clause_below(&[(SegmentKind::RoutePosition, "#7")]),
        ),
        (
            "/matcher",
            b.clause_below(&[(SegmentKind::Route, "r"), (SegmentKind::Matcher, "m")]),
        ),
        (
            "/table",
            b.clause_below(&[
                (SegmentKind::Route, "all"),
                (SegmentKind::Object, "team.table"),
                (SegmentKind::Route, "leaf"),
            ]),
        ),
    ];
    let entries: Vec<_> = routes
        .into_iter()
        .map(|(path, clause)| (path, None, Some(b.always(clause))))
        .collect();
    let public = b.virtual_host(&entries);
    let only = b.clause("only", plain, None);
    let only = b.always(only);
    let private = b.virtual_host(&[("/", None, Some(only))]);
    b.gateway(Hosts {
        exact: vec![(text("a.example"), public)],
        ..Hosts::default()
    });
    b.gateway(Hosts {
        exact: vec![(text("b.example"), private)],
        ..Hosts::default()
    });
    b.finish()
}

impl Builder {
    /// A clause whose name has more segments.
    fn clause_below(&mut self, segments: &[(SegmentKind, &str)]) -> u32 {
        let mut name = self.host;
        for (kind, text) in segments {
            name = self.writer.name(Some(name), *kind, text);
        }
        self.writer.clause(7, Some(name))
    }
}

const PATHS: &str = "\
GET http://exact.example/
GET http://EXACT.example:81/
GET http://exact.example:8443/
GET http://x.suffix.example/
GET http://x:9000/
GET http://prefix.test/
GET http://[::1]/
GET http:///

GET http://any/exact
GET http://any/exact?q
GET http://any/exact#f
GET http://any/exact/x
GET http://any/ex
GET http://any/FOLDED/x
GET http://any/folde
GET http://any/x.pdf
GET http://any/x.PDF
GET http://any/x.PNG?q
GET http://any/x.gif
GET http://any/tail/aab
GET http://any/tail/aabc
GET http://any/tail/
GET http://any/many/a
GET http://any/many/z
GET http://any/many/zz
GET http://any/many/-
GET http://any/ä
";

/// Every kind of host and path.
fn paths() -> Vec<u8> {
    let mut b = Builder::new(&["gw"]);
    let named: Vec<u32> = [
        "exact",
        "port",
        "suffix",
        "suffix-port",
        "prefix",
        "address",
    ]
    .into_iter()
    .map(|name| {
        let clause = b.answer(name);
        let set = b.always(clause);
        b.virtual_host(&[("/", None, Some(set))])
    })
    .collect();
    let tail = b.writer.automaton(&some_of(b"ab")).unwrap();
    let sets: Vec<u32> = [
        "exact-path",
        "folded",
        "pdf",
        "png",
        "tail",
        "utf-8",
        "letter",
        "rest",
    ]
    .into_iter()
    .map(|name| {
        let entry = b.entry(name, (name == "tail").then_some(tail), &[]);
        b.set(&[entry])
    })
    .collect();
    let letters: Vec<String> = ('a'..='z')
        .map(|letter| format!("/many/{letter}"))
        .collect();
    let mut entries: Vec<_> = letters
        .iter()
        .map(|path| (path.as_str(), Some(sets[6]), None))
        .collect();
    entries.extend([
        ("/exact", Some(sets[0]), None),
        ("/tail/", None, Some(sets[4])),
        ("/ä", Some(sets[5]), None),
        ("/", None, Some(sets[7])),
    ]);
    let tries = PathTries {
        forward: b.trie(&entries),
        folded: b.trie(&[("/folded", None, Some(sets[1]))]),
        reversed: b.trie(&[("fdp.", None, Some(sets[2]))]),
        reversed_folded: b.trie(&[("gnp.", None, Some(sets[3]))]),
    };
    let any = b.writer.virtual_host(tries);
    b.gateway(Hosts {
        exact: vec![
            (text("exact.example"), named[0]),
            (text("exact.example:8443"), named[1]),
            (text("[::1]"), named[5]),
        ],
        suffix: vec![
            (reversed(".suffix.example"), named[2]),
            (reversed(":9000"), named[3]),
        ],
        prefix: vec![(text("prefix."), named[4])],
        any: Some(any),
        names_ports: true,
    });
    b.finish()
}

const RULE_SETS: &str = "\
GET http://h/list
GET http://h/list | x-a: 1
GET http://h/list | x-a: 2
GET http://h/list?q=1
GET http://h/list?q
POST http://h/list | x-b: 1

GET http://h/switch | x-a: v3
GET http://h/switch | x-a: v
GET http://h/switch | x-a: v1 | x-a: v2
GET http://h/switch
GET http://h/parameter?p=v3
GET http://h/parameter?p=v
POST http://h/method?p=v3
M3 http://h/method

GET http://h/fields | x-0: v0
GET http://h/fields | x-7: v7 | x-3: v3
GET http://h/fields | x-7: v6
GET http://h/trie | x-a: p3-12
GET http://h/trie | x-a: p3-
GET http://h/trie | x-a: p33-12
GET http://h/trie | x-a: p1 | x-a: 12
GET http://h/trie?p=p3-12
";

fn header<'a>(name: &'a str, test: Test<'a>, invert: bool) -> Predicate<'a> {
    Predicate {
        subject: Subject::Header(name),
        test,
        invert,
    }
}

fn parameter<'a>(name: &'a str, test: Test<'a>) -> Predicate<'a> {
    Predicate {
        subject: Subject::Parameter(name),
        test,
        invert: false,
    }
}

fn method(name: &str, invert: bool) -> Predicate<'_> {
    Predicate {
        subject: Subject::Method,
        test: Test::Exact(name),
        invert,
    }
}

/// Every kind of rule set and predicate.
fn rule_sets() -> Vec<u8> {
    let mut b = Builder::new(&["gw"]);
    let digits = b.writer.automaton(&some_of(b"0123456789")).unwrap();
    let number = Test::Automaton {
        id: digits,
        prefix: b"",
    };
    let list = [
        b.entry(
            "post",
            None,
            &[method("GET", true), header("x-b", number, false)],
        ),
        b.entry("one", None, &[header("x-a", Test::Exact("1"), false)]),
        b.entry(
            "absent",
            None,
            &[header("x-a", Test::Present, true), parameter("q", number)],
        ),
        b.entry("present", None, &[header("x-a", Test::Present, false)]),
        b.entry("query", None, &[parameter("q", Test::Present)]),
        b.entry("else", None, &[]),
    ];
    // More entries than are tried in turn.
    let values: Vec<String> = (0..20).map(|n| format!("v{n}")).collect();
    let mut by_value = |predicate: &dyn for<'v> Fn(&'v str) -> Predicate<'v>| {
        let entries = values
            .iter()
            .map(|value| b.entry(value, None, &[predicate(value)]));
        let mut entries: Vec<Entry> = entries.collect();
        entries.push(b.entry("else", None, &[]));
        b.set(&entries)
    };
    let switch = by_value(&|value| header("x-a", Test::Exact(value), false));
    let by_parameter = by_value(&|value| parameter("p", Test::Exact(value)));
    let methods: Vec<String> = (0..20).map(|n| format!("M{n}")).collect();
    let by_method: Vec<Entry> = methods
        .iter()
        .map(|name| b.entry(name, None, &[method(name, false)]))
        .collect();
    let by_method = b.set(&by_method);
    let names: Vec<String> = (0..20).map(|n| format!("x-{n}")).collect();
    let fields: Vec<Entry> = names
        .iter()
        .zip(&values)
        .map(|(name, value)| b.entry(name, None, &[header(name, Test::Exact(value), false)]))
        .collect();
    let fields = b.set(&fields);
    let prefixes: Vec<String> = (0..12).map(|n| format!("p{n}-")).collect();
    let mut by_prefix = |subject| {
        let automata = prefixes.iter().map(|prefix| {
            let id = b.writer.automaton(&after(prefix)).unwrap();
            let predicate = Predicate {
                subject,
                test: Test::Automaton {
                    id,
                    prefix: prefix.as_bytes(),
                },
                invert: false,
            };
            b.entry(prefix, None, &[predicate])
        });
        let entries: Vec<Entry> = automata.collect();
        b.set(&entries)
    };
    let trie = by_prefix(Subject::Header("x-a"));
    let parameter_trie = by_prefix(Subject::Parameter("p"));
    let list = b.set(&list);
    let host = b.virtual_host(&[
        ("/list", Some(list), None),
        ("/switch", Some(switch), None),
        ("/parameter", Some(by_parameter), None),
        ("/method", Some(by_method), None),
        ("/fields", Some(fields), None),
        ("/trie", Some(trie), Some(parameter_trie)),
    ]);
    b.gateway(Hosts {
        any: Some(host),
        ..Hosts::default()
    });
    b.finish()
}

/// Accepts a text and then one or more digits.
fn after(text: &str) -> Automaton {
    // A class and a state for each byte of the text; the byte at `n` leads from state `n + 1` to `n + 2`.
    let bytes = text.as_bytes();
    let digit = |byte: u8| byte.is_ascii_digit();
    let mut classes = Box::new([0_u8; 256]);
    for byte in 0..=u8::MAX {
        let at = bytes.iter().position(|other| *other == byte);
        classes[usize::from(byte)] = match at {
            Some(at) => at as u8 + 1,
            None if digit(byte) => bytes.len() as u8 + 1,
            None => 0,
        };
    }
    let stride = bytes.len() + 2;
    let last = bytes.len() + 2;
    let mut table = vec![0_u16; stride * (last + 1)];
    for (n, byte) in bytes.iter().enumerate() {
        table[(n + 1) * stride + usize::from(classes[usize::from(*byte)])] = n as u16 + 2;
    }
    for state in [last - 1, last] {
        for byte in b'0'..=b'9' {
            table[state * stride + usize::from(classes[usize::from(byte)])] = last as u16;
        }
    }
    let mut accept = vec![false; last + 1];
    accept[last] = true;
    Automaton {
        classes,
        stride,
        start: 1,
        table,
        accept,
    }
}
