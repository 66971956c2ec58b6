//! A real server process for one run: the release binary, in a folder of its own, with its limits off.

use std::path::PathBuf;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const SECRET: &str = "the secret of the bench, which is no secret";

/// A running server. Dropping it kills it.
pub struct Server {
    /// Where it listens.
    pub address: String,
    /// Its process id.
    pub pid: u32,
    _child: Child,
    folder: TempDir,
}

impl Server {
    /// Tidings.
    pub async fn tidings() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = command(&folder);
        command.arg("serve");
        Self::start(command, folder).await
    }

    /// The peer, a process of its own like Tidings.
    pub async fn peer() -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("peer");
        Self::start(command, tempfile::tempdir()?).await
    }

    /// Starts a server and waits until it says where it listens.
    async fn start(mut command: Command, folder: TempDir) -> anyhow::Result<Self> {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stderr = child
            .stderr
            .take()
            .ok_or_else(|| anyhow::anyhow!("no standard error"))?;
        let mut lines = BufReader::new(stderr).lines();
        let address = loop {
            let line = lines.next_line().await?;
            let line = line.ok_or_else(|| anyhow::anyhow!("the server did not start"))?;
            let line: serde_json::Value = serde_json::from_str(&line)?;
            if let Some(address) = line["listening"].as_str() {
                break address.to_owned();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let pid = child
            .id()
            .ok_or_else(|| anyhow::anyhow!("the server has ended"))?;
        Ok(Self {
            address,
            pid,
            _child: child,
            folder,
        })
    }

    /// A token for a user, from the binary itself.
    pub fn token(&self, user: &str) -> anyhow::Result<String> {
        let mut command = command(&self.folder).into_std();
        let printed = command.args(["token", "--user", user]).output()?;
        anyhow::ensure!(printed.status.success(), "no token for {user}");
        Ok(String::from_utf8(printed.stdout)?.trim().to_owned())
    }
}

fn command(folder: &TempDir) -> Command {
    let mut command = Command::new(binary());
    command
        .current_dir(folder.path())
        .env("TIDINGS_BIND", "127.0.0.1:0")
        .env("TIDINGS_JWT_SECRET", SECRET)
        .env("TIDINGS_LOG_FORMAT", "json")
        .env("TIDINGS_MUTATIONS_PER_SECOND", "0")
        .env("TIDINGS_CONNECTIONS_PER_USER", "0")
        .env("TIDINGS_CONNECTIONS_PER_IP", "0");
    command
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
