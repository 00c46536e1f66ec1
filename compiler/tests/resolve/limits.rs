//! Configurations that multiply or nest without end.

use std::fmt::Write as _;

use meshgate_compiler::resolve::ResolveOptions;

use crate::config::*;

fn limited(max_routes: usize) -> ResolveOptions {
    ResolveOptions {
        max_routes,
        ..ResolveOptions::default()
    }
}

#[test]
fn a_long_chain_of_tables_ends() {
    let mut yaml = gateway()
        + &virtual_host(
            &(delegate("d", &prefix("/"), "test/t0") + &answer("stays", &exact("/stays"))),
        );
    for level in 0..10_000 {
        yaml += &table(
            &format!("test/t{level}"),
            &delegate("d", "", &format!("test/t{}", level + 1)),
        );
    }
    yaml += &table("test/t10000", &answer("r", &prefix("/")));
    let resolved = resolved(&yaml);
    assert_eq!(resolved.names(), ["test.vh/stays"]);
    assert_eq!(resolved.codes(), ["E0109"]);
}

#[test]
fn a_chain_within_the_depth_works() {
    let mut yaml = gateway() + &virtual_host(&delegate("d", &prefix("/"), "test/t1"));
    for level in 1..64 {
        yaml += &table(
            &format!("test/t{level}"),
            &delegate("d", "", &format!("test/t{}", level + 1)),
        );
    }
    yaml += &table("test/t64", &answer("r", &prefix("/end")));
    let resolved = resolved(&yaml);
    assert_eq!(resolved.routes().len(), 1);
    assert_eq!(resolved.codes(), Vec::<&str>::new());
}

/// Every table delegates twice to the next one: 2^40 routes.
#[test]
fn a_branch_that_explodes_is_left_out() {
    let mut yaml = gateway()
        + &virtual_host(
            &(answer("first", &exact("/first"))
                + &delegate("bomb", &prefix("/"), "test/t0")
                + &answer("last", &exact("/last"))),
        );
    for level in 0..40 {
        let next = format!("test/t{}", level + 1);
        yaml += &table(
            &format!("test/t{level}"),
            &(delegate("a", "", &next) + &delegate("b", "", &next)),
        );
    }
    yaml += &table("test/t40", &answer("r", &prefix("/")));
    let resolved = resolved_with(&yaml, &limited(10_000));
    assert_eq!(resolved.names(), ["test.vh/first", "test.vh/last"]);
    assert_eq!(resolved.codes(), ["E0650"]);
    assert!(
        resolved.findings[0].ends_with(
            "with this route there are more than 10000 routes, matchers and delegations"
        )
    );
}

/// 200 matchers on each of four levels would be 1.6 billion; the product is refused before it is made.
#[test]
fn matchers_that_explode_are_left_out() {
    let matchers = |level: usize| {
        let list: Vec<String> = (0..200)
            .map(|at| prefix(&format!("/{level}-{at}")))
            .collect();
        list.join(", ")
    };
    let mut yaml = gateway()
        + &virtual_host(
            &(delegate("bomb", &matchers(0), "test/t0") + &answer("stays", &exact("/stays"))),
        );
    for level in 0..3 {
        yaml += &table(
            &format!("test/t{level}"),
            &delegate("d", &matchers(level + 1), &format!("test/t{}", level + 1)),
        );
    }
    yaml += &table("test/t3", &answer("r", &matchers(4)));
    let resolved = resolved_with(&yaml, &limited(100_000));
    assert_eq!(resolved.names(), ["test.vh/stays"]);
    assert_eq!(resolved.codes(), ["E0650"]);
}

/// A long path or very many conditions above a large table: what is multiplied out is counted by its size.
#[test]
fn large_matchers_count_more() {
    let mut table_of_many = String::new();
    for at in 0..1_000 {
        table_of_many += &answer(&format!("r{at}"), &exact(&format!("/{at}")));
    }
    let headers: Vec<String> = (0..256).map(|n| format!("{{name: x-{n}}}")).collect();
    for large in [
        prefix(&format!("/{}", "x".repeat(4_000))),
        format!("{{uri: {{prefix: /}}, headers: [{}]}}", headers.join(", ")),
    ] {
        for (matcher, expected) in [(large, vec!["E0650"]), (prefix("/x"), vec![])] {
            let yaml = gateway()
                + &virtual_host(&delegate("d", &matcher, "test/t"))
                + &table("test/t", &table_of_many);
            let resolved = resolved_with(&yaml, &limited(3_000));
            assert_eq!(resolved.codes(), expected);
        }
    }
}

/// Twelve tables that all delegate to all tables of their namespace, themselves included.
#[test]
fn tables_that_all_delegate_to_all_end() {
    let mut yaml = gateway()
        + &virtual_host(
            &(answer("stays", &exact("/stays")) + "- {name: d, delegateAction: {selector: {}}}\n"),
        );
    for table_number in 0..12 {
        yaml += &table(
            &format!("test/t{table_number}"),
            "- {name: d, delegateAction: {selector: {}}}\n",
        );
    }
    let resolved = resolved(&yaml);
    assert_eq!(resolved.names(), ["test.vh/stays"]);
    assert!(resolved.codes().contains(&"E0650"));
    assert!(resolved.codes().contains(&"E0107"));
}

#[test]
fn one_of_many_routes_on_one_path_is_found() {
    let mut routes = String::new();
    for at in 0..2_000 {
        let matcher = format!(
            "{{uri: {{prefix: /}}, headers: [{{name: x-user, value: u{at}}}, {{name: x-kind, value: k{}}}]}}",
            at % 7
        );
        writeln!(routes, "{}", answer(&format!("r{at}"), &matcher).trim_end())
            .expect("strings take everything");
    }
    routes += &answer(
        "late",
        "{uri: {prefix: /a}, headers: [{name: x-user, value: u7}, {name: x-kind, value: k0}, {name: x-more}]}",
    );
    let resolved = resolved(&(gateway() + &virtual_host(&routes)));
    assert_eq!(resolved.codes(), ["W0253"]);
    assert!(resolved.findings[0].contains("`test.vh/late` is never reached: `test.vh/r7`"));
}
