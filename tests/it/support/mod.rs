//! What tests of the real binary share: a server process in a folder of its own, and tokens for it.
#![allow(dead_code, reason = "not every subject needs everything")]

mod output;
mod server;

pub(crate) use output::run;
pub(crate) use server::{Plan, TestServer, hs256, now_secs};
