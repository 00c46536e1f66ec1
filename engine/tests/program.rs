//! Programs written by hand, read back, and broken.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use meshgate_engine::write::{
    Automaton, ClauseName, Entry, Hosts, PathTries, Predicate, Subject, Test, TrieEntry, Writer,
};
use meshgate_engine::{
    Action, ActionKind, Decision, DirectResponse, FormatErrorKind, Gateway, Head, Program, Request,
    SegmentKind,
};

/// A program with one gateway, whose routes answer with their own number.
struct Builder {
    writer: Writer,
    head: Head,
    hosts: Hosts,
}

impl Builder {
    fn new() -> Self {
        let gateway = Gateway {
            namespace: "ns".into(),
            name: "gw".into(),
            port: 8080,
            ..Gateway::default()
        };
        let head = Head {
            generation: "test".into(),
            gateways: vec![gateway],
            ..Head::default()
        };
        Self {
            writer: Writer::default(),
            head,
            hosts: Hosts::default(),
        }
    }

    fn clause(&mut self) -> u32 {
        let number = self.head.actions.len() as u32;
        let response = DirectResponse {
            status: 200,
            body: number.to_string(),
        };
        self.head.actions.push(Action {
            kind: ActionKind::DirectResponse(response),
            headers: None,
            policies: None,
        });
        let host = self.writer.name(None, SegmentKind::Object, "ns.host");
        let name = ClauseName {
            below: Some(host),
            kind: SegmentKind::Route,
            text: &format!("r{number}"),
        };
        self.writer.clause(number, Some(name)).unwrap()
    }

    /// A rule set of one new clause.
    fn set(&mut self, tail: Option<u32>, predicates: &[Predicate<'_>]) -> u32 {
        let clause = self.clause();
        let predicates = predicates
            .iter()
            .map(|p| self.writer.predicate(p).unwrap())
            .collect();
        self.writer
            .rule_set(&[Entry {
                clause,
                tail,
                predicates,
            }])
            .unwrap()
    }

    fn host_with(&mut self, prefix: &str) -> u32 {
        let set = self.set(None, &[]);
        let forward = self.trie(&[(prefix, None, Some(set))]);
        self.writer.virtual_host(PathTries {
            forward,
            ..PathTries::default()
        })
    }

    fn trie(&mut self, entries: &[(&str, Option<u32>, Option<u32>)]) -> Option<u32> {
        let entry = |&(key, end, prefix): &(&str, _, _)| TrieEntry {
            key: key.into(),
            end,
            prefix,
        };
        self.writer
            .path_trie(entries.iter().map(entry).collect())
            .unwrap()
    }

    fn bytes(mut self) -> Vec<u8> {
        self.writer.gateway(self.hosts).unwrap();
        self.writer.finish(&self.head).unwrap()
    }

    fn program(self) -> Program {
        Program::new(self.bytes()).unwrap()
    }
}

type Fields = [(Vec<u8>, Vec<u8>)];

fn decide(program: &Program, authority: &str, path: &str, headers: &Fields) -> Option<String> {
    let request = Request {
        method: b"GET",
        scheme: b"http",
        authority: authority.as_bytes(),
        path: path.as_bytes(),
        headers,
    };
    match program.decide(0, &request) {
        Decision::NotFound => None,
        Decision::Route(found) => match &found.action().kind {
            ActionKind::DirectResponse(response) => Some(response.body.clone()),
            _ => None,
        },
    }
}

#[track_caller]
fn check(program: &Program, authority: &str, path: &str, expected: impl Into<Option<u32>>) {
    let expected = expected.into().map(|number: u32| number.to_string());
    assert_eq!(
        decide(program, authority, path, &[]),
        expected,
        "{authority}{path}"
    );
}

#[test]
fn hosts() {
    let mut b = Builder::new();
    let ids: Vec<u32> = (0..7).map(|_| b.host_with("/")).collect();
    b.hosts.exact = vec![
        (b"a.example.com".to_vec(), ids[0]),
        (b"a.example.com:8443".to_vec(), ids[1]),
    ];
    let reversed = |text: &str| text.bytes().rev().collect::<Vec<_>>();
    b.hosts.suffix = vec![
        (reversed(".example.com"), ids[2]),
        (reversed(".b.example.com"), ids[3]),
        (reversed(":9000"), ids[4]),
        // No port, but digits.
        (reversed("7"), ids[0]),
    ];
    b.hosts.prefix = vec![(b"a.".to_vec(), ids[5]), (b"81:b.".to_vec(), ids[5])];
    b.hosts.any = Some(ids[6]);
    b.hosts.names_ports = true;
    let program = b.program();
    check(&program, "a.example.com", "/", 0);
    check(&program, "A.Example.COM:80", "/", 0);
    check(&program, "a.example.com:8443", "/", 1);
    check(&program, "x.example.com:8443", "/", 2);
    check(&program, "x.b.example.com", "/", 3);
    check(&program, ".example.com", "/", 6);
    check(&program, "whatever:9000", "/", 4);
    check(&program, "a.example.com:9000", "/", 4);
    check(&program, ":9000", "/", 6);
    check(&program, "host7", "/", 0);
    // No port: there are colons outside of brackets.
    check(&program, "host:1:9000", "/", 6);
    check(&program, "host:1:7", "/", 0);
    check(&program, "[::1]x:9000", "/", 6);
    check(&program, "81:b.org", "/", 6);
    check(&program, "81:b.[::1]:80", "/", 6);
    check(&program, "b.org:81", "/", 5);
    check(&program, "a.:x", "/", 5);
    check(&program, "host:17", "/", 6);
    check(&program, "a.org", "/", 5);
    check(&program, "a.", "/", 6);
    check(&program, "", "/", 6);
    check(
        &program,
        &format!("{}.example.com", "x".repeat(1000)),
        "/",
        2,
    );
    check(&program, &format!("a.{}", "x".repeat(1000)), "/", 5);
}

#[test]
fn paths() {
    let mut b = Builder::new();
    let sets: Vec<u32> = (0..5).map(|_| b.set(None, &[])).collect();
    let forward = b.trie(&[
        ("/a", Some(sets[0]), Some(sets[1])),
        ("/ab/c", Some(sets[2]), None),
        ("", None, Some(sets[3])),
    ]);
    let reversed = b.trie(&[("fdp.", None, Some(sets[4]))]);
    let id = b.writer.virtual_host(PathTries {
        forward,
        reversed,
        ..PathTries::default()
    });
    b.hosts.any = Some(id);
    let program = b.program();
    check(&program, "", "/a", 0);
    check(&program, "", "/a?x=/ab/c", 0);
    check(&program, "", "/ab/c", 1);
    check(&program, "", "/ab", 1);
    check(&program, "", "/b", 3);
    check(&program, "", "*", 3);
    check(&program, "", "", 3);
    check(&program, "", "/b.pdf", 3);
}

/// The first clause may be among those that are too many to look at: then there is no answer, not another one.
#[test]
fn too_much_to_look_at_is_no_answer() {
    // Tries are written recursively, and these are deep.
    let large = std::thread::Builder::new().stack_size(64 << 20);
    large.spawn(check_too_much).unwrap().join().unwrap();
}

fn check_too_much() {
    let mut b = Builder::new();
    let has = |name| Predicate {
        subject: Subject::Header(name),
        test: Test::Present,
        invert: false,
        missing_as_empty: false,
    };
    let first = b.set(None, &[has("x-bad")]);
    let never = b.set(None, &[has("x-never")]);
    let last = b.set(None, &[]);
    let keys: Vec<String> = (1..4000).map(|len| "a".repeat(len)).collect();
    let others = |value| {
        keys.iter()
            .map(move |key| (key.as_str(), None, Some(value)))
    };
    let longest = "a".repeat(4000);
    let mut tries = [0, 1, 2, 3].map(|n| {
        let ends = [("", None, Some(first)), (&*longest, None, Some(last))];
        let entries = others(never).chain(ends.into_iter().filter(|_| n == 0));
        b.trie(&entries.collect::<Vec<_>>())
    });
    let id = b.writer.virtual_host(PathTries {
        forward: tries[0].take(),
        folded: tries[1].take(),
        reversed: tries[2].take(),
        reversed_folded: tries[3].take(),
    });
    b.hosts.any = Some(id);
    let program = b.program();
    let bad = [(b"x-bad".to_vec(), b"1".to_vec())];
    assert_eq!(decide(&program, "", "aaa", &bad).as_deref(), Some("0"));
    assert_eq!(decide(&program, "", &longest, &bad), None);
}

#[test]
fn many_children() {
    let mut b = Builder::new();
    let keys: Vec<String> = (b'!'..b'~')
        .map(|c| format!("/{}{}", c as char, c as char))
        .collect();
    let sets: Vec<u32> = keys.iter().map(|_| b.set(None, &[])).collect();
    let entries: Vec<_> = keys
        .iter()
        .zip(&sets)
        .map(|(k, &s)| (k.as_str(), Some(s), None))
        .collect();
    let forward = b.trie(&entries);
    let id = b.writer.virtual_host(PathTries {
        forward,
        ..PathTries::default()
    });
    b.hosts.any = Some(id);
    let program = b.program();
    for (number, key) in keys.iter().enumerate() {
        // A path ends at `?` and `#`.
        let expected = (!key.contains(['?', '#'])).then_some(number as u32);
        check(&program, "", key, expected);
        check(&program, "", &key[..2], None);
    }
}

#[test]
fn headers() {
    let mut b = Builder::new();
    let exact = |name, value| Predicate {
        subject: Subject::Header(name),
        test: Test::Exact(value),
        invert: false,
        missing_as_empty: false,
    };
    let present = |name, invert| Predicate {
        subject: Subject::Header(name),
        test: Test::Present,
        invert,
        missing_as_empty: false,
    };
    let clauses: Vec<u32> = (0..4).map(|_| b.clause()).collect();
    let mut entry = |clause: usize, predicates: &[Predicate<'_>]| Entry {
        clause: clauses[clause],
        tail: None,
        predicates: predicates
            .iter()
            .map(|p| b.writer.predicate(p).unwrap())
            .collect(),
    };
    let entries = [
        entry(0, &[exact("x-a", "1,2")]),
        entry(1, &[exact("x-a", "1"), present("x-b", true)]),
        entry(
            2,
            &[Predicate {
                invert: true,
                ..exact("x-a", "1")
            }],
        ),
        entry(3, &[present("x-b", false)]),
    ];
    let set = b.writer.rule_set(&entries).unwrap();
    let forward = b.trie(&[("/", None, Some(set))]);
    let id = b.writer.virtual_host(PathTries {
        forward,
        ..PathTries::default()
    });
    b.hosts.any = Some(id);
    let program = b.program();
    let answer = |headers: &[(&str, &str)]| {
        let headers: Vec<_> = headers
            .iter()
            .map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec()))
            .collect();
        decide(&program, "", "/", &headers)
    };
    assert_eq!(answer(&[("x-a", "1,2")]).as_deref(), Some("0"));
    assert_eq!(answer(&[("x-a", "1"), ("x-a", "2")]).as_deref(), Some("0"));
    assert_eq!(answer(&[("x-a", "1")]).as_deref(), Some("1"));
    assert_eq!(answer(&[("x-a", "1"), ("x-b", "")]).as_deref(), Some("3"));
    assert_eq!(answer(&[("x-a", "1"), ("x-a", "1")]).as_deref(), Some("2"));
    assert_eq!(answer(&[]).as_deref(), Some("2"));
    // More headers that matter than are kept at hand.
    let mut many: Vec<(String, String)> =
        (0..40).map(|n| (format!("x-{n}"), String::new())).collect();
    many.push(("x-a".into(), "1".into()));
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(answer(&many).as_deref(), Some("1"));
}

/// Accepts `ab*`.
fn automaton() -> Automaton {
    let mut classes = Box::new([0; 256]);
    classes[usize::from(b'a')] = 1;
    classes[usize::from(b'b')] = 2;
    let table = vec![0, 0, 0, 0, 2, 0, 0, 0, 2];
    Automaton {
        classes,
        stride: 3,
        start: 1,
        table,
        accept: vec![false, false, true],
    }
}

/// A program with a part of every kind.
fn everything() -> Vec<u8> {
    let mut b = Builder::new();
    let tail = b.writer.automaton(&automaton()).unwrap();
    let header = Predicate {
        subject: Subject::Header("x-a"),
        test: Test::Automaton {
            id: tail,
            prefix: b"a",
        },
        invert: false,
        missing_as_empty: false,
    };
    let parameter = Predicate {
        subject: Subject::Parameter("q"),
        test: Test::Exact("1"),
        invert: false,
        missing_as_empty: false,
    };
    let method = Predicate {
        subject: Subject::Method,
        test: Test::Exact("GET"),
        invert: true,
        missing_as_empty: false,
    };
    let sets = [
        b.set(Some(tail), &[]),
        b.set(None, &[header, parameter]),
        b.set(None, &[method]),
    ];
    let forward = b.trie(&[
        ("/t/", None, Some(sets[0])),
        ("/", Some(sets[2]), Some(sets[1])),
    ]);
    let folded = b.trie(&[("/f", Some(sets[0]), None)]);
    let id = b.writer.virtual_host(PathTries {
        forward,
        folded,
        ..PathTries::default()
    });
    b.hosts.exact = vec![(b"example.com".to_vec(), id)];
    b.hosts.suffix = vec![(b"moc.".to_vec(), id)];
    b.hosts.prefix = vec![(b"www.".to_vec(), id)];
    b.hosts.any = Some(id);
    b.bytes()
}

/// Requests that lead through every part of [`everything`].
fn decide_all(program: &Program) -> Vec<Option<String>> {
    let headers = [(b"x-a".to_vec(), b"abb".to_vec())];
    let authorities = ["example.com", "a.com", "www.x", "localhost:1"];
    let paths = ["/t/abbb", "/t/x", "/?q=1", "/", "/F", "", "/t"];
    let all = authorities
        .iter()
        .flat_map(|authority| paths.map(|path| (*authority, path)));
    all.map(|(authority, path)| decide(program, authority, path, &headers))
        .collect()
}

#[test]
fn a_flipped_bit_is_noticed() {
    let bytes = everything();
    Program::new(bytes.clone()).unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut broken = bytes.clone();
            broken[at] ^= 1 << bit;
            // The minor version is the one thing that may differ.
            if let Ok(program) = Program::new(broken) {
                assert_eq!(
                    decide_all(&program),
                    decide_all(&Program::new(bytes.clone()).unwrap()),
                    "byte {at}"
                );
            }
        }
    }
}

#[test]
fn a_truncated_or_extended_program_is_refused() {
    let bytes = everything();
    for len in 0..bytes.len() {
        Program::new(bytes[..len].to_vec()).unwrap_err();
    }
    let mut longer = bytes;
    longer.push(0);
    Program::new(longer).unwrap_err();
}

#[test]
fn a_broken_index_with_a_good_checksum_does_no_harm() {
    let bytes = everything();
    let (mut accepted, mut refused) = (0, 0);
    for at in meshgate_engine::write::index_range(&bytes).unwrap() {
        for value in [
            0,
            1,
            0x7f,
            0x80,
            0xff,
            bytes[at] ^ 1,
            bytes[at].wrapping_add(4),
        ] {
            let mut broken = bytes.clone();
            broken[at] = value;
            match Program::new(meshgate_engine::write::reseal(&broken).unwrap()) {
                Ok(program) => {
                    decide_all(&program);
                    accepted += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(
        accepted > 100 && refused > 100,
        "{accepted} accepted, {refused} refused"
    );
}

#[test]
fn what_is_not_a_program() {
    let kind = |bytes: &[u8]| Program::new(bytes.to_vec()).unwrap_err().kind().clone();
    assert_eq!(kind(b""), FormatErrorKind::NotAProgram);
    assert_eq!(kind(b"{\"json\": true}"), FormatErrorKind::NotAProgram);
    let mut newer = everything();
    // The array header, the magic as a string of eight bytes, then the major version.
    assert_eq!(newer[10], 1);
    newer[10] = 2;
    assert_eq!(
        kind(&newer),
        FormatErrorKind::Version {
            found: 2,
            supported: 1
        }
    );
    let message = Program::new(newer).unwrap_err().to_string();
    assert_eq!(
        message,
        "routing program of format version 2, but only version 1 is supported (at offset 0x0)"
    );
}
