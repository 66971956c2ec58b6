//! How bytes arrive. Knows no rules of chat and not what fields mean.

pub mod drain;
pub mod http;
pub mod listener;
pub mod playground;
pub mod ws;
