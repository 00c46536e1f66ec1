//! Loading well-formed input.

use meshgate_compiler::load;
use meshgate_compiler::resource::{Action, PathKind, RouteConfig};

#[test]
fn every_kind_is_decoded() {
    let (sources, resources, diagnostics) = load::from_text(
        "all.yaml",
        r"
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {name: gw, namespace: edge}
spec:
  ingressGatewaySelectors:
  - portName: http2
    destinationSelectors:
    - kubeServiceMatcher: {labels: {istio: ingressgateway}}
  connectionHandlers:
  - http:
      routeConfig:
      - virtualHostSelector: {namespaces: ['*']}
      - virtualHost:
          domains: [inline.example.com]
          routes:
          - directResponseAction: {status: 204}
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: vh, namespace: web, labels: {team: web}}
spec:
  domains: [example.com]
  options: {trafficPolicy: {requestTimeout: 1m30s}}
  routes:
  - name: ratings
    matchers:
    - uri: {prefix: /ratings}
      headers: [{name: x-a, value: b, regex: true}]
      method: GET
    options:
      retries: {attempts: 3, perTryTimeout: 100ms}
      headerManipulation:
        appendRequestHeaders: {X-B: b, X-A: a}
    routeAction:
      pathRewrite: /
      destinations:
      - kubeService: {name: ratings, namespace: web, clusterName: c1, port: 9080}
        weight: 75
      - virtualDestination: {name: vd}
        weight: 25
  - delegateAction:
      refs: [{name: rt}]
      sortMethod: ROUTE_SPECIFICITY
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: RouteTable
metadata: {name: rt, namespace: web}
spec:
  weight: -1
  options: {trafficPolicy: {requestTimeout: 5s}}
  routes:
  - redirectAction: {hostRedirect: other.example.com, responseCode: FOUND}
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualDestination
metadata: {name: vd, namespace: web}
spec: {hostname: ratings.global, port: {number: 80}, localized: {destinationSelectors: [{}]}}
---
apiVersion: discovery.mesh.gloo.solo.io/v1
kind: Destination
metadata: {name: ext}
spec:
  externalService:
    name: ext
    hosts: [ext.example.com]
    ports: [{number: 443, name: https, protocol: TLS}]
---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: web}
spec:
  selector: {app: ratings}
  ports: [{port: 9080, name: http}]
",
    );
    assert_eq!(diagnostics.list(), []);
    let gateway = &resources.virtual_gateways[0];
    assert_eq!(gateway.metadata.id.to_string(), "edge/gw");
    assert_eq!(
        gateway.port_name.as_ref().map(|name| name.as_str()),
        Some("http2")
    );
    let meshgate_compiler::resource::HandlerKind::Http(configs) = &gateway.handlers[0].kind else {
        panic!("not an http handler")
    };
    assert!(
        matches!(&configs[0], RouteConfig::Selector(selector) if selector.namespaces[0].value == "*")
    );
    assert!(matches!(&configs[1], RouteConfig::Inline(host) if host.routes.len() == 1));
    let host = &resources.virtual_hosts[0];
    assert_eq!(host.metadata.labels["team"], "web");
    assert_eq!(
        host.spec
            .options
            .plain
            .request_timeout
            .as_ref()
            .map(|t| t.as_secs()),
        Some(90)
    );
    let route = &host.spec.routes[0];
    let uri = route.matchers[0]
        .uri
        .as_ref()
        .expect("the matcher has a uri");
    assert_eq!(
        (uri.kind, uri.value.as_str()),
        (PathKind::Prefix, "/ratings")
    );
    assert_eq!(
        sources.location(uri.value.span).to_string(),
        "all.yaml:28:21"
    );
    let headers = &route
        .options
        .plain
        .header_manipulation
        .as_ref()
        .expect("headers")
        .append_request;
    assert_eq!(
        headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>(),
        ["x-a", "x-b"]
    );
    assert!(
        matches!(&route.action.value, Action::Forward(forward) if forward.destinations.len() == 2)
    );
    assert_eq!(resources.route_tables[0].weight, -1);
    assert_eq!(resources.virtual_destinations[0].port.value, 80);
    assert_eq!(
        resources.destinations[0].metadata.id.to_string(),
        "default/ext"
    );
    assert_eq!(resources.services[0].ports[0].number, 9080);
}
