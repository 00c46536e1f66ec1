//! Writes the seeds of a fuzz target into a directory: `fuzz-seeds TARGET DIRECTORY`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use meshgate_host_tests::fuzz::seeds;

fn main() -> ExitCode {
    match write() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn write() -> Result<(), String> {
    let mut arguments = env::args().skip(1);
    let (Some(target), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err("usage: fuzz-seeds TARGET DIRECTORY".to_owned());
    };
    let directory = PathBuf::from(directory);
    fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    for (n, seed) in seeds(&target)?.into_iter().enumerate() {
        let path = directory.join(format!("seed-{n:03}"));
        fs::write(&path, seed).map_err(|error| format!("`{}`: {error}", path.display()))?;
    }
    Ok(())
}
