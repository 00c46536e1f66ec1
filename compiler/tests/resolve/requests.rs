//! The oracle's answers.

use meshgate_compiler::answer::Outcome;
use meshgate_compiler::oracle::{self, Connection, Request};

use crate::config::*;

fn get(authority: &str, path: &str) -> Request {
    Request {
        method: "GET".to_owned(),
        scheme: "http".to_owned(),
        authority: authority.to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        random: 0.0,
        connection: Connection::default(),
    }
}

fn forward(matchers: &str, rest: &str) -> String {
    format!(
        "- {{name: r, matchers: [{matchers}], routeAction: {{destinations: [{{kubeService: {{name: a, port: 80}}}}]{rest}}}}}\n"
    )
}

/// Name of the virtual host that answers a request for a host.
fn host_for(domains: &[&str], authority: &str) -> String {
    let mut yaml = gateway();
    for (at, domain) in domains.iter().enumerate() {
        yaml += &virtual_host_named(
            &format!("test/h{at}"),
            "",
            &format!("['{domain}']"),
            &answer("r", ""),
        );
    }
    let answer = oracle::evaluate(&resolved(&yaml).tree, None, &get(authority, "/"));
    answer.virtual_host.map_or("-".to_owned(), |name| {
        name.trim_start_matches("test/h").to_owned()
    })
}

#[test]
fn hosts() {
    let domains = [
        "a.com",
        "*.com",
        "*b.com",
        "a.*",
        "*",
        "a.com:8443",
        "*.com:8443",
    ];
    for (authority, expected) in [
        ("a.com", "0"),
        ("A.COM", "0"),
        ("a.com:80", "0"),
        ("x.com", "1"),
        ("xb.com", "2"),
        ("b.com", "1"),
        ("a.org", "3"),
        ("a.", "4"),
        ("", "4"),
        ("a.com:8443", "5"),
        ("x.com:8443", "6"),
        ("x.org:8443", "4"),
    ] {
        assert_eq!(host_for(&domains, authority), expected, "{authority}");
    }
    assert_eq!(
        host_for(&["*.com"], ".com"),
        "-",
        "a wildcard stands for something"
    );
    assert_eq!(host_for(&["[::1]", "[::2]:80"], "[::1]:99"), "0");
    assert_eq!(host_for(&["[::1]", "[::2]:80"], "[::2]"), "-");
}

/// The path that the destination receives; `-` if there is no route.
fn forwarded(matchers: &str, rest: &str, path: &str) -> String {
    let tree = resolved(&(gateway() + &virtual_host(&forward(matchers, rest)))).tree;
    oracle::evaluate(&tree, None, &get("a.com", path))
        .request
        .map_or("-".to_owned(), |request| request.path)
}

#[test]
fn paths_and_rewrites() {
    let rewrite = ", pathRewrite: /new";
    for (matchers, path, expected) in [
        (prefix("/a"), "/ab?q#f", "/newb?q#f"),
        (prefix("/a"), "/a", "/new"),
        (prefix("/a"), "/b/a", "-"),
        (exact("/a"), "/a?q", "/new?q"),
        (exact("/a"), "/a/", "-"),
        ("{uri: {suffix: .css}}".to_owned(), "/x/y.css?q", "/new?q"),
        ("{uri: {regex: '/[a-z]+'}}".to_owned(), "/abc", "/new"),
        ("{uri: {regex: '/[a-z]+'}}".to_owned(), "/abc1", "-"),
        (
            "{uri: {prefix: /A, ignoreCase: true}}".to_owned(),
            "/aX",
            "/newX",
        ),
        (
            "{uri: {regex: '/[a-z]+', ignoreCase: true}}".to_owned(),
            "/ABC",
            "-",
        ),
        (prefix("/a%2F"), "/a/", "-"),
    ] {
        assert_eq!(
            forwarded(&matchers, rewrite, path),
            expected,
            "{matchers} {path}"
        );
    }
    assert_eq!(
        forwarded(&prefix("/a/"), ", pathRewrite: new", "/a/b"),
        "/newb"
    );
    assert_eq!(forwarded(&prefix("/a"), "", "/a?q"), "/a?q");
}

#[test]
fn a_suffix_does_not_overlap_the_prefix_above_it() {
    let yaml = gateway()
        + &virtual_host(&delegate("d", &prefix("/a.css"), "test/t"))
        + &table("test/t", &answer("r", "{uri: {suffix: .css}}"));
    let tree = resolved(&yaml).tree;
    let outcome = |path| oracle::evaluate(&tree, None, &get("a.com", path)).outcome;
    assert_eq!(outcome("/a.css"), Outcome::NotFound);
    assert_eq!(outcome("/a.css.css"), Outcome::DirectResponse);
}

#[test]
fn query_parameters() {
    for (condition, query, expected) in [
        ("{name: q}", "?q", true),
        ("{name: q}", "?q=1", true),
        ("{name: q}", "?a=q", false),
        ("{name: q}", "", false),
        ("{name: q, value: '1'}", "?q=1&q=2", true),
        ("{name: q, value: '2'}", "?q=1&q=2", false),
        ("{name: q, value: 'a b'}", "?q=a%20b", false),
        ("{name: q, value: '[0-9]', regex: true}", "?x&q=7#z", true),
        ("{name: q, value: '[0-9]', regex: true}", "?q=77", false),
    ] {
        let matcher = format!("{{queryParameters: [{condition}]}}");
        let path = format!("/{query}");
        assert_eq!(
            forwarded(&matcher, "", &path) != "-",
            expected,
            "{condition} {query}"
        );
    }
}

#[test]
fn header_conditions() {
    for (condition, headers, expected) in [
        ("{name: X}", vec![("x", "")], true),
        (
            "{name: x, value: 'a,b'}",
            vec![("x", "a"), ("X", "b")],
            true,
        ),
        ("{name: x, value: a}", vec![("x", "A")], false),
        ("{name: x, invertMatch: true}", vec![], true),
        ("{name: x, value: a, invertMatch: true}", vec![], true),
        (
            "{name: x, value: a, invertMatch: true}",
            vec![("x", "b")],
            true,
        ),
        (
            "{name: x, value: a, invertMatch: true}",
            vec![("x", "a")],
            false,
        ),
        (
            "{name: x, value: 'a.', regex: true}",
            vec![("x", "abc")],
            false,
        ),
        ("{name: Host, value: a.com}", vec![], true),
    ] {
        let yaml = gateway() + &virtual_host(&answer("r", &format!("{{headers: [{condition}]}}")));
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let answer = oracle::evaluate(
            &resolved(&yaml).tree,
            None,
            &Request {
                headers,
                ..get("a.com", "/")
            },
        );
        assert_eq!(
            answer.outcome == Outcome::DirectResponse,
            expected,
            "{condition}"
        );
    }
}

fn location(matcher: &str, action: &str, request: &Request) -> String {
    let route = format!("- {{name: r, matchers: [{matcher}], redirectAction: {{{action}}}}}");
    let yaml = gateway() + &virtual_host_named("test/vh", "", "['*']", &route);
    let answer = oracle::evaluate(&resolved(&yaml).tree, None, request);
    answer
        .response
        .and_then(|response| Some(response.headers.first()?.1.clone()))
        .unwrap_or_default()
}

#[test]
fn redirect_locations() {
    let any = prefix("/a");
    for (action, authority, expected) in [
        ("hostRedirect: b.com", "a.com:80", "http://b.com/a/x?q"),
        ("httpsRedirect: true", "a.com:80", "https://a.com/a/x?q"),
        (
            "httpsRedirect: true",
            "a.com:8080",
            "https://a.com:8080/a/x?q",
        ),
        ("pathRedirect: /b", "a.com:80", "http://a.com:80/b?q"),
        ("pathRedirect: b", "a.com", "http://a.com/b?q"),
        ("pathRedirect: '/b?own'", "a.com", "http://a.com/b?own"),
        ("prefixRewrite: /b", "a.com", "http://a.com/b/x?q"),
        (
            "prefixRewrite: /b, stripQuery: true",
            "a.com",
            "http://a.com/b/x",
        ),
    ] {
        assert_eq!(
            location(&any, action, &get(authority, "/a/x?q")),
            expected,
            "{action}"
        );
    }
    let https = Request {
        scheme: "https".to_owned(),
        ..get("a.com:443", "/a")
    };
    assert_eq!(
        location(&any, "httpsRedirect: true, pathRedirect: /b", &https),
        "https://a.com:443/b"
    );
}

#[test]
fn headers_are_removed_then_added_route_first_then_destination() {
    let yaml = gateway()
        + &virtual_host(
            "- name: r
  options: {headerManipulation: {removeRequestHeaders: [X-Old], appendRequestHeaders: {x-new: route, x-old: kept}, removeResponseHeaders: [server], appendResponseHeaders: {via: route}}}
  routeAction:
    destinations:
    - kubeService: {name: a, port: 80}
      weight: 40
    - kubeService: {name: b, port: 80}
      weight: 60
      options: {headerManipulation: {appendRequestHeaders: {x-new: destination}, appendResponseHeaders: {via: destination}}}",
        );
    let tree = resolved(&yaml).tree;
    let request = |random| Request {
        headers: vec![
            ("X-Old".to_owned(), "1".to_owned()),
            ("x-old".to_owned(), "2".to_owned()),
        ],
        random,
        ..get("a.com", "/")
    };
    let headers = |random| {
        let answer = oracle::evaluate(&tree, None, &request(random));
        let destination = answer.destination.expect("it is forwarded").name;
        let list: Vec<String> = answer
            .request
            .expect("it is forwarded")
            .headers
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!("{destination}: {}", list.join(" "))
    };
    assert_eq!(headers(0.0), "a: x-new=route x-old=kept");
    assert_eq!(headers(0.399), "a: x-new=route x-old=kept");
    assert_eq!(headers(0.4), "b: x-new=route x-old=kept x-new=destination");
    assert_eq!(
        headers(0.999),
        "b: x-new=route x-old=kept x-new=destination"
    );
    let upstream = [("Server".to_owned(), "x".to_owned())];
    let pairs =
        oracle::response_headers(&tree, None, &request(0.5), &upstream).expect("it is forwarded");
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(pairs, ["via=route", "via=destination"]);
}

#[test]
fn the_first_match_wins_within_one_host_only() {
    let yaml = gateway()
        + &virtual_host_named("test/one", "", "[a.com]", &answer("x", &exact("/x")))
        + &virtual_host_named("test/rest", "", "['*']", &answer("any", &prefix("/")));
    let tree = resolved(&yaml).tree;
    let answer = oracle::evaluate(&tree, None, &get("a.com", "/y"));
    assert_eq!(
        (answer.outcome, answer.virtual_host.as_deref()),
        (Outcome::NotFound, Some("test/one"))
    );
}

#[test]
fn a_redirecting_gateway_redirects_everything() {
    let yaml = object(
        "VirtualGateway",
        "infra/gw",
        "",
        "ingressGatewaySelectors: [{portName: http2}]\nconnectionHandlers:\n- connectionOptions: {httpsRedirect: true}",
    );
    let answer = oracle::evaluate(&resolved(&yaml).tree, None, &get("any.com:80", "/x?y"));
    let response = answer.response.expect("it is answered");
    assert_eq!(response.status, 301);
    assert_eq!(
        response.headers,
        [("location".to_owned(), "https://any.com/x?y".to_owned())]
    );
}

#[test]
fn internal_clients_may_do_without_tls() {
    let answered = |require_tls: &str, header: &str| {
        let spec = format!("[a.com]\nrequireTls: {require_tls}");
        let yaml = gateway() + &virtual_host_named("test/vh", "", &spec, &answer("r", ""));
        let mut request = get("a.com", "/");
        let (name, value) = header.split_once(": ").expect("name and value");
        request.headers.push((name.to_owned(), value.to_owned()));
        let answer = oracle::evaluate(&resolved(&yaml).tree, None, &request);
        assert_eq!(answer.virtual_host.as_deref(), Some("test/vh"));
        answer.outcome == Outcome::DirectResponse
    };
    for (header, expected) in [
        ("x-a: b", [false, false, true]),
        ("X-Envoy-Internal: true", [false, true, true]),
        ("x-envoy-internal: false", [false, false, true]),
        ("x-forwarded-proto: https", [true; 3]),
        ("x-forwarded-proto: http", [false, false, true]),
    ] {
        let found = ["ALL", "EXTERNAL_ONLY", "NONE"].map(|value| answered(value, header));
        assert_eq!(found, expected, "{header}");
    }
}

#[test]
fn answers_as_json() {
    let yaml = gateway()
        + &virtual_host(
            "- {name: r, matchers: [{name: m, uri: {prefix: /}}], options: {requestTimeout: 1500ms, retries: {attempts: 2}}, routeAction: {destinations: [{kubeService: {name: a, clusterName: c1, port: 80}}]}}",
        );
    let answer = oracle::evaluate(&resolved(&yaml).tree, None, &get("a.com", "/x"));
    let destination = serde_json::json!({
        "kind": "kubeService", "name": "a", "namespace": "test", "clusterName": "c1", "port": 80,
        "cluster": "outbound|80||a.test.svc.cluster.local",
    });
    let mut weighted = destination.clone();
    weighted["weight"] = 100.into();
    assert_eq!(
        serde_json::to_value(&answer).expect("answers are plain data"),
        serde_json::json!({
            "gateway": "infra/gw", "virtualHost": "test/vh", "route": "test.vh/r/m", "routeName": "r",
            "outcome": "forward", "destination": destination, "destinations": [weighted],
            "request": {"method": "GET", "authority": "a.com", "path": "/x", "headers": []},
            "response": null,
            "options": {"requestTimeout": "1500ms", "retries": {"attempts": 2}},
        })
    );
}
