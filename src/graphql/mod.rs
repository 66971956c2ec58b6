//! How it is *asked for*.

pub mod executor;
