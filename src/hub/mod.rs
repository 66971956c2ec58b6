//! Who is *told*: rosters, fan-out workers, operations rendered once, catch-up.
