//! Serves an example, sends its requests, and shows what became of them.

#![forbid(unsafe_code)]

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use meshgate_compiler::compile::{CompileOptions, compile};
use meshgate_compiler::{load, render};
use meshgate_host_tests::cases::{Executor, Group, InEnvoy, read_example};
use meshgate_host_tests::demo;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Serve an example with the filter, send its requests, and show what became of them
///
/// Exits with 0 when every request came out as the example says.
#[derive(Debug, Parser)]
#[command(name = "meshgate-demo")]
struct Arguments {
    /// The filter's .wasm file
    #[arg(long, value_name = "FILE")]
    filter: PathBuf,

    /// The Envoy to run it in; without one it runs in the embedded host
    #[arg(long, value_name = "FILE")]
    envoy: Option<PathBuf>,

    /// Leave everything running until Ctrl-C, and print commands to try; needs an Envoy
    #[arg(long)]
    keep: bool,

    /// The example's folder, with resources and requests.yaml
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/bookinfo"))]
    example: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            // If nobody listens, the exit code is all there is to tell.
            let _ = writeln!(io::stderr(), "error: {reason}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(feature = "wasmtime")]
fn show_embedded(example: &Group, filter: &Path) -> Result<bool, String> {
    show(example, &meshgate_host_tests::cases::Wasmtime::new(filter)?)
}

#[cfg(not(feature = "wasmtime"))]
fn show_embedded(_: &Group, _: &Path) -> Result<bool, String> {
    Err("the embedded host was not built: name an Envoy, or build with default features".to_owned())
}

/// Whether every request came out as expected.
fn run(arguments: &Arguments) -> Result<bool, String> {
    check(&arguments.example)?;
    if !arguments.filter.is_file() {
        let filter = arguments.filter.display();
        return Err(format!(
            "there is no filter at `{filter}`: run `cargo xtask filter`"
        ));
    }
    let example = Arc::new(read_example(&arguments.example)?);
    let name = arguments.example.file_name().unwrap_or_default().display();
    let Some(envoy) = &arguments.envoy else {
        print(&format!(
            "{name} in the embedded host, without an Envoy: no request leaves this process,\n\
             and every destination is taken to answer with 200\n\n"
        ))?;
        let passed = show_embedded(&example, &arguments.filter)?;
        if arguments.keep {
            print(
                "There is nothing to keep running: only an Envoy has ports to send requests to.\n",
            )?;
        }
        return Ok(passed);
    };
    print(&format!("{name} in {}\n\n", envoy.display()))?;
    // From here on a signal must not end this process before it has stopped Envoy.
    let signals = Signals::catch().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let groups = vec![Arc::clone(&example)];
    let executor = InEnvoy::new("envoy", envoy, &arguments.filter, groups);
    let passed = show(&example, &executor)?;
    if arguments.keep {
        let address = executor.address(&example).ok_or("Envoy does not listen")?;
        print(&commands(&example, address))?;
        signals.wait();
    }
    Ok(passed)
}

/// Compiles the example's files for the sake of the findings, which name files and lines.
fn check(example: &Path) -> Result<(), String> {
    let (sources, mut diagnostics) = load::read(&[example.to_owned()], &mut io::empty());
    compile(&sources, &CompileOptions::default(), &mut diagnostics);
    if diagnostics.has_errors() {
        let findings = render::text(&diagnostics, &sources, wants_color(&io::stderr()));
        return Err(format!("the example has errors\n\n{findings}"));
    }
    Ok(())
}

fn show(example: &Group, executor: &dyn Executor) -> Result<bool, String> {
    let rows = demo::rows(example, executor)?;
    let passed = rows.iter().filter(|row| row.failures.is_empty()).count();
    print(&format!(
        "request, the route that takes it, what comes back\n\n{}{passed} of {} requests came out as expected\n",
        demo::table(&rows, wants_color(&io::stdout())),
        rows.len()
    ))?;
    Ok(passed == rows.len())
}

/// Commands that send a few of the example's requests: the first one to each route.
fn commands(example: &Group, address: SocketAddr) -> String {
    const SHOWN: usize = 8;
    let mut text =
        "\nEverything keeps running. Destinations answer with the request as they got it:\n\n"
            .to_owned();
    let mut routes = Vec::new();
    for case in &example.cases {
        let route = case.expect.get("route");
        if routes.contains(&route) || routes.len() == SHOWN {
            continue;
        }
        routes.push(route);
        let request = &case.request;
        text.push_str(&format!(
            "  curl -i {}",
            quoted(&format!("http://{address}{}", request.path))
        ));
        if request.method != "GET" {
            text.push_str(&format!(" -X {}", request.method));
        }
        text.push_str(&format!(
            " -H {}",
            quoted(&format!("host: {}", request.authority))
        ));
        for (name, value) in &request.headers {
            text.push_str(&format!(" -H {}", quoted(&format!("{name}: {value}"))));
        }
        text.push('\n');
    }
    text.push_str("\nCtrl-C ends it.\n");
    text
}

/// A word for the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What asks the demo to end. Signals that come before anybody waits are not lost.
struct Signals {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn catch() -> io::Result<Signals> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let context = runtime.enter();
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        drop(context);
        Ok(Signals {
            runtime,
            interrupt,
            terminate,
        })
    }

    fn wait(mut self) {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
        });
    }
}

/// Colours are for terminals, and only if their user wants them.
fn wants_color(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes to standard output. That nobody reads it (a pipe to `head`) is no reason to complain.
fn print(text: &str) -> Result<(), String> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write: {error}"))
        }
        _ => Ok(()),
    }
}
