//! The peers on Node, in `bench/peers`: installed from their lockfile when they are first needed.

use std::path::Path;
use std::process::{Command, Stdio};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

/// What serves a script of the folder.
pub fn command(script: &str) -> Command {
    let mut command = Command::new("node");
    command
        .arg(Path::new(FOLDER).join(script))
        .env("NODE_ENV", "production");
    command
}

/// Installs what the lockfile says, unless that has been done.
///
/// # Errors
/// Why there are no peers on Node.
pub fn install() -> Result<(), String> {
    let node = Command::new("node")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !node.is_ok_and(|status| status.success()) {
        return Err("node is not installed".to_owned());
    }
    let changed = |name| {
        Path::new(FOLDER)
            .join(name)
            .metadata()
            .and_then(|file| file.modified())
    };
    // npm writes the former when it has installed what the latter says.
    if let (Ok(installed), Ok(locked)) = (
        changed("node_modules/.package-lock.json"),
        changed("package-lock.json"),
    ) && installed >= locked
    {
        return Ok(());
    }
    let npm = Command::new("npm")
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ])
        .current_dir(FOLDER)
        .stdout(Stdio::null())
        .status();
    match npm {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("npm ci failed: {status}")),
        Err(error) => Err(format!("npm ci failed: {error}")),
    }
}
