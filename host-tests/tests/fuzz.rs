//! The fuzz targets on stable: what the fuzzers found once, and what they start from. One test for each input.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use libtest_mimic::{Arguments, Trial};
use meshgate_host_tests::fuzz::{TARGETS, seeds};

fn main() {
    let arguments = Arguments::from_args();
    let trials = trials().unwrap_or_else(|reason| {
        eprintln!("error: {reason}");
        std::process::exit(2);
    });
    libtest_mimic::run(&arguments, trials).exit();
}

fn trials() -> Result<Vec<Trial>, String> {
    let mut trials = Vec::new();
    for (target, run) in TARGETS {
        let seeds = seeds(target)?.into_iter().enumerate();
        let seeds = seeds.map(|(n, seed)| (format!("{target}/seed {n}"), seed));
        for (name, input) in crashes(target)?.into_iter().chain(seeds) {
            // A panic fails the test.
            trials.push(Trial::test(name, move || {
                run(&input);
                Ok(())
            }));
        }
    }
    Ok(trials)
}

/// Inputs that were once a crash, by name.
fn crashes(target: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/crashes")
        .join(target);
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| format!("`{}`: {error}", directory.display()))?,
    };
    let mut crashes = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        let input = fs::read(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        crashes.push((format!("{target}/{name}"), input));
    }
    crashes.sort();
    Ok(crashes)
}
