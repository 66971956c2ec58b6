//! A real server process for one run, in a folder of its own: Tidings' release binary with its limits off, or a peer.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use jsonwebtoken::{EncodingKey, Header};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tempfile::TempDir;

use crate::machine;
use crate::peers::{Peer, node};

const SECRET: &str = "the secret of the bench, which is no secret";
/// Longer than any run.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);

/// A running server. Dropping it kills it.
pub struct Server {
    /// Where it listens.
    pub address: String,
    /// Its process id.
    pub pid: u32,
    child: Child,
    folder: Arc<TempDir>,
}

impl Server {
    /// Tidings, on one core if one is named.
    pub fn tidings(core: Option<usize>) -> anyhow::Result<Self> {
        Self::letting_in(0, core)
    }

    /// Tidings that lets so many sockets in a second; 0 for any number.
    pub fn letting_in(per_second: u32, core: Option<usize>) -> anyhow::Result<Self> {
        Self::serve(tempfile::tempdir()?.into(), "127.0.0.1:0", per_second, core)
    }

    /// Tidings once more, on the same port and database. Where it still runs it is killed.
    pub fn start_again(mut self, core: Option<usize>) -> anyhow::Result<Self> {
        let _ = self.child.kill();
        self.child.wait()?;
        Self::serve(self.folder.clone(), &self.address, 0, core)
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.pid.try_into()?), Signal::SIGTERM)?;
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "it ended with {status}");
        Ok(())
    }

    fn serve(
        folder: Arc<TempDir>,
        bind: &str,
        sockets_per_second: u32,
        core: Option<usize>,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(binary());
        command
            .arg("serve")
            .current_dir(folder.path())
            .env_remove("TIDINGS_BIN")
            .env("TIDINGS_BIND", bind)
            .env("TIDINGS_JWT_SECRET", SECRET)
            .env("TIDINGS_LOG_FORMAT", "json")
            .env("TIDINGS_MUTATIONS_PER_SECOND", "0")
            .env("TIDINGS_CONNECTIONS_PER_USER", "0")
            .env("TIDINGS_CONNECTIONS_PER_IP", "0")
            .env("TIDINGS_SOCKETS_PER_SECOND", sockets_per_second.to_string())
            .env("TIDINGS_SUBSCRIPTIONS_PER_CONNECTION", "0");
        Self::start(command, folder, core, where_it_says)
    }

    /// A peer of this binary, a process of its own like Tidings.
    pub fn peer(peer: Peer, core: Option<usize>) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("peer").arg(peer.name());
        Self::start(command, tempfile::tempdir()?, core, where_it_says)
    }

    /// A peer that runs on Node.
    pub fn node(script: &str, core: Option<usize>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        Self::start(node::command(script), folder, core, where_it_says)
    }

    /// Starts a server and waits for the line of its standard error that says where it listens.
    pub fn start(
        mut command: Command,
        folder: impl Into<Arc<TempDir>>,
        core: Option<usize>,
        listening: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        // A process begins on the cores of the thread that starts it.
        let started = thread::scope(|scope| {
            let spawn = || machine::pin(core).and_then(|()| Ok(command.spawn()?));
            scope.spawn(spawn).join()
        });
        let mut child = started.map_err(|_| anyhow::anyhow!("cannot start {command:?}"))??;
        let stderr = child
            .stderr
            .take()
            .ok_or_else(|| anyhow::anyhow!("no standard error"))?;
        let mut lines = BufReader::new(stderr).lines();
        let address = wait_for(&mut lines, listening).with_context(|| format!("{command:?}"))?;
        thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(Self {
            address,
            pid: child.id(),
            child,
            folder: folder.into(),
        })
    }
}

impl Server {
    /// Where it was started, and keeps what it keeps.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing of it is left.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server's first lines say of where it listens.
fn wait_for(
    lines: &mut Lines<impl BufRead>,
    listening: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<String> {
    let mut said = String::new();
    for line in lines {
        let line = line?;
        if let Some(address) = listening(&line) {
            return Ok(address);
        }
        said = said + &line + "\n";
    }
    anyhow::bail!("it ended before it listened, and said:\n{said}")
}

/// A line of JSON with `listening`.
fn where_it_says(line: &str) -> Option<String> {
    let line = serde_json::from_str::<serde_json::Value>(line).ok()?;
    line["listening"].as_str().map(str::to_owned)
}

/// A token for a user, signed with the secret that Tidings is started with.
pub fn token(user: &str) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let claims = json!({ "sub": user, "exp": (now + TOKEN_TTL).as_secs() });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    Ok(jsonwebtoken::encode(&Header::default(), &claims, &key)?)
}

/// `TIDINGS_BIN`, else the release binary beside this one.
fn binary() -> PathBuf {
    let given = std::env::var_os("TIDINGS_BIN").map(PathBuf::from);
    let beside = || {
        std::env::current_exe()
            .ok()
            .map(|bench| bench.with_file_name("tidings"))
    };
    given.or_else(beside).unwrap_or_else(|| "tidings".into())
}
