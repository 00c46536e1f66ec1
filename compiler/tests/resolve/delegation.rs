//! Delegation: joining, ordering, inheritance of conditions, and what goes wrong.

use crate::config::*;

#[test]
fn paths_are_appended_and_conditions_inherited() {
    let yaml = gateway()
        + &virtual_host(&delegate(
            "api",
            "{uri: {prefix: /api}, method: GET, headers: [{name: X-Team, value: a}]}",
            "test/t",
        ))
        + &table(
            "test/t",
            &(answer("exact", "{uri: {exact: /v1}, queryParameters: [{name: q}]}")
                + &answer(
                    "same",
                    "{uri: {prefix: /}, headers: [{name: x-team, value: a}]}",
                )
                + &answer(
                    "both",
                    "{uri: {suffix: .css, ignoreCase: true}, headers: [{name: x-team, value: '.', regex: true}]}",
                )
                + "- {name: none, directResponseAction: {status: 200}}"),
        );
    assert_eq!(
        resolved(&yaml).routes(),
        [
            "test.vh/api/test.t/exact: GET /api/v1$ x-team=a ?q -> 200",
            "test.vh/api/test.t/same: GET /api* x-team=a -> 200",
            "test.vh/api/test.t/both: GET /api*^.css x-team=a x-team~. -> 200",
            "test.vh/api/test.t/none: GET /api* x-team=a -> 200",
        ]
    );
}

#[test]
fn matchers_are_multiplied_parent_first() {
    let yaml = gateway()
        + &virtual_host(&delegate(
            "d",
            &format!("{}, {}", prefix("/a"), prefix("/b")),
            "test/t",
        ))
        + &table(
            "test/t",
            &answer("r", &format!("{}, {}", prefix("/1"), exact("/2"))),
        );
    assert_eq!(
        resolved(&yaml).routes(),
        ["test.vh/d/test.t/r: /a/1* | /a/2$ | /b/1* | /b/2$ -> 200"]
    );
}

#[test]
fn delegating_routes_are_replaced_in_place() {
    let yaml = gateway()
        + &virtual_host(
            &(answer("first", &exact("/a/1"))
                + &delegate("d", &prefix("/a"), "test/t")
                + &answer("last", &prefix("/"))),
        )
        + &table(
            "test/t",
            &(answer("t1", &prefix("/1")) + &delegate("deeper", &prefix("/2"), "other/u")),
        )
        + &table("other/u", &answer("u1", &exact("/x")));
    assert_eq!(
        resolved(&yaml).names(),
        [
            "test.vh/first",
            "test.vh/d/test.t/t1",
            "test.vh/d/test.t/deeper/other.u/u1",
            "test.vh/last"
        ]
    );
}

#[test]
fn unnamed_routes_are_numbered() {
    let yaml = gateway()
        + &virtual_host("- {delegateAction: {refs: [{name: t}]}}")
        + &table(
            "test/t",
            &(answer("a", &prefix("/a")) + "- {directResponseAction: {status: 200}}"),
        );
    assert_eq!(
        resolved(&yaml).names(),
        ["test.vh/#0/test.t/a", "test.vh/#0/test.t/#1"]
    );
}

/// Tables of one delegating route: by weight, then named before selected, then by age, then by name.
#[test]
fn order_of_tables() {
    let tables = [
        table_with(
            "test/z-named",
            ", labels: {k: v}",
            "",
            &answer("r", &prefix("/1")),
        ),
        table_with(
            "test/b-new",
            ", labels: {k: v}, creationTimestamp: '2022-01-02T00:00:00Z'",
            "",
            &answer("r", &prefix("/2")),
        ),
        table_with(
            "test/c-old",
            ", labels: {k: v}, creationTimestamp: '2022-01-01T00:00:00Z'",
            "",
            &answer("r", &prefix("/3")),
        ),
        table_with(
            "test/a-ageless",
            ", labels: {k: v}",
            "",
            &answer("r", &prefix("/4")),
        ),
        table_with(
            "test/heavy",
            ", labels: {k: v}",
            "weight: 5",
            &answer("r", &prefix("/5")),
        ),
        table_with(
            "test/light",
            ", labels: {k: v}",
            "weight: -5",
            &answer("r", &prefix("/6")),
        ),
        table_with(
            "test/not-selected",
            ", labels: {k: w}",
            "",
            &answer("r", &prefix("/7")),
        ),
        table_with(
            "elsewhere/not-selected",
            ", labels: {k: v}",
            "",
            &answer("r", &prefix("/8")),
        ),
    ];
    let head = gateway()
        + &virtual_host(
            "- {name: d, delegateAction: {refs: [{name: z-named}], selector: {labels: {k: v}}}}",
        );
    let expected = ["heavy", "z-named", "c-old", "b-new", "a-ageless", "light"]
        .map(|table| format!("test.vh/d/test.{table}/r"));
    assert_eq!(
        resolved(&(head.clone() + &tables.concat())).names(),
        expected
    );
    let reversed: String = tables.iter().rev().map(String::as_str).collect();
    assert_eq!(
        resolved(&(reversed + &head)).names(),
        expected,
        "the order of the input must not matter"
    );
}

#[test]
fn specificity_sorts_all_routes_below() {
    let yaml = gateway()
        + &virtual_host(
            "- {name: d, matchers: [{uri: {prefix: /reviews}}], delegateAction: {selector: {}, sortMethod: ROUTE_SPECIFICITY}}",
        )
        + &table(
            "test/a",
            &(answer("p1", &prefix("/v1"))
                + &answer("p2", &prefix("/v2"))
                + &delegate("nested", &prefix("/v1"), "other/t")),
        )
        + &table(
            "test/b",
            &(answer("x1", &exact("/v1/version"))
                + &answer("all", &prefix("/"))
                + &answer("re", "{uri: {regex: '/v.'}}")),
        )
        + &table(
            "other/t",
            &answer(
                "deep",
                &format!("{}, {}", prefix("/"), exact("/some/longer/path")),
            ),
        );
    assert_eq!(
        resolved(&yaml).names(),
        [
            "test.vh/d/test.a/nested/other.t/deep",
            "test.vh/d/test.b/x1",
            "test.vh/d/test.b/re",
            "test.vh/d/test.a/p1",
            "test.vh/d/test.a/p2",
            "test.vh/d/test.b/all",
        ]
    );
}

#[test]
fn weight_comes_before_specificity() {
    let yaml = gateway()
        + &virtual_host(
            "- {name: d, delegateAction: {selector: {}, sortMethod: ROUTE_SPECIFICITY}}",
        )
        + &table("test/light", &answer("x", &exact("/a")))
        + &table_with("test/heavy", "", "weight: 10", &answer("p", &prefix("/a")));
    let resolved = resolved(&yaml);
    assert_eq!(
        resolved.names(),
        ["test.vh/d/test.heavy/p", "test.vh/d/test.light/x"]
    );
    assert_eq!(resolved.codes(), ["W0253"]);
}

#[test]
fn a_table_is_flattened_for_every_use() {
    let yaml = gateway()
        + &virtual_host_named(
            "test/a",
            "",
            "[a.com]",
            &delegate("d", &prefix("/a"), "test/t"),
        )
        + &virtual_host_named(
            "test/b",
            "",
            "[b.com]",
            &(delegate("d", &prefix("/b"), "test/t") + &delegate("e", &prefix("/c"), "test/t")),
        )
        + &table("test/t", &answer("r", &prefix("/1")));
    assert_eq!(
        resolved(&yaml).routes(),
        [
            "test.a/d/test.t/r: /a/1* -> 200",
            "test.b/d/test.t/r: /b/1* -> 200",
            "test.b/e/test.t/r: /c/1* -> 200",
        ]
    );
}

#[test]
fn only_prefixes_delegate() {
    let yaml = gateway()
        + &virtual_host(
            &(delegate("exact", &exact("/a"), "test/t")
                + &delegate(
                    "mixed",
                    &format!("{}, {{uri: {{regex: '/b.*'}}}}", prefix("/b")),
                    "test/t",
                )
                + &delegate("fine", "{headers: [{name: x}]}", "test/t")),
        )
        + &table("test/t", &answer("r", &prefix("/1")));
    let resolved = resolved(&yaml);
    assert_eq!(resolved.routes(), ["test.vh/fine/test.t/r: /1* x -> 200"]);
    assert_eq!(resolved.codes(), ["E0250", "E0250"]);
}

#[test]
fn contradictory_methods() {
    let yaml = gateway()
        + &virtual_host(&delegate(
            "d",
            "{uri: {prefix: /a}, method: GET}, {uri: {prefix: /b}, method: POST}",
            "test/t",
        ))
        + &table(
            "test/t",
            &(answer("get", "{method: GET}") + &answer("put", "{method: PUT}")),
        );
    let resolved = resolved(&yaml);
    assert_eq!(resolved.routes(), ["test.vh/d/test.t/get: GET /a* -> 200"]);
    assert_eq!(resolved.codes(), ["W0251", "W0252", "W0251"]);
    assert!(
        resolved.findings[0]
            .ends_with("method `GET` never comes here: the delegating route only takes `POST`")
    );
}

#[test]
fn cycles_name_the_whole_way_and_siblings_stay() {
    let yaml = gateway()
        + &virtual_host(&delegate("d", &prefix("/"), "test/a"))
        + &table(
            "test/a",
            &(delegate("ab", &prefix("/b"), "test/b") + &answer("stays", &prefix("/s"))),
        )
        + &table(
            "test/b",
            &(answer("too", &prefix("/t")) + &delegate("ba", &prefix("/a"), "test/a test/b")),
        );
    let resolved = resolved(&yaml);
    assert_eq!(
        resolved.names(),
        ["test.vh/d/test.a/ab/test.b/too", "test.vh/d/test.a/stays"]
    );
    assert_eq!(
        resolved.findings,
        [
            "E0107 at {name: a, namespace: test}: delegation cycle: `test/a` -> `test/b` -> `test/a`",
            "E0107 at {name: b, namespace: test}: delegation cycle: `test/b` -> `test/b`",
        ]
    );
}

#[test]
fn a_cycle_that_nothing_leads_to_is_reported_once() {
    let yaml = gateway()
        + &virtual_host(&answer("only", &prefix("/")))
        + &table("test/a", &delegate("ab", &prefix("/b"), "test/b"))
        + &table("test/b", &delegate("ba", &prefix("/a"), "test/a"));
    assert_eq!(
        resolved(&yaml).findings,
        ["E0107 at {name: a, namespace: test}: delegation cycle: `test/a` -> `test/b` -> `test/a`",]
    );
}

#[test]
fn references_that_lead_nowhere() {
    let yaml = gateway()
        + &virtual_host(
            &(delegate("missing", &prefix("/a"), "test/missing test/t")
                + &delegate("host", &prefix("/b"), "test/vh")
                + "- {name: nothing, delegateAction: {}}\n"
                + "- {name: nobody, delegateAction: {selector: {labels: {k: v}}}}\n"
                + &delegate("empty", &prefix("/c"), "test/empty")),
        )
        + &table("test/t", &answer("r", &prefix("/1")))
        + "---\napiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1\nkind: RouteTable\nmetadata: {name: empty, namespace: test}\nspec: {}\n";
    let resolved = resolved(&yaml);
    assert_eq!(resolved.names(), ["test.vh/missing/test.t/r"]);
    assert_eq!(
        resolved.findings,
        [
            "W0104 at {name: missing, namespace: test}: there is no RouteTable `test/missing`; nothing is delegated to it until it exists",
            "E0105 at {name: vh, namespace: test}: `test/vh` is a VirtualHost; a route can only delegate to a RouteTable",
            "W0106 at delegateAction: {}: the route delegates to nothing: neither `refs` nor `selector` is written",
            "W0103 at {labels: {k: v}}: the selector selects no route table",
            "W0108 at empty: route table `test/empty` has no routes",
        ]
    );
}

#[test]
fn a_repeated_prefix_is_remarked_on() {
    let yaml = gateway()
        + &virtual_host(
            &(delegate("d", &prefix("/api"), "test/t") + &delegate("root", &prefix("/"), "test/t")),
        )
        + &table(
            "test/t",
            &(answer("r", &prefix("/api/v1")) + &answer("other", &prefix("/apiary"))),
        );
    assert_eq!(
        resolved(&yaml).findings,
        ["W0110 at {prefix: /api/v1}: `/api/v1` is appended to `/api`, so it takes `/api/api/v1`"]
    );
}

#[test]
fn selectors() {
    let select = |selector: &str| {
        let yaml = gateway()
            + &virtual_host(&format!(
                "- {{name: d, delegateAction: {{selector: {selector}}}}}"
            ))
            + &table_with(
                "test/one",
                ", labels: {team: a, tier: '1'}",
                "",
                &answer("r", &prefix("/1")),
            )
            + &table_with(
                "test/two",
                ", labels: {team: b, tier: '2'}",
                "",
                &answer("r", &prefix("/2")),
            )
            + &table("test/bare", &answer("r", &prefix("/3")))
            + &table_with(
                "far/four",
                ", labels: {team: a}",
                "",
                &answer("r", &prefix("/4")),
            );
        let resolved = resolved(&yaml);
        let names: Vec<String> = resolved
            .names()
            .iter()
            .filter_map(|name| Some(name.split('/').nth(2)?.to_owned()))
            .collect();
        (names.join(" "), resolved.codes().join(" "))
    };
    for (selector, names, codes) in [
        ("{}", "test.bare test.one test.two", ""),
        ("{namespaces: [far]}", "far.four", ""),
        (
            "{namespaces: ['*']}",
            "far.four test.bare test.one test.two",
            "",
        ),
        (
            "{labels: {team: a}, namespaces: [test, far]}",
            "far.four test.one",
            "",
        ),
        ("{labels: {team: a, tier: '1'}}", "test.one", ""),
        (
            "{expressions: [{key: team, operator: In, values: [a, c]}]}",
            "test.one",
            "",
        ),
        (
            "{expressions: [{key: team, operator: NotIn, values: [a]}]}",
            "test.bare test.two",
            "",
        ),
        (
            "{expressions: [{key: team, operator: NotEquals, values: [b]}]}",
            "test.bare test.one",
            "",
        ),
        ("{expressions: [{key: team, values: [b]}]}", "test.two", ""),
        (
            "{expressions: [{key: team, operator: Exists}, {key: tier, operator: GreaterThan, values: ['1']}]}",
            "test.two",
            "",
        ),
        (
            "{expressions: [{key: tier, operator: LessThan, values: ['2']}]}",
            "test.one",
            "",
        ),
        (
            "{expressions: [{key: team, operator: DoesNotExist}]}",
            "test.bare",
            "",
        ),
        ("{labels: {team: c}}", "", "W0103"),
        (
            "{labels: {team: a}, expressions: [{key: team, operator: Exists}]}",
            "",
            "E0101",
        ),
        (
            "{expressions: [{key: team, operator: Exists, values: [a]}]}",
            "",
            "E0102",
        ),
        ("{expressions: [{key: team, operator: In}]}", "", "E0102"),
        (
            "{expressions: [{key: team, operator: Equals, values: [a, b]}]}",
            "",
            "E0102",
        ),
        (
            "{expressions: [{key: tier, operator: GreaterThan, values: [x]}]}",
            "",
            "E0102",
        ),
    ] {
        assert_eq!(
            select(selector),
            (names.to_owned(), codes.to_owned()),
            "{selector}"
        );
    }
}

#[test]
fn duplicate_names_in_one_list() {
    let yaml = gateway()
        + &virtual_host(
            &(answer("r", &prefix("/a"))
                + &answer("r", &prefix("/b"))
                + &delegate("d", &prefix("/c"), "test/t")),
        )
        + &table("test/t", &answer("r", &prefix("/")));
    assert_eq!(
        resolved(&yaml).findings,
        ["W0111 at r: another route here is named `r`"]
    );
}
