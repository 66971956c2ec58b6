//! Medians, percentiles and the CPU time of a process.

use std::time::Duration;

/// What one run of closed-loop senders came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Acknowledged.
    pub sends: u64,
    /// From the first send to the last acknowledgement.
    pub took: Duration,
    /// Of each send, sorted.
    pub latencies: Vec<Duration>,
    /// User and system time of the server process, if it is one of its own.
    pub cpu: Option<Duration>,
}

impl Outcome {
    pub fn per_second(&self) -> f64 {
        self.sends as f64 / self.took.as_secs_f64()
    }

    /// `share` of 0.99 is the p99, in milliseconds.
    pub fn percentile_millis(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.latencies
            .get(at)
            .map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }

    pub fn cpu_micros_each(&self) -> Option<f64> {
        self.cpu
            .map(|cpu| cpu.as_secs_f64() * 1e6 / self.sends as f64)
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// User and system time of a process so far: fields 14 and 15 of `/proc/PID/stat` (proc(5)), in ticks of 10 ms.
pub fn cpu_of(pid: u32) -> anyhow::Result<Duration> {
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u32>);
    let ticks = ticks.sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}
