//! What is remembered in *order*: the writer that decides and commits in batches, and the tail that holds the newest
//! part of the log in memory. Knows no rules of chat.

mod tail;

pub use tail::Tail;
