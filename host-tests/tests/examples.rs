//! The examples: nothing is to be remarked on them, and the demo shows them. Their requests go through every executor in
//! `cases.rs`.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use meshgate_compiler::compile::{CompileOptions, compile};
use meshgate_compiler::manifest::envoy::{EnvoyOptions, bootstrap};
use meshgate_compiler::manifest::settings::FilterSettings;
use meshgate_compiler::source::FileId;
use meshgate_compiler::upstreams::{self, Upstreams};
use meshgate_compiler::{load, render};
use meshgate_host_tests::envoy::client::{self, request_head};
use meshgate_host_tests::tools;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// The folders in a folder.
fn folders(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the examples are there");
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let mut folders: Vec<_> = paths.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

/// The examples without clusters.
fn examples() -> Vec<PathBuf> {
    let mut examples = folders(&directory());
    examples.retain(|path| !path.ends_with("architectures"));
    examples
}

/// What `meshgate check` and `meshgate run` say about a folder.
fn findings(example: &Path) -> String {
    findings_in(example, &[], None)
}

/// The same with inventories of clusters, for the gateways of one of them.
fn findings_in(example: &Path, inventories: &[(String, PathBuf)], own: Option<&str>) -> String {
    let (mut sources, mut diagnostics) = load::read(&[example.to_owned()], &mut io::empty());
    for (cluster, path) in inventories {
        let paths = [path.clone()];
        load::read_inventory(
            cluster,
            &paths,
            &mut io::empty(),
            &mut sources,
            &mut diagnostics,
        );
    }
    let options = CompileOptions {
        cluster: own.map(str::to_owned),
        ..CompileOptions::default()
    };
    let compiled = compile(&sources, &options, &mut diagnostics);
    let mut files = (0..).map(FileId).zip(sources.files());
    let (file, _) = files
        .find(|(_, file)| Path::new(&file.name).ends_with(upstreams::FILE_NAME))
        .expect("every example says where its services are");
    let upstreams = Upstreams::read(&sources, file, &mut diagnostics);
    let options = EnvoyOptions {
        listen: [127, 0, 0, 1].into(),
        ports: &compiled.ports,
        admin: None,
        filter: Path::new("filter.wasm"),
        access_log: false,
        settings: &FilterSettings::default(),
    };
    bootstrap(
        &compiled.tree,
        &compiled.resources,
        compiled.program.as_deref().unwrap_or_default(),
        &upstreams,
        &options,
        &mut diagnostics,
    );
    render::lines(&diagnostics, &sources)
}

#[test]
fn nothing_is_to_be_remarked_on() {
    for example in examples() {
        assert_eq!(findings(&example), "", "{}", example.display());
        assert!(example.join("README.md").is_file(), "{}", example.display());
    }
}

#[test]
fn nothing_is_to_be_remarked_on_the_architectures() {
    let architectures = folders(&directory().join("architectures"));
    assert_eq!(architectures.len(), 4);
    for example in architectures {
        let clusters = folders(&example);
        let inventories: Vec<(String, PathBuf)> = clusters
            .iter()
            .map(|path| {
                let name = path.file_name().expect("a name").display().to_string();
                (name, path.join("inventory.yaml"))
            })
            .collect();
        let gateways = clusters
            .iter()
            .filter(|path| path.join("requests.yaml").is_file())
            .map(|path| path.file_name().expect("a name").display().to_string());
        for own in gateways {
            let findings = findings_in(&example, &inventories, Some(&own));
            assert_eq!(findings, "", "{} in {own}", example.display());
        }
        assert!(example.join("README.md").is_file(), "{}", example.display());
    }
}

/// The demo with a filter, if there is one.
fn demo() -> Option<Command> {
    match tools::filter() {
        Ok(filter) => {
            let mut demo = Command::new(env!("CARGO_BIN_EXE_meshgate-demo"));
            demo.arg("--filter").arg(filter);
            Some(demo)
        }
        Err(reason) => left_out(&reason),
    }
}

fn left_out<T>(reason: &str) -> Option<T> {
    assert!(!tools::envoy_is_required(), "{reason}");
    eprintln!("left out: {reason}");
    None
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_demo_shows_every_example_without_an_envoy() {
    for example in examples() {
        let Some(mut demo) = demo() else { return };
        let output = demo
            .arg("--example")
            .arg(&example)
            .output()
            .expect("the demo runs");
        let stdout = stdout(&output);
        assert!(output.status.success(), "{stdout}");
        assert!(stdout.contains("pass  GET /"), "{stdout}");
        assert!(!stdout.contains("FAIL"), "{stdout}");
    }
}

#[test]
fn the_demo_tells_what_fails() {
    let Some(mut demo) = demo() else { return };
    let example = tempfile::tempdir().expect("a temporary folder");
    let original = directory().join("forward");
    fs::copy(
        original.join("resources.yaml"),
        example.path().join("resources.yaml"),
    )
    .expect("resources to copy");
    let requests = "\
- name: good
  request: {url: 'http://shop.example/cart/1'}
  expect: {outcome: route, path: /1}
- name: bad
  request: {url: 'http://shop.example/cart/2'}
  expect: {outcome: redirect, path: /2}
";
    fs::write(example.path().join("requests.yaml"), requests).expect("requests are written");
    let output = demo
        .arg("--example")
        .arg(example.path())
        .output()
        .expect("the demo runs");
    let stdout = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(
        stdout.contains("bad: outcome: expected \"redirect\", got \"route\""),
        "{stdout}"
    );
    assert!(
        stdout.contains("1 of 2 requests came out as expected"),
        "{stdout}"
    );
}

#[test]
fn the_demo_keeps_an_envoy_running_until_it_is_told_to_end() {
    let Some(mut demo) = demo() else { return };
    let envoy = match tools::envoy() {
        Ok(envoy) => envoy,
        Err(reason) => {
            left_out::<()>(&reason);
            return;
        }
    };
    let mut demo = Running(
        demo.arg("--envoy")
            .arg(envoy)
            .arg("--keep")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the demo starts"),
    );
    let mut lines = BufReader::new(demo.0.stdout.take().expect("a pipe"));
    let mut shown = String::new();
    while !shown.ends_with("Ctrl-C ends it.\n") {
        let length = lines.read_line(&mut shown).expect("text");
        assert!(length > 0, "the demo has ended: {shown}");
    }
    assert!(!shown.contains("FAIL"), "{shown}");
    let command = "curl -i 'http://";
    let url = &shown[shown.find(command).expect("a command") + command.len()..];
    let address: SocketAddr = url[..url.find('/').expect("a path")]
        .parse()
        .expect("an address");
    let headers: [(&str, &[u8]); 1] = [("host", b"bookinfo.example.com")];
    let response = client::send(address, &request_head("GET", b"/productpage", headers))
        .expect("it is served");
    assert_eq!(response.status, 200);

    // The shell's own: small systems have no program of that name.
    let killed = Command::new("sh")
        .args(["-c", &format!("kill {}", demo.0.id())])
        .status()
        .expect("kill runs");
    assert!(killed.success());
    lines.read_to_string(&mut shown).expect("text");
    assert!(demo.0.wait().expect("an end").success());
    client::send(address, &request_head("GET", b"/productpage", headers))
        .expect_err("Envoy has ended as well");
}

/// A process that does not outlive a test that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
