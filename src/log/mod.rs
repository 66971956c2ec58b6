//! What is remembered in *order*: the writer that decides and commits in batches, the tail that holds the newest part
//! of the log in memory, and retention. Knows no rules of chat.

mod batch;
mod retention;
mod ring;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

pub use batch::Batch;
pub use retention::keep_days;
pub use tail::{Tail, TailLimits};
pub use writer::{Command, Writer};
