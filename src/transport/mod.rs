//! (stub)

pub mod playground;
