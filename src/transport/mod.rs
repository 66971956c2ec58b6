//! How bytes arrive. Knows no rules of chat and not what fields mean.

mod census;
pub mod drain;
mod farewell;
pub mod http;
pub mod listener;
pub mod playground;
pub mod stream;
mod turnstile;
pub mod ws;
