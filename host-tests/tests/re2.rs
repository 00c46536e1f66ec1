//! Regular expressions mean the same here as in Envoy: the same patterns on the same texts, in Envoy's own routes and in
//! the filter, in the newest and in the oldest Envoy that is supported.
//!
//! The oldest Envoy reads patterns and texts as UTF-8, as the filter does; the newest reads every byte as a character of its
//! own (Latin-1), so the two can only be held to the same answers about ASCII.
//!
//! One Envoy has both listeners. Each pattern is a route for paths and a route for values of a header; a request names
//! the route that it is for.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use meshgate_compiler::regex::Regex;
use meshgate_host_tests::cases::Configuration;
use meshgate_host_tests::envoy::bootstrap::echo_bootstrap;
use meshgate_host_tests::envoy::client::{Connection, Response, request_head};
use meshgate_host_tests::envoy::{Envoy, Settings, free_ports};
use meshgate_host_tests::tools;
use meshgate_host_tests::upstream::Upstreams;
use serde_json::{Value, json};

#[path = "re2/patterns.rs"]
mod patterns;

use patterns::{INVALID, PATTERNS, TEXTS};

/// Names the pattern that a request is about.
const CHOICE: &str = "x-pattern";
/// The value that patterns for headers are matched with.
const VALUE: &str = "x-value";

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let envoys = [
        ("newest", tools::envoy(), Encoding::Latin1),
        ("oldest", tools::old_envoy(), Encoding::Utf8),
    ];
    for (name, envoy, encoding) in envoys {
        let tools = envoy.and_then(|envoy| Ok((envoy, tools::filter()?)));
        if let Err(reason) = &tools {
            if tools::envoy_is_required() {
                eprintln!("error: {reason}");
                std::process::exit(2);
            }
            println!("the tests in the {name} Envoy are ignored: {reason}");
        }
        let ignored = tools.is_err();
        let (envoy, filter) = tools.unwrap_or_default();
        let binary = envoy.clone();
        let same = move || same_answers(&binary, &filter, encoding);
        let refused = move || same_refusals(&envoy);
        trials
            .push(Trial::test(format!("patterns [{name} envoy]"), same).with_ignored_flag(ignored));
        trials.push(
            Trial::test(format!("invalid patterns [{name} envoy]"), refused)
                .with_ignored_flag(ignored),
        );
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// What a pattern is matched with.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Path,
    Header,
}

impl Subject {
    const ALL: [Subject; 2] = [Subject::Path, Subject::Header];

    /// The pattern as it is written for this subject.
    fn pattern(self, pattern: &str) -> String {
        match self {
            Subject::Path => format!("/(?:{pattern})"),
            Subject::Header => pattern.to_owned(),
        }
    }

    /// The value of [`CHOICE`] that stands for a pattern.
    fn choice(self, pattern: usize) -> String {
        match self {
            Subject::Path => format!("path-{pattern}"),
            Subject::Header => format!("header-{pattern}"),
        }
    }

    fn request(self, pattern: usize, text: &[u8]) -> Vec<u8> {
        let choice = self.choice(pattern);
        let (target, value) = match self {
            Subject::Path => ([b"/", text].concat(), b"".as_slice()),
            Subject::Header => (b"/".to_vec(), text),
        };
        let headers = [
            ("host", b"h".as_slice()),
            (CHOICE, choice.as_bytes()),
            (VALUE, value),
        ];
        request_head("GET", &target, headers)
    }
}

/// How an Envoy reads patterns and texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Latin1,
}

/// Three and four bytes that have the form of a character and are none: a surrogate, and what lies beyond the last
/// character. Envoy takes them for characters, the filter does not.
const NOT_CHARACTERS: [&[u8]; 2] = [b"\xed\xa0\x80", b"\xf4\x90\x80\x80"];
/// The two letters that are no ASCII and have an ASCII letter as their other case. Envoy counts them among the letters of
/// a class like `\w` when case is ignored, the filter does not.
const OTHER_CASES: [&str; 2] = ["\u{17f}", "\u{212a}"];

impl Encoding {
    /// Whether an Envoy of this encoding can be asked about a pattern.
    fn has_pattern(self, pattern: &str) -> bool {
        self == Encoding::Utf8 || pattern.is_ascii() && !pattern.contains(r"\x{10FFFF}")
    }

    /// Whether the filter should give the same answer.
    fn is_comparable(self, pattern: &str, text: &[u8]) -> bool {
        match self {
            Encoding::Latin1 => self.has_pattern(pattern) && text.is_ascii(),
            Encoding::Utf8 => {
                let other_case = OTHER_CASES.iter().any(|letter| letter.as_bytes() == text);
                let folds_class = pattern.starts_with("(?i)")
                    && [r"\w", r"\W"].iter().any(|class| pattern.contains(class));
                !(NOT_CHARACTERS.contains(&text) || other_case && folds_class)
            }
        }
    }
}

fn same_answers(envoy: &Path, filter: &Path, encoding: Encoding) -> Result<(), Failed> {
    let first = free_ports(2)?;
    let configuration = Configuration::compile(&resources().to_string(), first);
    let program = configuration.program()?;
    let upstreams = Upstreams::start(Vec::<String>::new())?;
    let mut bootstrap = echo_bootstrap(&configuration.compiled, program, filter, &upstreams);
    let patterns: Vec<&str> = PATTERNS
        .iter()
        .map(|(pattern, _)| match encoding.has_pattern(pattern) {
            true => *pattern,
            false => "in the place of one that this Envoy does not start with",
        })
        .collect();
    add_native(&mut bootstrap, first + 1, &patterns);
    let _envoy = Envoy::start(&Settings {
        binary: envoy,
        bootstrap: &bootstrap.to_string(),
        workers: 1,
    })?;
    let mut ours = Client::new(first);
    let mut native = Client::new(first + 1);
    let mut differences = String::new();
    let mut matches = 0;
    for (n, (pattern, texts)) in PATTERNS.iter().enumerate() {
        let texts = texts.iter().chain(TEXTS);
        for text in texts.filter(|text| encoding.is_comparable(pattern, text)) {
            for subject in Subject::ALL {
                let request = subject.request(n, text);
                let (ours, native) = (ours.send(&request)?, native.send(&request)?);
                matches += usize::from(native.0 == 200);
                if ours != native {
                    let text = text.escape_ascii();
                    writeln!(
                        differences,
                        "{subject:?} `{pattern}` on `{text}`: Envoy {native:?}, the filter {ours:?}"
                    )?;
                }
            }
        }
    }
    if matches < PATTERNS.len() {
        return Err(format!("only {matches} requests match: the test tests little").into());
    }
    if differences.is_empty() {
        Ok(())
    } else {
        Err(differences.into())
    }
}

/// Patterns that Envoy does not start with are refused here, too.
fn same_refusals(envoy: &Path) -> Result<(), Failed> {
    let mut differences = String::new();
    for pattern in INVALID {
        let mut bootstrap = json!({"static_resources": {"listeners": [{
            "name": "a",
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "a",
                },
            }]}],
        }]}});
        add_native(&mut bootstrap, 0, &[pattern]);
        let status = Command::new(envoy)
            .args(["--mode", "validate", "--log-level", "off", "--config-yaml"])
            .arg(bootstrap.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if status.success() || Regex::parse(pattern).is_ok() {
            writeln!(
                differences,
                "`{pattern}`: Envoy {status}, here {:?}",
                Regex::parse(pattern)
            )?;
        }
    }
    if differences.is_empty() {
        Ok(())
    } else {
        Err(differences.into())
    }
}

/// The routes of our own.
fn resources() -> Value {
    let routes = PATTERNS.iter().enumerate().flat_map(|(n, (pattern, _))| {
        Subject::ALL.map(|subject| {
            let mut headers = vec![json!({"name": CHOICE, "value": subject.choice(n)})];
            let pattern = subject.pattern(pattern);
            let uri = match subject {
                Subject::Path => json!({"regex": pattern}),
                Subject::Header => {
                    headers.push(json!({"name": VALUE, "value": pattern, "regex": true}));
                    json!({"prefix": "/"})
                }
            };
            json!({
                "matchers": [{"uri": uri, "headers": headers}],
                "directResponseAction": {"status": 200, "body": subject.choice(n)},
            })
        })
    });
    let virtual_host = json!({"domains": ["*"], "routes": routes.collect::<Vec<_>>()});
    json!({
        "apiVersion": "networking.enterprise.mesh.gloo.solo.io/v1beta1",
        "kind": "VirtualGateway",
        "metadata": {"name": "gw", "namespace": "test"},
        "spec": {
            "ingressGatewaySelectors": [{"portName": "http2"}],
            "connectionHandlers": [{"http": {"routeConfig": [{"virtualHost": virtual_host}]}}],
        },
    })
}

/// Adds a listener like the first one, but with Envoy's own routes and without the filter.
fn add_native(bootstrap: &mut Value, port: u16, patterns: &[&str]) {
    // Envoy refuses most patterns as too large if it is not told otherwise.
    bootstrap["layered_runtime"] = json!({"layers": [{
        "name": "static",
        "static_layer": {"re2.max_program_size.error_level": 1_000_000, "re2.max_program_size.warn_level": 1_000_000},
    }]});
    let routes = patterns.iter().enumerate().flat_map(|(n, pattern)| {
        Subject::ALL.map(|subject| {
            let regex = json!({"regex": subject.pattern(pattern)});
            let choice = subject.choice(n);
            let mut headers = vec![json!({"name": CHOICE, "string_match": {"exact": choice}})];
            let mut condition = match subject {
                Subject::Path => json!({"safe_regex": regex}),
                Subject::Header => {
                    headers.push(json!({"name": VALUE, "string_match": {"safe_regex": regex}}));
                    json!({"prefix": "/"})
                }
            };
            condition["headers"] = json!(headers);
            json!({
                "match": condition,
                "direct_response": {"status": 200, "body": {"inline_string": choice}},
            })
        })
    });
    let routes: Vec<Value> = routes.collect();
    let mut listener = bootstrap["static_resources"]["listeners"][0].clone();
    listener["name"] = json!("native");
    listener["address"]["socket_address"]["port_value"] = json!(port);
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    manager["route_config"] = json!({
        "name": "native",
        "virtual_hosts": [{"name": "native", "domains": ["*"], "routes": routes}],
    });
    manager["http_filters"] = json!([{
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }]);
    if let Some(listeners) = bootstrap["static_resources"]["listeners"].as_array_mut() {
        listeners.push(listener);
    }
}

/// A client that keeps its connection as long as the server does.
struct Client {
    address: SocketAddr,
    connection: Option<Connection>,
}

impl Client {
    fn new(port: u16) -> Client {
        Client {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            connection: None,
        }
    }

    /// Status and body of the answer.
    fn send(&mut self, request: &[u8]) -> Result<(u16, String), Failed> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address)?,
        };
        let Response {
            status,
            headers,
            body,
        } = connection.send(request)?;
        let closes = headers
            .iter()
            .any(|(name, value)| name == "connection" && value == b"close");
        if !closes {
            self.connection = Some(connection);
        }
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
