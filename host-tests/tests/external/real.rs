//! Servers that others have written: Istio's authorization server, and the standard rate limit server with Redis.
//! `cargo xtask test` builds them where there is Go, and says where they are.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::load;
use meshgate_compiler::manifest::ratelimit;

use crate::gateway::{Gateway, echo, received, resources, wait_for};
use crate::{Test, Tools};

/// The tests for which there are servers.
pub(crate) fn tests() -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    let mut add = |test, servers: &[&str]| match servers.iter().find(|name| server(name).is_none())
    {
        None => tests.push(test),
        Some(missing) => println!("{} is left out: {missing} is not set", test.0),
    };
    add(
        ("real/authorization_server", authorization_server),
        &["MESHGATE_EXTAUTHZ"],
    );
    add(
        ("real/rate_limit_server", rate_limit_server),
        &["MESHGATE_RATELIMIT", "MESHGATE_REDIS"],
    );
    tests
}

fn server(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// A server that is ended when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts a server, and waits until it accepts connections.
#[track_caller]
fn run(command: &mut Command, port: u16) -> Running {
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let running = Running(child.unwrap());
    let address = local(port);
    wait_for("a server", || TcpStream::connect(address).ok());
    running
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(local(0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Lets requests with the header `x-ext-authz: allow` pass, and says so in more headers.
fn authorization_server(tools: &Tools) {
    let (grpc, http) = (free_port(), free_port());
    let _server = run(
        Command::new(server("MESHGATE_EXTAUTHZ").unwrap()).args([
            "-grpc",
            &grpc.to_string(),
            "-http",
            &http.to_string(),
        ]),
        grpc,
    );
    wait_for("a server", || TcpStream::connect(local(http)).ok());
    let by_http = "{extauth: {httpService: {request: {allowedHeaders: [x-ext-authz]}, \
                   response: {allowedUpstreamHeaders: [x-ext-authz-check-result]}}}}";
    for (settings, port) in [("{extauth: {}}", grpc), (by_http, http)] {
        let resources = resources(settings, &[("/", "{extauth: {customAuth: {}}}")]);
        let services = [("ext-auth-service", local(port))];
        let gateway = Gateway::start(tools, &resources, &services, 1);
        let result = "x-ext-authz-check-result";
        let headers: &[(&str, &[u8])] = &[("x-ext-authz", b"allow"), (result, b"forged")];
        let response = gateway.send("GET", "/a", headers);
        assert_eq!(received(&echo(&response), result), ["allowed"]);
        for value in [&b"deny"[..], b""] {
            let response = gateway.send("GET", "/a", &[("x-ext-authz", value)]);
            assert_eq!(response.status, 403);
            assert_eq!(response.text(result), Some("denied"));
            let body = String::from_utf8(response.body).unwrap();
            assert!(body.contains("denied by ext_authz"), "{body}");
        }
        gateway.assert_unharmed();
    }
}

const LIMITS: &str = "
---
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: RateLimitServerConfig
metadata: {name: users, namespace: platform, labels: {limits: shop}}
spec:
  raw:
    descriptors:
    - key: user
      rateLimit: {unit: HOUR, requestsPerUnit: 3}
      descriptors: []
    - key: user
      value: vip
      rateLimit: {unit: HOUR, requestsPerUnit: 5}
    - key: header_match
      value: 'odd: \"name\"'
      descriptors:
      - key: remote_address
        rateLimit: {unit: DAY, requestsPerUnit: 1}
";

fn rate_limit_server(tools: &Tools) {
    let routes = [
        (
            "/users",
            "{rateLimit: {ratelimitServerConfigSelector: {labels: {limits: shop}}, raw: {rateLimits: [\
             {actions: [{requestHeaders: {headerName: x-user, descriptorKey: user}}]}]}}}",
        ),
        (
            "/once",
            "{rateLimit: {ratelimitServerConfigSelector: {labels: {limits: shop}}, raw: {rateLimits: [\
             {actions: [{headerValueMatch: {descriptorValue: 'odd: \"name\"', headers: [{name: x-odd}]}}, \
             {remoteAddress: {}}]}]}}}",
        ),
    ];
    let settings = "{rateLimit: {denyOnFail: true, requestTimeout: 2s}}";
    let resources = resources(settings, &routes) + LIMITS;
    let (_, loaded, _) = load::from_text("resources.yaml", &resources);
    let mut diagnostics = Diagnostics::default();
    let configuration = ratelimit::configuration(&loaded, &mut diagnostics);
    assert!(diagnostics.list().is_empty());
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("ratelimit/config");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("limits.yaml"), configuration).unwrap();

    let (redis, port) = (free_port(), free_port());
    let _redis = run(
        Command::new(server("MESHGATE_REDIS").unwrap())
            .args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"])
            .args(["--port", &redis.to_string()])
            .current_dir(folder.path()),
        redis,
    );
    let _server = run(
        Command::new(server("MESHGATE_RATELIMIT").unwrap())
            .env("USE_STATSD", "false")
            .env("REDIS_SOCKET_TYPE", "tcp")
            .env("REDIS_URL", local(redis).to_string())
            .env("RUNTIME_ROOT", folder.path())
            .env("RUNTIME_SUBDIRECTORY", "ratelimit")
            .env("RUNTIME_WATCH_ROOT", "false")
            .env("LIMIT_RESPONSE_HEADERS_ENABLED", "true")
            .env("HOST", "127.0.0.1")
            .env("PORT", free_port().to_string())
            .env("GRPC_HOST", "127.0.0.1")
            .env("GRPC_PORT", port.to_string())
            .env("DEBUG_HOST", "127.0.0.1")
            .env("DEBUG_PORT", free_port().to_string()),
        port,
    );
    let gateway = Gateway::start(tools, &resources, &[("rate-limiter", local(port))], 1);
    let statuses = |user: &str, count: usize| -> Vec<u16> {
        let headers = [("x-user", user.as_bytes())];
        let requests = (0..count).map(|_| gateway.send("GET", "/users", &headers));
        requests.map(|response| response.status).collect()
    };
    assert_eq!(statuses("jason", 5), [200, 200, 200, 429, 429]);
    assert_eq!(statuses("jane", 4), [200, 200, 200, 429]);
    assert_eq!(statuses("vip", 6), [200, 200, 200, 200, 200, 429]);
    let refused = gateway.send("GET", "/users", &[("x-user", b"jason")]);
    assert_eq!(refused.text("ratelimit-remaining"), Some("0"));
    assert_eq!(gateway.get("/users").status, 200, "nobody is counted");
    let odd: &[(&str, &[u8])] = &[("x-odd", b"1")];
    let once = || gateway.send("GET", "/once", odd).status;
    assert_eq!([once(), once()], [200, 429]);
    gateway.assert_unharmed();
}
