//! A real Envoy takes what `compile` writes and serves it under `run`. Needs $MESHGATE_ENVOY, perhaps
//! $MESHGATE_ENVOY_OLD, and the filter ($MESHGATE_FILTER); without them these tests say so and pass,
//! unless $MESHGATE_REQUIRE_ENVOY is 1.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::folder::Folder;

/// Envoys to test with, and the filter.
pub(crate) fn tools() -> Option<(Vec<PathBuf>, PathBuf)> {
    let var = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let envoys: Vec<PathBuf> = ["MESHGATE_ENVOY", "MESHGATE_ENVOY_OLD"]
        .into_iter()
        .filter_map(var)
        .collect();
    match var("MESHGATE_FILTER") {
        Some(filter) if !envoys.is_empty() => Some((envoys, filter)),
        _ => {
            let required = env::var_os("MESHGATE_REQUIRE_ENVOY").is_some_and(|value| value == "1");
            assert!(!required, "MESHGATE_ENVOY and MESHGATE_FILTER are not set");
            println!("skipped: MESHGATE_ENVOY and MESHGATE_FILTER are not set");
            None
        }
    }
}

#[test]
fn envoy_accepts_the_bootstrap() {
    let Some((envoys, filter)) = tools() else {
        return;
    };
    let folder = Folder::shop();
    let output = Folder::new(&[]);
    let bootstrap = output.path().join("envoy.json");
    let bootstrap = bootstrap.to_str().unwrap();
    let filter = filter.to_str().unwrap();
    let upstreams = [
        "--upstream",
        "ratings.bookinfo=localhost:9081",
        "--upstream",
        "ratings.bookinfo:9080=[::1]:9081",
    ];
    for args in [
        &[][..],
        &upstreams[..2],
        &upstreams,
        &["--access-log", "--admin", "0", "--listen", "::"],
    ] {
        let args = [
            &[
                "compile", ".", "--target", "envoy", "--filter", filter, "-o", bootstrap,
            ],
            args,
        ]
        .concat();
        folder.run(&args).ended_with(0);
        for envoy in &envoys {
            let mut command = Command::new(envoy);
            let output = command
                .args(["--mode", "validate", "-c", bootstrap])
                .current_dir(folder.path())
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{args:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

#[test]
fn run_serves_until_it_is_told_to_stop() {
    let Some((envoys, filter)) = tools() else {
        return;
    };
    for envoy in &envoys {
        for signal in ["INT", "TERM"] {
            let folder = Folder::shop();
            let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
            let destination = format!("ratings.bookinfo={}", upstream.local_addr().unwrap());
            let port = free_port();
            let mut child = folder
                .command(&[
                    "run",
                    ".",
                    "--upstream",
                    &destination,
                    "--port",
                    &port.to_string(),
                ])
                .env("ENVOY", envoy)
                .env("MESHGATE_FILTER", &filter)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap())
                .lines()
                .map_while(Result::ok);
            let url = format!("shop/www at http://127.0.0.1:{port}");
            assert!(lines.any(|line| line == url), "`{url}` was not printed");

            let hello = get(port, "/hello");
            assert!(
                hello.starts_with("HTTP/1.1 203 ") && hello.ends_with("\r\n\r\nhi"),
                "{hello}"
            );
            let forwarded = std::thread::spawn(move || received(&upstream));
            assert!(get(port, "/ratings/1?x=1").starts_with("HTTP/1.1 204 "));
            let forwarded = forwarded.join().unwrap();
            assert!(
                forwarded.starts_with("GET /v1/1?x=1 HTTP/1.1\r\n"),
                "{forwarded}"
            );
            assert!(
                forwarded.contains("\r\nx-team: a\r\n") && !forwarded.contains("meshgate"),
                "{forwarded}"
            );

            stop(&child, signal);
            assert_eq!(child.wait().unwrap().code(), Some(0), "SIG{signal}");
            assert!(
                TcpStream::connect(("127.0.0.1", port)).is_err(),
                "Envoy still serves"
            );
        }
    }
}

#[test]
fn connections_are_forwarded_as_they_are() {
    let Some((envoys, filter)) = tools() else {
        return;
    };
    for envoy in &envoys {
        let folder = Folder::new(&[(
            "db.yaml",
            "\
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {name: db, namespace: shop}
spec:
  ingressGatewaySelectors: [{portName: tcp}]
  connectionHandlers: [{tcp: {tcpHosts: [{name: db, destination: {kube: {name: db, namespace: data}}}]}}]
",
        )]);
        let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
        let destination = format!("db.data={}", upstream.local_addr().unwrap());
        let port = free_port();
        let port_text = port.to_string();
        let args = ["run", ".", "--upstream", &destination, "--port", &port_text];
        let mut child = folder
            .command(&args)
            .env("ENVOY", envoy)
            .env("MESHGATE_FILTER", &filter)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let url = format!("shop/db at tcp://127.0.0.1:{port}");
        assert!(lines.any(|line| line == url), "`{url}` was not printed");
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.write_all(b"not HTTP at all").unwrap();
        let (mut server, _) = upstream.accept().unwrap();
        let mut seen = [0; 15];
        server.read_exact(&mut seen).unwrap();
        assert_eq!(&seen, b"not HTTP at all");
        server.write_all(b"answer").unwrap();
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
        stop(&child, "TERM");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn what_run_lacks_is_named() {
    let folder = Folder::shop();
    let run = |args: &[&str]| {
        let mut command = folder.command(&[&["run", "."], args].concat());
        let output = command.env("PATH", "").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    folder.write("f.wasm", b"");
    assert!(run(&[]).contains("the filter was not found: build it with `cargo xtask filter`"));
    assert!(run(&["--filter", "absent.wasm"]).contains("absent.wasm` is not a file"));
    assert!(run(&["--filter", "f.wasm"]).contains("cargo xtask envoy"));
    let missing = run(&["--filter", "f.wasm", "--envoy", "absent"]);
    assert!(missing.contains("--envoy is `absent`, which is not a file"));
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

pub(crate) fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: www.example.com\r\nx-meshgate-cluster: x\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Takes one request, answers it with 204 and returns its head.
fn received(upstream: &TcpListener) -> String {
    let (mut stream, _) = upstream.accept().unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    stream
        .write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        .unwrap();
    String::from_utf8(head).unwrap()
}

fn stop(child: &Child, signal: &str) {
    // The shell's own: small systems have no program of that name.
    let status = Command::new("sh")
        .args(["-c", &format!("kill -s {signal} {}", child.id())])
        .status()
        .unwrap();
    assert!(status.success());
}
