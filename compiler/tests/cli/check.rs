//! `meshgate check`.

use std::collections::BTreeSet;

use crate::folder::{Folder, GATEWAY, HOST};

/// A host with one mistake per route, and more beside them.
const MISTAKES: &str = "\
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: broken, namespace: shop}
spec:
  domains: [broken.example.com]
  routes:
  - name: unknown-field
    matcher: [{uri: {prefix: /1}}]
    directResponseAction: {status: 200}
  - name: wrong-type
    matchers: {uri: {prefix: /2}}
    directResponseAction: {status: 200}
  - name: no-action
    matchers: [{uri: {prefix: /3}}]
  - name: bad-regex
    matchers: [{uri: {regex: '/4('}}]
    directResponseAction: {status: 200}
  - name: bad-status
    matchers: [{uri: {prefix: /5}}]
    directResponseAction: {status: 99}
  - name: bad-duration
    matchers: [{uri: {prefix: /6}}]
    options: {requestTimeout: soon}
    directResponseAction: {status: 200}
  - name: bad-header
    matchers: [{uri: {prefix: /7}}]
    options: {headerManipulation: {removeRequestHeaders: ['no good']}}
    directResponseAction: {status: 200}
  - name: no-destinations
    matchers: [{uri: {prefix: /8}}]
    routeAction: {destinations: []}
  - name: two-paths
    matchers: [{uri: {prefix: /9, exact: /9}}]
    directResponseAction: {status: 200}
  - name: missing-destination
    matchers: [{uri: {prefix: /10}}]
    routeAction: {destinations: [{staticDestination: {name: nowhere}}]}
";

#[test]
fn good_resources_exit_with_0_and_say_what_they_are() {
    let outcome = Folder::shop().run(&["check", "."]).ended_with(0);
    outcome.said("1 gateway, 1 virtual host, 0 route tables, 3 routes: no errors, no warnings");
}

#[test]
fn ten_mistakes_are_all_reported_in_one_run_at_their_lines() {
    let folder = Folder::new(&[
        ("gateway.yaml", GATEWAY),
        ("host.yaml", HOST),
        ("broken.yaml", MISTAKES),
    ]);
    let outcome = folder
        .run(&["check", ".", "--format", "json"])
        .ended_with(1);
    let findings = outcome.json_lines();
    let errors: Vec<_> = findings
        .iter()
        .filter(|finding| finding["severity"] == "error")
        .collect();
    let lines: BTreeSet<u64> = errors
        .iter()
        .map(|error| error["line"].as_u64().expect("a line"))
        .collect();
    assert_eq!(
        lines,
        BTreeSet::from([8, 11, 13, 16, 20, 23, 27, 31, 33, 37]),
        "{}",
        outcome.text()
    );
    assert_eq!(errors.len(), 10);
    for error in errors {
        assert!(
            error["file"]
                .as_str()
                .is_some_and(|file| file.ends_with("broken.yaml")),
            "{error}"
        );
        for field in ["code", "message"] {
            assert!(
                error[field].as_str().is_some_and(|text| !text.is_empty()),
                "{error}"
            );
        }
        for field in ["column", "endLine", "endColumn"] {
            assert!(
                error[field].as_u64().is_some_and(|number| number > 0),
                "{error}"
            );
        }
        assert!(error["related"].is_array(), "{error}");
    }
    outcome.said("10 errors");
}

#[test]
fn the_formats_show_the_same_findings() {
    let folder = Folder::new(&[
        ("gateway.yaml", GATEWAY),
        ("host.yaml", &HOST.replace("status: 203", "status: 99")),
    ]);
    let short = folder
        .run(&["check", ".", "--format", "short"])
        .ended_with(1)
        .text();
    let short: Vec<&str> = short
        .lines()
        .filter(|line| line.contains("error["))
        .collect();
    assert_eq!(short.len(), 1);
    assert!(
        short[0].starts_with("./host.yaml:24:36: error[E"),
        "{short:?}"
    );
    let text = folder.run(&["check", "."]).ended_with(1).text();
    assert!(
        text.contains("./host.yaml:24:36") && !text.contains('\u{1b}'),
        "{text}"
    );
}

#[test]
fn warnings_fail_only_when_denied() {
    let twice = format!(
        "{HOST}  - name: hello\n    matchers: [{{uri: {{exact: /hello}}}}]\n    directResponseAction: {{status: 200}}\n"
    );
    let folder = Folder::new(&[("gateway.yaml", GATEWAY), ("host.yaml", &twice)]);
    folder
        .run(&["check", "."])
        .ended_with(0)
        .said(": 2 warnings");
    folder
        .run(&["check", ".", "--deny", "warnings"])
        .ended_with(1);
    Folder::shop()
        .run(&["check", ".", "--deny", "warnings"])
        .ended_with(0);
}

#[test]
fn resources_come_from_options_and_standard_input_too() {
    let folder = Folder::shop();
    let input = format!("{GATEWAY}---\n{HOST}");
    for (args, input) in [
        (&["check", "-"][..], input.as_str()),
        (&["check", "-f", "-"], &input),
        (&["check", "-f", "gateway.yaml", "-f", "host.yaml"], ""),
        (&["check", "gateway.yaml", "-f", "host.yaml"], ""),
        (&["check", "gateway.yaml", "-"], HOST),
    ] {
        folder
            .run_with_input(args, input)
            .ended_with(0)
            .said("1 gateway, 1 virtual host");
    }
    let broken = folder
        .run_with_input(&["check", "--format", "short", "-"], "a: [")
        .ended_with(1);
    assert!(broken.text().starts_with("<stdin>:1:"), "{}", broken.text());
}

#[test]
fn files_that_are_no_resources() {
    let folder = Folder::new(&[]);
    folder.write("empty/.hidden.yaml", b"");
    folder.write("binary/a.yaml", b"\x7fELF\0\x01");
    folder.write(
        "tabs/a.yaml",
        b"apiVersion: v1\nkind: Service\nmetadata:\n\tname: a\n",
    );
    for (path, code) in [("empty", "E0007"), ("binary", "E0005"), ("tabs", "E0012")] {
        let outcome = folder
            .run(&["check", path, "--format", "short"])
            .ended_with(1);
        assert!(outcome.text().contains(code), "{path}: {}", outcome.text());
    }
}

#[test]
fn companions_of_resources_are_not_resources() {
    let folder = Folder::shop();
    folder.write(
        "upstreams.yaml",
        b"upstreams: {ratings.bookinfo: 127.0.0.1:9081}\n",
    );
    folder.write("requests.yaml", b"- name: a\n  request: {path: /}\n");
    let outcome = folder
        .run(&["check", ".", "--format", "short"])
        .ended_with(0);
    assert!(!outcome.text().contains("E0"), "{}", outcome.text());
    // Under these names resources are still resources.
    let folder = Folder::new(&[("requests.yaml", GATEWAY), ("upstreams.yaml", HOST)]);
    folder
        .run(&["check", "."])
        .ended_with(0)
        .said("1 gateway, 1 virtual host");
}
