//! The program that measures in Envoy works: it runs once over a tiny table.

use std::fs;
use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};
use meshgate_host_tests::tools;

fn main() {
    let arguments = Arguments::from_args();
    const NAME: &str = "the program that measures in Envoy runs once over a tiny table";
    let tools = tools::envoy().and_then(|envoy| Ok((envoy, tools::filter()?)));
    let trial = match tools {
        Ok((envoy, filter)) => Trial::test(NAME, move || {
            let out = tempfile::tempdir()?;
            let mut bench = Command::new(env!("CARGO_BIN_EXE_meshgate-bench-envoy"));
            bench.args(["--extent", "smoke", "--envoy"]).arg(&envoy);
            bench
                .arg("--filter")
                .arg(&filter)
                .arg("--out")
                .arg(out.path());
            let output = bench.output()?;
            let printed = String::from_utf8(output.stdout)?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
            }
            let report = fs::read_to_string(out.path().join("envoy.md"))?;
            let chart = fs::read_to_string(out.path().join("envoy.svg"))?;
            check(&printed, &report, &chart)
        }),
        Err(reason) if tools::envoy_is_required() => {
            eprintln!("error: {reason}");
            std::process::exit(2);
        }
        Err(reason) => {
            println!("the test in Envoy is ignored: {reason}");
            Trial::test(NAME, || Ok(())).with_ignored_flag(true)
        }
    };
    libtest_mimic::run(&arguments, vec![trial]).exit();
}

/// The report is printed as it is written, and nothing is missing in it.
fn check(printed: &str, report: &str, chart: &str) -> Result<(), Failed> {
    if printed != report {
        return Err(format!("printed:\n{printed}\nwritten:\n{report}").into());
    }
    let rows = report
        .lines()
        .filter(|line| line.starts_with("| prefix | 10 |"));
    let complete = rows
        .filter(|row| !row.contains(" - ") && !row.contains("NaN"))
        .count();
    // Times and rates over two protocols, and the start.
    if complete != 5 || !report.contains("| 0.01 MB |") {
        return Err(format!("figures are missing in:\n{report}").into());
    }
    if chart.matches("<circle").count() != 5 {
        return Err(format!("points are missing in:\n{chart}").into());
    }
    Ok(())
}
