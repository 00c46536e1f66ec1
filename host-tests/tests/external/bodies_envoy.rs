//! Bodies by HTTP/2, with trailers; and what Envoy's own filter does with the same settings.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use hyper_util::rt::{TokioExecutor, TokioIo};
use meshgate_host_tests::envoy::client::send;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::Tools;
use crate::bodies::{FRAMINGS, Got, PROTOCOLS, Protocol, Scene, letters, post};

/// Puts Envoy's own filter in the place of the gateway's.
fn native(bootstrap: &mut Value, protocol: Protocol, max_bytes: u32, allow_partial: bool) {
    let listener = &mut bootstrap["static_resources"]["listeners"][0];
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    let of = |service: &str| format!("outbound|{service}.platform.svc.cluster.local");
    let mut filter = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "with_request_body": {
            "max_request_bytes": max_bytes,
            "allow_partial_message": allow_partial,
            "pack_as_bytes": protocol == Protocol::Bytes,
        },
    });
    match protocol {
        Protocol::Text | Protocol::Bytes => {
            filter["grpc_service"] = json!({
                "envoy_grpc": { "cluster_name": of("8083||ext-auth-service"), "authority": "authorizer" },
                "timeout": "2s",
            });
        }
        Protocol::Http => {
            filter["http_service"] = json!({ "server_uri": {
                "uri": "http://authorizer", "cluster": of("8082||ext-auth-service"), "timeout": "2s",
            } });
        }
    }
    manager["http_filters"][0] = json!({ "name": "authorization", "typed_config": filter });
    manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"] =
        json!({ "cluster": of("9080||shop") });
}

/// What has become of a request: status and body for the client, what the service got, and the shop.
type Outcome = (u16, Vec<u8>, Option<Got>, Option<Vec<u8>>);

fn outcomes(scene: &Scene, requests: &[Vec<u8>]) -> Vec<Outcome> {
    let outcome = |request: &Vec<u8>| {
        let (asked, sold) = (scene.authorizer.questions(), scene.shop.questions());
        let response = send(scene.gateway.address, request).unwrap();
        let was_asked = scene.authorizer.questions() > asked;
        let was_sold = scene.shop.questions() > sold;
        (
            response.status,
            response.body,
            was_asked.then(|| scene.got()),
            was_sold.then(|| scene.shop.last().body),
        )
    };
    requests.iter().map(outcome).collect()
}

pub(crate) fn compare(tools: &Tools) {
    let lengths = [0, 1, 99, 100, 101, 5_000];
    let requests: Vec<Vec<u8>> = FRAMINGS
        .into_iter()
        .flat_map(|framing| lengths.map(|length| post("/", framing, &letters(length))))
        .collect();
    for protocol in PROTOCOLS {
        for allow_partial in [false, true] {
            let body = format!("maxRequestBytes: 100, allowPartialMessage: {allow_partial}");
            let own = Scene::new(tools, protocol, &body);
            let envoys = Scene::with(tools, protocol, &body, "", |bootstrap| {
                native(bootstrap, protocol, 100, allow_partial);
            });
            let (own, envoys) = (outcomes(&own, &requests), outcomes(&envoys, &requests));
            for ((own, envoys), request) in own.iter().zip(&envoys).zip(&requests) {
                let request = String::from_utf8_lossy(request);
                assert_eq!(own, envoys, "{protocol:?} {body}: {request}");
            }
        }
    }
}

/// A trailer ends the body, and lets no request pass.
pub(crate) fn trailers(tools: &Tools) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (protocol, settings, statuses) in [
        (
            Protocol::Bytes,
            "maxRequestBytes: 100",
            [200, 200, 200, 413],
        ),
        (
            Protocol::Http,
            "maxRequestBytes: 100, allowPartialMessage: true",
            [200; 4],
        ),
    ] {
        let scene = Scene::new(tools, protocol, settings);
        for (length, status) in [0, 1, 100, 101].into_iter().zip(statuses) {
            let body = letters(length);
            let got = runtime.block_on(with_trailers(&scene, &body));
            assert_eq!(got, status, "{protocol:?} {settings} {length}");
            if status == 200 {
                let part = body.get(..length.min(100)).unwrap().to_vec();
                let is_partial = (length > 100).to_string();
                assert_eq!(scene.got(), (part, Some(is_partial)), "{settings} {length}");
                assert_eq!(scene.shop.last().body, body);
            }
        }
        let (asked, sold) = (scene.authorizer.questions(), scene.shop.questions());
        assert_eq!(asked, sold, "nobody passes unasked");
        scene.gateway.assert_unharmed();
    }
}

async fn with_trailers(scene: &Scene, body: &[u8]) -> u16 {
    let stream = TcpStream::connect(scene.gateway.address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "17".parse().unwrap());
    let body = Full::new(Bytes::copy_from_slice(body))
        .with_trailers(std::future::ready(Some(Ok(trailers))));
    let request = hyper::Request::post("http://shop.example/")
        .body(body)
        .unwrap();
    client
        .send_request(request)
        .await
        .unwrap()
        .status()
        .as_u16()
}
