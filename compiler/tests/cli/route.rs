//! `meshgate route`.

use serde_json::{Value, json};

use crate::folder::{Folder, GATEWAY, HOST};

fn ask(args: &[&str]) -> Value {
    let args = [&["route", "-f", ".", "-o", "json"], args].concat();
    Folder::shop().run(&args).ended_with(0).json()
}

#[test]
fn a_forwarded_request() {
    let answer = ask(&[
        "GET",
        "http://www.example.com/ratings/1?x=1",
        "-H",
        "X-Debug: 1",
        "-H",
        "x-user: jason",
    ]);
    let destination = json!({
        "kind": "kubeService", "name": "ratings", "namespace": "bookinfo", "clusterName": null, "port": 9080,
        "cluster": "outbound|9080||ratings.bookinfo.svc.cluster.local",
    });
    let mut weighted = destination.clone();
    weighted["weight"] = json!(100);
    let expected = json!({
        "gateway": "shop/www", "virtualHost": "shop/web", "route": "shop.web/ratings", "routeName": "ratings",
        "outcome": "forward",
        "destination": destination,
        "destinations": [weighted],
        "request": {
            "method": "GET", "authority": "www.example.com", "path": "/v1/1?x=1",
            "headers": [["x-user", "jason"], ["x-team", "a"]],
        },
        "response": null,
        "options": { "requestTimeout": "5s", "retries": { "attempts": 3 } },
        "optionPlaces": {
            "headerManipulation": "./host.yaml:12:7", "requestTimeout": "./host.yaml:6:45", "retries": "./host.yaml:11:7",
        },
    });
    assert_eq!(answer, expected);
}

#[test]
fn every_option_is_shown_with_its_place() {
    let text = Folder::shop()
        .run(&["route", "-f", ".", "http://www.example.com/ratings/1"])
        .ended_with(0)
        .text();
    let options: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("option        "))
        .collect();
    let expected = [
        "requestTimeout: 5s  (./host.yaml:6:45)",
        "retries: 3 after the first try  (./host.yaml:11:7)",
        "headerManipulation  (./host.yaml:12:7)",
    ];
    assert_eq!(options, expected);
}

#[test]
fn the_fields_come_in_the_order_of_the_contract() {
    let text = Folder::shop()
        .run(&[
            "route",
            "-f",
            ".",
            "-o",
            "json",
            "http://www.example.com/hello",
        ])
        .ended_with(0)
        .text();
    let fields = [
        "gateway",
        "virtualHost",
        "route",
        "routeName",
        "outcome",
        "destination",
        "destinations",
        "request",
        "response",
        "options",
        "optionPlaces",
    ];
    let places: Vec<_> = fields
        .iter()
        .map(|field| text.find(&format!("\"{field}\":")))
        .collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn answers_of_the_gateway_itself() {
    let redirect = ask(&["http://www.example.com/old/x?y=1"]);
    assert_eq!(redirect["outcome"], "redirect");
    assert_eq!(
        redirect["response"],
        json!({"status": 301, "headers": [["location", "http://new.example.com/old/x?y=1"]], "body": ""})
    );
    let direct = ask(&["POST", "http://www.example.com/hello"]);
    assert_eq!(direct["outcome"], "directResponse");
    assert_eq!(
        direct["response"],
        json!({"status": 203, "headers": [], "body": "hi"})
    );
    for answer in [redirect, direct] {
        assert_eq!(answer["request"], Value::Null);
        assert_eq!(answer["destination"], Value::Null);
    }
}

#[test]
fn requests_that_nothing_matches() {
    let no_route = ask(&["http://www.example.com/nothing"]);
    assert_eq!(no_route["outcome"], "notFound");
    assert_eq!(no_route["virtualHost"], "shop/web");
    assert_eq!(no_route["route"], Value::Null);
    assert_eq!(no_route["response"]["status"], 404);
    let no_host = ask(&["http://other.example.com/"]);
    assert_eq!(no_host["virtualHost"], Value::Null);
    assert_eq!(no_host["outcome"], "notFound");
}

#[test]
fn paths_and_the_request_in_any_order() {
    let folder = Folder::shop();
    for args in [
        &[
            "-f",
            "gateway.yaml",
            "host.yaml",
            "GET",
            "http://www.example.com/hello",
        ][..],
        &[
            "-f",
            "gateway.yaml",
            "host.yaml",
            "http://www.example.com/hello",
        ],
        &[
            "-f",
            "gateway.yaml",
            "-f",
            "host.yaml",
            "-H",
            "a: b",
            "GET",
            "http://www.example.com/hello",
        ],
        &[
            "GET",
            "http://www.example.com/hello",
            "-f",
            "gateway.yaml",
            "host.yaml",
        ],
        &[
            "-f",
            ".",
            "--gateway",
            "shop/www",
            "GET",
            "http://www.example.com/hello",
        ],
        &[
            "-f",
            ".",
            "--gateway",
            "www",
            "GET",
            "http://1.2.3.4/hello",
            "-H",
            "Host: www.example.com",
        ],
    ] {
        let args = [&["route", "-o", "json"], args].concat();
        let answer = folder.run(&args).ended_with(0).json();
        assert_eq!(answer["route"], "shop.web/hello", "{args:?}");
    }
}

#[test]
fn text_says_where_things_come_from() {
    let folder = Folder::shop();
    let args = [
        "route",
        "-f",
        ".",
        "http://www.example.com/ratings/1",
        "-H",
        "x-debug: 1",
    ];
    let text = folder.run(&args).ended_with(0).text();
    for part in [
        "shop.web/ratings  (./host.yaml:8:5)",
        "ratings.bookinfo:9080",
        "/v1/1",
        "- x-debug: 1",
        "+ x-team: a",
        "5s  (./host.yaml:6:",
        "3 after the first try  (./host.yaml:11:",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn weighted_choices_follow_the_number() {
    let weighted = HOST.replace(
        "port: 9080}\n",
        "port: 9080}\n        weight: 25\n      - kubeService: {name: other, namespace: bookinfo, port: 80}\n        weight: 75\n",
    );
    let folder = Folder::new(&[("gateway.yaml", GATEWAY), ("host.yaml", &weighted)]);
    for (random, name) in [
        ("0", "ratings"),
        ("0.2499", "ratings"),
        ("0.25", "other"),
        ("0.999", "other"),
    ] {
        let args = [
            "route",
            "-f",
            ".",
            "-o",
            "json",
            "--random",
            random,
            "http://www.example.com/ratings",
        ];
        let answer = folder.run(&args).ended_with(0).json();
        assert_eq!(answer["destination"]["name"], name, "{random}");
        let weights: Vec<_> = answer["destinations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["weight"].clone())
            .collect();
        assert_eq!(weights, [25, 75]);
    }
}

#[test]
fn request_lines_are_answered_in_order() {
    let folder = Folder::shop();
    let lines = concat!(
        r#"{"method":"POST","scheme":"http","authority":"www.example.com","path":"/ratings","headers":[["x-debug","1"]],"#,
        r#""gateway":"shop/www","cluster":"c1","random":0.25}"#,
        "\n\n",
        r#"{"authority":"WWW.example.com:80","path":"/hello"}"#,
        "\r\n",
    );
    folder.write("requests.jsonl", lines.as_bytes());
    let from_file = folder
        .run(&["route", "-f", ".", "--requests", "requests.jsonl"])
        .ended_with(0);
    let from_stdin = folder
        .run_with_input(&["route", "-f", ".", "--requests", "-"], lines)
        .ended_with(0);
    assert_eq!(from_file.text(), from_stdin.text());
    let answers = from_file.json_lines();
    let routes: Vec<_> = answers
        .iter()
        .map(|answer| answer["route"].as_str())
        .collect();
    assert_eq!(routes, [Some("shop.web/ratings"), Some("shop.web/hello")]);
    assert_eq!(answers[0]["request"]["method"], "POST");
}

#[test]
fn bad_request_lines_are_named_and_the_others_answered() {
    let lines = "{\"authority\":\"www.example.com\",\"path\":\"/hello\"}\n{\"path\":\"/\"}\nGET /\n\
                 {\"authority\":\"a\",\"path\":\"/\",\"gateway\":\"shop/ww\"}\n{\"authority\":\"a\",\"path\":\"/\",\"randon\":1}\n";
    let outcome = Folder::shop()
        .run_with_input(&["route", "-f", ".", "--requests", "-"], lines)
        .ended_with(2);
    assert_eq!(outcome.json_lines().len(), 1);
    outcome
        .said("<stdin>:2: missing field `authority`")
        .said("<stdin>:3: ")
        .said("<stdin>:4: there is no gateway `shop/ww`: did you mean `shop/www`?")
        .said("<stdin>:5: unknown field `randon`");
}

#[test]
fn errors_leave_the_other_routes_alone() {
    let folder = Folder::new(&[
        ("gateway.yaml", GATEWAY),
        ("host.yaml", &HOST.replace("status: 203", "status: 99")),
    ]);
    let args = [
        "route",
        "-f",
        ".",
        "-o",
        "json",
        "http://www.example.com/ratings",
    ];
    let outcome = folder
        .run(&args)
        .ended_with(0)
        .said("./host.yaml:24:36: error[E");
    assert_eq!(outcome.json()["route"], "shop.web/ratings");
}

#[test]
fn without_a_gateway_there_is_no_answer() {
    let folder = Folder::new(&[("host.yaml", HOST)]);
    folder
        .run(&["route", "-f", ".", "http://www.example.com/"])
        .ended_with(1)
        .said("no usable VirtualGateway");
}

#[test]
fn the_gateway_is_found_by_the_host_and_the_scheme() {
    let tls = "  connectionHandlers:\n  - connectionOptions: {sslConfig: {tlsMode: SIMPLE, secretName: cert}}\n    http:";
    let secure = GATEWAY
        .replace("name: www", "name: secure")
        .replace("  connectionHandlers: [{http:", tls)
        .replace("}}]}}]\n", "}}]}\n");
    let other = GATEWAY
        .replace("name: www", "name: a-other")
        .replace("virtualHostSelector: {}", "virtualHost: {domains: [other.example.com], routes: [{directResponseAction: {status: 200}}]}");
    let folder = Folder::new(&[
        ("www.yaml", GATEWAY),
        ("secure.yaml", &secure),
        ("other.yaml", &other),
        ("host.yaml", HOST),
    ]);
    for (url, gateway) in [
        ("http://www.example.com/hello", "shop/www"),
        ("https://www.example.com/hello", "shop/secure"),
        ("http://other.example.com/", "shop/a-other"),
        ("http://unknown.example.com/", "shop/a-other"),
    ] {
        let answer = folder
            .run(&["route", "-f", ".", "-o", "json", url])
            .ended_with(0)
            .json();
        assert_eq!(answer["gateway"], gateway, "{url}");
    }
    let twin = GATEWAY.replace("name: www", "name: www2");
    folder.write("twin.yaml", twin.as_bytes());
    let text = folder
        .run(&["route", "-f", ".", "http://www.example.com/hello"])
        .ended_with(0)
        .text();
    assert!(
        text.contains("shop/www  (the first of 2 that serve this host; choose with --gateway)"),
        "{text}"
    );
}

#[test]
fn services_of_another_cluster_have_another_name() {
    let host = HOST.replace("port: 9080", "port: 9080, clusterName: c2");
    let folder = Folder::new(&[("gateway.yaml", GATEWAY), ("host.yaml", &host)]);
    let url = "http://www.example.com/ratings";
    let cluster = |args: &[&str]| {
        let args = [&["route", "-f", ".", "-o", "json", url], args].concat();
        folder.run(&args).ended_with(0).json()["destination"]["cluster"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let local = "outbound|9080||ratings.bookinfo.svc.cluster.local";
    assert_eq!(cluster(&[]), local);
    assert_eq!(cluster(&["--cluster", "c2"]), local);
    assert_eq!(
        cluster(&["--cluster", "c1"]),
        "outbound|9080||ratings.bookinfo.svc.c2.global"
    );
    let line = "{\"authority\":\"www.example.com\",\"path\":\"/ratings\",\"cluster\":\"c1\"}\n";
    let outcome = folder
        .run_with_input(&["route", "-f", ".", "--requests", "-"], &line.repeat(2))
        .ended_with(0);
    for answer in outcome.json_lines() {
        assert_eq!(
            answer["destination"]["cluster"],
            "outbound|9080||ratings.bookinfo.svc.c2.global"
        );
    }
}
