//! Mosquitto, where it is installed: MQTT over TCP, everything in memory, nothing dropped.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::Context;

use crate::server::Server;

/// The binary, if there is one. Debian keeps it where only root's `PATH` looks.
pub fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    folders
        .map(|folder| folder.join("mosquitto"))
        .find(|binary| binary.is_file())
}

pub fn start(core: Option<usize>) -> anyhow::Result<Server> {
    let binary = find().context("mosquitto is not installed")?;
    let folder = tempfile::tempdir()?;
    // It does not say which port it took, so it is told a free one.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let settings = folder.path().join("mosquitto.conf");
    fs::write(&settings, settings_of(address.port()))?;
    let mut command = Command::new(binary);
    command.arg("-c").arg(&settings);
    Server::start(command, folder, core, |line| {
        line.contains(" running").then(|| address.to_string())
    })
}

fn settings_of(port: u16) -> String {
    // max_queued_messages 0: as many as come, for a message that is dropped is an error here.
    format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n\
         max_queued_messages 0\nmax_connections -1\nconnection_messages false\nlog_dest stderr\nlog_type information\n"
    )
}
