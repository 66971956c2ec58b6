//! Rooms that come and go: who may read what changes while a subscription catches up.

use super::explore;
use super::script::About::{Messages, Mine, Rooms};
use super::script::Act::{Rest, Subscribe};
use super::script::Doing::{Create, DeleteRoom, Join, Leave, MakePrivate, Say};
use super::script::From::{After, Now};
use super::script::{SLOW, Script};
use crate::model::Visibility::{Private, Public};

#[test]
fn a_room_comes_and_goes_while_its_viewer_catches_up() {
    explore(Script {
        before: vec![Create(0, Private, "ada"), Create(1, Private, "bob")],
        writes: vec![Join(0, "bob"), Say(0), Leave(0, "bob")],
        clients: vec![("bob", vec![Subscribe('a', Mine, After(1))])],
        budget: 2,
        ring: 2,
        ..Script::default()
    });
}

#[test]
fn a_room_comes_and_goes_while_its_viewer_is_live_and_slow() {
    explore(Script {
        before: vec![Create(0, Private, "ada"), Create(1, Private, "bob")],
        writes: vec![Join(0, "bob"), Say(0), Leave(0, "bob"), Say(1)],
        clients: vec![("bob", vec![Subscribe('a', Mine, Now), Rest])],
        budget: 1,
        ring: 2,
        overtakes: 1,
        ..Script::default()
    });
}

#[test]
fn a_named_room_is_made_private_while_one_who_is_not_in_it_catches_up() {
    explore(Script {
        before: vec![Create(0, Public, "ada"), Create(1, Private, "bob")],
        writes: vec![Say(0), MakePrivate(0), Say(0)],
        clients: vec![("bob", vec![Subscribe('a', Rooms(&[0, 1]), After(1))])],
        budget: 2,
        ring: 2,
        ..Script::default()
    });
}

#[test]
fn a_named_room_that_was_lost_is_not_taken_up_again() {
    explore(Script {
        before: vec![
            Create(0, Public, "ada"),
            Create(1, Private, "bob"),
            Join(0, "bob"),
        ],
        writes: vec![
            Leave(0, "bob"),
            MakePrivate(0),
            Join(0, "bob"),
            Say(0),
            Say(1),
        ],
        clients: vec![("bob", vec![Subscribe('a', Rooms(&[0, 1]), Now), Rest])],
        budget: 1,
        ring: 2,
        ..Script::default()
    });
}

#[test]
fn a_room_is_deleted_while_its_member_catches_up() {
    explore(Script {
        before: vec![
            Create(0, Public, "ada"),
            Create(1, Private, "bob"),
            Join(0, "bob"),
        ],
        writes: vec![Say(0), DeleteRoom(0), Say(1)],
        clients: vec![("bob", vec![Subscribe('a', Mine, After(0))])],
        budget: 2,
        ring: 2,
        ..Script::default()
    });
}

#[test]
fn the_messages_of_a_room_end_where_it_is_lost() {
    explore(Script {
        before: vec![Create(0, Public, "ada"), Say(0)],
        writes: vec![Say(0), MakePrivate(0), Say(0)],
        clients: vec![("bob", vec![Subscribe('a', Messages(0), After(1))])],
        budget: 2,
        ring: 2,
        ..Script::default()
    });
}

#[test]
fn a_loss_stays_in_its_place_when_its_payload_must_wait() {
    explore(Script {
        before: vec![Create(SLOW, Private, "ada"), Create(1, Private, "bob")],
        writes: vec![Join(SLOW, "bob"), Say(1), Leave(SLOW, "bob"), Say(1)],
        clients: vec![("bob", vec![Subscribe('a', Mine, Now), Rest])],
        budget: 2,
        ring: 3,
        ..Script::default()
    });
}

/// A page says what may be read at the log's end, which may be beyond the page's own.
#[test]
fn a_loss_beyond_a_page_is_told() {
    explore(Script {
        before: vec![
            Create(0, Private, "ada"),
            Create(1, Private, "bob"),
            Join(0, "bob"),
            Say(1),
            Say(0),
            Say(1),
            Leave(0, "bob"),
            Say(1),
        ],
        writes: vec![Say(1)],
        clients: vec![("bob", vec![Subscribe('a', Mine, After(2))])],
        page: 2,
        ..Script::default()
    });
}
