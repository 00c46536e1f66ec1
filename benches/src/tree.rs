//! Tables as resolved trees, and the programs made of them.

use std::sync::Arc;

use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::lower::{self, lower};
use meshgate_compiler::resource::{Normalization, ObjectName};
use meshgate_compiler::source::{Span, Spanned};
use meshgate_compiler::tree::{
    Action, Destination, DestinationTarget, Domain, DomainKind, Entry, Forward, Gateway,
    HeaderMatch, Host, LiteralPart, Matcher, PathMatch, PathTail, Route, RouteName, Services, Tree,
    ValueMatch, VirtualHost, WeightedDestination,
};
use meshgate_engine::Program;

use crate::SERVICES;
use crate::table::{Path, RouteShape, Table, Value};

/// A tree of one host with `n` routes that share a few destinations. The n-th route is called `r<n>`.
pub fn tree(table: Table, n: usize) -> Tree {
    let destinations: Vec<_> = SERVICES.into_iter().map(destination).collect();
    let above: Arc<[String]> = ["bench.www".to_owned()].into();
    let route = |i: usize| {
        let forward = Forward {
            destinations: vec![WeightedDestination {
                weight: 100,
                destination: destinations[i % destinations.len()].clone(),
                headers: None,
            }],
            path_rewrite: None,
            host_rewrite: None,
        };
        Arc::new(Route {
            name: RouteName {
                above: Arc::clone(&above),
                own: format!("r{i}"),
                is_named: true,
            },
            matchers: vec![matcher(table.route(i))],
            action: Action::Forward(forward),
            options: Default::default(),
            span: Span::default(),
        })
    };
    let virtual_host = VirtualHost {
        ignore_path_parameters: false,
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
        workloads: Vec::new(),
        workloads_known: false,
        name: name("gateway"),
        listener: Arc::default(),
        paths: Normalization::default(),
        port_name: None,
        https_redirect: false,
        tls: false,
        hosts: vec![host],
        tcp: None,
        services: Services::default(),
        span: Span::default(),
    };
    Tree {
        gateways: vec![gateway],
        ..Tree::default()
    }
}

/// The program bytes of a tree.
///
/// # Panics
/// When the tree cannot be lowered: a mistake in this crate.
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

fn name(name: &str) -> ObjectName {
    ObjectName {
        namespace: "bench".to_owned(),
        name: name.to_owned(),
    }
}

fn destination(service: &str) -> Arc<Destination> {
    Arc::new(Destination {
        target: DestinationTarget::KubeService {
            name: name(service),
            cluster_name: None,
            subset: Default::default(),
        },
        port: 80,
        cluster: format!("outbound|80||{service}.bench.svc.cluster.local"),
    })
}

fn matcher(shape: RouteShape) -> Matcher {
    let headers = shape.headers.into_iter().map(|(name, value)| HeaderMatch {
        name: name.to_owned(),
        value: match value {
            Value::Exact(text) => ValueMatch::Exact(text),
            Value::Regex { literal, tail } => {
                ValueMatch::Regex(Spanned::new(literal + tail, Span::default()))
            }
        },
        invert: false,
        missing_as_empty: false,
    });
    Matcher {
        name: None,
        path: path(shape.path),
        headers: headers.collect(),
        query: Vec::new(),
        method: None,
        span: Span::default(),
    }
}

fn path(path: Path) -> PathMatch {
    let literal = |text: String, tail| PathMatch {
        literal: vec![LiteralPart {
            text,
            ignore_case: false,
        }],
        whole_segments: false,
        tail,
    };
    match path {
        Path::Exact(text) => literal(text, PathTail::End),
        Path::Prefix(text) if text == "/" => PathMatch::any(),
        Path::Prefix(text) => literal(text, PathTail::Any),
        // As a regular expression in a table that is delegated to below a prefix.
        Path::Parameter {
            base,
            before,
            after,
        } => {
            let pattern = format!("{before}[^/]+{after}");
            literal(
                base,
                PathTail::Regex(Spanned::new(pattern, Span::default())),
            )
        }
    }
}
