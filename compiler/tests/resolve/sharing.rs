//! Routes that several places delegate to are stored once.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;

use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::lower::{self, lower};
use meshgate_compiler::resolve::{ResolveOptions, Sharing};
use meshgate_compiler::tree::{Entry, SharedRoutes, Tree};

use crate::config::*;

/// `hosts` virtual hosts with a delegating route of this matcher (`N` is the host's number) and these routes before it.
fn hosts(hosts: usize, matcher: &str, before: &str) -> String {
    (0..hosts).fold(gateway(), |yaml, host| {
        let routes = format!("{before}{}", delegate("d", matcher, "test/t"));
        let routes = routes.replace('N', &host.to_string());
        yaml + &virtual_host_named(
            &format!("test/h{host}"),
            "",
            &format!("[h{host}.com]"),
            &routes,
        )
    })
}

fn big_table(routes: usize) -> String {
    let mut text = String::new();
    for route in 0..routes {
        let _ = writeln!(
            text,
            "{}",
            answer(&format!("r{route}"), &prefix(&format!("/r{route}/"))).trim_end()
        );
    }
    table("test/t", &text)
}

/// Number of routes and references that are stored.
fn stored(tree: &Tree) -> (usize, usize) {
    fn count(entries: &[Entry], seen: &mut HashSet<*const SharedRoutes>) -> (usize, usize) {
        entries
            .iter()
            .fold((0, 0), |(routes, references), entry| match entry {
                Entry::Route(_) => (routes + 1, references),
                Entry::Delegation(delegation) => {
                    let (inner, deeper) = if seen.insert(Arc::as_ptr(&delegation.shared)) {
                        count(&delegation.shared.entries, seen)
                    } else {
                        (0, 0)
                    };
                    (routes + inner, references + 1 + deeper)
                }
            })
    }
    let mut seen = HashSet::new();
    let hosts = tree.gateways.iter().flat_map(|gateway| &gateway.hosts);
    hosts
        .flat_map(|host| &host.virtual_hosts)
        .map(|host| count(&host.routes, &mut seen))
        .fold((0, 0), |sum, (routes, references)| {
            (sum.0 + routes, sum.1 + references)
        })
}

fn program_size(tree: &Tree) -> usize {
    let program = lower(
        tree,
        &lower::Options::default(),
        &mut Diagnostics::default(),
    );
    program.map_or(0, |bytes| bytes.len())
}

/// The thousand routes that a thousand virtual hosts share are a thousand routes, also for the limit.
#[test]
fn a_thousand_hosts_share_a_thousand_routes() {
    let options = ResolveOptions {
        max_routes: 20_000,
        ..ResolveOptions::default()
    };
    for matcher in [
        "{uri: {prefix: /api}}",
        "{uri: {prefix: /team-N}}",
        "{uri: {prefix: /team-N/}}",
    ] {
        let resolved = resolved_with(&(hosts(1000, matcher, "") + &big_table(1000)), &options);
        assert_eq!(resolved.findings, Vec::<String>::new());
        assert_eq!(stored(&resolved.tree), (1000, 1000), "{matcher}");
        let alone = program_size(
            &resolved_with(&(hosts(1, matcher, "") + &big_table(1000)), &options).tree,
        );
        let all = program_size(&resolved.tree);
        assert!(
            all - alone < 1000 * 200,
            "{alone} bytes for one host, {all} for all"
        );
    }
}

#[test]
fn what_saves_little_is_written_out() {
    for (hosts_count, routes, references) in
        [(2, 100, 0), (2, 1000, 2), (1, 1000, 0), (1000, 10, 0)]
    {
        let yaml = hosts(hosts_count, &prefix("/a"), "") + &big_table(routes);
        assert_eq!(
            stored(&resolved(&yaml).tree).1,
            references,
            "{hosts_count} {routes}"
        );
    }
}

/// What keeps a table from being shared: another meaning in each place.
#[test]
fn what_differs_is_not_shared() {
    let always = ResolveOptions {
        sharing: Sharing::Always,
        ..ResolveOptions::default()
    };
    let references = |yaml: &str| stored(&resolved_with(yaml, &always).tree).1;
    let t = big_table(2);
    for (matcher, expected) in [
        ("", 2),
        (
            "{uri: {prefix: /a}, headers: [{name: x}], queryParameters: [{name: q}]}",
            2,
        ),
        ("{uri: {prefix: /A, ignoreCase: true}}", 2),
        // A contradictory method is reported on the child.
        ("{uri: {prefix: /a}, method: GET}", 0),
        ("{uri: {prefix: /a}}, {uri: {prefix: /b}}", 0),
    ] {
        assert_eq!(
            references(&(hosts(2, matcher, "") + &t)),
            expected,
            "{matcher}"
        );
    }
    let sorted = gateway()
        + &virtual_host(
            "- {name: d, delegateAction: {refs: [{name: a}], sortMethod: ROUTE_SPECIFICITY}}",
        )
        + &table(
            "test/a",
            &(answer("x", "") + &delegate("d", &prefix("/d"), "test/t")),
        )
        + &t;
    assert_eq!(
        references(&sorted),
        1,
        "routes that are sorted one by one do not stay together"
    );
    let many: String = (0..10)
        .map(|n| delegate(&format!("d{n}"), "", "test/t"))
        .collect();
    assert_eq!(
        references(&(gateway() + &virtual_host(&many) + &t)),
        4,
        "a request does not try many references"
    );
}

#[test]
fn lints_look_into_shared_routes() {
    let health = answer("health", &exact("/team-N/r7/health"));
    let catch = answer("all", &prefix("/team-N/r1"));
    let t = big_table(100);
    let clean = resolved(&(hosts(100, &prefix("/team-N"), &health) + &t));
    assert_eq!(stored(&clean.tree).1, 100);
    assert_eq!(clean.findings, Vec::<String>::new());
    let shadowed = resolved(&(hosts(100, &prefix("/team-N"), &catch) + &t));
    let first = |finding: &&String| {
        finding.contains("`test.h0/d/test.t/r10` is never reached: `test.h0/all` takes")
    };
    assert!(
        shadowed.findings.iter().any(|finding| first(&finding)),
        "{:?}",
        shadowed.findings
    );
    let unreached = resolved(&(hosts(100, &prefix("/team-N"), &answer("all", "")) + &t));
    assert_eq!(unreached.findings.len(), 100, "each delegating route once");
    assert!(unreached.findings[0].ends_with(
        "route `test.h0/d` is never reached: `test.h0/all` takes all its requests first"
    ));
    let twice = answer("late", &exact("/team-N/r7/late"));
    let yaml = (0..20).fold(gateway(), |yaml, host| {
        let routes = delegate("d", &prefix("/team-N"), "test/t") + &twice;
        let routes = routes.replace('N', &host.to_string());
        yaml + &virtual_host_named(
            &format!("test/h{host}"),
            "",
            &format!("[h{host}.com]"),
            &routes,
        )
    });
    let late = resolved(&(yaml + &t));
    assert_eq!(stored(&late.tree).1, 20);
    assert!(late.findings[0].ends_with(
        "route `test.h0/late` is never reached: `test.h0/d/test.t/r7` takes all its requests first"
    ));
}

#[test]
fn prefixes_that_shared_routes_repeat_are_found() {
    let mut repeated = big_table(100);
    let _ = writeln!(
        repeated,
        "  {}",
        answer("again", &prefix("/team-7/x")).trim_end()
    );
    let resolved = resolved(&(hosts(100, &prefix("/team-N"), "") + &repeated));
    assert_eq!(stored(&resolved.tree).1, 100);
    assert_eq!(
        resolved.findings,
        [
            "W0110 at {prefix: /team-7/x}: `/team-7/x` is appended to `/team-7`, so it takes `/team-7/team-7/x`"
        ]
    );
}
