//! What the kernel says of processes and cores: CPU time, memory, and who runs where.

use std::fs;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::ClockId;
use nix::unistd::Pid;

/// The core of the server and that of the load generator. With one core both run wherever they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    pub server: Option<usize>,
    pub load: Option<usize>,
}

impl Cores {
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
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib
        .ok_or_else(|| anyhow::anyhow!("process {pid} has no VmRSS"))?
        .parse()?;
    Ok(kib * 1024)
}
