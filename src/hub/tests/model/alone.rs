//! One subscription that catches up, goes live and falls behind.

use super::explore;
use super::script::About::Mine;
use super::script::Act::{Ping, Plan, Rest, Subscribe};
use super::script::Doing::{Create, Say};
use super::script::From::{After, Now};
use super::script::Script;
use crate::hub::position::Pace;
use crate::model::Visibility::Private;

#[test]
fn a_replay_goes_live_while_the_log_grows() {
    explore(Script {
        before: vec![Create(0, Private, "ada"), Say(0)],
        writes: vec![Say(0), Say(0)],
        clients: vec![("ada", vec![Subscribe('a', Mine, After(0))])],
        ..Script::default()
    });
}

#[test]
fn a_replay_goes_on_from_the_store_where_the_ring_has_left_it_behind() {
    explore(Script {
        before: vec![Create(0, Private, "ada"), Say(0)],
        writes: vec![Say(0), Say(0), Say(0)],
        clients: vec![("ada", vec![Subscribe('a', Mine, After(0))])],
        ring: 1,
        page: 2,
        budget: 2,
        ..Script::default()
    });
}

#[test]
fn a_subscription_begins_where_the_log_ended_when_it_was_planned() {
    explore(Script {
        before: vec![Create(0, Private, "ada"), Say(0)],
        writes: vec![Say(0), Say(0)],
        clients: vec![("ada", vec![Plan, Subscribe('a', Mine, Now), Ping])],
        budget: 2,
        ring: 2,
        ..Script::default()
    });
}

#[test]
fn a_ping_between_two_frames_of_a_replay_tells_the_place_between_them() {
    explore(Script {
        before: vec![Create(0, Private, "ada"), Say(0)],
        writes: vec![Say(0)],
        clients: vec![("ada", vec![Subscribe('a', Mine, After(0)), Ping])],
        overtakes: 1,
        ..Script::default()
    });
}

#[test]
fn a_slow_reader_loses_nothing() {
    explore(Script {
        before: vec![Create(0, Private, "ada")],
        writes: vec![Say(0), Say(0), Say(0), Say(0)],
        clients: vec![("ada", vec![Subscribe('a', Mine, Now), Rest])],
        ring: 2,
        page: 2,
        budget: 1,
        overtakes: 1,
        ..Script::default()
    });
}

/// A worker and a catch-up once sent such a subscription to and fro without an end.
#[test]
fn a_slow_reader_that_is_near_the_head_but_not_in_the_ring_comes_up() {
    explore(Script {
        before: vec![Create(0, Private, "ada")],
        writes: vec![Say(0), Say(0), Say(0)],
        clients: vec![("ada", vec![Subscribe('a', Mine, Now), Rest])],
        ring: 1,
        budget: 1,
        page: 2,
        pace: Pace {
            remainder: 2,
            seating: 4,
            ring: 1,
            ..Pace::default()
        },
        overtakes: 1,
        ..Script::default()
    });
}

#[test]
fn a_socket_that_takes_a_part_of_a_frame_gets_the_rest_of_it_first() {
    explore(Script {
        before: vec![Create(0, Private, "ada")],
        writes: vec![Say(0), Say(0), Say(0)],
        clients: vec![("ada", vec![Subscribe('a', Mine, Now), Rest, Ping])],
        budget: 1,
        ring: 2,
        // A frame and a half.
        wire: Some(100),
        ..Script::default()
    });
}
