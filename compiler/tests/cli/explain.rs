//! `meshgate explain`.

use crate::folder::{Folder, GATEWAY};

const HOST: &str = "\
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: web, namespace: shop}
spec:
  domains: [www.example.com, \"*.example.com\"]
  routes:
  - name: old
    matchers: [{uri: {exact: /old}}]
    directResponseAction: {status: 410}
  - name: other
    matchers: [{uri: {prefix: /other}}]
    directResponseAction: {status: 200}
  - name: beta
    matchers:
    - uri: {prefix: /}
      headers: [{name: x-user, value: jason}]
    directResponseAction: {status: 200}
  - name: search
    matchers:
    - uri: {prefix: /}
      queryParameters: [{name: q, value: a}]
      method: POST
    directResponseAction: {status: 200}
  - name: team
    matchers: [{uri: {prefix: /team}}]
    delegateAction: {refs: [{name: team, namespace: shop}]}
  - name: all
    matchers: [{uri: {prefix: /}, method: GET}]
    directResponseAction: {status: 203}
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: RouteTable
metadata: {name: team, namespace: shop}
spec:
  routes:
  - name: exact
    matchers: [{uri: {exact: /a}}]
    directResponseAction: {status: 200}
";

/// What is said after the answer.
fn reasons(args: &[&str]) -> String {
    let folder = Folder::new(&[("gateway.yaml", GATEWAY), ("host.yaml", HOST)]);
    let text = folder
        .run(&[&["explain", "-f", "gateway.yaml", "-f", "host.yaml"], args].concat())
        .ended_with(0)
        .text();
    let (_, reasons) = text.split_once("domain ").expect("a domain");
    reasons.trim_start().to_owned()
}

#[test]
fn the_way_to_a_route_is_shown() {
    let url = "http://www.example.com/team/b";
    assert_eq!(
        reasons(&[url, "-H", "x-user: joe"]),
        "\
www.example.com
tried         2 matchers with another path  (--all shows them)
tried         shop.web/beta  (host.yaml:15:7): header `x-user` is `joe`; it is wanted to be `jason`
tried         shop.web/search  (host.yaml:20:7): the query parameter `q` is wanted to be `a`
tried         1 matcher with another path  (--all shows them)
matches       shop.web/all  (host.yaml:28:16)
"
    );
    let all = reasons(&[url, "--all"]);
    for line in [
        "tried         shop.web/old  (host.yaml:8:16): the path is not `/old`\n",
        "tried         shop.web/other  (host.yaml:11:16): the path does not begin with `/other`\n",
        "header `x-user` is not there; it is wanted to be `jason`\n",
        "shop.web/team/shop.team/exact  (host.yaml:",
        "the path is not `/team/a`\n",
    ] {
        assert!(all.contains(line), "{line}: {all}");
    }
}

#[test]
fn what_nothing_matches_is_explained() {
    let none = reasons(&["POST", "http://a.example.com/?q=a&q=b", "-H", "x-user: jo"]);
    assert!(none.starts_with("*.example.com\n"), "{none}");
    assert!(none.contains("matches       shop.web/search"), "{none}");
    let none = reasons(&["PUT", "http://a.example.com/?q=a"]);
    assert!(
        none.contains("shop.web/search  (host.yaml:20:7): the method is `PUT`, not `POST`"),
        "{none}"
    );
    assert!(none.ends_with("the method is `PUT`, not `GET`\n"), "{none}");
    let none = reasons(&["http://www.example.org/"]);
    assert_eq!(none, "none of the gateway's domains has this host\n");
}
