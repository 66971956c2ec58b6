//! Tidings: a self-hosted, real-time message server.

pub mod app;
pub mod auth;
pub mod bus;
pub mod chat;
pub mod config;
pub mod document;
pub mod error;
pub mod graphql;
pub mod hub;
mod interleave;
pub mod log;
pub mod model;
pub mod signal;
pub mod store;
pub mod transport;
