//! Running other programs and saying how they went.
//!
//! Children stay in the process group of the terminal, so Ctrl-C ends them too.

use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often a child that runs against the clock is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Announces a step. It goes to standard error, because standard output is for results.
pub(crate) fn step(message: &str) {
    eprintln!("==> {message}");
}

/// The cargo that runs this program, in the root of the workspace.
pub(crate) fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(crate::workspace::root());
    command
}

/// Runs `command` to its end. All its output goes to standard error, like that of the steps.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let status = command
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .status()
        .map_err(|error| not_started(command, &error))?;
    check(command, status)
}

/// Like [`run`], but kills the child and fails when it takes longer than `limit`.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .spawn()
        .map_err(|error| not_started(command, &error))?;
    let deadline = Instant::now() + limit;
    loop {
        let status = child
            .try_wait()
            .map_err(|error| format!("cannot wait for {}: {error}", show(command)))?;
        if let Some(status) = status {
            return check(command, status);
        }
        if Instant::now() >= deadline {
            // It may have ended by itself in the meantime, which is just as well.
            let _ = child.kill();
            let _ = child.wait();
            let seconds = limit.as_secs();
            return Err(format!(
                "{} took more than {seconds} seconds",
                show(command)
            ));
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Runs `command` silently and returns what it wrote to standard output, without white space around
/// it. The error carries the last line of its standard error.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| not_started(command, &error))?;
    check(command, output.status).map_err(|message| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        match stderr.trim().lines().last() {
            Some(last) => format!("{message}: {last}"),
            None => message,
        }
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs `command` to its end and shows each line of its standard output to `look` while passing it
/// on unchanged.
pub(crate) fn run_watched(command: &mut Command, mut look: impl FnMut(&str)) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| not_started(command, &error))?;
    let copied = match child.stdout.take() {
        Some(stdout) => copy_lines(BufReader::new(stdout), io::stdout(), &mut look),
        None => Ok(()),
    };
    let status = child
        .wait()
        .map_err(|error| format!("cannot wait for {}: {error}", show(command)))?;
    copied.map_err(|error| format!("cannot pass on the output of {}: {error}", show(command)))?;
    check(command, status)
}

fn copy_lines(
    mut from: impl BufRead,
    mut to: impl Write,
    look: &mut impl FnMut(&str),
) -> io::Result<()> {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        look(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    to.flush()
}

/// The first executable file called `name` on PATH.
pub(crate) fn find_on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|candidate| is_executable(candidate))
}

/// Whether `path` is a file that may be run.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn check(command: &Command, status: ExitStatus) -> Result<(), String> {
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} failed ({status})", show(command)))
    }
}

fn not_started(command: &Command, error: &io::Error) -> String {
    let program = command.get_program().to_string_lossy();
    format!("cannot start `{program}`: {error}")
}

/// The command as one would type it, without its environment.
fn show(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    let words: Vec<String> = std::iter::once(name)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .map(String::from)
        .collect();
    format!("`{}`", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_is_trimmed_and_errors_carry_the_last_line() {
        assert_eq!(output(&mut shell("echo ' yes '")), Ok("yes".to_owned()));
        let message = output(&mut shell("echo first >&2; echo last >&2; exit 3"))
            .expect_err("the shell exits with 3");
        assert!(
            message.ends_with("failed (exit status: 3): last"),
            "{message}"
        );
    }

    #[test]
    fn a_child_over_its_time_is_killed() {
        let started = Instant::now();
        let message = run_within(&mut shell("exec sleep 60"), Duration::from_millis(100))
            .expect_err("a minute is too long");
        assert!(message.contains("took more than"), "{message}");
        assert!(started.elapsed() < Duration::from_secs(30));
        assert_eq!(
            run_within(&mut shell("true"), Duration::from_secs(30)),
            Ok(())
        );
    }

    #[test]
    fn lines_are_copied_unchanged_and_seen_without_their_ends() -> io::Result<()> {
        let text = b"a\r\n\xff\n\nb";
        let (mut copy, mut lines) = (Vec::new(), Vec::new());
        copy_lines(&text[..], &mut copy, &mut |line: &str| {
            lines.push(line.to_owned())
        })?;
        assert_eq!(copy, text);
        assert_eq!(lines, ["a", "\u{fffd}", "", "b"]);
        Ok(())
    }

    #[test]
    fn a_missing_program_is_named() {
        let message = run(&mut Command::new("/nonexistent/tool")).expect_err("it does not exist");
        assert!(
            message.starts_with("cannot start `/nonexistent/tool`"),
            "{message}"
        );
    }
}
