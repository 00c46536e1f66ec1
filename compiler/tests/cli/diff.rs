//! `meshgate diff`.

use serde_json::json;

use crate::folder::{Folder, GATEWAY, HOST};

/// Two configurations, the second with another host.
fn folder(host: &str) -> Folder {
    Folder::new(&[
        ("old/gateway.yaml", GATEWAY),
        ("old/host.yaml", HOST),
        ("new/gateway.yaml", GATEWAY),
        ("new/host.yaml", host),
    ])
}

fn differences(host: &str) -> String {
    folder(host)
        .run(&["diff", "old", "new"])
        .ended_with(1)
        .text()
}

#[test]
fn the_same_in_other_words_is_the_same() {
    let host = HOST
        .replace("[www.example.com]", "\n  - WWW.example.com")
        .replace("requestTimeout: 5s", "requestTimeout: 5000ms");
    let folder = Folder::new(&[
        ("old/gateway.yaml", GATEWAY),
        ("old/host.yaml", HOST),
        (
            "new/all.yaml",
            &format!("# A comment.\n{host}---\n{GATEWAY}"),
        ),
    ]);
    let outcome = folder.run(&["diff", "old", "new"]).ended_with(0);
    assert_eq!(
        (outcome.text(), outcome.stderr),
        (String::new(), String::new())
    );
}

#[test]
fn routes_are_told_by_name_and_place() {
    let host = HOST
        .replace("prefix: /ratings", "prefix: /rating")
        .replace("attempts: 3", "attempts: 4")
        .replace("name: old", "name: older")
        .replace("body: hi", "body: ho");
    let expected = "\
~ route `shop.web/hello` of gateway `shop/www`: directResponseAction  (old/host.yaml:22:5, new/host.yaml:22:5)
- route `shop.web/old` of gateway `shop/www`  (old/host.yaml:19:5)
+ route `shop.web/older` of gateway `shop/www`  (new/host.yaml:19:5)
~ route `shop.web/ratings` of gateway `shop/www`: matchers, retries  (old/host.yaml:8:5, new/host.yaml:8:5)
";
    assert_eq!(differences(&host), expected);
}

#[test]
fn inherited_options_actions_and_domains_count() {
    let text = differences(&HOST.replace("requestTimeout: 5s", "requestTimeout: 6s"));
    // It has a meaning for requests that are forwarded only.
    let expected = "~ route `shop.web/ratings` of gateway `shop/www`: requestTimeout  (old/host.yaml:8:5, new/host.yaml:8:5)\n";
    assert_eq!(text, expected);
    let text = differences(&HOST.replace("port: 9080", "port: 9081"));
    assert!(
        text.contains("`shop.web/ratings` of gateway `shop/www`: destinations  ("),
        "{text}"
    );
    let text = differences(&HOST.replace(
        "redirectAction: {hostRedirect: new.example.com}",
        "directResponseAction: {status: 200}",
    ));
    assert!(
        text.contains("`shop.web/old` of gateway `shop/www`: action  ("),
        "{text}"
    );
    let text = differences(&HOST.replace("www.example.com", "web.example.com"));
    assert!(text.contains("+ domain `web.example.com` of gateway `shop/www`  (new/host.yaml:3:18)\n- domain `www.example.com`"), "{text}");
}

#[test]
fn the_order_of_routes_counts() {
    let hello = HOST.find("  - name: hello").unwrap();
    let first = HOST.find("  - name: ratings").unwrap();
    let host = format!(
        "{}{}{}",
        &HOST[..first],
        &HOST[hello..],
        &HOST[first..hello]
    );
    let text = differences(&host);
    let expected = "~ order of routes in virtual host `shop/web` of gateway `shop/www`, from `shop.web/hello` on: order  (old/host.yaml:8:5, new/host.yaml:8:5)\n";
    assert_eq!(text, expected);
}

#[test]
fn gateways_are_compared() {
    let folder = folder(HOST);
    let renamed = GATEWAY.replace("name: www", "name: web");
    let redirecting = GATEWAY.replace(
        "http: {routeConfig: [{virtualHostSelector: {}}]}",
        "connectionOptions: {httpsRedirect: true}",
    );
    folder.write(
        "new/gateway.yaml",
        format!("{GATEWAY}---\n{renamed}").as_bytes(),
    );
    let text = folder.run(&["diff", "old", "new"]).ended_with(1).text();
    assert_eq!(text, "+ gateway `shop/web`  (new/gateway.yaml:10:18)\n");
    folder.write("new/gateway.yaml", redirecting.as_bytes());
    let text = folder.run(&["diff", "old", "new"]).ended_with(1).text();
    assert!(
        text.starts_with("~ gateway `shop/www`: httpsRedirect  ("),
        "{text}"
    );
}

#[test]
fn requests_with_another_answer_are_shown() {
    let folder = folder(&HOST.replace("body: hi", "body: ho"));
    let requests = "\
{\"authority\":\"www.example.com\",\"path\":\"/old\"}

{\"authority\":\"www.example.com\",\"path\":\"/hello\"}
";
    folder.write("requests.jsonl", requests.as_bytes());
    let args = ["diff", "old", "new", "--requests", "requests.jsonl"];
    let text = folder.run(&args).ended_with(1).text();
    let line = text.lines().last().unwrap();
    assert!(
        line.starts_with("~ request 3, GET http://www.example.com/hello: response {"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 2, "{text}");
    let report = folder
        .run(&[&args[..], &["-o", "json"]].concat())
        .ended_with(1)
        .json();
    assert_eq!(
        report["differences"][0]["parts"],
        json!(["directResponseAction"])
    );
    assert_eq!(report["requests"][0]["old"]["response"]["body"], "hi");
    assert_eq!(report["requests"][0]["new"]["response"]["body"], "ho");
    folder.write("requests.jsonl", b"x\n");
    folder.run(&args).ended_with(2).said("requests.jsonl:1:");
}

#[test]
fn what_has_errors_is_not_compared() {
    let folder = folder(&HOST.replace("prefix: /ratings", "prefx: /ratings"));
    folder
        .run(&["diff", "old", "new"])
        .ended_with(2)
        .said("because `new` has these errors");
    folder
        .run(&["diff", "old", "none"])
        .ended_with(2)
        .said("none");
}
