//! Programs for finding a route.

use meshgate_engine::write::{Automaton, Entry, Hosts, PathTries, Predicate, Subject, Test};

use crate::builder::{Builder, reversed, some_of, text};

pub(crate) const PATHS: &str = "\
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
pub(crate) fn paths() -> Vec<u8> {
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

pub(crate) const RULE_SETS: &str = "\
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
        missing_as_empty: false,
    }
}

fn parameter<'a>(name: &'a str, test: Test<'a>) -> Predicate<'a> {
    Predicate {
        subject: Subject::Parameter(name),
        test,
        invert: false,
        missing_as_empty: false,
    }
}

fn method(name: &str, invert: bool) -> Predicate<'_> {
    Predicate {
        subject: Subject::Method,
        test: Test::Exact(name),
        invert,
        missing_as_empty: false,
    }
}

/// Every kind of rule set and predicate.
pub(crate) fn rule_sets() -> Vec<u8> {
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
                missing_as_empty: false,
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
