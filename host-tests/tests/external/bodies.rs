//! External authorization that gets the bodies of requests.

use std::time::{Duration, Instant};

use meshgate_host_tests::envoy::client::{Connection, Response, request_head, send};
use meshgate_host_tests::proto::{CheckRequest, CheckResponse, Status};
use prost::Message;

use crate::authorization::pass;
use crate::gateway::{Gateway, resources, wait_for};
use crate::service::{Asked, Behaviour, Service, message};
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[
    ("bodies/whole", whole),
    ("bodies/too_long", too_long),
    ("bodies/partial", partial),
    ("bodies/partial_before_the_end", partial_before_the_end),
    ("bodies/none", none),
    ("bodies/only_where_asked", only_where_asked),
    ("bodies/refusals_and_failures", refusals_and_failures),
    ("bodies/other_waits", other_waits),
    ("bodies/clients_that_leave", clients_that_leave),
    ("bodies/like_envoy", crate::bodies_envoy::compare),
    ("bodies/trailers", crate::bodies_envoy::trailers),
];

/// How the service is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Text,
    Bytes,
    Http,
}

pub(crate) const PROTOCOLS: [Protocol; 3] = [Protocol::Text, Protocol::Bytes, Protocol::Http];

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length,
    Chunks,
}

pub(crate) const FRAMINGS: [Framing; 2] = [Framing::Length, Framing::Chunks];

const PARTIAL: &str = "x-envoy-auth-partial-body";

/// What the service got of a body, and whether that is the beginning only.
pub(crate) type Got = (Vec<u8>, Option<String>);

impl Protocol {
    /// `extauth` of a gateway.
    pub(crate) fn settings(self, body: &str, more: &str) -> String {
        match self {
            Protocol::Text => format!("{{{more}requestBody: {{{body}}}}}"),
            Protocol::Bytes => format!("{{{more}requestBody: {{packAsBytes: true, {body}}}}}"),
            Protocol::Http => format!("{{{more}httpService: {{}}, requestBody: {{{body}}}}}"),
        }
    }

    pub(crate) fn passes(self) -> Behaviour {
        match self {
            Protocol::Text | Protocol::Bytes => message(&pass()),
            Protocol::Http => Behaviour::Http(200, Vec::new(), ""),
        }
    }

    fn refuses(self) -> Behaviour {
        match self {
            Protocol::Text | Protocol::Bytes => message(&CheckResponse {
                status: Some(Status { code: 7 }),
                http: None,
            }),
            Protocol::Http => Behaviour::Http(403, Vec::new(), ""),
        }
    }

    pub(crate) fn got(self, asked: &Asked) -> Got {
        if self == Protocol::Http {
            let partial = asked.headers.get(PARTIAL);
            let partial = partial.map(|value| value.to_str().unwrap().to_owned());
            return (asked.body.clone(), partial);
        }
        let asked = CheckRequest::decode(asked.body.as_slice()).unwrap();
        let http = asked.attributes.unwrap().request.unwrap().http.unwrap();
        let partial = http.headers.get(PARTIAL).cloned();
        let (sent, other) = match self {
            Protocol::Bytes => (http.raw_body, http.body.into_bytes()),
            _ => (http.body.into_bytes(), http.raw_body),
        };
        assert_eq!(other, b"", "it is sent once");
        (sent, partial)
    }
}

/// A gateway between an authorization service and a shop that remembers what it gets.
pub(crate) struct Scene {
    pub(crate) protocol: Protocol,
    pub(crate) authorizer: Service,
    pub(crate) shop: Service,
    pub(crate) gateway: Gateway,
}

const ROUTES: &[(&str, &str)] = &[
    ("/open", "{extauth: {disable: true}}"),
    ("/none", "{}"),
    (
        "/slow",
        "{extauth: {customAuth: {}}, faultInjection: {fixedDelay: 300ms}}",
    ),
    ("/", "{extauth: {customAuth: {}}}"),
];

impl Scene {
    pub(crate) fn new(tools: &Tools, protocol: Protocol, body: &str) -> Scene {
        Scene::with(tools, protocol, body, "", |_| ())
    }

    pub(crate) fn with(
        tools: &Tools,
        protocol: Protocol,
        body: &str,
        more: &str,
        change: impl FnOnce(&mut serde_json::Value),
    ) -> Scene {
        let authorizer = Service::start(protocol.passes());
        let shop = Service::start(Behaviour::Http(200, Vec::new(), "sold"));
        let options = format!("{{extauth: {}}}", protocol.settings(body, more));
        let places = [
            ("ext-auth-service", authorizer.address),
            ("shop", shop.address),
        ];
        let resources = resources(&options, ROUTES);
        let gateway = Gateway::start_with(tools, &resources, &places, 1, change);
        Scene {
            protocol,
            authorizer,
            shop,
            gateway,
        }
    }

    pub(crate) fn post(&self, path: &str, framing: Framing, body: &[u8]) -> Response {
        send(self.gateway.address, &post(path, framing, body)).unwrap()
    }

    /// What the service got last.
    pub(crate) fn got(&self) -> Got {
        self.protocol.got(&self.authorizer.last())
    }
}

/// A request with a body.
pub(crate) fn post(path: &str, framing: Framing, body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let framed = match framing {
        Framing::Length => ("content-length", length.as_bytes()),
        Framing::Chunks => ("transfer-encoding", &b"chunked"[..]),
    };
    let headers = [("host", &b"shop.example"[..]), framed];
    let head = request_head("POST", path.as_bytes(), headers);
    match framing {
        Framing::Length => [head, body.to_vec()].concat(),
        Framing::Chunks => {
            let chunks = body.chunks(body.len().div_ceil(3).max(1)).map(chunk);
            let end = b"0\r\n\r\n".to_vec();
            std::iter::once(head)
                .chain(chunks)
                .chain([end])
                .flatten()
                .collect()
        }
    }
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let size = format!("{:x}\r\n", bytes.len());
    [size.as_bytes(), bytes, b"\r\n"].concat()
}

/// A body of letters that is nowhere like elsewhere.
pub(crate) fn letters(length: usize) -> Vec<u8> {
    let numbers = (0_usize..).flat_map(|number| format!("{number}.").into_bytes());
    numbers.take(length).collect()
}

fn whole(tools: &Tools) {
    for protocol in PROTOCOLS {
        let scene = Scene::new(tools, protocol, "maxRequestBytes: 200000");
        for framing in FRAMINGS {
            for length in [1, 4096, 4097, 199_999, 200_000] {
                let place = format!("{protocol:?} {framing:?} {length}");
                let body = letters(length);
                let response = scene.post("/", framing, &body);
                assert_eq!(
                    (response.status, &*response.body),
                    (200, &b"sold"[..]),
                    "{place}"
                );
                assert_eq!(
                    scene.got(),
                    (body.clone(), Some("false".to_owned())),
                    "{place}"
                );
                assert!(scene.shop.last().body == body, "{place}");
            }
        }
        // What is no text is replaced where text is sent, and only there.
        let odd: Vec<u8> = (0..=255).collect();
        assert_eq!(scene.post("/", Framing::Length, &odd).status, 200);
        let expected = match protocol {
            Protocol::Text => String::from_utf8_lossy(&odd).into_owned().into_bytes(),
            Protocol::Bytes | Protocol::Http => odd.clone(),
        };
        assert_eq!(scene.got().0, expected);
        assert_eq!(scene.shop.last().body, odd);
        // In pieces that come one by one, on a connection that is used again.
        let mut connection = Connection::open(scene.gateway.address).unwrap();
        for _ in 0..3 {
            for piece in post("/", Framing::Chunks, b"one by one").chunks(20) {
                connection.write(piece).unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(connection.receive().unwrap().status, 200);
            assert_eq!(scene.got().0, b"one by one");
            assert_eq!(scene.shop.last().body, b"one by one");
        }
        scene.gateway.assert_unharmed();
    }
}

fn too_long(tools: &Tools) {
    for (protocol, body, limit) in [
        (Protocol::Text, "maxRequestBytes: 10", 10),
        (Protocol::Bytes, "", 4096),
        (Protocol::Http, "maxRequestBytes: 0", 4096),
    ] {
        let scene = Scene::with(tools, protocol, body, "failureModeAllow: true, ", |_| ());
        for framing in FRAMINGS {
            for length in [limit + 1, 300_000, 3_000_000] {
                // The rest of a long body is not read; the connection ends before all of it is written.
                let mut connection = Connection::open(scene.gateway.address).unwrap();
                let request = post("/", framing, &letters(length));
                let written = request.get(..request.len().min(50_000)).unwrap();
                connection.write(written).unwrap();
                let response = connection.receive().unwrap();
                assert_eq!(response.status, 413, "{protocol:?} {framing:?} {length}");
                assert_eq!(response.body, b"Payload Too Large");
            }
        }
        assert_eq!(scene.authorizer.questions(), 0);
        assert_eq!(scene.shop.questions(), 0);
        assert_eq!(
            scene.post("/", Framing::Length, &letters(limit)).status,
            200
        );
        scene.gateway.assert_unharmed();
    }
}

fn partial(tools: &Tools) {
    for protocol in PROTOCOLS {
        let scene = Scene::new(
            tools,
            protocol,
            "allowPartialMessage: true, maxRequestBytes: 10",
        );
        for framing in FRAMINGS {
            // The longest does not fit into what Envoy buffers.
            for length in [9, 10, 11, 300_000, 3_000_000] {
                let place = format!("{protocol:?} {framing:?} {length}");
                let body = letters(length);
                assert_eq!(scene.post("/", framing, &body).status, 200, "{place}");
                let part = body.get(..length.min(10)).unwrap().to_vec();
                let is_partial = (length > 10).to_string();
                assert_eq!(scene.got(), (part, Some(is_partial)), "{place}");
                assert!(scene.shop.last().body == body, "{place}");
            }
        }
        scene.gateway.assert_unharmed();
    }
}

fn partial_before_the_end(tools: &Tools) {
    for protocol in [Protocol::Text, Protocol::Http] {
        let scene = Scene::new(
            tools,
            protocol,
            "allowPartialMessage: true, maxRequestBytes: 10",
        );
        let request = post("/", Framing::Length, &letters(100));
        let (beginning, rest) = request.split_at(request.len() - 50);
        let mut connection = Connection::open(scene.gateway.address).unwrap();
        connection.write(beginning).unwrap();
        wait_for("a question", || {
            (scene.authorizer.questions() == 1).then_some(())
        });
        connection.write(rest).unwrap();
        assert_eq!(connection.receive().unwrap().status, 200);
        assert_eq!(scene.shop.last().body, letters(100));
        // A refusal does not wait for the rest.
        scene.authorizer.set(protocol.refuses());
        let mut connection = Connection::open(scene.gateway.address).unwrap();
        connection.write(beginning).unwrap();
        assert_eq!(connection.receive().unwrap().status, 403);
        // Nor is anybody asked before it is known whether that is all, even if there is as much as the service gets.
        let request = post("/", Framing::Length, &letters(20));
        let mut connection = Connection::open(scene.gateway.address).unwrap();
        connection
            .write(request.get(..request.len() - 10).unwrap())
            .unwrap();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(scene.authorizer.questions(), 2);
        scene.gateway.assert_unharmed();
    }
}

fn none(tools: &Tools) {
    for protocol in [Protocol::Text, Protocol::Http] {
        let scene = Scene::new(tools, protocol, "maxRequestBytes: 10");
        let forged = (PARTIAL, &b"false"[..]);
        for (method, headers) in [
            ("GET", vec![forged]),
            ("POST", vec![("content-length", &b"0"[..]), forged]),
            (
                "GET",
                vec![("connection", b"upgrade"), ("upgrade", b"WebSocket")],
            ),
        ] {
            let host = [("host", &b"shop.example"[..])];
            let request = request_head(method, b"/", host.into_iter().chain(headers));
            let mut connection = Connection::open(scene.gateway.address).unwrap();
            let before = scene.authorizer.questions();
            connection.write(&request).unwrap();
            wait_for("a question", || {
                (scene.authorizer.questions() > before).then_some(())
            });
            assert_eq!(scene.got(), (Vec::new(), None), "{protocol:?} {method}");
        }
        // An empty one is one.
        assert_eq!(scene.post("/", Framing::Chunks, b"").status, 200);
        assert_eq!(scene.got(), (Vec::new(), Some("false".to_owned())));
        // What has a length is no WebSocket: its body is looked at.
        let headers = [
            ("host", &b"shop.example"[..]),
            ("connection", b"upgrade"),
            ("upgrade", b"websocket"),
            ("content-length", b"11"),
        ];
        let request = [request_head("POST", b"/", headers), letters(11)].concat();
        assert_eq!(send(scene.gateway.address, &request).unwrap().status, 413);
        scene.gateway.assert_unharmed();
    }
}

fn only_where_asked(tools: &Tools) {
    let scene = Scene::new(tools, Protocol::Text, "maxRequestBytes: 10");
    for path in ["/open", "/none"] {
        for framing in FRAMINGS {
            let body = letters(3_000_000);
            assert_eq!(scene.post(path, framing, &body).status, 200);
            assert!(scene.shop.last().body == body, "{path} {framing:?}");
        }
    }
    assert_eq!(scene.authorizer.questions(), 0);
    scene.gateway.assert_unharmed();
}

fn refusals_and_failures(tools: &Tools) {
    for protocol in [Protocol::Bytes, Protocol::Http] {
        for (more, status) in [("", 403), ("failureModeAllow: true, ", 200)] {
            let more = format!("requestTimeout: 200ms, {more}");
            let scene = Scene::with(tools, protocol, "", &more, |_| ());
            scene.authorizer.set(protocol.refuses());
            assert_eq!(scene.post("/", Framing::Chunks, b"please").status, 403);
            assert_eq!(scene.got().0, b"please");
            assert_eq!(scene.shop.questions(), 0);
            for failure in [
                Behaviour::HangUp,
                Behaviour::Http(500, Vec::new(), ""),
                Behaviour::Late(Duration::from_secs(5), pass().encode_to_vec()),
            ] {
                scene.authorizer.set(failure.clone());
                for framing in FRAMINGS {
                    let response = scene.post("/", framing, b"please");
                    assert_eq!(
                        response.status, status,
                        "{protocol:?} {framing:?} {failure:?}"
                    );
                    if status == 200 {
                        assert_eq!(scene.shop.last().body, b"please");
                    }
                }
            }
            scene.gateway.assert_unharmed();
        }
    }
}

/// The body comes while the request waits for something else.
fn other_waits(tools: &Tools) {
    for (body, length) in [
        ("maxRequestBytes: 100000", 100_000),
        (
            "allowPartialMessage: true, maxRequestBytes: 100000",
            3_000_000,
        ),
    ] {
        let scene = Scene::new(tools, Protocol::Bytes, body);
        for framing in FRAMINGS {
            let begin = Instant::now();
            assert_eq!(scene.post("/slow", framing, &letters(length)).status, 200);
            assert!(begin.elapsed() >= Duration::from_millis(300));
            let is_partial = (length > 100_000).to_string();
            assert_eq!(scene.got(), (letters(100_000), Some(is_partial)));
            assert!(scene.shop.last().body == letters(length));
        }
        // It goes on coming after that, too.
        let request = post("/slow", Framing::Length, &letters(length));
        let mut connection = Connection::open(scene.gateway.address).unwrap();
        connection.write(request.get(..1_000).unwrap()).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(scene.authorizer.questions(), 2);
        connection.write(request.get(1_000..).unwrap()).unwrap();
        assert_eq!(connection.receive().unwrap().status, 200);
        assert!(scene.shop.last().body == letters(length));
        scene.gateway.assert_unharmed();
    }
    let scene = Scene::new(tools, Protocol::Bytes, "maxRequestBytes: 10");
    let begin = Instant::now();
    assert_eq!(
        scene.post("/slow", Framing::Chunks, &letters(11)).status,
        413
    );
    assert!(begin.elapsed() >= Duration::from_millis(300));
    scene.gateway.assert_unharmed();
}

fn clients_that_leave(tools: &Tools) {
    let scene = Scene::new(tools, Protocol::Bytes, "maxRequestBytes: 100000");
    let late = Behaviour::Late(Duration::from_millis(20), pass().encode_to_vec());
    scene.authorizer.set(late);
    let request = post("/", Framing::Length, &letters(100_000));
    let leave = |number: usize| {
        let mut connection = Connection::open(scene.gateway.address).unwrap();
        // With the headers, amid the body, before its last byte, and while the service is asked.
        let ends = [60, 50_000, request.len() - 1, request.len()];
        let sent = ends.get(number % ends.len()).unwrap();
        connection.write(request.get(..*sent).unwrap()).unwrap();
        std::thread::sleep(Duration::from_micros(number as u64 % 7 * 2_000));
    };
    let many = |count: usize| {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let leave = &leave;
                scope.spawn(move || (0..count / 4).for_each(|number| leave(number + thread)));
            }
        });
        wait_for("requests to end", || {
            let active = scene
                .gateway
                .envoy
                .stat("http.platform/edge.downstream_rq_active");
            (active == Some(0)).then_some(())
        });
        // Questions end after the requests that they are about.
        std::thread::sleep(Duration::from_millis(200));
        scene.gateway.memory()
    };
    // Memory grows and stays while more is asked at a time than before. But a body lost with each question would be 5 MB in
    // every round.
    let sizes: Vec<u64> = (0..8).map(|_| many(200)).collect();
    let grown = sizes
        .windows(2)
        .map(|sizes| sizes[1].saturating_sub(sizes[0]));
    let least = grown.min().unwrap_or(u64::MAX);
    assert!(least < 2_000, "kB after rounds of 200 requests: {sizes:?}");
    assert_eq!(scene.post("/", Framing::Length, b"still there").status, 200);
    scene.gateway.assert_unharmed();
}
