//! The hand-over between catch-ups and worker, in every order of steps.
//!
//! Everything here is the hub's own code on one thread: tail, worker, catch-ups, outboxes. A script says what is written,
//! what each client does, and how tight the bounds are; who goes on at each step is chosen by the explorer. It tries all
//! orders, each run repeating the one before up to its last choice that has another option, and leaves off where a run
//! comes to a state that was explored before. What a step is, is told at [`stage::Step`]: a task runs until it waits, a
//! worker for one turn. A script may also allow that whoever runs is overtaken half-way, where `interleave::point!` says;
//! who overtakes comes to the end of its step before the other goes on.
//!
//! Looked for at each step: that every stream is what its viewer is owed ([`owed`]), that pings tell no place which was not
//! reached, that a subscription has one owner, that no more waits than a budget lets. At the end, when no one can do
//! anything: that each is live and at the head. And from wherever the server is left to itself, that it comes to rest.
//!
//! `TIDINGS_MODEL_OVERTAKES` allows more than the scripts do: 1 takes some minutes. What is too large for all orders is tried
//! in orders at random: see [`walks`].

mod alone;
mod client;
mod explorer;
mod owed;
mod render;
mod rooms;
mod script;
mod socket;
mod stage;
mod together;
mod trouble;
mod walks;

use self::script::Script;

fn explore(mut script: Script) {
    if let Ok(overtakes) = std::env::var("TIDINGS_MODEL_OVERTAKES") {
        script.overtakes = overtakes.parse().unwrap();
    }
    eprintln!("{:?}", explorer::explore(&script));
}
