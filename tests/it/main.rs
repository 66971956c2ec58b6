//! Tests of the real binary, through real sockets: one program, a module a subject.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

mod answers;
mod codes;
#[cfg(unix)]
mod durability;
#[cfg(unix)]
mod held_up;
mod logs;
mod network;
mod polling;
mod presence;
mod process;
mod refusals;
mod signals;
#[cfg(target_os = "linux")]
mod slow_readers;
mod stopping;
mod streams;
mod stress;
mod tokens;
mod walls;
mod websocket;
