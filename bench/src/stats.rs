//! Medians, spreads and percentiles.

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
        percentile(&self.latencies, share).as_secs_f64() * 1e3
    }

    pub fn cpu_micros_each(&self) -> Option<f64> {
        self.cpu
            .map(|cpu| cpu.as_secs_f64() * 1e6 / self.sends as f64)
    }
}

/// The value at a share of sorted ones: 0.99 is the p99. Zero where there are none.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or_default()
}

/// A figure over several runs. All NaN where there are none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub least: f64,
    /// The upper of the two in the middle of an even number.
    pub median: f64,
    pub most: f64,
}

impl FromIterator<f64> for Spread {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut values = values.into_iter().collect::<Vec<_>>();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self {
            least: at(0),
            median: at(values.len() / 2),
            most: at(values.len().saturating_sub(1)),
        }
    }
}

/// The values of some property, each once, in the order in which they come.
pub fn distinct<'a, R: 'a, T: PartialEq>(
    runs: impl IntoIterator<Item = &'a R>,
    value: impl Fn(&R) -> T,
) -> Vec<T> {
    let mut values = Vec::new();
    for value in runs.into_iter().map(value) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_least_the_middle_and_the_most() {
        let spread: Spread = [5.0, 1.0, 9.0, 2.0, 3.0].into_iter().collect();
        assert_eq!((spread.least, spread.median, spread.most), (1.0, 3.0, 9.0));
        let none: Spread = std::iter::empty().collect();
        assert!(none.median.is_nan());
    }

    #[test]
    fn distinct_values_stay_in_order() {
        assert_eq!(distinct(&[3, 1, 3, 2, 1], |n| *n), [3, 1, 2]);
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let sorted = (0..=100).map(Duration::from_millis).collect::<Vec<_>>();
        assert_eq!(percentile(&sorted, 0.5), Duration::from_millis(50));
        assert_eq!(percentile(&sorted, 0.99), Duration::from_millis(99));
        assert_eq!(percentile(&sorted, 1.0), Duration::from_millis(100));
        assert_eq!(percentile(&[], 0.99), Duration::ZERO);
    }
}
