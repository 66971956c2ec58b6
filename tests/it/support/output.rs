//! What a process writes, line by line as it comes.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::Plan;

/// Longer than anything takes on a busy machine; only a test that fails waits for so long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The lines of a stream, kept by a thread that reads until the stream ends.
#[derive(Clone)]
pub(crate) struct Output(Arc<(Mutex<Lines>, Condvar)>);

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

impl Output {
    /// Reads a stream to its end.
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let output = Self(Arc::default());
        let kept = output.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                kept.change(|lines| lines.lines.push(text));
                line.clear();
            }
            kept.change(|lines| lines.ended = true);
        });
        output
    }

    fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    /// Waits for a line, past ones included, and returns what is found in it.
    pub(crate) fn wait_for<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        let mut lines = self.0.0.lock().unwrap();
        let mut seen = 0;
        loop {
            if let Some(found) = lines.lines[seen..].iter().find_map(|line| find(line)) {
                return found;
            }
            seen = lines.lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !lines.ended && !left.is_zero(),
                "waited for {what} in vain:\n{}",
                lines.lines.join("\n")
            );
            lines = self.0.1.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Waits until everything that was said has been read. The process may be gone before its last line is.
    pub(crate) fn wait_for_end(&self) {
        let lines = self.0.0.lock().unwrap();
        let (lines, _) = (self.0.1)
            .wait_timeout_while(lines, DEADLINE, |lines| !lines.ended)
            .unwrap();
        let text = lines.lines.join("\n");
        assert!(lines.ended, "the output does not end:\n{text}");
    }

    /// All there is so far.
    pub(crate) fn text(&self) -> String {
        self.0.0.lock().unwrap().lines.join("\n")
    }
}

/// What a process that ends by itself said.
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the binary with nothing of this process's settings in its environment, until it ends by itself.
pub(crate) fn run(command: &mut Command) -> Ran {
    let output = bare(command)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    Ran {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// What the process says on standard error when it refuses to do what it was asked for.
pub(crate) fn refused(plan: &Plan, args: &[&str]) -> String {
    let ran = run(&mut plan.command(args));
    assert_eq!(ran.status.code(), Some(1), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    ran.stderr
}

/// Takes this process's settings out of a command's environment; what the test has set stays.
pub(super) fn bare(command: &mut Command) -> &mut Command {
    let set: Vec<_> = command
        .get_envs()
        .map(|(name, _)| name.to_owned())
        .collect();
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = text.starts_with("TIDINGS_") || text == "RUST_LOG" || text == "RUST_BACKTRACE";
        if ours && !set.contains(&name) {
            command.env_remove(&name);
        }
    }
    command
}
