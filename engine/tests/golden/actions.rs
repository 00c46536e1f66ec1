//! Programs for what follows once a route is found.

use meshgate_engine::write::{ClauseName, Hosts};
use meshgate_engine::{
    ActionKind, Destination, DestinationKind, Forward, HeaderOperations, PathRewrite, Property,
    PropertyKind, Redirect, RedirectPath, Retries, SegmentKind, Share, Stickiness,
};

use crate::builder::{Builder, reversed, text};

pub(crate) const ACTIONS: &str = "\
GET http://a.example/old/x?q=1
GET http://a.example/old/x | x-user: alice
GET http://a.example/old/x | x-user: bob
GET http://a.example/old/x | cookie: a=b; visit=\"before\"
GET http://a.example/old/x | cookie: visit=twice
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
pub(crate) fn actions() -> Vec<u8> {
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
            rewrite,
            host: None,
            timeout_ms: Some(1500),
            stickiness: (shares.len() > 1).then(stickiness),
            shares,
            retries: Some(Retries {
                attempts: 2,
                per_try_timeout_ms: Some(500),
                on: "5xx,retriable-status-codes".to_owned(),
                grpc_on: "unavailable".to_owned(),
                status_codes: "418,503".to_owned(),
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
        host: None,
        timeout_ms: None,
        stickiness: None,
        retries: None,
    });
    let redirect = |status, host: Option<&str>, path, https: bool, strip_query| {
        ActionKind::Redirect(Redirect {
            status,
            host: host.map(str::to_owned),
            path,
            scheme: https.then(|| "https".to_owned()),
            port: None,
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
            b.clause_below(&[], SegmentKind::RoutePosition, "#7"),
        ),
        (
            "/matcher",
            b.clause_below(&[(SegmentKind::Route, "r")], SegmentKind::Matcher, "m"),
        ),
        (
            "/table",
            b.clause_below(
                &[
                    (SegmentKind::Route, "all"),
                    (SegmentKind::Object, "team.table"),
                ],
                SegmentKind::Route,
                "leaf",
            ),
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

fn stickiness() -> Stickiness {
    let property = |kind, is_terminal| Property { kind, is_terminal };
    let cookie = PropertyKind::Cookie {
        name: "visit".to_owned(),
        attributes: Some("; Path=/".to_owned()),
    };
    Stickiness {
        properties: vec![
            property(PropertyKind::Header("x-user".to_owned()), true),
            property(PropertyKind::SourceAddress, false),
            property(cookie, false),
        ],
        names: vec!["one".to_owned(), "two".to_owned()],
    }
}

impl Builder {
    /// A clause whose name has more segments.
    fn clause_below(
        &mut self,
        above: &[(SegmentKind, &str)],
        kind: SegmentKind,
        text: &str,
    ) -> u32 {
        let mut below = self.host;
        for (kind, text) in above {
            below = self.writer.name(Some(below), *kind, text);
        }
        let name = ClauseName {
            below: Some(below),
            kind,
            text,
        };
        self.writer.clause(7, Some(name)).unwrap()
    }
}

pub(crate) const CALLS: &str = "\
GET http://a.example/api/list/1?q
GET http://a.example/v1/list/1
GET http://a.example/v1/moved/1
GET http://a.example/v1/other
GET http://a.example/list
GET http://b.example/v1/list/1
";

/// A virtual host that two others call, once at two places.
pub(crate) fn calls() -> Vec<u8> {
    let mut b = Builder::new(&["gw"]);
    b.host = b.writer.name(None, SegmentKind::Object, "team.table");
    let list = b.answer("list");
    let moved = ActionKind::Redirect(Redirect {
        status: 302,
        host: None,
        path: RedirectPath::Rewrite(PathRewrite::Prefix {
            len: 6,
            to: "/here".to_owned(),
        }),
        scheme: None,
        port: None,
        strip_query: false,
    });
    let moved = b.clause("moved", moved, None);
    let entries = [("/list", list), ("/moved", moved)];
    let entries = entries.map(|(path, clause)| (path, None, Some(b.always(clause))));
    let table = b.virtual_host(&entries);
    let mut hosts = Vec::new();
    for name in ["shop.one", "shop.two"] {
        b.host = b.writer.name(None, SegmentKind::Object, name);
        let entries = ["/api", "/v1"].map(|path| {
            let name = ClauseName {
                below: Some(b.host),
                kind: SegmentKind::Route,
                text: path.trim_start_matches('/'),
            };
            let call = b.writer.call(table, path.len() as u32, Some(name));
            (path, None, Some(b.always(call.unwrap())))
        });
        let rest = b.answer("rest");
        let rest = ("/", None, Some(b.always(rest)));
        let entries: Vec<_> = entries.into_iter().chain([rest]).collect();
        hosts.push(b.virtual_host(&entries));
    }
    b.gateway(Hosts {
        exact: vec![(text("a.example"), hosts[0])],
        suffix: vec![(reversed("example"), hosts[1])],
        ..Hosts::default()
    });
    b.finish()
}
