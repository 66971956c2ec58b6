//! The load generator: whoever publishes and listens, on one thread with one epoll.
//!
//! It knows how each kind of server is spoken to, and nothing of who they are or what is measured.

mod client;
mod crowd;
pub mod frames;
mod ledger;
mod mark;
mod mqtt;
mod publish;
mod role;
mod stamp;
mod talk;

pub use crowd::Crowd;
pub use role::{Follows, Role};
pub use talk::Talk;
