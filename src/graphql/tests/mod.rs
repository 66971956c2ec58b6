//! The schema as a whole: what it says, and what it answers over a real store.

mod schema;
