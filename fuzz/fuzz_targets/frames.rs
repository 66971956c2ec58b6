//! What a client may send, whatever it is: `src/transport/ws/reader/oracle.rs` says what must hold.
//!
//! The reader is taken as a file rather than from the crate: it stays private there, and is built here alone.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/transport/ws/reader/mod.rs"]
mod reader;

use reader::oracle::{Limits, check};

/// Around the lengths where something changes: of control frames, of two bytes, of eight.
const LIMITS: [Limits; 4] = [
    Limits {
        first: 125,
        later: 125,
    },
    Limits {
        first: 126,
        later: 1000,
    },
    Limits {
        first: 300,
        later: 200,
    },
    Limits {
        first: 1000,
        later: 66_000,
    },
];

fuzz_target!(|data: &[u8]| {
    let [limits, cut, other_cut, bytes @ ..] = data else {
        return;
    };
    let limits = LIMITS[usize::from(*limits) % LIMITS.len()];
    check(bytes, limits, &[usize::from(*cut), usize::from(*other_cut)]);
});
