//! Several subscriptions, on one connection and on several, at once and one after the other.

use super::explore;
use super::script::About::{Mine, Rooms};
use super::script::Act::{Cut, Ping, Rest, Subscribe, Unsubscribe};
use super::script::Doing::{Create, Say};
use super::script::From::{Known, Now};
use super::script::Script;
use crate::model::Visibility::Private;

#[test]
fn all_subscriptions_of_a_slow_connection_catch_up_from_where_each_was() {
    explore(Script {
        before: vec![Create(0, Private, "ada")],
        writes: vec![Say(0), Say(0)],
        clients: vec![(
            "ada",
            vec![
                Subscribe('a', Mine, Now),
                Subscribe('b', Rooms(&[0]), Now),
                Rest,
                Ping,
            ],
        )],
        ring: 1,
        budget: 2,
        ..Script::default()
    });
}

#[test]
fn a_write_that_breaks_off_leaves_each_subscription_where_it_was() {
    explore(Script {
        before: vec![Create(0, Private, "ada")],
        writes: vec![Say(0), Say(0)],
        clients: vec![(
            "ada",
            vec![
                Subscribe('a', Mine, Now),
                Subscribe('b', Rooms(&[0]), Now),
                Rest,
            ],
        )],
        ring: 2,
        budget: 1,
        wire: Some(100),
        ..Script::default()
    });
}

#[test]
fn a_slow_connection_leaves_another_alone() {
    explore(Script {
        before: vec![Create(0, Private, "ada")],
        writes: vec![Say(0), Say(0)],
        clients: vec![
            ("ada", vec![Subscribe('a', Mine, Now), Rest]),
            ("ada", vec![Subscribe('a', Mine, Now), Rest]),
        ],
        ring: 1,
        budget: 1,
        ..Script::default()
    });
}

#[test]
fn a_name_that_is_used_again_is_another_subscription() {
    explore(Script {
        before: vec![Create(0, Private, "ada")],
        writes: vec![Say(0), Say(0)],
        clients: vec![(
            "ada",
            vec![
                Subscribe('a', Mine, Now),
                Rest,
                Unsubscribe('a'),
                Subscribe('a', Mine, Known),
            ],
        )],
        ring: 2,
        budget: 1,
        ..Script::default()
    });
}

#[test]
fn a_client_that_comes_back_goes_on_from_what_it_knows_to_have() {
    explore(Script {
        before: vec![Create(0, Private, "ada")],
        writes: vec![Say(0), Say(0)],
        clients: vec![(
            "ada",
            vec![
                Subscribe('a', Mine, Now),
                Rest,
                Ping,
                Cut,
                Subscribe('a', Mine, Known),
            ],
        )],
        ring: 2,
        budget: 1,
        ..Script::default()
    });
}
