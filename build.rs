//! Builds the playground: `web/`, bundled by npm into `OUT_DIR/playground`, where the crate embeds it from.
//!
//! Nothing is written into the source tree. A machine without npm, or without a network, gets a binary all the
//! same: its playground is the small page of `web/small`, and one warning says so.
//!
//! `PLAYGROUND=off` builds none, `PLAYGROUND=small` the small page without trying npm, and `PLAYGROUND=graphiql`
//! fails where it would otherwise fall back: for builds that are given to others.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// What the bundle is made of. Named one by one: a `node_modules` that a developer has there is none of it.
const SOURCES: [&str; 6] = [
    ".npmrc",
    "index.html",
    "package-lock.json",
    "package.json",
    "src",
    "vite.config.js",
];

/// Exactly what the lockfile says; no package runs a script of its own.
const CI: [&str; 6] = [
    "ci",
    "--ignore-scripts",
    "--include=dev",
    "--no-audit",
    "--no-fund",
    "--prefer-offline",
];

/// Into the folder that the crate embeds.
const BUILD: [&str; 5] = [
    "run",
    "build",
    "--",
    "--outDir=../playground",
    "--emptyOutDir",
];

fn main() -> Result<(), String> {
    for source in SOURCES {
        println!("cargo:rerun-if-changed=web/{source}");
    }
    println!("cargo:rerun-if-env-changed=PLAYGROUND");
    // A migration that is added changes no file that the compiler knows of yet.
    println!("cargo:rerun-if-changed=migrations");

    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let page = match env::var("PLAYGROUND").unwrap_or_default().as_str() {
        "off" => none(&out, "off"),
        "small" => none(&out, "small"),
        "graphiql" => bundle(&out).map(|()| "graphiql"),
        "" | "on" => bundle(&out).map(|()| "graphiql").or_else(|why| {
            println!(
                "cargo:warning=the playground will be the small page, not GraphiQL: {why} (with npm and Node 20.19 \
                 or newer at hand, `touch build.rs` and build again)"
            );
            none(&out, "small")
        }),
        other => Err(format!(
            "PLAYGROUND={other}: use on, off, small or graphiql"
        )),
    }?;
    println!("cargo:rustc-env=PLAYGROUND_PAGE={page}");
    // Its tests have nothing to look at then.
    println!("cargo:rustc-check-cfg=cfg(playground_off)");
    if page == "off" {
        println!("cargo:rustc-cfg=playground_off");
    }
    Ok(())
}

/// No bundle: an empty folder, since one must be there to be embedded.
fn none(out: &Path, page: &'static str) -> Result<&'static str, String> {
    let made = empty(&out.join("playground"));
    made.map(|()| page).map_err(|error| error.to_string())
}

fn bundle(out: &Path) -> Result<(), String> {
    let work = out.join("web");
    let bundled = copy_sources(&work)
        .and_then(|()| empty(&out.join("playground")))
        .map_err(|error| error.to_string())
        .and_then(|()| npm(&work, &CI))
        .and_then(|()| npm(&work, &BUILD));
    // 200 MB that no later build needs: npm keeps its own cache.
    let _ = fs::remove_dir_all(&work);
    bundled
}

fn npm(work: &Path, arguments: &[&str]) -> Result<(), String> {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let output = Command::new(program)
        .args(arguments)
        .current_dir(work)
        .output()
        .map_err(|error| format!("npm could not be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = said
        .lines()
        .find(|line| line.contains("rror"))
        .unwrap_or("no reason given");
    Err(format!("npm {} failed: {}", arguments[0], reason.trim()))
}

fn copy_sources(work: &Path) -> io::Result<()> {
    empty(work)?;
    let web = PathBuf::from("web");
    SOURCES
        .iter()
        .try_for_each(|name| copy(&web.join(name), &work.join(name)))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn empty(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(folder),
    }
}
