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
//!
//! Seen red, one at a time, and by what:
//!
//! | broken | found by |
//! |---|---|
//! | a seat from where the worker is, not from its own place | a frame that is not due ("after [...]"), in 19 of 25 tests |
//! | a seat from the tail's head: what was published since the page is lost | a frame is missing, in 20 |
//! | a seat without the remainder | a frame is missing, in 24 |
//! | no look at the ring before handing over | "never comes to rest": `a_slow_reader_that_is_near_the_head...` |
//! | handing over before the place that the worker asked for | "never comes to rest": `payloads_that_must_wait...` |
//! | the place told before the page is queued | a ping: `a_ping_between_two_frames...` |
//! | `CaughtUp` before the page is queued | `a_replay_goes_live...` |
//! | the access of a page that does not reach the head | a loss is not told: `a_loss_beyond_a_page...` |
//! | the access at the log's end taken for that at the place | `a_named_room_is_made_private...` |
//! | a room that was lost asked for again | `a_named_room_that_was_lost...` |
//! | what the rest of a run was to bring a stalled connection not noted | `all_subscriptions_of_a_slow_connection...` |
//! | a payload that was missed taken for delivered | `payloads_that_must_wait...` |
//! | seats kept when the ring has left their worker behind | `a_slow_reader_loses_nothing` |
//! | a budget that is not kept | "more than 2 frames wait": `a_slow_reader_loses_nothing` |
//! | the rest of a frame that a socket took in part lost; a write past what waits | "half a frame" |
//! | a live frame after unsubscribing | `a_name_that_is_used_again...` |
//! | the worker's walk before it takes requests for seats | `CaughtUp` too early, at random |
//! | the tail's head as it was told last | "does not come to an end", at random |

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
