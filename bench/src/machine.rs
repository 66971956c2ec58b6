//! What the kernel says of processes and cores: CPU time, memory, and who runs where.

use std::process::Command;
use std::time::{Duration, SystemTime};
use std::{fmt, fs, thread};

use anyhow::Context;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::ClockId;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// The core of the server and that of the load generator. With one core both run wherever they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    pub server: Option<usize>,
    pub load: Option<usize>,
}

impl Cores {
    /// Wherever they may.
    pub const ANY: Self = Self {
        server: None,
        load: None,
    };

    /// Two of those that this process may run on.
    pub fn two() -> anyhow::Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let mut cores =
            (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or_default());
        let (server, load) = (cores.next(), cores.next());
        Ok(Self {
            server: server.filter(|_| load.is_some()),
            load,
        })
    }
}

/// Keeps the calling thread, and whatever it starts from now on, on one core.
pub fn pin(core: Option<usize>) -> anyhow::Result<()> {
    if let Some(core) = core {
        let mut only = CpuSet::new();
        only.set(core)?;
        sched_setaffinity(Pid::from_raw(0), &only)?;
    }
    Ok(())
}

/// Lets this process, and what it starts, open as many files as the machine allows at all. How many sockets that is.
pub fn raise_file_limit() -> anyhow::Result<usize> {
    /// Databases, logs, pipes, a listener.
    const OTHER_FILES: u64 = 200;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Ok(most.saturating_sub(OTHER_FILES).try_into()?)
}

/// User and system time of a process so far, in nanoseconds and with the threads that have ended: its CPU clock
/// (clock_getcpuclockid(3)). `/proc/PID/stat` has the same in ticks of 10 ms, `/proc/PID/schedstat` one thread only.
pub fn cpu_of(pid: u32) -> anyhow::Result<Duration> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid.try_into()?))?;
    Ok(clock.now()?.into())
}

/// The same of the calling thread.
pub fn cpu_of_this_thread() -> anyhow::Result<Duration> {
    Ok(ClockId::CLOCK_THREAD_CPUTIME_ID.now()?.into())
}

/// Resident memory of a process in bytes: `VmRSS`.
pub fn memory_of(pid: u32) -> anyhow::Result<u64> {
    status_of(pid, "VmRSS:")
}

fn status_of(pid: u32, name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(kib_of(&status, name)? * 1024)
}

/// A line of `/proc` such as `VmRSS:   1024 kB`.
fn kib_of(text: &str, name: &str) -> anyhow::Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib
        .with_context(|| format!("there is no {name}"))?
        .parse()?)
}

/// Sets `VmHWM` back to what is resident now (proc(5), clear_refs).
pub fn forget_peak_of(pid: u32) -> anyhow::Result<()> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

/// The most that was resident at once, in bytes: `VmHWM`.
pub fn peak_memory_of(pid: u32) -> anyhow::Result<u64> {
    status_of(pid, "VmHWM:")
}

/// Where something was measured.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Machine {
    pub processor: String,
    /// Cores that the bench may use.
    pub cores: usize,
    pub memory_gib: f64,
    pub kernel: String,
    /// Whether server and load generator were kept on a core each.
    pub pinned: bool,
    /// The load average of the last minute before it began: what else went on.
    pub load: f64,
    /// What was measured, as git names it.
    pub commit: String,
    /// Seconds since 1970.
    pub unix_secs: u64,
}

impl Machine {
    pub fn here(cores: Cores) -> anyhow::Result<Self> {
        let cpu_info = fs::read_to_string("/proc/cpuinfo")?;
        let model = cpu_info.lines().find(|line| line.starts_with("model name"));
        let processor = model.and_then(|line| line.split_once(": "));
        let memory_info = fs::read_to_string("/proc/meminfo")?;
        let load = fs::read_to_string("/proc/loadavg")?;
        Ok(Self {
            processor: processor.map_or_else(String::new, |(_, name)| name.to_owned()),
            cores: thread::available_parallelism()?.get(),
            memory_gib: kib_of(&memory_info, "MemTotal:")? as f64 / 1024.0 / 1024.0,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            pinned: cores.server.is_some(),
            load: load.split(' ').next().unwrap_or_default().parse()?,
            commit: commit(),
            unix_secs: SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)?
                .as_secs(),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            processor,
            cores,
            memory_gib,
            kernel,
            load,
            commit,
            ..
        } = self;
        let pinned = if self.pinned {
            "server and load generator pinned to a core each"
        } else {
            "nothing pinned"
        };
        write!(
            f,
            "{processor}, {cores} cores, {memory_gib:.0} GiB, Linux {kernel}; {pinned}; load average before: {load}; {commit}"
        )
    }
}

/// Empty where there is no git or no repository.
fn commit() -> String {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let said = git.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).trim().to_owned()
}
