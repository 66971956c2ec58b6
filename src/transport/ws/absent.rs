//! Subscriptions that `connection_init` named and that are not back yet.
//!
//! Clients take the positions in a ping for the whole truth (the recipe in docs/clients.md). A ping that left these out would
//! send them back to where they began, were the connection cut before their next event.

use std::collections::HashMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::frame::PING_START;
use crate::model::Cursor;

/// Those of one socket.
#[derive(Debug, Default)]
pub(super) struct Absent {
    /// On the heap, and only while there is one: mostly there is none.
    those: Option<Box<Those>>,
}

/// Where each of them stands, by subscription id.
#[derive(Debug)]
struct Those {
    places: HashMap<String, Cursor>,
    rounds: u8,
    /// The client has answered a ping.
    answered: bool,
}

#[derive(Deserialize)]
struct Ping {
    payload: Positions,
}

#[derive(Deserialize)]
struct Positions {
    resume: Map<String, Json>,
}

impl Absent {
    /// After so many pings at their interval (the first comes at random within it) whoever is not back was ended by the
    /// application while the line was down - if the client has answered one: until then what it said first may still be on
    /// its way, or lost on a line that carries one way only.
    const ROUNDS: u8 = 2;

    /// All that have a place to go on from.
    pub(super) fn new(resume: &HashMap<String, Option<Cursor>>) -> Self {
        let place = |(id, cursor): (&String, &Option<Cursor>)| Some((id.clone(), (*cursor)?));
        Self::of(Box::new(Those {
            places: resume.iter().filter_map(place).collect(),
            rounds: 0,
            answered: false,
        }))
    }

    fn of(those: Box<Those>) -> Self {
        Self {
            those: (!those.places.is_empty()).then_some(those),
        }
    }

    /// The client has answered a ping: it has heard `connection_ack`, and asked for what it wants before that.
    pub(super) fn answered(&mut self) {
        if let Some(those) = &mut self.those {
            those.answered = true;
        }
    }

    /// This one is over, whether it came back or not.
    pub(super) fn over(&mut self, id: &str) {
        if let Some(mut those) = self.those.take() {
            those.places.remove(id);
            *self = Self::of(those);
        }
    }

    /// A ping is due by the clock. Who has been asked for stays until a ping names it: it may take a while to begin.
    pub(super) fn round(&mut self, is_asked_for: impl Fn(&str) -> bool) {
        if let Some(mut those) = self.those.take() {
            those.rounds = those.rounds.saturating_add(1);
            if those.rounds >= Self::ROUNDS && those.answered {
                those.places.retain(|id, _| is_asked_for(id));
            }
            *self = Self::of(those);
        }
    }

    /// The ping with those that it does not name. Whom it names is back: from now on the hub knows better.
    pub(super) fn complete(&mut self, ping: Bytes) -> Bytes {
        let Some(mut those) = self.those.take() else {
            return ping;
        };
        let Ok(Ping { payload }) = serde_json::from_slice(&ping) else {
            self.those = Some(those);
            return ping;
        };
        let mut resume = payload.resume;
        those.places.retain(|id, _| !resume.contains_key(id));
        let absent = those.places.iter();
        resume.extend(absent.map(|(id, cursor)| (id.clone(), cursor.to_string().into())));
        *self = Self::of(those);
        format!(r#"{PING_START}{{"resume":{}}}}}"#, Json::Object(resume)).into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OLD: &str = "00000000010000000007";
    const NEW: &str = "00000000020000000007";

    fn absent(ids: &[&str]) -> Absent {
        let place = |id: &&str| ((*id).to_owned(), Some(OLD.parse().unwrap()));
        Absent::new(&ids.iter().map(place).collect())
    }

    fn completed(absent: &mut Absent, resume: &Json) -> Json {
        let ping = format!(r#"{PING_START}{{"resume":{resume}}}}}"#);
        let ping: Json = serde_json::from_slice(&absent.complete(ping.into())).unwrap();
        assert_eq!(ping["type"], "ping");
        ping["payload"]["resume"].clone()
    }

    #[test]
    fn a_ping_names_those_that_are_not_back_yet() {
        let mut absent = absent(&["a", "b\""]);
        assert_eq!(
            completed(&mut absent, &json!({ "a": NEW, "c": NEW })),
            json!({ "a": NEW, "b\"": OLD, "c": NEW })
        );
    }

    #[test]
    fn who_was_back_is_absent_no_more() {
        let mut absent = absent(&["a", "b"]);
        completed(&mut absent, &json!({ "a": NEW }));
        assert_eq!(completed(&mut absent, &json!({})), json!({ "b": OLD }));
        absent.over("b");
        assert_eq!(completed(&mut absent, &json!({})), json!({}));
    }

    #[test]
    fn who_is_not_back_after_two_rounds_will_not_come() {
        let mut absent = absent(&["a"]);
        absent.answered();
        absent.round(|_| false);
        assert_eq!(completed(&mut absent, &json!({})), json!({ "a": OLD }));
        absent.round(|_| false);
        assert_eq!(completed(&mut absent, &json!({})), json!({}));
    }

    #[test]
    fn while_no_ping_was_answered_anyone_may_still_be_on_the_way() {
        let mut absent = absent(&["a"]);
        for _ in 0..9 {
            absent.round(|_| false);
            assert_eq!(completed(&mut absent, &json!({})), json!({ "a": OLD }));
        }
        absent.answered();
        absent.round(|_| false);
        assert_eq!(completed(&mut absent, &json!({})), json!({}));
    }

    #[test]
    fn who_has_been_asked_for_is_named_for_as_long_as_it_takes_to_begin() {
        let mut absent = absent(&["a", "b"]);
        absent.answered();
        for _ in 0..3 {
            absent.round(|id| id == "a");
        }
        assert_eq!(completed(&mut absent, &json!({})), json!({ "a": OLD }));
        assert_eq!(
            completed(&mut absent, &json!({ "a": NEW })),
            json!({ "a": NEW })
        );
        assert_eq!(completed(&mut absent, &json!({})), json!({}));
    }

    #[test]
    fn a_garbage_place_is_none() {
        let resume = HashMap::from([("a".to_owned(), None)]);
        assert_eq!(completed(&mut Absent::new(&resume), &json!({})), json!({}));
    }
}
