//! A folder with files, and the command run in it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A gateway that serves all virtual hosts of its namespace.
pub(crate) const GATEWAY: &str = "\
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualGateway
metadata: {name: www, namespace: shop}
spec:
  ingressGatewaySelectors: [{portName: http2}]
  connectionHandlers: [{http: {routeConfig: [{virtualHostSelector: {}}]}}]
";

/// A virtual host with an action of every kind. Line 18 names the service `ratings`.
pub(crate) const HOST: &str = "\
apiVersion: networking.enterprise.mesh.gloo.solo.io/v1beta1
kind: VirtualHost
metadata: {name: web, namespace: shop}
spec:
  domains: [www.example.com]
  options: {trafficPolicy: {requestTimeout: 5s}}
  routes:
  - name: ratings
    matchers: [{uri: {prefix: /ratings}}]
    options:
      retries: {attempts: 3}
      headerManipulation:
        removeRequestHeaders: [x-debug]
        appendRequestHeaders: {x-team: a}
    routeAction:
      pathRewrite: /v1
      destinations:
      - kubeService: {name: ratings, namespace: bookinfo, port: 9080}
  - name: old
    matchers: [{uri: {prefix: /old}}]
    redirectAction: {hostRedirect: new.example.com}
  - name: hello
    matchers: [{uri: {exact: /hello}}]
    directResponseAction: {status: 203, body: hi}
";

/// A folder that is gone when it is dropped.
pub(crate) struct Folder {
    folder: TempDir,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Folder {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        for (name, text) in files {
            folder.write(name, text.as_bytes());
        }
        folder
    }

    /// A folder that serves the gateway and the host.
    pub(crate) fn shop() -> Self {
        Self::new(&[("gateway.yaml", GATEWAY), ("host.yaml", HOST)])
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, bytes).expect("a file");
        path
    }

    /// A command that is run in the folder, in an environment that does not change what it does.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshgate"));
        command.args(args).current_dir(self.path());
        command
            .env_remove("MESHGATE_FILTER")
            .env_remove("ENVOY")
            .env_remove("NO_COLOR");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        self.run_with_input(args, "")
    }

    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Outcome {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A command that does not read its input may be gone by now.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("the command ends");
        Outcome {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).expect("messages are text"),
        }
    }
}

impl Outcome {
    /// Fails unless the command ended with a code.
    #[track_caller]
    pub(crate) fn ended_with(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout: {}\nstderr: {}",
            self.text(),
            self.stderr
        );
        self
    }

    /// Fails unless the messages contain a text.
    #[track_caller]
    pub(crate) fn said(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "`{text}` is not in: {}",
            self.stderr
        );
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output as one JSON value per line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        self.text().lines().map(parse).collect()
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}
