//! The machine: its CPUs, who runs on which of them, and what threads have spent on them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};

/// What the figures were measured on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    /// Processor and kernel.
    pub(crate) description: String,
    /// What Envoy says of itself.
    pub(crate) envoy: String,
    /// The day.
    pub(crate) date: String,
    /// The commit that is checked out; empty without git.
    pub(crate) commit: String,
}

impl Machine {
    /// Asks the system.
    ///
    /// # Errors
    /// When `envoy` is not an Envoy that starts.
    pub(crate) fn read(envoy: &Path) -> Result<Machine, String> {
        let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        Ok(Machine {
            description: format!(
                "{}, {cpus} CPUs, Linux {}",
                model_name(&cpu_info),
                kernel.trim()
            ),
            envoy: envoy_version(&output(Command::new(envoy).arg("--version"))?)
                .ok_or_else(|| format!("`{}` is not an Envoy", envoy.display()))?,
            date: output(Command::new("date").args(["-u", "+%Y-%m-%d"])).unwrap_or_default(),
            commit: output(Command::new("git").args(["describe", "--always", "--dirty"]))
                .unwrap_or_default(),
        })
    }
}

fn model_name(cpu_info: &str) -> &str {
    cpu_info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown CPU", |(_, name)| name.trim())
}

/// The version in `envoy  version: 9e5580/1.40.0/Clean/RELEASE/BoringSSL`.
fn envoy_version(output: &str) -> Option<String> {
    let (_, build) = output.split_once("version:")?;
    build.split('/').nth(1).map(str::to_owned)
}

fn output(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().display().to_string();
    let output = command
        .output()
        .map_err(|error| format!("cannot start `{program}`: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Which CPU is whose. With a single CPU they share it, and only the CPU time per request means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cpus {
    /// Envoy's.
    envoy: usize,
    /// The client's.
    client: usize,
}

impl Cpus {
    /// The first and the last CPU that this process may use.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn choose() -> Result<Cpus, String> {
        let allowed =
            sched_getaffinity(None).map_err(|error| format!("cannot read the CPU set: {error}"))?;
        let mut usable = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
        let first = usable.next().ok_or("no CPU may be used")?;
        Ok(Cpus {
            envoy: first,
            client: usable.next_back().unwrap_or(first),
        })
    }

    /// Whether both have to make do with the same one.
    pub(crate) fn are_one(self) -> bool {
        self.envoy == self.client
    }

    /// Puts this thread on the client's CPU.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub(crate) fn pin_client(self) -> Result<(), String> {
        pin(None, &[self.client])
    }

    /// Runs `start`, whose child processes are put on Envoy's CPU.
    ///
    /// # Errors
    /// When the system does not allow it, and those of `start`.
    pub(crate) fn on_envoys<T>(
        self,
        start: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, String> {
        // Children inherit the CPUs of the thread that starts them.
        pin(None, &[self.envoy])?;
        let started = start();
        self.pin_client()?;
        started
    }

    /// Runs `start`, whose child processes may use both CPUs.
    ///
    /// # Errors
    /// As [`Cpus::on_envoys`].
    pub(crate) fn on_both<T>(self, start: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
        pin(None, &[self.envoy, self.client])?;
        let started = start();
        self.pin_client()?;
        started
    }

    /// Puts a worker thread on Envoy's CPU.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub(crate) fn pin_worker(self, worker: Thread) -> Result<(), String> {
        pin(Some(worker.id), &[self.envoy])
    }
}

fn pin(thread: Option<i32>, cpus: &[usize]) -> Result<(), String> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu);
    }
    let id = match thread {
        None => None,
        Some(id) => Some(Pid::from_raw(id).ok_or("a thread without a number")?),
    };
    sched_setaffinity(id, &set).map_err(|error| format!("cannot choose a CPU: {error}"))
}

/// A thread of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thread {
    process: u32,
    id: i32,
}

impl Thread {
    /// The only worker thread of an Envoy.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn worker(process: u32) -> Result<Thread, String> {
        let unreadable = |error: std::io::Error| {
            format!("cannot read the threads of process {process}: {error}")
        };
        for task in fs::read_dir(format!("/proc/{process}/task")).map_err(unreadable)? {
            let task = task.map_err(unreadable)?;
            let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            let id = task.file_name().to_str().and_then(|id| id.parse().ok());
            if let Some(id) = id.filter(|_| name.trim() == "wrk:worker_0") {
                return Ok(Thread { process, id });
            }
        }
        Err(format!("process {process} has no worker thread"))
    }

    /// What it has spent so far.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn spent(self) -> Result<CpuTime, String> {
        CpuTime::read(&format!(
            "/proc/{}/task/{}/schedstat",
            self.process, self.id
        ))
    }
}

/// What a thread has spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// Running on a CPU.
    pub(crate) running: Duration,
    /// Ready to run, while something else had the CPU.
    pub(crate) waiting: Duration,
}

impl CpuTime {
    /// What this thread has spent so far.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn of_this_thread() -> Result<CpuTime, String> {
        CpuTime::read("/proc/thread-self/schedstat")
    }

    fn read(path: &str) -> Result<CpuTime, String> {
        let text = fs::read_to_string(path).map_err(|error| {
            format!("cannot read `{path}`, without which nothing is known of CPU time: {error}")
        })?;
        CpuTime::parse(&text).ok_or_else(|| format!("`{path}` does not tell CPU times"))
    }

    /// Parses `running waiting slices`, in nanoseconds.
    fn parse(text: &str) -> Option<CpuTime> {
        let mut numbers = text.split_whitespace().map(str::parse);
        let mut next = || Some(Duration::from_nanos(numbers.next()?.ok()?));
        Some(CpuTime {
            running: next()?,
            waiting: next()?,
        })
    }

    /// What has been spent since an earlier time.
    pub(crate) fn since(self, earlier: CpuTime) -> CpuTime {
        CpuTime {
            running: self.running.saturating_sub(earlier.running),
            waiting: self.waiting.saturating_sub(earlier.waiting),
        }
    }
}

/// Resident memory of a process in kilobytes.
///
/// # Errors
/// When the system does not tell.
pub(crate) fn resident_kilobytes(process: u32) -> Result<u64, String> {
    let path = format!("/proc/{process}/status");
    let status =
        fs::read_to_string(&path).map_err(|error| format!("cannot read `{path}`: {error}"))?;
    parse_resident(&status).ok_or_else(|| format!("`{path}` does not tell its memory"))
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_tells_is_understood() {
        assert_eq!(
            CpuTime::parse("1500 20 3\n"),
            Some(CpuTime {
                running: Duration::from_nanos(1500),
                waiting: Duration::from_nanos(20),
            })
        );
        assert_eq!(CpuTime::parse("1500"), None);
        assert_eq!(CpuTime::parse("a b c"), None);
        let status = "Name:\tenvoy\nVmPeak:\t  9 kB\nVmRSS:\t   65432 kB\nThreads:\t5\n";
        assert_eq!(parse_resident(status), Some(65_432));
        assert_eq!(parse_resident("Name:\tenvoy\n"), None);
        let cpu_info = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nstepping\t: 1\n";
        assert_eq!(model_name(cpu_info), "Some CPU @ 2 GHz");
        assert_eq!(model_name(""), "unknown CPU");
        let version = "\nenvoy  version: 9e558093/1.40.0/Clean/RELEASE/BoringSSL\n";
        assert_eq!(envoy_version(version).as_deref(), Some("1.40.0"));
    }

    #[test]
    fn this_thread_can_be_pinned_and_timed() {
        let cpus = Cpus::choose().expect("there is a CPU");
        cpus.pin_client().expect("the CPU may be used");
        let seen = cpus.on_envoys(|| sched_getaffinity(None).map_err(|error| error.to_string()));
        assert!(seen.expect("the CPU may be used").is_set(cpus.envoy));
        let set = sched_getaffinity(None).expect("the set can be read");
        assert_eq!((set.count(), set.is_set(cpus.client)), (1, true));
        let before = CpuTime::of_this_thread().expect("the kernel keeps the times");
        let after = CpuTime::of_this_thread().expect("the kernel keeps the times");
        assert!(after.running >= before.running);
    }
}
