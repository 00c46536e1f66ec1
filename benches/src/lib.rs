//! Workloads for benchmarks: resolved trees of any size, and requests for them.
//!
//! The trees are built in memory, so that what is measured is the engine or one stage of the compiler, not YAML;
//! [`yaml`] has the same for the whole way.
#![forbid(unsafe_code)]

pub mod yaml;

use std::sync::Arc;

use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::lower::{self, lower};
use meshgate_compiler::resource::ObjectName;
use meshgate_compiler::source::{Span, Spanned};
use meshgate_compiler::tree::{
    Action, Destination, DestinationTarget, Domain, DomainKind, Entry, Forward, Gateway,
    HeaderMatch, Host, LiteralPart, Matcher, PathMatch, PathTail, Route, RouteName, Tree,
    ValueMatch, VirtualHost, WeightedDestination,
};
use meshgate_engine::{Program, Request};

/// What the routes of a table look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// REST paths of many tenants: exact, one parameter, a parameter in the middle, a prefix.
    Rest,
    /// Exact paths only.
    Exact,
    /// Everything on `/`, told apart by the value of one header.
    OneHeader,
    /// Everything on `/`, told apart by the values of two headers.
    TwoHeaders,
}

impl Table {
    /// Every table.
    pub const ALL: [Table; 4] = [
        Table::Rest,
        Table::Exact,
        Table::OneHeader,
        Table::TwoHeaders,
    ];

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Table::Rest => "rest",
            Table::Exact => "exact",
            Table::OneHeader => "one-header",
            Table::TwoHeaders => "two-headers",
        }
    }
}

/// A request that owns its parts.
#[derive(Clone, Debug)]
pub struct OwnedRequest {
    /// Path with query.
    pub path: String,
    /// Header fields.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl OwnedRequest {
    /// The request as the engine takes it.
    pub fn borrow(&self) -> Request<'_, [(Vec<u8>, Vec<u8>)]> {
        Request {
            method: b"GET",
            scheme: b"http",
            authority: b"www.example.com",
            path: self.path.as_bytes(),
            headers: &self.headers,
        }
    }
}

const SERVICES: [&str; 5] = ["billing", "catalog", "orders", "search", "users"];

/// Matcher of the n-th route of a table.
fn matcher(table: Table, n: usize) -> Matcher {
    let literal = |text: String, tail| PathMatch {
        literal: vec![LiteralPart {
            text,
            ignore_case: false,
        }],
        tail,
    };
    let header = |name: &str, value: String| HeaderMatch {
        name: name.to_owned(),
        value: ValueMatch::Exact(value),
        invert: false,
    };
    let mut headers = Vec::new();
    let path = match table {
        Table::Rest => {
            let base = format!("/api/v1/tenant-{}/{}", n / 20, SERVICES[n / 4 % 5]);
            let regex =
                |pattern: &str| PathTail::Regex(Spanned::new(pattern.to_owned(), Span::default()));
            match n % 4 {
                0 => literal(format!("{base}/orders"), PathTail::End),
                1 => literal(base, regex("/orders/[^/]+")),
                2 => literal(base, regex("/orders/[^/]+/items")),
                _ => literal(format!("{base}/orders-files/"), PathTail::Any),
            }
        }
        Table::Exact => literal(
            format!("/api/v1/tenant-{}/{}/orders", n / 5, SERVICES[n % 5]),
            PathTail::End,
        ),
        Table::OneHeader => {
            headers.push(header("x-tenant", format!("tenant-{n}")));
            PathMatch::any()
        }
        Table::TwoHeaders => {
            headers.push(header("x-tenant", format!("tenant-{}", n / 100)));
            headers.push(header("x-user", format!("user-{}", n % 100)));
            PathMatch::any()
        }
    };
    Matcher {
        name: None,
        path,
        headers,
        query: Vec::new(),
        method: None,
        span: Span::default(),
    }
}

/// A request for the n-th route of a table.
pub fn request(table: Table, n: usize) -> OwnedRequest {
    let mut headers: Vec<(Vec<u8>, Vec<u8>)> = [
        ("accept", "*/*"),
        ("user-agent", "bench"),
        ("x-request-id", "8f14e45f"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .to_vec();
    let path = match table {
        Table::Rest => {
            let base = format!("/api/v1/tenant-{}/{}", n / 20, SERVICES[n / 4 % 5]);
            match n % 4 {
                0 => format!("{base}/orders"),
                1 => format!("{base}/orders/4711"),
                2 => format!("{base}/orders/4711/items"),
                _ => format!("{base}/orders-files/2024/a.pdf"),
            }
        }
        Table::Exact => format!("/api/v1/tenant-{}/{}/orders", n / 5, SERVICES[n % 5]),
        Table::OneHeader => {
            headers.push((b"x-tenant".to_vec(), format!("tenant-{n}").into_bytes()));
            "/some/path".to_owned()
        }
        Table::TwoHeaders => {
            headers.push((
                b"x-tenant".to_vec(),
                format!("tenant-{}", n / 100).into_bytes(),
            ));
            headers.push((b"x-user".to_vec(), format!("user-{}", n % 100).into_bytes()));
            "/some/path".to_owned()
        }
    };
    OwnedRequest { path, headers }
}

/// `count` requests spread over a table of `n` routes in no order a cache could learn; one in ten matches nothing.
pub fn requests(table: Table, n: usize, count: usize) -> Vec<OwnedRequest> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..count)
        .map(|i| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let mut request = request(table, (state >> 33) as usize % n);
            if i % 10 == 9 {
                request.path.push_str("/no-such-thing");
                request.headers.truncate(3);
            }
            request
        })
        .collect()
}

/// A tree of one host with `n` routes that share a few destinations.
pub fn tree(table: Table, n: usize) -> Tree {
    let name = |name: &str| ObjectName {
        namespace: "bench".to_owned(),
        name: name.to_owned(),
    };
    let destinations: Vec<_> = SERVICES
        .iter()
        .map(|service| {
            Arc::new(Destination {
                target: DestinationTarget::KubeService {
                    name: name(service),
                    cluster_name: None,
                    subset: Default::default(),
                },
                port: 80,
                cluster: format!("outbound|80||{service}.bench.svc.cluster.local"),
            })
        })
        .collect();
    let above: Arc<[String]> = ["bench.www".to_owned()].into();
    let route = |i: usize| {
        let forward = Forward {
            destinations: vec![WeightedDestination {
                weight: 100,
                destination: destinations[i % destinations.len()].clone(),
                headers: None,
            }],
            path_rewrite: None,
        };
        Arc::new(Route {
            name: RouteName {
                above: Arc::clone(&above),
                own: format!("r{i}"),
                is_named: true,
            },
            matchers: vec![matcher(table, i)],
            action: Action::Forward(forward),
            options: Default::default(),
            span: Span::default(),
        })
    };
    let virtual_host = VirtualHost {
        name: name("www"),
        routes: (0..n).map(route).map(Entry::Route).collect(),
        span: Span::default(),
    };
    let host = Host {
        domains: vec![Domain {
            kind: DomainKind::Exact,
            text: "www.example.com".to_owned(),
            port: None,
        }],
        virtual_hosts: vec![Arc::new(virtual_host)],
    };
    let gateway = Gateway {
        name: name("gateway"),
        port_name: None,
        https_redirect: false,
        tls: false,
        hosts: vec![host],
        span: Span::default(),
    };
    Tree {
        gateways: vec![gateway],
    }
}

/// The program bytes of a tree.
///
/// # Panics
/// When the tree cannot be lowered: a mistake in this file.
pub fn program_bytes(tree: &Tree) -> Vec<u8> {
    let mut diagnostics = Diagnostics::default();
    lower(tree, &lower::Options::default(), &mut diagnostics)
        .expect("benchmark trees can be lowered")
}

/// The program of a table.
///
/// # Panics
/// As [`program_bytes`].
pub fn program(table: Table, n: usize) -> Program {
    Program::new(program_bytes(&tree(table, n))).expect("the compiler writes valid programs")
}
