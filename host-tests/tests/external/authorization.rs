//! External authorization, by gRPC and by HTTP.

use std::time::{Duration, Instant};

use meshgate_host_tests::proto::{
    Allowed, CheckRequest, CheckResponse, Denied, Http, RateLimitRequest, RateLimitResponse,
    Status, append, set,
};
use meshgate_host_tests::tokens::{TestKey, jwks};
use prost::Message;
use serde_json::json;

use crate::gateway::{Gateway, echo, received, resources};
use crate::service::{Behaviour, Service, message};
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    ("authorization/questions", questions),
    ("authorization/allowed", allowed),
    ("authorization/denied", denied),
    ("authorization/failures_refuse", failures_refuse),
    ("authorization/failures_allow", failures_allow),
    ("authorization/dead_service", dead_service),
    ("authorization/by_http", by_http),
    ("authorization/after_tokens", after_tokens),
];

const ROUTES: &[(&str, &str)] = &[
    ("/open", "{extauth: {disable: true}}"),
    ("/none", "{}"),
    (
        "/",
        "{extauth: {customAuth: {contextExtensions: {team: books, tier: gold}}}}",
    ),
];

fn start(tools: &Tools, settings: &str, service: &Service) -> Gateway {
    let options = format!("{{extauth: {settings}}}");
    let resources = resources(&options, ROUTES);
    Gateway::start(
        tools,
        &resources,
        &[("ext-auth-service", service.address)],
        1,
    )
}

pub(crate) fn pass() -> CheckResponse {
    CheckResponse {
        status: Some(Status { code: 0 }),
        http: None,
    }
}

fn questions(tools: &Tools) {
    let service = Service::start(message(&pass()));
    let gateway = start(tools, "{}", &service);
    for path in ["/open", "/none"] {
        assert_eq!(gateway.get(path).status, 200);
    }
    assert_eq!(service.questions(), 0, "nobody has to be asked");
    let headers: &[(&str, &[u8])] = &[
        ("x-two", b"a"),
        ("x-two", b"b"),
        ("x-odd", b"\xff"),
        ("x-meshgate-cluster", b"elsewhere"),
        ("x-envoy-retry-on", b"5xx"),
        ("content-length", b"0"),
    ];
    assert_eq!(gateway.send("POST", "/a?b=c", headers).status, 200);
    let asked = service.last();
    assert_eq!(asked.path, "/envoy.service.auth.v3.Authorization/Check");
    let asked = CheckRequest::decode(asked.body.as_slice()).unwrap();
    let attributes = asked.attributes.unwrap();
    let context = attributes.context_extensions;
    assert_eq!(context.get("team").map(String::as_str), Some("books"));
    assert_eq!(context.get("tier").map(String::as_str), Some("gold"));
    let source = attributes.source.unwrap().address.unwrap();
    let source = source.socket_address.unwrap();
    assert_eq!(source.address, "127.0.0.1");
    assert_ne!(source.port, 0);
    let http = attributes.request.unwrap().http.unwrap();
    assert_eq!(
        (&*http.method, &*http.path, &*http.host, &*http.scheme),
        ("POST", "/a?b=c", "shop.example", "http")
    );
    assert_eq!((http.size, &*http.protocol), (0, "HTTP/1.1"));
    assert!(!http.id.is_empty());
    let header = |name| http.headers.get(name).map(String::as_str);
    assert_eq!(header("x-two"), Some("a,b"));
    assert_eq!(header("x-odd"), Some("\u{fffd}"));
    assert_eq!(header(":path"), Some("/a?b=c"));
    assert_eq!(header("x-meshgate-cluster"), None);
    assert_eq!(header("x-envoy-retry-on"), None);
    gateway.assert_unharmed();
}

fn allowed(tools: &Tools) {
    let service = Service::start(message(&pass()));
    let gateway = start(tools, "{}", &service);
    // An empty message is an answer as well.
    service.set(Behaviour::Message(Vec::new()));
    assert_eq!(gateway.get("/").status, 200);
    let ok = Allowed {
        headers: vec![
            set("X-User", "jason"),
            append("x-role", "admin"),
            set("x-meshgate-cluster", "elsewhere"),
            set("x-envoy-upstream-rq-timeout-ms", "1"),
            set(":path", "/elsewhere"),
            set("host", "elsewhere"),
            set("content-length", "7"),
            set("x-bad", "a\r\nx-injected: b"),
            set("bad name", "a"),
        ],
        headers_to_remove: vec![
            "x-secret".to_owned(),
            ":path".to_owned(),
            "x-envoy-expected-rq-timeout-ms".to_owned(),
        ],
        response_headers: vec![set("x-session", "17")],
    };
    service.set(message(&CheckResponse {
        http: Some(Http::Ok(ok)),
        ..pass()
    }));
    let headers: &[(&str, &[u8])] = &[
        ("x-user", b"mallory"),
        ("x-role", b"reader"),
        ("x-secret", b"s"),
    ];
    let response = gateway.send("GET", "/a", headers);
    assert_eq!(response.text("x-session"), Some("17"));
    let echo = echo(&response);
    assert_eq!(received(&echo, "x-user"), ["jason"]);
    assert_eq!(received(&echo, "x-role"), ["reader", "admin"]);
    for name in [
        "x-secret",
        "x-bad",
        "x-injected",
        "content-length",
        "x-meshgate-cluster",
    ] {
        assert_eq!(received(&echo, name), [""; 0], "{name}");
    }
    assert_eq!((&*echo.path, &*echo.authority), ("/a", "shop.example"));
    gateway.assert_unharmed();
}

fn denied(tools: &Tools) {
    let service = Service::start(message(&pass()));
    let gateway = start(tools, "{}", &service);
    let deny = |code| Denied {
        status: Some(Status { code }),
        headers: vec![
            set("www-authenticate", "Basic realm=shop"),
            append("set-cookie", "a=b"),
            append("set-cookie", "c=d"),
            set("content-length", "999"),
            set("x-bad", "a\r\nx-injected: b"),
        ],
        body: "who are you?".to_owned(),
    };
    let answer = |code, denied| CheckResponse {
        status: Some(Status { code }),
        http: Some(Http::Denied(denied)),
    };
    service.set(message(&answer(16, deny(401))));
    let response = gateway.get("/");
    assert_eq!(
        (response.status, &*response.body),
        (401, &b"who are you?"[..])
    );
    assert_eq!(response.text("www-authenticate"), Some("Basic realm=shop"));
    let cookies = response
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie");
    assert_eq!(cookies.count(), 2);
    assert_eq!(response.text("x-injected"), None);
    // A status that HTTP does not have, one that says nothing, and a refusal without any.
    for code in [0, 99, 600, -1] {
        service.set(message(&answer(7, deny(code))));
        assert_eq!(gateway.get("/").status, 403, "{code}");
    }
    service.set(message(&CheckResponse {
        status: Some(Status { code: 7 }),
        http: None,
    }));
    assert_eq!(gateway.get("/").status, 403);
    // An answer that says both is a refusal.
    service.set(message(&CheckResponse {
        status: Some(Status { code: 7 }),
        http: Some(Http::Ok(Allowed::default())),
    }));
    assert_eq!(gateway.get("/").status, 403);
    gateway.assert_unharmed();
}

/// Everything that is no answer.
fn failures() -> Vec<Behaviour> {
    vec![
        Behaviour::GrpcStatus(14),
        Behaviour::GrpcStatus(7),
        Behaviour::Message(b"rubbish".to_vec()),
        Behaviour::Message(vec![0xff; 10_000]),
        Behaviour::Http(200, Vec::new(), "rubbish"),
        Behaviour::Http(500, Vec::new(), ""),
        Behaviour::HangUp,
        Behaviour::Late(Duration::from_secs(5), pass().encode_to_vec()),
    ]
}

fn failures_refuse(tools: &Tools) {
    let service = Service::start(message(&pass()));
    let settings = "{requestTimeout: 200ms, statusOnError: 503}";
    let gateway = start(tools, settings, &service);
    for failure in failures() {
        service.set(failure.clone());
        let begin = Instant::now();
        assert_eq!(gateway.get("/").status, 503, "{failure:?}");
        assert!(begin.elapsed() < Duration::from_secs(3), "{failure:?}");
    }
    service.set(message(&pass()));
    assert_eq!(gateway.get("/").status, 200);
    gateway.assert_unharmed();
}

fn failures_allow(tools: &Tools) {
    let service = Service::start(message(&pass()));
    let settings = "{requestTimeout: 200ms, failureModeAllow: true}";
    let gateway = start(tools, settings, &service);
    for failure in failures() {
        service.set(failure.clone());
        assert_eq!(gateway.get("/").status, 200, "{failure:?}");
    }
    service.set(message(&CheckResponse {
        status: Some(Status { code: 7 }),
        http: None,
    }));
    assert_eq!(gateway.get("/").status, 403, "a refusal is no failure");
    gateway.assert_unharmed();
}

fn dead_service(tools: &Tools) {
    for (settings, status) in [
        ("{}", 403),
        ("{failureModeAllow: true}", 200),
        ("{httpService: {}}", 403),
        ("{httpService: {}, failureModeAllow: true}", 200),
    ] {
        let service = Service::start(message(&pass()));
        let gateway = start(tools, settings, &service);
        drop(service);
        for _ in 0..3 {
            assert_eq!(gateway.get("/").status, status, "{settings}");
        }
        gateway.assert_unharmed();
    }
}

fn by_http(tools: &Tools) {
    let service = Service::start(Behaviour::Http(
        200,
        vec![("x-user", "jason"), ("x-other", "1")],
        "",
    ));
    let settings = "{requestTimeout: 300ms, httpService: {pathPrefix: /check, \
                    request: {allowedHeaders: [X-Tenant], headersToAdd: {x-asker: gate}}, \
                    response: {allowedUpstreamHeaders: [x-user], allowedClientHeaders: [x-reason]}}}";
    let gateway = start(tools, settings, &service);
    let headers: &[(&str, &[u8])] = &[
        ("authorization", b"Bearer t"),
        ("x-tenant", b"books"),
        ("x-private", b"p"),
        ("x-asker", b"mallory"),
        ("x-user", b"mallory"),
    ];
    let response = gateway.send("PUT", "/a?b", headers);
    let echo = echo(&response);
    assert_eq!(received(&echo, "x-user"), ["jason"]);
    assert_eq!(received(&echo, "x-other"), [""; 0]);
    let asked = service.last();
    assert_eq!((&*asked.method, &*asked.path), ("PUT", "/check/a?b"));
    let header = |name| {
        asked
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    assert_eq!(header("authorization"), Some("Bearer t"));
    assert_eq!(header("x-tenant"), Some("books"));
    assert_eq!(header("x-asker"), Some("gate"));
    assert_eq!(header("x-private"), None);
    assert_eq!(header("host"), Some("shop.example"));

    let refusal = vec![
        ("x-reason", "expired"),
        ("x-internal", "1"),
        ("location", "/login"),
    ];
    service.set(Behaviour::Http(302, refusal, "go away"));
    let response = gateway.get("/");
    assert_eq!((response.status, &*response.body), (302, &b"go away"[..]));
    assert_eq!(response.text("x-reason"), Some("expired"));
    assert_eq!(response.text("location"), Some("/login"));
    assert_eq!(response.text("x-internal"), None);

    for failure in [
        Behaviour::Http(500, Vec::new(), ""),
        Behaviour::Http(503, Vec::new(), "rubbish"),
        Behaviour::HangUp,
        Behaviour::Late(Duration::from_secs(5), Vec::new()),
    ] {
        service.set(failure.clone());
        assert_eq!(gateway.get("/").status, 403, "{failure:?}");
    }
    gateway.assert_unharmed();
}

/// A service is asked about the request as the policies before it leave it: who a token is from, not what the client claims.
fn after_tokens(tools: &Tools) {
    let tokens = format!(
        "jwt: {{issuers: [{{issuer: i, jwks: '{}'}}], claimsToHeaders: [{{claim: [sub], header: x-user}}], allowMissing: true}}",
        jwks()
    );
    let auth = format!("{{{tokens}, extauth: {{customAuth: {{}}}}}}");
    let limit = format!(
        "{{{tokens}, rateLimit: {{raw: {{rateLimits: [{{actions: [{{requestHeaders: {{headerName: x-user, descriptorKey: user}}}}]}}]}}}}}}"
    );
    let key = TestKey::of("ES256").unwrap();
    let token = format!("Bearer {}", key.token(&json!({"iss": "i", "sub": "jason"})));
    let sent: &[(&str, &[u8])] = &[("x-user", b"admin"), ("authorization", token.as_bytes())];
    let nobody = &sent[..1];
    let resources = |settings: &str| {
        resources(
            &format!("{{extauth: {settings}, rateLimit: {{}}}}"),
            &[("/limit", &*limit), ("/", &*auth)],
        )
    };

    let limiter = Service::start(message(&RateLimitResponse::default()));
    let service = Service::start(message(&pass()));
    let services = [
        ("ext-auth-service", service.address),
        ("rate-limiter", limiter.address),
    ];
    let gateway = Gateway::start(
        tools,
        &resources("{requestBody: {maxRequestBytes: 8}}"),
        &services,
        1,
    );
    let body: &[(&str, &[u8])] = &[("content-length", b"0")];
    for (headers, user) in [(sent, Some("jason")), (nobody, None)] {
        for more in [&[][..], body] {
            echo(&gateway.send("POST", "/", &[headers, more].concat()));
            let asked = CheckRequest::decode(service.last().body.as_slice()).unwrap();
            let asked = asked.attributes.unwrap().request.unwrap().http.unwrap();
            assert_eq!(asked.headers.get("x-user").map(String::as_str), user);
            assert_eq!(asked.headers.get("authorization"), None);
        }
    }
    echo(&gateway.send("GET", "/limit", sent));
    let asked = RateLimitRequest::decode(limiter.last().body.as_slice()).unwrap();
    assert_eq!(asked.descriptors[0].entries[0].value, "jason");
    let questions = limiter.questions();
    echo(&gateway.send("GET", "/limit", nobody));
    assert_eq!(limiter.questions(), questions, "there is nobody to count");
    gateway.assert_unharmed();

    service.set(Behaviour::Http(200, Vec::new(), ""));
    let by_http = "{httpService: {request: {allowedHeaders: [x-user]}}}";
    let gateway = Gateway::start(tools, &resources(by_http), &services, 1);
    echo(&gateway.send("GET", "/", sent));
    let asked = service.last().headers;
    assert_eq!(
        asked.get_all("x-user").iter().collect::<Vec<_>>(),
        ["jason"]
    );
    echo(&gateway.send("GET", "/", nobody));
    assert_eq!(service.last().headers.get("x-user"), None);
    gateway.assert_unharmed();
}
