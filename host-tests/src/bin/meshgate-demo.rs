//! Serves an example, sends its requests, and shows what became of them.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use meshgate_host_tests::cases::{Executor, Group, InEnvoy, Wasmtime, read_example};
use meshgate_host_tests::demo;

/// Serve an example with the filter, send its requests, and show what became of them.
#[derive(Debug, Parser)]
#[command(name = "meshgate-demo")]
struct Arguments {
    /// The filter's .wasm file
    #[arg(long, value_name = "FILE")]
    filter: PathBuf,

    /// The Envoy to run it in; without one it runs in the embedded host
    #[arg(long, value_name = "FILE")]
    envoy: Option<PathBuf>,

    /// Leave everything running until Ctrl-C, and print commands to try
    #[arg(long, requires = "envoy")]
    keep: bool,

    /// The example's folder
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/bookinfo"))]
    example: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every request came out as expected.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let example = Arc::new(read_example(&arguments.example)?);
    let Some(envoy) = &arguments.envoy else {
        print(
            "no Envoy: the filter runs in the embedded host, and no request leaves this process\n\n",
        )?;
        return show(&example, &Wasmtime::new(&arguments.filter)?);
    };
    let executor = InEnvoy::new(
        "envoy",
        envoy,
        &arguments.filter,
        vec![Arc::clone(&example)],
    );
    let passed = show(&example, &executor)?;
    if arguments.keep {
        keep(&example, &executor, envoy)?;
    }
    Ok(passed)
}

fn show(example: &Group, executor: &dyn Executor) -> Result<bool, String> {
    let rows = demo::rows(example, executor)?;
    let failed = rows.iter().filter(|row| !row.failures.is_empty()).count();
    let passed = rows.len() - failed;
    print(&format!(
        "{}\n{passed} of {} requests came out as expected\n",
        demo::table(&rows),
        rows.len()
    ))?;
    Ok(failed == 0)
}

/// Prints commands to try, and waits for the end.
fn keep(example: &Group, executor: &InEnvoy, envoy: &Path) -> Result<(), String> {
    let address = executor.address(example).ok_or("Envoy does not listen")?;
    let mut text = format!("\n{} listens on {address}; try\n", envoy.display());
    for case in example.cases.iter().take(5) {
        let request = &case.request;
        text.push_str(&format!(
            "  curl -i -X {} -H 'host: {}'",
            request.method, request.authority
        ));
        for (name, value) in &request.headers {
            text.push_str(&format!(" -H '{name}: {value}'"));
        }
        text.push_str(&format!(" 'http://{address}{}'\n", request.path));
    }
    text.push_str("Ctrl-C ends it\n");
    print(&text)?;
    wait_for_end().map_err(|error| format!("cannot wait for signals: {error}"))
}

fn wait_for_end() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}

fn print(text: &str) -> Result<(), String> {
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| format!("cannot write: {error}"))
}
