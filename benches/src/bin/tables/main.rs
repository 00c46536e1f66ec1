//! Measures and writes the tables of `benches/README.md`: `tables GUEST`, where GUEST is the wasm module of
//! `benches/guest`. `cargo xtask bench-tables` builds everything and runs it. `tables GUEST LARGEST` leaves out tables of
//! more routes and only prints, for a quick look.

#![forbid(unsafe_code)]

mod callgrind;
mod measure;
mod report;
mod targets;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs};

use meshgate_benches::{PeerKind, Table, generated};

use callgrind::Counter;
use measure::{Decided, Meshgate};

/// Who writes the tables.
const COMMAND: &str = "cargo xtask bench-tables";

/// Numbers of routes.
const SIZES: [usize; 6] = [10, 100, 1_000, 10_000, 100_000, 1_000_000];

/// Everything that was measured.
struct Results {
    meshgate: Vec<Meshgate>,
    peers: Vec<PeerRow>,
    delegated: Vec<measure::DelegatedRow>,
    from_yaml: measure::FromYaml,
}

/// One peer with one table, by size.
struct PeerRow {
    kind: PeerKind,
    table: Table,
    sizes: Vec<Option<Decided>>,
}

impl Results {
    fn of(&self, table: Table, routes: usize) -> Option<&Meshgate> {
        self.meshgate
            .iter()
            .find(|row| row.table == table && row.routes == routes)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let largest = match arguments.as_slice() {
        [_] => Some(None),
        [_, largest] => largest.parse().ok().map(Some),
        _ => None,
    };
    let Some(largest) = largest else {
        eprintln!("usage: tables GUEST [LARGEST]");
        return ExitCode::from(2);
    };
    let guest = Path::new(&arguments[0]);
    let done = measure_all(guest, largest.unwrap_or(usize::MAX)).and_then(|results| {
        let generated = format!("{}\n{}", machine(), report::report(&results));
        println!("{generated}");
        match largest {
            None => write(&generated, &report::summary(&results)),
            Some(_) => Ok(()),
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure_all(guest: &Path, largest: usize) -> Result<Results, Box<dyn Error>> {
    let counter = Counter::find();
    let mut results = Results {
        meshgate: Vec::new(),
        peers: Vec::new(),
        delegated: Vec::new(),
        from_yaml: measure::from_yaml(),
    };
    for table in Table::ALL {
        // Each header pattern still has an automaton of its own: a million of them are 600 MB.
        let largest = match table {
            Table::HeaderRegex => largest.min(100_000),
            _ => largest,
        };
        for routes in SIZES.into_iter().filter(|&routes| routes <= largest) {
            eprintln!("{} {routes}", table.name());
            let row = measure::meshgate(table, routes, guest, &counter)?;
            results.meshgate.push(row);
        }
        for kind in PeerKind::ALL.into_iter().filter(|kind| kind.can(table)) {
            eprintln!("{} {}", table.name(), kind.name());
            let largest = largest.min(kind.largest());
            let measure = |routes| match routes {
                _ if routes > largest => Ok(None),
                _ => measure::peer(kind, table, routes, &counter),
            };
            let sizes = SIZES.into_iter().map(measure).collect::<Result<_, _>>()?;
            results.peers.push(PeerRow { kind, table, sizes });
        }
    }
    let shapes = measure::DELEGATED.into_iter();
    for shape in shapes.filter(|shape| shape.effective_routes() <= largest) {
        eprintln!("{shape:?}");
        results.delegated.push(measure::delegated(shape, guest)?);
    }
    Ok(results)
}

/// Writes the tables into the text about them, and the most important one into the README.
fn write(generated: &str, summary: &str) -> Result<(), Box<dyn Error>> {
    let tables = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    generated::replace_in(tables, COMMAND, generated)?;
    generated::replace_in(generated::README, COMMAND, summary)?;
    Ok(())
}

/// What it was measured on, in a sentence.
fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| {
        line.strip_prefix("model name")
            .and_then(|rest| rest.split_once(':'))
    });
    let model = model.map_or("unknown processor", |(_, name)| name.trim());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "Measured on {model}, {processors} processors, {}, at commit {}.\n",
        first_line(Command::new("rustc").arg("--version")),
        first_line(Command::new("git").args(["describe", "--always", "--dirty"])),
    )
}

fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout);
    let text = String::from_utf8(output.unwrap_or_default()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
