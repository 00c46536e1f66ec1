//! Arguments, exit codes and pipes.

use std::io::Read;
use std::process::Stdio;

use crate::folder::Folder;

const COMMANDS: [&str; 5] = ["check", "compile", "run", "route", "inspect"];

#[test]
fn every_command_explains_itself() {
    let folder = Folder::new(&[]);
    let overview = folder.run(&["--help"]).ended_with(0).text();
    for command in COMMANDS {
        assert!(
            overview.contains(&format!("\n  {command} ")),
            "{command} is not in: {overview}"
        );
        let help = folder.run(&[command, "--help"]).ended_with(0).text();
        assert!(
            help.contains("Examples:") && help.contains(&format!("meshgate {command}")),
            "{help}"
        );
    }
    let version = folder.run(&["--version"]).ended_with(0).text();
    assert_eq!(version, format!("meshgate {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_arguments_exit_with_2() {
    let folder = Folder::shop();
    for args in [
        &[][..],
        &["frobnicate"],
        &["check"],
        &["check", "--format", "xml", "."],
        &["compile", "."],
        &["compile", ".", "--target", "nginx"],
        &["compile", ".", "--target", "program", "--port", "0"],
        &["compile", ".", "--target", "program", "--access-log"],
        &[
            "compile",
            ".",
            "--target",
            "program",
            "--upstream",
            "ratings",
        ],
        &["route", "GET", "http://www.example.com/"],
        &["route", "-f", "."],
        &["route", "-f", ".", "GET", "www.example.com"],
        &[
            "route",
            "-f",
            ".",
            "http://www.example.com/",
            "-H",
            "nonsense",
        ],
        &[
            "route",
            "-f",
            ".",
            "http://www.example.com/",
            "--random",
            "1",
        ],
        &[
            "route",
            "-f",
            ".",
            "--gateway",
            "none",
            "http://www.example.com/",
        ],
        &["route", "-f", ".", "--requests", "absent.jsonl"],
        &["route", "-f", "-", "--requests", "-"],
        &["inspect"],
        &["inspect", "absent.bin"],
    ] {
        let outcome = folder.run(args).ended_with(2);
        assert!(
            !outcome.stderr.is_empty() && outcome.stdout.is_empty(),
            "{args:?}: {outcome:?}"
        );
    }
}

#[test]
fn upstreams_of_the_command_line_are_checked_as_arguments() {
    let folder = Folder::shop();
    for (upstream, reason) in [
        ("ratings.bookinfo", "has no `=`"),
        ("ratings=h:1", "expected NAME.NAMESPACE"),
        ("ratings.bookinfo=h", "has no port"),
        ("ratings.bookinfo=h:0", "not a port"),
        ("ratings.bookinfo=::1:80", "in brackets"),
        ("ratings.bookinfo=:80", "not an address"),
        ("ratings.bookinfo=http://h:80", "not an address"),
        ("ratings.bookinfo:http=h:80", "not a port"),
        ("ratings.bookinfo/v2=h:80", "not a label"),
    ] {
        let args = ["compile", ".", "--target", "envoy", "--upstream", upstream];
        folder.run(&args).ended_with(2).said(reason);
    }
}

#[test]
fn paths_that_cannot_be_read_exit_with_2() {
    let folder = Folder::shop();
    for command in [
        &["check", "absent", "."][..],
        &[
            "compile",
            "absent",
            ".",
            "--target",
            "program",
            "--keep-going",
        ],
    ] {
        let outcome = folder.run(command).ended_with(2);
        assert!(
            (outcome.text() + &outcome.stderr).contains("there is no file or folder `absent`"),
            "{outcome:?}"
        );
    }
    folder
        .run(&["route", "-f", "absent", "GET", "http://www.example.com/"])
        .ended_with(2)
        .said("`absent`");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let folder = Folder::shop();
    let lines = "{\"authority\":\"www.example.com\",\"path\":\"/hello\"}\n".repeat(5000);
    folder.write("requests.jsonl", lines.as_bytes());
    let mut child = folder
        .command(&["route", "-f", ".", "--requests", "requests.jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
