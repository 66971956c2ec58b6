//! What goes wrong on the way: payloads that must wait, messages that are deleted, a store that fails, a log that is cut.

use super::explore;
use super::script::About::Mine;
use super::script::Act::{Rest, Subscribe};
use super::script::Doing::{Create, Delete, Prune, Say, Slow};
use super::script::From::{After, Now};
use super::script::Script;
use crate::model::Visibility::Private;

#[test]
fn payloads_that_must_wait_come_in_their_places() {
    explore(Script {
        before: vec![Create(0, Private, "ada")],
        writes: vec![Slow(0), Say(0), Slow(0)],
        clients: vec![("ada", vec![Subscribe('a', Mine, Now), Rest])],
        budget: 2,
        ring: 2,
        overtakes: 1,
        ..Script::default()
    });
}

#[test]
fn what_was_read_before_a_deletion_is_read_again() {
    explore(Script {
        before: vec![Create(0, Private, "ada"), Say(0)],
        writes: vec![Delete(2), Say(0)],
        clients: vec![("ada", vec![Subscribe('a', Mine, After(0))])],
        budget: 2,
        ring: 3,
        ..Script::default()
    });
}

#[test]
fn a_store_that_fails_is_asked_again() {
    explore(Script {
        before: vec![Create(0, Private, "ada"), Say(0)],
        writes: vec![Say(0)],
        clients: vec![("ada", vec![Subscribe('a', Mine, After(0))])],
        failures: 2,
        budget: 2,
        ring: 1,
        page: 2,
        ..Script::default()
    });
}

#[test]
fn a_replay_that_the_log_is_cut_under_is_told_where_it_goes_on() {
    explore(Script {
        before: vec![Create(0, Private, "ada"), Say(0), Say(0)],
        writes: vec![Say(0), Prune(2), Say(0)],
        clients: vec![("ada", vec![Subscribe('a', Mine, After(0))])],
        budget: 2,
        ring: 1,
        page: 2,
        ..Script::default()
    });
}
