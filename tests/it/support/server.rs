//! A server process in a folder of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::output::{Output, bare};

/// The secret of servers that tests start, unless they say otherwise.
const SECRET: &str = "the secret of the tests, which is no secret";

/// How to start a server: in a fresh folder, on a free port, with limits that tests do not run into.
pub(crate) struct Plan {
    folder: Arc<TempDir>,
    env: Vec<(String, String)>,
}

impl Default for Plan {
    fn default() -> Self {
        let plan = Self {
            folder: Arc::new(tempfile::tempdir().expect("a temporary folder")),
            env: Vec::new(),
        };
        plan.env("TIDINGS_BIND", "127.0.0.1:0")
            .env("TIDINGS_JWT_SECRET", SECRET)
            .env("TIDINGS_MUTATIONS_PER_SECOND", "0")
            .env("TIDINGS_SIGNALS_PER_SECOND", "0")
            .env("TIDINGS_CONNECTIONS_PER_USER", "0")
            .env("TIDINGS_CONNECTIONS_PER_IP", "0")
            .env("TIDINGS_DRAIN_SECS", "1")
    }
}

impl Plan {
    /// Sets a variable; an empty one counts as not given.
    pub(crate) fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    /// Without the tests' secret: development mode.
    pub(crate) fn development(self) -> Self {
        self.env("TIDINGS_JWT_SECRET", "")
    }

    /// The server's working folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The binary with these settings, to be run with `super::run`: the one that was built with the tests, or `TIDINGS_BIN`.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let built = || env!("CARGO_BIN_EXE_tidings").into();
        let mut command = Command::new(std::env::var_os("TIDINGS_BIN").unwrap_or_else(built));
        command.args(args).current_dir(self.folder());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the server and waits until it says where it listens.
    pub(crate) fn start(self) -> TestServer {
        let mut child = bare(&mut self.command(&["serve"]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let logs = Output::of(child.stderr.take().expect("it is piped"));
        let addr = logs.wait_for("the server to listen", |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            line["listening"].as_str()?.parse().ok()
        });
        TestServer {
            plan: self,
            child,
            logs,
            addr,
        }
    }
}

/// A running server. Dropping it kills it.
pub(crate) struct TestServer {
    plan: Plan,
    child: Child,
    logs: Output,
    addr: SocketAddr,
}

impl TestServer {
    /// As [`Plan::default`] says.
    pub(crate) fn start() -> Self {
        Plan::default().start()
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// An address of its HTTP side: `url("/graphql")`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// The address of its WebSocket side.
    pub(crate) fn ws_url(&self) -> String {
        format!("ws://{}/graphql", self.addr)
    }

    /// Its working folder, with the database in it.
    pub(crate) fn folder(&self) -> &Path {
        self.plan.folder()
    }

    /// Its database file.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder().join("tidings.db")
    }

    /// What it has logged.
    pub(crate) fn logs(&self) -> &Output {
        &self.logs
    }

    /// The binary with this server's settings, to be run beside it with `super::run`.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.plan.command(args)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A token for a user, good for an hour.
    pub(crate) fn token(&self, user: &str) -> String {
        self.token_of(
            json!({ "sub": user, "name": user, "iat": now_secs(), "exp": now_secs() + 3600 }),
        )
    }

    /// A token that says this, signed as this server wants it.
    pub(crate) fn token_of(&self, claims: Value) -> String {
        hs256(SECRET, &claims)
    }

    /// Pulls the plug (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGINT.
    pub(crate) fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Holds it up (SIGSTOP), as a machine that falls asleep does.
    pub(crate) fn hold_up(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("it has one"), signal).expect("it can be signalled");
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        // What it says ends with it, and can be waited for with a deadline.
        self.logs.wait_for_end();
        self.child.wait().expect("it can be waited for")
    }

    /// Kills it and starts it again, on the same port and database.
    pub(crate) fn restart(mut self) -> Self {
        self.kill();
        self.start_again()
    }

    /// As [`Self::start_again`], in its own place.
    pub(crate) fn start_over(&mut self) {
        let plan = Plan {
            folder: self.plan.folder.clone(),
            env: self.plan.env.clone(),
        };
        *self = plan.env("TIDINGS_BIND", self.addr).start();
    }

    /// Starts it again after it has ended, on the same port and database.
    pub(crate) fn start_again(mut self) -> Self {
        self.start_over();
        self
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A token that says this.
pub(crate) fn hs256(secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).expect("it can be signed")
}

/// Now, as tokens count it.
pub(crate) fn now_secs() -> u64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("it is later");
    now.as_secs()
}

/// A request over a connection of its own; status and body.
pub(crate) fn get(server: &TestServer, path: &str) -> (u16, String) {
    let mut tcp = TcpStream::connect(server.addr).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

/// What a process has in memory.
#[cfg(target_os = "linux")]
pub(crate) fn resident_bytes(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse::<usize>().unwrap() << 10
}
