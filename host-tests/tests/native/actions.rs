//! Redirects and rewrites, in Envoy's route configuration and in ours.
//!
//! Routes and requests are generated, the same ones in every run.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::pair::{APP, Differences, Draw, Pair, Seen, Twin, Twins, to};
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    ("actions/redirects", redirects),
    ("actions/rewrites", rewrites),
    ("actions/where_envoy_is_strange", where_envoy_is_strange),
];

/// How a path is matched: our notation, Envoy's, and whether it is a template.
fn matcher() -> impl Strategy<Value = (Value, Value, bool)> {
    let prefix = select(&["/", "/a", "/a/", "/A/b", "/a%20b"][..]);
    let exact = select(&["/a/b", "/a", "/a/b/"][..]);
    let regex = select(&["/a/.*", "/[a-z]+(/[^/]*)*", ".*"][..]);
    // A template, and how Envoy has it.
    let template = select(
        &[
            ("/{x}/b", "/{x}/b"),
            ("/a/{y}/**", "/a/{y}/**"),
            ("/{x=a}/{y=**}", "/{x=a}/{y=**}"),
            ("/*/{y}", "/*/{y}"),
        ][..],
    );
    let ignore = any::<bool>();
    prop_oneof![
        4 => (prefix, ignore).prop_map(|(path, ignore)| (
            json!({"uri": {"prefix": path, "ignoreCase": ignore}}),
            json!({"prefix": path, "case_sensitive": !ignore}),
            false,
        )),
        2 => (exact, any::<bool>()).prop_map(|(path, ignore)| (
            json!({"uri": {"exact": path, "ignoreCase": ignore}}),
            json!({"path": path, "case_sensitive": !ignore}),
            false,
        )),
        2 => regex.prop_map(|regex| (
            json!({"uri": {"regex": regex}}),
            json!({"safe_regex": {"regex": regex}}),
            false,
        )),
        2 => template.prop_map(|(ours, native)| (
            json!({"uri": {"pathTemplate": ours}}),
            json!({"path_match_policy": {
                "name": "envoy.path.match.uri_template.uri_template_matcher",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                    "path_template": native,
                },
            }}),
            true,
        )),
    ]
}

/// Rewrites after which a path is still one, that is, begins with a slash.
fn regex_rewrite() -> impl Strategy<Value = Value> {
    let within = select(&["a", "(a)|(b)", "[^/]*$", "(?i)A", "b+", "x"][..]);
    let anywhere = select(&["^/a", "/([^/]*)/(.*)", "^(.*)$", ".*"][..]);
    let text = select(&["", "/", "X", "/new\\1", "\\\\", "/\\0/", "y%2F"][..]);
    let path = select(&["/", "/new\\1", "/\\0/", "/\\1/x"][..]);
    prop_oneof![(within, text), (anywhere, path)]
        .prop_filter("there is such a group", |(pattern, substitution)| {
            !substitution.contains("\\1") || pattern.contains('(') && !pattern.starts_with("(?")
        })
        .prop_map(|(pattern, substitution)| {
            json!({"pattern": {"regex": pattern}, "substitution": substitution})
        })
}

/// A field with a value in our notation and in Envoy's, or none.
type Field = Option<(&'static str, Value, &'static str, Value)>;

fn text(
    ours: &'static str,
    native: &'static str,
    values: &'static [&'static str],
) -> BoxedStrategy<Field> {
    select(values)
        .prop_map(move |value| Some((ours, json!(value), native, json!(value))))
        .boxed()
}

fn none() -> BoxedStrategy<Field> {
    Just(None).boxed()
}

fn redirect() -> impl Strategy<Value = Twin> {
    let host = prop_oneof![
        none(),
        text(
            "hostRedirect",
            "host_redirect",
            &["b.com", "b.com:81", "[::1]", "B.com:8443"]
        ),
    ];
    let scheme = prop_oneof![
        none(),
        text(
            "schemeRedirect",
            "scheme_redirect",
            &["https", "http", "ws"]
        ),
        Just(Some((
            "httpsRedirect",
            json!(true),
            "https_redirect",
            json!(true)
        ))),
    ];
    let port = prop_oneof![
        none(),
        select(&[80, 443, 8081, 1, 65535][..]).prop_map(|port| Some((
            "portRedirect",
            json!(port),
            "port_redirect",
            json!(port)
        ))),
    ];
    let path = prop_oneof![
        none(),
        text(
            "pathRedirect",
            "path_redirect",
            &["/new", "/", "/new?own=1", "/new#x", "/n/?"]
        ),
        text(
            "prefixRewrite",
            "prefix_rewrite",
            &["/new", "/", "/new/", "new"]
        ),
        regex_rewrite().prop_map(|rewrite| Some((
            "regexRewrite",
            rewrite.clone(),
            "regex_rewrite",
            rewrite
        ))),
    ];
    let query = prop_oneof![
        none(),
        Just(Some((
            "stripQuery",
            json!(true),
            "strip_query",
            json!(true)
        ))),
    ];
    let code = prop_oneof![
        none(),
        text(
            "responseCode",
            "response_code",
            &[
                "MOVED_PERMANENTLY",
                "FOUND",
                "SEE_OTHER",
                "TEMPORARY_REDIRECT",
                "PERMANENT_REDIRECT",
            ]
        ),
    ];
    (matcher(), host, scheme, port, path, query, code).prop_map(
        |((ours, native, is_template), host, scheme, port, path, query, code)| {
            // Envoy refuses it.
            let path = path.filter(|(field, ..)| !is_template || *field != "prefixRewrite");
            // Envoy would write both ports.
            let has_port = |(_, host, ..): &(_, Value, _, _)| host.to_string().contains(":8");
            let host = host.filter(|host| port.is_none() || !has_port(host));
            let mut twin = Twin {
                ours: json!({"matchers": [ours], "redirectAction": {}}),
                native: json!({"match": native, "redirect": {}}),
            };
            for (field, value, native_field, native_value) in
                [host, scheme, port, path, query, code]
                    .into_iter()
                    .flatten()
            {
                twin.ours["redirectAction"][field] = value;
                twin.native["redirect"][native_field] = native_value;
            }
            twin
        },
    )
}

fn rewrite() -> impl Strategy<Value = Twin> {
    let regex = || regex_rewrite();
    let path = prop_oneof![
        none(),
        text(
            "pathRewrite",
            "prefix_rewrite",
            &["/new", "/", "/new/", "/a%20"]
        ),
        regex().prop_map(|rewrite| Some((
            "regexRewrite",
            rewrite.clone(),
            "regex_rewrite",
            rewrite
        ))),
    ];
    let host = prop_oneof![
        none(),
        text(
            "hostRewrite",
            "host_rewrite_literal",
            &["b.com", "B.com:81", "[::1]:80"]
        ),
        text(
            "hostRewriteHeader",
            "host_rewrite_header",
            &["x-host", "X-Host", "referer"]
        ),
        select(
            &[
                ("^/([a-z]*).*$", "\\1.example"),
                ("/", "."),
                ("^/(.*)$", "\\1"),
                ("(.*)", "h\\1")
            ][..]
        )
        .prop_map(|(pattern, substitution)| {
            let rewrite = json!({"pattern": {"regex": pattern}, "substitution": substitution});
            Some((
                "hostRewritePathRegex",
                rewrite.clone(),
                "host_rewrite_path_regex",
                rewrite,
            ))
        }),
    ];
    let template = select(&["/new/{x}", "/{x}", "/{x}{x}/c"][..]);
    (matcher(), path, host, any::<bool>(), template).prop_map(
        |((ours, native, is_template), path, host, by_template, template)| {
            let mut twin = Twin {
                ours: json!({"matchers": [ours], "routeAction": {"destinations": [to("app")]}}),
                native: json!({"match": native, "route": {"cluster": APP}}),
            };
            let path = match is_template {
                true if by_template => {
                    let name = if ours_has(&twin, "{x") { "{x}" } else { "{y}" };
                    let template = template.replace("{x}", name);
                    let native = json!({
                        "name": "envoy.path.rewrite.uri_template.uri_template_rewriter",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig",
                            "path_template_rewrite": template,
                        },
                    });
                    Some(("pathTemplateRewrite", json!(template), "path_rewrite_policy", native))
                }
                // Envoy refuses it.
                true => path.filter(|(field, ..)| *field != "pathRewrite"),
                false => path,
            };
            for (field, value, native_field, native_value) in [path, host].into_iter().flatten() {
                twin.ours["routeAction"][field] = value;
                twin.native["route"][native_field] = native_value;
            }
            twin
        },
    )
}

fn ours_has(twin: &Twin, text: &str) -> bool {
    twin.ours["matchers"].to_string().contains(text)
}

/// Paths with query, of which most are matched by some route.
fn target() -> impl Strategy<Value = String> {
    let path = select(
        &[
            "/", "/a", "/a/b", "/a/b/", "/A/b/c", "/a/B", "/a//b", "/a%20b/c", "/a/b/c/d", "/aa",
            "/a/ab.x", "/a/%2F", "/a;b/c", "/b/b",
        ][..],
    );
    let query = select(&["", "", "?", "?q=1", "?q=/a&r=%20", "?a?b"][..]);
    (path, query).prop_map(|(path, query)| format!("{path}{query}"))
}

fn compare(
    pair: &Pair,
    routes: &[Twin],
    draw: &mut Draw,
    adjust: impl Fn(Seen) -> Seen,
) -> Vec<u16> {
    let mut differences = Differences::default();
    let mut statuses = Vec::new();
    for (n, twin) in routes.iter().enumerate() {
        for target in draw.one(vec(target(), 8)) {
            let host = draw.one(select(
                &["h", "h:80", "h:8080", "H:443", "[::1]", "[::1]:80"][..],
            ));
            let other = draw.one(select(&["new.example", "new.example:81", "", "N"][..]));
            let mut headers = vec![("host", host)];
            if draw.one(any::<bool>()) {
                headers.push(("x-host", other));
            }
            let answers = pair.ask(n, "GET", &target, &headers).map(&adjust);
            statuses.push(answers[0].status);
            differences.compare(&answers, || {
                format!("{}\n{}\n{target} {headers:?}", twin.ours, twin.native)
            });
        }
    }
    differences.assert_none();
    pair.assert_unharmed();
    statuses
}

fn redirects(tools: &Tools) {
    let mut draw = Draw::default();
    let twins = Twins {
        routes: draw.several(300, redirect()),
        ..Twins::default()
    };
    let pair = Pair::start(tools, &twins);
    let statuses = compare(&pair, &twins.routes, &mut draw, |seen| seen);
    for status in [301, 302, 303, 307, 308, 404] {
        let count = statuses.iter().filter(|seen| **seen == status).count();
        assert!(count > 20, "{status} was seen {count} times");
    }
}

fn rewrites(tools: &Tools) {
    let mut draw = Draw::default();
    let twins = Twins {
        routes: draw.several(300, rewrite()),
        ..Twins::default()
    };
    let pair = Pair::start(tools, &twins);
    // Envoy tells the upstream what it was before.
    let told = ["x-envoy-original-path", "x-envoy-original-host"];
    let statuses = compare(&pair, &twins.routes, &mut draw, |mut seen| {
        if let Some(echo) = &mut seen.upstream {
            echo.headers
                .retain(|(name, _)| !told.contains(&name.as_str()));
        }
        seen
    });
    for status in [200, 404] {
        let count = statuses.iter().filter(|seen| **seen == status).count();
        assert!(count > 100, "{status} was seen {count} times");
    }
}

/// What is different on purpose.
fn where_envoy_is_strange(tools: &Tools) {
    let rewrite = |regex: &str, substitution: &str| {
        let rewrite = json!({"pattern": {"regex": regex}, "substitution": substitution});
        Twin {
            ours: json!({"routeAction": {"destinations": [to("app")], "regexRewrite": rewrite}}),
            native: json!({"route": {"cluster": APP, "regex_rewrite": rewrite}}),
        }
    };
    let redirect = Twin {
        ours: json!({"redirectAction": {"hostRedirect": "b.com:81", "portRedirect": 8443, "schemeRedirect": "HTTPS"}}),
        native: json!({"redirect": {"host_redirect": "b.com:81", "port_redirect": 8443, "scheme_redirect": "HTTPS"}}),
    };
    let regex = json!({"pattern": {"regex": "a"}, "substitution": "b?own"});
    let own_query = Twin {
        ours: json!({"redirectAction": {"regexRewrite": regex, "stripQuery": true}}),
        native: json!({"redirect": {"regex_rewrite": regex, "strip_query": true}}),
    };
    let told = Twin {
        ours: json!({"routeAction": {"destinations": [to("app")], "pathRewrite": "/new", "hostRewrite": "b.com"}}),
        native: json!({"route": {
            "cluster": APP,
            "prefix_rewrite": "/new",
            "host_rewrite_literal": "b.com",
            "append_x_forwarded_host": false,
        }}),
    };
    let routes = vec![
        rewrite(".*", ""),
        rewrite("^/", ""),
        redirect,
        own_query,
        told,
    ];
    let pair = Pair::start(
        tools,
        &Twins {
            routes,
            ..Twins::default()
        },
    );
    let path = |seen: &Seen| seen.upstream.as_ref().map(|echo| echo.path.clone());

    // Nothing is left: here that is the path `/`. The newest Envoy leaves the path as it was, the oldest sends none.
    let [ours, native] = pair.ask(0, "GET", "/a?q", &[]);
    assert_eq!(path(&ours).as_deref(), Some("/?q"));
    match path(&native).as_deref() {
        Some(path) => assert_eq!(path, "/a?q"),
        None => assert_eq!(native.status, 400),
    }
    // No slash at the beginning: here there always is one, what Envoy sends is refused.
    let [ours, native] = pair.ask(1, "GET", "/a?q", &[]);
    assert_eq!(path(&ours).as_deref(), Some("/a?q"));
    assert_eq!((native.status, path(&native)), (400, None));
    // Two ports; a scheme in capitals.
    let [ours, native] = pair.ask(2, "GET", "/a", &[]);
    assert_eq!(ours.header("location"), Some("https://b.com:8443/a"));
    assert_eq!(native.header("location"), Some("HTTPS://b.com:81:8443/a"));
    // A query of the new path's own: here only that of the request is stripped.
    let [ours, native] = pair.ask(3, "GET", "/a?q", &[]);
    assert_eq!(ours.header("location"), Some("http://h/b?own"));
    assert_eq!(native.header("location"), Some("http://h/b"));
    // Whether the destination is told how the request was before.
    let told = pair.ask(4, "GET", "/a", &[]).map(|seen| {
        let headers = seen.upstream.unwrap().headers;
        let names = headers.into_iter().map(|(name, _)| name);
        names
            .filter(|name| name.starts_with("x-envoy-original-"))
            .collect::<Vec<_>>()
    });
    let [ours, native] = told;
    assert_eq!(ours, [""; 0]);
    assert!(
        native.contains(&"x-envoy-original-path".to_owned()),
        "{native:?}"
    );
    pair.assert_unharmed();
}
