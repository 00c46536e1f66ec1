//! `meshgate test`.

use std::path::Path;

use serde_json::json;

use crate::folder::Folder;

const PASSING: &str = "\
- name: forwarded, with everything that was asked
  request: {url: \"http://www.example.com/ratings/1?x=1\", headers: [[x-debug, \"1\"]]}
  expect:
    outcome: route
    route: ratings
    cluster: ratings
    path: /v1/1?x=1
    timeout: 5s
    request_headers: {x-debug: null, x-team: a}
- name: redirected
  request: {url: \"http://www.example.com/old\"}
  expect: {outcome: redirect, status: 301, location: \"http://new.example.com/old\"}
- name: answered
  request: {authority: www.example.com, path: /hello, method: POST}
  expect: {outcome: direct, status: 203, body: hi}
";

const FAILING: &str = "\
- name: another path
  request: {url: \"http://www.example.com/ratings/1\"}
  expect: {path: /v2/1, cluster: ratings}
# Two things at once.
- name: another <page>
  request: {url: \"http://www.example.com/hello\"}
  expect: {status: 200, body: ho}
- name: nowhere
  request: {url: \"http://www.example.com/nowhere\", gateway: shop/wwww}
  expect: {outcome: none}
";

#[test]
fn requests_that_are_answered_as_expected_pass() {
    let folder = Folder::shop();
    folder.write("requests.yaml", PASSING.as_bytes());
    let outcome = folder.run(&["test", "-f", "."]).ended_with(0);
    assert_eq!(outcome.text(), "");
    assert_eq!(outcome.stderr, "3 passed, 0 failed\n");
}

#[test]
fn every_failing_request_has_a_line() {
    let folder = Folder::shop();
    folder.write("tests/shop.yaml", FAILING.as_bytes());
    let args = [
        "test",
        "-f",
        "gateway.yaml",
        "-f",
        "host.yaml",
        "tests/shop.yaml",
    ];
    let outcome = folder.run(&args).ended_with(1).said("0 passed, 3 failed");
    let expected = "\
tests/shop.yaml:1:3: another path: GET http://www.example.com/ratings/1: path: expected \"/v2/1\", got \"/v1/1\"
tests/shop.yaml:5:3: another <page>: GET http://www.example.com/hello: body: expected \"ho\", got \"hi\"; status: expected 200, got 203
tests/shop.yaml:8:3: nowhere: GET http://www.example.com/nowhere: there is no gateway `shop/wwww`: did you mean `shop/www`?
";
    assert_eq!(outcome.text(), expected);
}

#[test]
fn programs_read_the_outcome_as_json_and_as_junit() {
    let folder = Folder::shop();
    folder.write(
        "tests/requests.yaml",
        [PASSING, FAILING].concat().as_bytes(),
    );
    let args = |format| {
        [
            "test",
            "-f",
            "gateway.yaml",
            "-f",
            "host.yaml",
            "tests",
            "-o",
            format,
        ]
    };
    let report = folder.run(&args("json")).ended_with(1).json();
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&json!(3), &json!(3))
    );
    let failed = json!({
        "name": "another path", "place": "tests/requests.yaml:16:3",
        "request": "GET http://www.example.com/ratings/1",
        "passed": false, "failures": ["path: expected \"/v2/1\", got \"/v1/1\""],
    });
    assert_eq!(report["tests"][3], failed);

    let report = folder.run(&args("junit")).ended_with(1).text();
    for line in [
        r#"  <testsuite name="tests/requests.yaml" tests="6" failures="3">"#,
        r#"    <testcase name="redirected" classname="tests/requests.yaml" file="tests/requests.yaml" line="10"/>"#,
        r#"<failure message="body: expected &quot;ho&quot;, got &quot;hi&quot;; status: expected 200, got 203">"#,
        r#"<testcase name="another &lt;page&gt;""#,
    ] {
        assert!(report.contains(line), "`{line}` is not in: {report}");
    }
}

#[test]
fn the_response_of_a_destination_is_changed_as_the_route_says() {
    let folder = Folder::shop();
    let host = crate::folder::HOST.replace(
        "appendRequestHeaders",
        "removeResponseHeaders: [server]\n        appendRequestHeaders",
    );
    folder.write("host.yaml", host.as_bytes());
    let tests = "\
- name: the server is not told
  request: {url: \"http://www.example.com/ratings/1\"}
  upstream_response: {headers: [[Server, x], [etag, \"7\"]]}
  expect: {status: 200, response_headers: {server: null, etag: \"7\"}}
";
    let outcome = folder.run_with_input(&["test", "-f", ".", "-"], tests);
    outcome.ended_with(0).said("1 passed");
}

#[test]
fn tests_that_cannot_be_read_are_pointed_at() {
    let case = |case: &str| {
        let folder = Folder::shop();
        folder.write("tests.yaml", case.as_bytes());
        let args = [
            "test",
            "-f",
            "gateway.yaml",
            "-f",
            "host.yaml",
            "tests.yaml",
        ];
        folder.run(&args).ended_with(2)
    };
    for (text, place, message) in [
        (
            "- name: a\n  request: {url: \"http://a/\"}\n  expect: {staus: 200}\n",
            "tests.yaml:3:12",
            "nothing can be expected of `staus`",
        ),
        (
            "- name: a\n  request: {url: \"http://a/\"}\n  expects: {status: 200}\n",
            "tests.yaml:3:3",
            "a case has no field `expects`",
        ),
        (
            "- name: a\n  request: {url: \"http://a/\"}\n",
            "tests.yaml:1:3",
            "a case needs `expect`",
        ),
        (
            "- name: a\n  request: {url: \"http://a/\"}\n  expect: {}\n",
            "tests.yaml:3:11",
            "a case expects something",
        ),
        (
            "- name: a\n  request: {urls: \"http://a/\"}\n  expect: {status: 200}\n",
            "tests.yaml:2:12",
            "unknown field `urls`",
        ),
        (
            "name: a\n",
            "tests.yaml:1:1",
            "a file of requests is a list",
        ),
    ] {
        case(text).said("E0039").said(place).said(message);
    }
}

#[test]
fn nothing_is_tested_without_tests_or_with_errors() {
    let folder = Folder::shop();
    folder
        .run(&["test", "-f", "."])
        .ended_with(2)
        .said("there are no tests");
    folder
        .run(&["test", "-f", ".", "none.yaml"])
        .ended_with(2)
        .said("none.yaml");
    folder.write("requests.yaml", PASSING.as_bytes());
    folder.write("broken.yaml", b"apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1\nkind: VirtualHosts\nmetadata: {name: a}\n");
    let outcome = folder.run(&["test", "-f", "."]).ended_with(1);
    outcome.said("nothing was tested").said("broken.yaml:2:7");
}

/// The examples are tested by their own files.
#[test]
fn the_examples_pass() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let folder = Folder::new(&[]);
    let mut tested = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.join("requests.yaml").is_file() {
            let path = path.to_str().unwrap();
            folder
                .run(&["test", "-f", path])
                .ended_with(0)
                .said(" 0 failed");
            tested += 1;
        }
    }
    assert!(tested > 5, "only {tested} examples have requests");
}
