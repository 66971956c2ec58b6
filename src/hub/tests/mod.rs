//! The hub against a real tail, a log in memory and a small schema.

mod access;
mod bounds;
mod delivery;
mod model;
mod plans;
mod positions;
mod revocations;
mod schema;
mod signals;
mod starts;
mod store;
mod stress;
mod trouble;
mod world;
