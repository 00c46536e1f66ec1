//! Generated resources.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::choice::{one_of, optional};
use super::options::{OPTIONS, SELECTORS, objects, options, policy};

pub(super) const SEGMENTS: &[&str] = &[
    "/", "/a", "/b", "/A", "/ab", "/a.b", "a", "/ä", "/v1", "/img.png",
];
pub(super) const FIELDS: &[&str] = &[
    "x-0",
    "x-1",
    "x-2",
    "x-3",
    "x-4",
    "x-5",
    "x-6",
    "host",
    "origin",
    "access-control-request-method",
    "referer",
];
const PSEUDO_FIELDS: &[&str] = &[":method", ":path", ":scheme", ":authority"];
const TEXT_TESTS: &[&str] = &["value", "prefixMatch", "suffixMatch", "containsMatch"];
const TEXTS: &[&str] = &["v1", "V", "1", "0", "a", "GE", "get", "v1,", "/a", "TP", ""];
const PARAMETERS: &[&str] = &["q", "p", "Q", "x"];
pub(super) const VALUES: &[&str] = &[
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "a.com", "3", "-2",
    "+7", "08", "1,2",
];
pub(super) const VALUE_PATTERNS: &[&str] = &[
    "v1.*", "v[0-9]", "v10?", ".*", "v(1|2)", "[^v].*", "v1,v.*", "(?i)V2", "v\\d+",
];
pub(super) const PATH_PATTERNS: &[&str] = &[
    "/.*",
    "/[a-z]+",
    "/a.*b",
    "/(a|ab)(/b)?",
    ".*b",
    "/a/b",
    "^/a$",
    "/\\w+\\b.*",
    "(?i)/AB.*",
    "/ä?.",
    "/[^/]+/[^/]+",
    "/v1/[^/]+",
    "/a\\.b",
    "/v[0-9]+(/.*)?",
];
const SUFFIXES: &[&str] = &["a", "b", "/a", ".b", "B", ".png", ".PNG"];
const DOMAINS: &[&str] = &[
    "a.com",
    "*.com",
    "*m",
    "a.*",
    "*",
    "a.com:81",
    "*:81",
    "b.a.com",
    "*.a.com:81",
    "[::1]",
    "[::1]:81",
    "a.c*",
];
const TABLES: usize = 4;

/// A gateway with virtual hosts and route tables.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Rules of the gateway for the form of paths.
    paths: [bool; 3],
    /// `ignorePathParameters` and `requireTls` of the hosts.
    flags: (bool, &'static str),
    hosts: Vec<(Vec<&'static str>, usize, Vec<Route>)>,
    tables: Vec<(i32, Vec<Route>)>,
    /// What they select, and what they say.
    policies: Vec<(usize, usize)>,
}

#[derive(Clone, Debug)]
struct Route {
    named: bool,
    matchers: Vec<Matcher>,
    options: usize,
    action: Action,
}

#[derive(Clone, Debug)]
struct Matcher {
    uri: Option<(Path, bool)>,
    headers: Vec<(&'static str, Test, [bool; 2])>,
    parameters: Vec<(&'static str, Test)>,
    method: Option<&'static str>,
    named: bool,
    grpc: bool,
}

#[derive(Clone, Debug)]
enum Path {
    Exact(String),
    Prefix(String),
    SeparatedPrefix(String),
    Suffix(&'static str),
    Regex(&'static str),
}

#[derive(Clone, Debug)]
enum Test {
    Present,
    Exact(&'static str),
    Regex(&'static str),
    /// The field, the text, and whether case is ignored.
    Text(&'static str, &'static str, bool),
    Range(i64, i64),
}

#[derive(Clone, Debug)]
enum Action {
    Forward {
        weighted: bool,
        rewrite: Option<Rewrite>,
    },
    Redirect(usize),
    DirectResponse,
    Delegate {
        tables: Vec<usize>,
        specificity: bool,
    },
}

/// What happens to path or host.
#[derive(Clone, Copy, Debug)]
enum Rewrite {
    Prefix(&'static str),
    Regex(usize),
    Host(usize),
}

/// How many there are of [`regex_rewrite`].
const REGEX_REWRITES: usize = 8;

fn regex_rewrite(number: usize) -> Value {
    let (regex, substitution) = [
        ("a", "X"),
        ("(a)|(b)", "<\\2\\1>"),
        ("^/(.*?)/(.*)$", "/\\2/\\1"),
        ("a*", "-"),
        ("[^/]*$", "\\0\\\\\\0"),
        ("\\b", "."),
        ("ä|/", ""),
        ("(?i)(a+?)(b?)", "\\2\\1"),
    ]
    .get(number)
    .copied()
    .unwrap_or_default();
    json!({"pattern": {"regex": regex}, "substitution": substitution})
}

/// How many there are of [`host_rewrite`].
const HOST_REWRITES: usize = 3;

fn host_rewrite(number: usize) -> (&'static str, Value) {
    match number {
        0 => ("hostRewrite", json!("new.example:81")),
        1 => ("hostRewriteHeader", json!("X-1")),
        _ => (
            "hostRewritePathRegex",
            json!({"pattern": {"regex": "^/([a-z]*).*$"}, "substitution": "\\1.example"}),
        ),
    }
}

/// What the routes of a list are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Of every kind.
    Mixed,
    /// Many routes on few paths, told apart by headers.
    Wide,
    /// Most of them delegate, to the same tables below the same or similar prefixes.
    Delegating,
}

/// Configurations of up to four virtual hosts and four route tables.
pub fn configuration() -> impl Strategy<Value = Configuration> {
    let mixed = || vec(route(TABLES, Shape::Mixed), 1..7);
    let wide = vec(route(TABLES, Shape::Wide), 9..60);
    with_hosts(one_of![3 => mixed(), 1 => wide], Shape::Mixed)
}

/// Configurations in which much is delegated to, often from several places.
pub fn delegating_configuration() -> impl Strategy<Value = Configuration> {
    with_hosts(
        vec(route(TABLES, Shape::Delegating), 1..7),
        Shape::Delegating,
    )
}

/// Configurations of both kinds.
pub fn any_configuration() -> impl Strategy<Value = Configuration> {
    one_of![1 => configuration(), 1 => delegating_configuration()]
}

fn with_hosts(
    routes: impl Strategy<Value = Vec<Route>>,
    tables: Shape,
) -> impl Strategy<Value = Configuration> {
    let tables = (0..TABLES)
        .map(|level| (-1..3_i32, vec(route(level, tables), 1..6)))
        .collect::<Vec<_>>();
    let options = one_of![2 => Just(OPTIONS), 1 => 0..OPTIONS];
    let hosts = vec((vec(select(DOMAINS), 1..3), options, routes), 1..5);
    let paths = one_of![4 => Just([false; 3]), 1 => any::<[bool; 3]>()];
    let ignore = prop::bool::weighted(0.2);
    let tls = one_of![8 => Just("NONE"), 1 => Just("EXTERNAL_ONLY"), 1 => Just("ALL")];
    let policy = (0..SELECTORS, 0..=OPTIONS);
    let policies = one_of![1 => Just(Vec::new()), 1 => vec(policy, 1..4)];
    let all = (paths, (ignore, tls), hosts, tables, policies);
    all.prop_map(|(paths, flags, hosts, tables, policies)| Configuration {
        paths,
        flags,
        hosts,
        tables,
        policies,
    })
}

fn rewrite() -> impl Strategy<Value = Rewrite> {
    one_of![
        2 => select(&["/new", "x/", "/"][..]).prop_map(Rewrite::Prefix),
        1 => (0..REGEX_REWRITES).prop_map(Rewrite::Regex),
        1 => (0..HOST_REWRITES).prop_map(Rewrite::Host),
    ]
}

/// A route that delegates, if at all, to tables below `level`, so that there are no cycles.
fn route(level: usize, shape: Shape) -> impl Strategy<Value = Route> {
    let wide = shape == Shape::Wide;
    let leaf = one_of![
        3 => (any::<bool>(), optional(1, 1, rewrite()))
            .prop_map(|(weighted, rewrite)| Action::Forward { weighted, rewrite }),
        1 => (0..REDIRECTS).prop_map(Action::Redirect),
        1 => Just(Action::DirectResponse),
    ];
    let matchers = || vec(matcher(false, wide), usize::from(wide)..3);
    let answering = (matchers(), leaf.boxed()).boxed();
    let delegate = |matchers: BoxedStrategy<Vec<Matcher>>, specificity: f64| {
        let tables = vec(0..level.max(1), 1..3);
        let action =
            (tables, prop::bool::weighted(specificity)).prop_map(|(tables, specificity)| {
                Action::Delegate {
                    tables,
                    specificity,
                }
            });
        (matchers, action).boxed()
    };
    let action = match shape {
        _ if level == 0 => answering,
        Shape::Wide => answering,
        Shape::Mixed => one_of![
            2 => answering,
            1 => delegate(vec(matcher(true, false), 0..3).boxed(), 0.5),
        ]
        .boxed(),
        Shape::Delegating => one_of![
            2 => answering,
            3 => delegate(vec(delegating_matcher(), 0..2).boxed(), 0.1),
        ]
        .boxed(),
    };
    (prop::bool::weighted(0.8), action, 0..OPTIONS).prop_map(
        move |(named, (matchers, action), options)| Route {
            named,
            matchers,
            // Options that differ keep tables from being shared.
            options: match (&action, shape) {
                (Action::Delegate { .. }, Shape::Delegating) if options != 0 => OPTIONS,
                _ => options,
            },
            action,
        },
    )
}

/// A matcher of a delegating route by which its tables can be shared.
fn delegating_matcher() -> impl Strategy<Value = Matcher> {
    let prefix = select(&["/", "/a", "/a/", "/a/b", "/b", "/A/", "//"][..])
        .prop_map(|prefix| Path::Prefix(prefix.to_owned()));
    let separated = select(&["/a", "/a/b", "/A"][..])
        .prop_map(|prefix| Path::SeparatedPrefix(prefix.to_owned()));
    let prefix = one_of![4 => prefix, 1 => separated];
    let uri = optional(1, 9, (prefix, prop::bool::weighted(0.2)));
    let header = (
        select(&FIELDS[..2]),
        Just(Test::Present),
        any::<bool>().prop_map(|invert| [invert, false]),
    );
    let headers = one_of![3 => Just(Vec::new()), 1 => vec(header, 1..2)];
    (uri, headers).prop_map(|(uri, headers)| Matcher {
        uri,
        headers,
        parameters: Vec::new(),
        method: None,
        named: false,
        grpc: false,
    })
}

fn matcher(delegates: bool, wide: bool) -> impl Strategy<Value = Matcher> {
    let text = vec(select(SEGMENTS), 1..4).prop_map(|parts| {
        let path = parts.concat();
        if path.starts_with('/') {
            path
        } else {
            format!("/{path}")
        }
    });
    let separated = text
        .clone()
        .prop_map(|text| match text.trim_end_matches('/') {
            "" => Path::Prefix(text),
            text => Path::SeparatedPrefix(text.to_owned()),
        });
    let prefix = one_of![2 => text.clone().prop_map(Path::Prefix), 1 => separated];
    let path = if delegates {
        prefix.boxed()
    } else if wide {
        select(&["/", "/", "/a"][..])
            .prop_map(|path| Path::Prefix(path.to_owned()))
            .boxed()
    } else {
        one_of![
            2 => prefix,
            2 => text.prop_map(Path::Exact),
            1 => select(SUFFIXES).prop_map(Path::Suffix),
            2 => select(PATH_PATTERNS).prop_map(Path::Regex),
        ]
        .boxed()
    };
    let test = || {
        one_of![
            1 => Just(Test::Present),
            4 => select(VALUES).prop_map(Test::Exact),
            1 => select(VALUE_PATTERNS).prop_map(Test::Regex),
            2 => (select(TEXT_TESTS), select(TEXTS), any::<bool>())
                .prop_map(|(field, text, ignore_case)| Test::Text(field, text, ignore_case)),
        ]
    };
    let of_header = one_of![
        9 => test(),
        1 => (-3..12_i64, 1..5_i64).prop_map(|(start, len)| Test::Range(start, start + len)),
    ];
    let negation = [prop::bool::weighted(0.2), prop::bool::weighted(0.1)];
    let name = one_of![9 => select(FIELDS), 1 => select(PSEUDO_FIELDS)];
    let header = (name, of_header, negation);
    let headers = if wide {
        vec(header, 0..3).boxed()
    } else {
        one_of![2 => Just(Vec::new()), 1 => vec(header, 1..3)].boxed()
    };
    let parameters = one_of![3 => Just(Vec::new()), 1 => vec((select(PARAMETERS), test()), 1..3)];
    let uri = optional(1, 9, (path, prop::bool::weighted(0.25)));
    let method = optional(4, 1, select(&["GET", "POST"][..]));
    let flags = [prop::bool::weighted(0.2), prop::bool::weighted(0.05)];
    (uri, headers, parameters, method, flags).prop_map(
        |(uri, headers, parameters, method, [named, grpc])| Matcher {
            uri,
            headers,
            parameters,
            method,
            named,
            grpc,
        },
    )
}

const REDIRECTS: usize = 9;

impl Configuration {
    /// The resources, as a JSON list.
    pub fn resources(&self) -> Vec<Value> {
        let [resolve, merge, decode] = self.paths;
        let escaped = match decode {
            true => "UNESCAPE_AND_FORWARD",
            false => "KEEP_UNCHANGED",
        };
        let gateway = json!({
            "options": {
                "normalizePath": resolve,
                "mergeSlashes": merge,
                "pathWithEscapedSlashesAction": escaped,
            },
            "ingressGatewaySelectors": [{"portName": "http2"}],
            "connectionHandlers": [{"http": {
                "routeConfig": [{"virtualHostSelector": {}}],
                "routeOptions": {"extauth": {}, "rateLimit": {}},
            }}],
        });
        let mut resources = vec![object("VirtualGateway", "gw", gateway)];
        resources.extend(objects());
        for (n, (domains, level, routes)) in self.hosts.iter().enumerate() {
            let mut spec = json!({"domains": domains, "routes": list(routes)});
            spec["ignorePathParameters"] = json!(self.flags.0);
            spec["requireTls"] = json!(self.flags.1);
            if let Some(policy) = options(*level) {
                spec["options"] = json!({"trafficPolicy": policy});
            }
            resources.push(object("VirtualHost", &format!("h{n}"), spec));
        }
        for (n, (weight, routes)) in self.tables.iter().enumerate() {
            let spec = json!({"weight": weight, "routes": list(routes)});
            resources.push(object("RouteTable", &format!("t{n}"), spec));
        }
        for (n, (selector, level)) in self.policies.iter().enumerate() {
            let mut policy = object("TrafficPolicy", &format!("p{n}"), policy(*selector, *level));
            policy["apiVersion"] = json!("networking.mesh.gloo.solo.io/v1");
            resources.push(policy);
        }
        resources
    }

    /// The resources as text that the compiler reads.
    pub fn text(&self) -> String {
        self.resources()
            .iter()
            .map(|resource| format!("{resource}\n"))
            .collect()
    }
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "networking.enterprise.mesh.gloo.solo.io/v1beta1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "t"},
        "spec": spec,
    })
}

fn list(routes: &[Route]) -> Vec<Value> {
    routes
        .iter()
        .enumerate()
        .map(|(n, route)| route.json(n))
        .collect()
}

impl Route {
    fn json(&self, n: usize) -> Value {
        let mut fields = Map::new();
        fields.insert("labels".to_owned(), json!({"n": (n % 3).to_string()}));
        if self.named {
            fields.insert("name".to_owned(), json!(format!("r{n}")));
        }
        fields.insert(
            "matchers".to_owned(),
            self.matchers
                .iter()
                .enumerate()
                .map(|(n, m)| m.json(n))
                .collect(),
        );
        if let Some(options) = options(self.options) {
            fields.insert("options".to_owned(), options);
        }
        let (kind, action) = self.action.json(n);
        fields.insert(kind.to_owned(), action);
        Value::Object(fields)
    }
}

impl Action {
    fn json(&self, n: usize) -> (&'static str, Value) {
        match self {
            Action::Forward { weighted, rewrite } => {
                let destinations = if *weighted {
                    json!([
                        {"kubeService": {"name": "s1", "port": 80}, "weight": 30},
                        {"kubeService": {"name": "s2", "port": 80}, "weight": 70, "options": {
                            "headerManipulation": {"appendRequestHeaders": {"x-d": "d"}},
                        }},
                    ])
                } else {
                    json!([{"kubeService": {"name": format!("s{n}"), "port": 80}}])
                };
                let mut action = json!({"destinations": destinations});
                match rewrite {
                    Some(Rewrite::Prefix(prefix)) => action["pathRewrite"] = json!(prefix),
                    Some(Rewrite::Regex(number)) => action["regexRewrite"] = regex_rewrite(*number),
                    Some(Rewrite::Host(number)) => {
                        let (field, value) = host_rewrite(*number);
                        action[field] = value;
                    }
                    None => {}
                }
                ("routeAction", action)
            }
            Action::Redirect(kind) => {
                let redirects: [Value; REDIRECTS] = [
                    json!({"hostRedirect": "b.com"}),
                    json!({"pathRedirect": "/p"}),
                    json!({"pathRedirect": "/p?own=1", "stripQuery": true}),
                    json!({"prefixRewrite": "/n"}),
                    json!({"prefixRewrite": "/n/", "hostRedirect": "b.com:81", "responseCode": "FOUND"}),
                    json!({"httpsRedirect": true}),
                    json!({"stripQuery": true, "httpsRedirect": true, "prefixRewrite": "nn"}),
                    json!({"schemeRedirect": "ws", "portRedirect": 8081}),
                    json!({"regexRewrite": regex_rewrite(n % REGEX_REWRITES), "portRedirect": 80, "hostRedirect": "b.com:81"}),
                ];
                (
                    "redirectAction",
                    redirects.get(*kind).cloned().unwrap_or_default(),
                )
            }
            Action::DirectResponse => (
                "directResponseAction",
                json!({"status": 203, "body": format!("hi {n}")}),
            ),
            Action::Delegate {
                tables,
                specificity,
            } => {
                let refs: Vec<Value> = tables
                    .iter()
                    .map(|table| json!({"name": format!("t{table}")}))
                    .collect();
                let sort = if *specificity {
                    "ROUTE_SPECIFICITY"
                } else {
                    "TABLE_WEIGHT"
                };
                ("delegateAction", json!({"refs": refs, "sortMethod": sort}))
            }
        }
    }
}

impl Matcher {
    fn json(&self, n: usize) -> Value {
        let mut fields = Map::new();
        if self.named {
            fields.insert("name".to_owned(), json!(format!("m{n}")));
        }
        if let Some((path, ignore_case)) = &self.uri {
            let mut uri = match path {
                Path::Exact(text) => json!({"exact": text}),
                Path::Prefix(text) => json!({"prefix": text}),
                Path::SeparatedPrefix(text) => json!({"pathSeparatedPrefix": text}),
                Path::Suffix(text) => json!({"suffix": text}),
                Path::Regex(pattern) => json!({"regex": pattern}),
            };
            if *ignore_case && !matches!(path, Path::Regex(_)) {
                uri["ignoreCase"] = json!(true);
            }
            fields.insert("uri".to_owned(), uri);
        }
        let headers = self.headers.iter().map(|(name, test, [invert, empty])| {
            let mut header = test.json(name);
            if *empty {
                header["treatMissingAsEmpty"] = json!(true);
            }
            if *invert {
                header["invertMatch"] = json!(true);
            }
            header
        });
        fields.insert("headers".to_owned(), headers.collect());
        let parameters = self.parameters.iter().map(|(name, test)| test.json(name));
        fields.insert("queryParameters".to_owned(), parameters.collect());
        if let Some(method) = self.method {
            fields.insert("method".to_owned(), json!(method));
        }
        if self.grpc {
            fields.insert("grpc".to_owned(), json!(true));
        }
        Value::Object(fields)
    }
}

impl Test {
    fn json(&self, name: &str) -> Value {
        match self {
            Test::Present => json!({"name": name}),
            Test::Exact(value) => json!({"name": name, "value": value}),
            Test::Regex(pattern) => json!({"name": name, "value": pattern, "regex": true}),
            Test::Text(field, text, ignore_case) => {
                json!({"name": name, *field: text, "ignoreCase": ignore_case})
            }
            Test::Range(start, end) => {
                json!({"name": name, "rangeMatch": {"start": start, "end": end}})
            }
        }
    }
}
