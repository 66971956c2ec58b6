//! What tests of the real binary share: a server process in a folder of its own, and tokens for it.
#![allow(dead_code, reason = "not every subject needs everything")]

mod output;
mod proxy;
mod server;
mod socket;
mod wire;

pub(crate) use output::{DEADLINE, refused, run};
pub(crate) use proxy::{End, How, Link, Proxy};
#[cfg(target_os = "linux")]
pub(crate) use server::resident_bytes;
pub(crate) use server::{Plan, TestServer, get, hs256, now_secs};
pub(crate) use socket::{Socket, message};
pub(crate) use wire::{Heard, Refused, Wire, behind, field, seq_of};

/// Lets this process and those that it starts have as many files open as they may: many systems begin with 1,024.
///
/// # Panics
/// They may have fewer than so many.
#[cfg(unix)]
pub(crate) fn raise_file_limit(least: u64) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("the soft limit may be raised");
    let files = limit.current.unwrap_or(u64::MAX);
    assert!(
        files >= least,
        "{files} files may be open, {least} are needed: raise `ulimit -Hn`"
    );
}

/// The seed of a test's random choices, printed so that a failure can be had again: `TIDINGS_TEST_SEED`.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("TIDINGS_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    eprintln!("TIDINGS_TEST_SEED={seed}");
    seed
}
