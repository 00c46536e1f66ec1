//! `meshgate package`. The tests with a registry need one: `docker-registry`, of the package of this name on Debian, on the
//! PATH or as $MESHGATE_REGISTRY; those with an Envoy say what they need in `envoy.rs`.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use meshgate_compiler::package::packaged;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::envoy::{free_port, get, tools};
use crate::folder::Folder;

/// The least that a program can be added to.
const FILTER: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "meshgate_packaged_size") (result i32) (i32.const 0))
    (func (export "meshgate_packaged_copy") (param i32)))"#;

/// A folder with a filter and the program of the shop.
fn folder() -> Folder {
    let folder = Folder::shop();
    folder.write("filter.wasm", &wat::parse_str(FILTER).unwrap());
    let compile = ["compile", "gateway.yaml", "host.yaml", "--generation", "g7"];
    let program = ["--target", "program", "-o", "routes.bin"];
    folder.run(&[&compile[..], &program].concat()).ended_with(0);
    folder
}

fn read(folder: &Folder, name: &str) -> Vec<u8> {
    std::fs::read(folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn digest(bytes: &[u8]) -> String {
    let digits: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{digits}")
}

/// The module in a layer, read as Istio does it.
fn plugin(layer: &[u8]) -> Vec<u8> {
    let mut archive = tar::Archive::new(GzDecoder::new(layer));
    let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
    assert_eq!(entry.path().unwrap(), Path::new("plugin.wasm"));
    let mut module = Vec::new();
    entry.read_to_end(&mut module).unwrap();
    module
}

#[test]
fn an_image_in_a_folder() {
    let folder = folder();
    let package = |output: &str| {
        let args = [
            "package",
            "routes.bin",
            "--filter",
            "filter.wasm",
            "--module",
            "m.wasm",
        ];
        folder
            .run(&[&args[..], &["-o", output]].concat())
            .ended_with(0)
            .json()
    };
    let said = package("image");
    assert_eq!(said["generation"], "g7");
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    assert_eq!(
        json(&read(&folder, "image/oci-layout")),
        json!({ "imageLayoutVersion": "1.0.0" })
    );
    let blob = |descriptor: &Value| {
        let name = descriptor["digest"].as_str().unwrap();
        let bytes = read(&folder, &format!("image/blobs/{}", name.replace(':', "/")));
        assert_eq!(digest(&bytes), name);
        assert_eq!(descriptor["size"], bytes.len());
        bytes
    };
    let index = json(&read(&folder, "image/index.json"));
    let manifest = blob(&index["manifests"][0]);
    assert_eq!(
        digest(&manifest),
        format!("sha256:{}", said["manifestSha256"].as_str().unwrap())
    );
    let manifest = json(&manifest);
    assert_eq!(
        manifest["mediaType"],
        "application/vnd.oci.image.manifest.v1+json"
    );
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    let layer = &manifest["layers"][0];
    assert_eq!(
        layer["mediaType"],
        "application/vnd.oci.image.layer.v1.tar+gzip"
    );
    let module = plugin(&blob(layer));
    assert_eq!(module, read(&folder, "m.wasm"));
    assert_eq!(packaged(&module), Ok(Some(read(&folder, "routes.bin"))));
    // Runtimes look for the layer as it is without compression.
    let mut archive = Vec::new();
    GzDecoder::new(&blob(layer)[..])
        .read_to_end(&mut archive)
        .unwrap();
    let config = json(&blob(&manifest["config"]));
    assert_eq!(config["rootfs"]["diff_ids"], json!([digest(&archive)]));
    // The same input, the same digest.
    assert_eq!(package("again"), said);
}

#[test]
fn what_cannot_be_packaged_is_named() {
    let folder = folder();
    folder.write("text", b"x");
    let package = |args: &[&str], code| folder.run(&[&["package"], args].concat()).ended_with(code);
    let out = ["--filter", "filter.wasm", "-o", "image"];
    package(&["routes.bin", "--filter", "filter.wasm"], 2).said("--output");
    package(&[&["none.bin"], &out[..]].concat(), 2).said("cannot read `none.bin`");
    package(&[&["text"], &out[..]].concat(), 1).said("`text`: not a meshgate routing program");
    package(&["routes.bin", "--filter", "text", "-o", "image"], 1)
        .said("the filter is not a wasm module");
    package(
        &["routes.bin", "--filter", "filter.wasm", "--push", "a/b"],
        2,
    )
    .said("is no place for an image");
    // Nobody listens there.
    let port = free_port();
    let place = format!("127.0.0.1:{port}/a:1");
    package(
        &["routes.bin", "--filter", "filter.wasm", "--push", &place],
        1,
    )
    .said("cannot push to");
}

/// A registry that is gone when it is dropped.
struct Registry {
    child: Child,
    port: u16,
    folder: Folder,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A name and a password (`secret`) as the registry keeps it.
const USERS: &str = "jane:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

impl Registry {
    fn start() -> Option<Self> {
        let program = match env::var_os("MESHGATE_REGISTRY") {
            Some(path) => Some(PathBuf::from(path)),
            None => env::split_paths(&env::var_os("PATH")?)
                .map(|folder| folder.join("docker-registry"))
                .find(|path| path.is_file()),
        };
        let Some(program) = program else {
            println!("skipped: there is no docker-registry");
            return None;
        };
        let folder = Folder::new(&[("users", USERS)]);
        let port = free_port();
        let config = json!({
            "version": "0.1",
            "storage": { "filesystem": { "rootdirectory": folder.path().join("images") } },
            "http": { "addr": format!("127.0.0.1:{port}") },
            "auth": { "htpasswd": { "realm": "shop", "path": folder.path().join("users") } },
        });
        let config = folder.write("config.yml", config.to_string().as_bytes());
        let child = Command::new(program)
            .arg("serve")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(port);
        let registry = Self {
            child,
            port,
            folder,
        };
        let login = json!({ "auths": { registry.host(): { "auth": "amFuZTpzZWNyZXQ=" } } });
        registry
            .folder
            .write("docker/config.json", login.to_string().as_bytes());
        Some(registry)
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn fetch(&self, path: &str) -> Vec<u8> {
        let url = format!("http://{}/v2/shop/east/{path}", self.host());
        let mut answer = ureq::get(&url)
            .header("authorization", "Basic amFuZTpzZWNyZXQ=")
            .header("accept", "application/vnd.oci.image.manifest.v1+json")
            .call()
            .unwrap();
        answer.body_mut().read_to_vec().unwrap()
    }
}

/// Waits until a server listens.
fn wait_for(port: u16) {
    let until = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "nobody listens on port {port}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_registry_gives_back_what_was_pushed() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let folder = folder();
    let place = format!("{}/shop/east:7", registry.host());
    let args = [
        "package",
        "routes.bin",
        "--filter",
        "filter.wasm",
        "--push",
        &place,
    ];
    let push = |login: &str| {
        let login = registry.folder.path().join(login);
        let output = folder
            .command(&args)
            .env("DOCKER_CONFIG", login)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, _, stderr) = push("nobody");
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains(&format!("run `docker login {}`", registry.host())),
        "{stderr}"
    );

    // The second time everything is there already.
    for _ in 0..2 {
        let (code, stdout, stderr) = push("docker");
        assert_eq!(code, Some(0), "{stderr}");
        let said: Value = serde_json::from_str(&stdout).unwrap();
        let manifest = registry.fetch("manifests/7");
        assert_eq!(
            said["image"],
            format!("oci://{place}@{}", digest(&manifest))
        );
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let layer = manifest["layers"][0]["digest"].as_str().unwrap();
        let module = plugin(&registry.fetch(&format!("blobs/{layer}")));
        assert_eq!(packaged(&module), Ok(Some(read(&folder, "routes.bin"))));
    }
}

/// A registry that wants a token, and tells each request that it got.
fn registry_with_tokens() -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                match line.trim_end() {
                    "" => break,
                    line => head.push(line.to_owned()),
                }
            }
            let value = |name: &str| {
                let mut lines = head.iter().filter_map(|line| line.split_once(": "));
                lines
                    .find(|(found, _)| found.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value)
            };
            let length = value("content-length").map_or(0, |length| length.parse().unwrap());
            std::io::copy(&mut (&mut stream).take(length), &mut std::io::sink()).unwrap();
            let request = head[0].trim_end_matches(" HTTP/1.1").to_owned();
            let is_known = value("authorization") == Some("Bearer t");
            let (status, more, body) = match request.split_once(' ').unwrap() {
                ("GET", _) => ("200 OK", String::new(), r#"{"token":"t"}"#),
                _ if !is_known => {
                    let challenge = format!(
                        "www-authenticate: Bearer realm=\"http://127.0.0.1:{port}/token\",service=\"reg\",scope=\"repository:a:pull,push\"\r\n"
                    );
                    ("401 Unauthorized", challenge, "")
                }
                ("HEAD", _) => ("404 Not Found", String::new(), ""),
                ("POST", _) => ("202 Accepted", "location: /up?x=1\r\n".to_owned(), ""),
                _ => ("201 Created", String::new(), ""),
            };
            sender.send(request).unwrap();
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\n{more}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    (port, requests)
}

#[test]
fn a_registry_may_want_a_token() {
    let folder = folder();
    let (port, requests) = registry_with_tokens();
    let place = format!("127.0.0.1:{port}/a:1");
    let args = [
        "package",
        "routes.bin",
        "--filter",
        "filter.wasm",
        "--push",
        &place,
    ];
    let nobody = folder.path().join("nobody");
    let output = folder
        .command(&args)
        .env("DOCKER_CONFIG", nobody)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let requests: Vec<String> = requests.try_iter().collect();
    let methods: Vec<&str> = requests
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let expected = [
        "HEAD", "GET", "HEAD", "POST", "PUT", "HEAD", "POST", "PUT", "PUT",
    ];
    assert_eq!(methods, expected, "{requests:?}");
    assert_eq!(
        requests[1],
        "GET /token?scope=repository%3Aa%3Apull%2Cpush&service=reg"
    );
    assert!(
        requests[4].starts_with("PUT /up?x=1&digest=sha256:"),
        "{requests:?}"
    );
    assert_eq!(requests[8], "PUT /v2/a/manifests/1");
}

#[test]
fn envoy_serves_a_packaged_module_without_configuration() {
    let Some((envoys, filter)) = tools() else {
        return;
    };
    for envoy in envoys {
        let folder = folder();
        let filter = filter.to_str().unwrap();
        let package = [
            "package",
            "routes.bin",
            "--filter",
            filter,
            "--module",
            "m.wasm",
        ];
        folder.run(&package).ended_with(0);
        let port = free_port();
        let compile = [
            "compile",
            "gateway.yaml",
            "host.yaml",
            "--target",
            "envoy",
            "--filter",
            "m.wasm",
        ];
        let port_text = port.to_string();
        let bootstrap = folder
            .run(&[&compile[..], &["--port", &port_text]].concat())
            .ended_with(0);
        let mut bootstrap = bootstrap.json();
        assert_eq!(without_configuration(&mut bootstrap), 1);
        folder.write("envoy.json", bootstrap.to_string().as_bytes());
        let mut child = Command::new(envoy)
            .args([
                "-c",
                "envoy.json",
                "--disable-hot-restart",
                "--concurrency",
                "1",
            ])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(port);
        let answer = get(port, "/hello");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 203 ") && answer.ends_with("\r\n\r\nhi"),
            "{answer}"
        );
    }
}

/// Takes the configuration of every wasm filter away; returns how many there were.
fn without_configuration(value: &mut Value) -> usize {
    match value {
        Value::Object(fields) => {
            let is_plugin = fields.contains_key("vm_config");
            let own = usize::from(is_plugin && fields.remove("configuration").is_some());
            own + fields
                .values_mut()
                .map(without_configuration)
                .sum::<usize>()
        }
        Value::Array(values) => values.iter_mut().map(without_configuration).sum(),
        _ => 0,
    }
}
