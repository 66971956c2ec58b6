//! The hub against a real tail, a log in memory and a small schema.

mod access;
mod delivery;
mod schema;
mod store;
mod world;
