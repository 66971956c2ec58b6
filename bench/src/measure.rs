//! What a server spends while something happens, and when nothing does.

use std::time::{Duration, Instant};

use crate::load::Crowd;
use crate::machine::{cpu_of, cpu_of_this_thread, memory_of};
use crate::server::Server;

/// Since when, and what had been spent by then.
pub struct Meter {
    pid: u32,
    cpu: Duration,
    own: Duration,
    began: Instant,
}

/// What was spent since.
pub struct Spent {
    /// By the server process, user and system.
    pub cpu: Duration,
    /// By the calling thread, which generates the load.
    pub own: Duration,
    pub took: Duration,
}

impl Meter {
    pub fn start(server: &Server) -> anyhow::Result<Self> {
        Ok(Self {
            pid: server.pid,
            cpu: cpu_of(server.pid)?,
            own: cpu_of_this_thread()?,
            began: Instant::now(),
        })
    }

    pub fn read(&self) -> anyhow::Result<Spent> {
        Ok(Spent {
            took: self.began.elapsed(),
            cpu: cpu_of(self.pid)? - self.cpu,
            own: cpu_of_this_thread()? - self.own,
        })
    }
}

impl Spent {
    /// CPU of the server in microseconds, shared among so many.
    pub fn cpu_micros(&self, among: u64) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / among as f64
    }
}

/// What a server has used and holds when it has nothing to do.
pub struct Usage {
    pub cpu: Duration,
    pub memory: u64,
}

/// Waits until the server has nothing to do: there is no other sign that a subscription has begun. Pings go on, and
/// with 9,000 sockets they take 2 % of a core.
pub fn settle(crowd: &mut Crowd, server: &Server) -> anyhow::Result<Usage> {
    const WHILE: Duration = Duration::from_millis(100);
    const QUIET: Duration = Duration::from_millis(5);
    const PATIENCE: Duration = Duration::from_secs(60);
    let began = Instant::now();
    let mut cpu = cpu_of(server.pid)?;
    loop {
        crowd.serve_until(Instant::now() + WHILE)?;
        let used = cpu_of(server.pid)? - cpu;
        cpu += used;
        if used < QUIET {
            let memory = memory_of(server.pid)?;
            return Ok(Usage { cpu, memory });
        }
        let patient = began.elapsed() < PATIENCE;
        anyhow::ensure!(
            patient,
            "the server never comes to rest: {used:?} in {WHILE:?}"
        );
    }
}
