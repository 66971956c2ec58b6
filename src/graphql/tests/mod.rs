//! The schema as a whole: what it says, and what it answers over a real store.

mod answers;
mod bad_input;
mod changes;
mod direct;
mod follow;
mod paging;
mod reactions;
mod reading;
mod reauthenticate;
mod schema;
mod sharing;
mod statements;
mod types;
mod unseen;
mod visibility;
mod world;
mod writing;
