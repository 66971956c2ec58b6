//! Presence: what one user's sockets come to, against a naive model; and the guard with the clock.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::super::Known;
use super::super::presence::{Change, People, Status};
use super::{signals, user};
use crate::model::{Timestamp, User};

fn told(change: Option<Change>) -> Option<(Status, Option<Timestamp>)> {
    change.map(|change| (change.status, change.last_seen_at))
}

#[test]
fn three_devices_are_one_presence() {
    let (mut people, ada, now) = (People::default(), user("ada"), Instant::now());
    assert_eq!(told(people.arrive(&ada)), Some((Status::Online, None)));
    assert_eq!(told(people.arrive(&ada)), None);
    assert_eq!(told(people.arrive(&ada)), None);
    assert_eq!(told(people.leave(&ada.id, true, now, Timestamp(1))), None);
    assert_eq!(told(people.leave(&ada.id, false, now, Timestamp(2))), None);
    assert_eq!(people.lapse(now + People::GRACE), None);
    let gone = people.leave(&ada.id, true, now, Timestamp(3));
    assert_eq!(told(gone), Some((Status::Offline, Some(Timestamp(3)))));
    assert!(people.get(&ada.id).is_none());
}

#[test]
fn a_newer_token_that_shows_another_name_is_told_and_an_older_one_is_not() {
    let (mut people, ada) = (People::default(), user("ada"));
    let named = |name: &str, at| {
        let (name, profile_at) = (name.into(), Timestamp(at));
        let user = (*ada).clone();
        Arc::new(User {
            name,
            profile_at,
            ..user
        })
    };
    assert_eq!(people.renew(&ada), None, "she is not there");
    people.arrive(&ada);
    assert_eq!(
        people.renew(&named("Ada", 2)).unwrap().user.name,
        "Ada".into()
    );
    assert_eq!(people.renew(&named("Ada", 3)), None);
    assert_eq!(people.arrive(&named("Countess", 2)), None);
    assert_eq!(people.get(&ada.id).unwrap().0.name, "Ada".into());
    let desk = people.arrive(&named("Countess", 4)).unwrap();
    assert_eq!(
        (desk.user.name.clone(), desk.status),
        ("Countess".into(), Status::Online)
    );
}

#[test]
fn who_is_cut_off_is_gone_after_the_grace_and_not_before() {
    let (mut people, ada, now) = (People::default(), user("ada"), Instant::now());
    people.arrive(&ada);
    assert_eq!(told(people.leave(&ada.id, false, now, Timestamp(7))), None);
    let almost = now + People::GRACE - Duration::from_millis(1);
    assert_eq!(people.next_lapse(), Some(now + People::GRACE));
    assert_eq!(people.lapse(almost), None);
    assert!(people.get(&ada.id).is_some());
    let gone = people.lapse(now + People::GRACE);
    assert_eq!(told(gone), Some((Status::Offline, Some(Timestamp(7)))));
    assert_eq!(people.next_lapse(), None);
}

#[test]
fn who_comes_back_in_time_was_never_gone() {
    let (mut people, ada, now) = (People::default(), user("ada"), Instant::now());
    people.arrive(&ada);
    people.set_away(&ada.id, true);
    people.leave(&ada.id, false, now, Timestamp(7));
    assert_eq!(told(people.arrive(&ada)), None);
    assert_eq!(people.next_lapse(), None);
    assert_eq!(people.lapse(now + 2 * People::GRACE), None);
    // What it said still holds.
    assert_eq!(people.get(&ada.id).unwrap().1, Status::Away);
}

#[test]
fn away_is_told_once_and_ends_with_the_last_socket() {
    let (mut people, ada, now) = (People::default(), user("ada"), Instant::now());
    assert_eq!(told(people.set_away(&ada.id, true)), None);
    people.arrive(&ada);
    let away = Some((Status::Away, None));
    assert_eq!(told(people.set_away(&ada.id, true)), away);
    assert_eq!(told(people.set_away(&ada.id, true)), None);
    let back = Some((Status::Online, None));
    assert_eq!(told(people.set_away(&ada.id, false)), back);
    people.set_away(&ada.id, true);
    people.leave(&ada.id, true, now, Timestamp(1));
    assert_eq!(told(people.arrive(&ada)), Some((Status::Online, None)));
}

/// One step of a user's day.
#[derive(Clone, Debug)]
enum Act {
    Arrive(usize),
    /// The oldest of its sockets, cleanly or not.
    Leave(usize, bool),
    Away(usize, bool),
    /// Milliseconds go by.
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let user = 0..3_usize;
    prop_oneof![
        3 => user.clone().prop_map(Act::Arrive),
        4 => (user.clone(), any::<bool>()).prop_map(|(user, clean)| Act::Leave(user, clean)),
        1 => (user, any::<bool>()).prop_map(|(user, away)| Act::Away(user, away)),
        2 => prop_oneof![Just(1), Just(7_500), Just(14_999), Just(15_000)].prop_map(Act::Wait),
    ]
}

/// As one would write it down without a thought of cost: one line for each user.
#[derive(Clone, Default)]
struct Naive {
    sockets: u32,
    away: bool,
    there: bool,
    /// Since when no socket is left, after a cut.
    cut_ms: Option<u64>,
    last_seen_ms: Option<u64>,
}

impl Naive {
    fn shown(&self) -> (Status, Option<u64>) {
        match (self.there, self.away) {
            (false, _) => (Status::Offline, self.last_seen_ms),
            (true, true) => (Status::Away, None),
            (true, false) => (Status::Online, None),
        }
    }

    fn end(&mut self, at_ms: u64) {
        (self.there, self.away, self.cut_ms) = (false, false, None);
        self.last_seen_ms = Some(at_ms);
    }

    fn act(&mut self, act: &Act, now_ms: u64) {
        match act {
            Act::Arrive(_) => {
                self.sockets += 1;
                (self.there, self.cut_ms) = (true, None);
            }
            Act::Leave(_, _) if self.sockets == 0 => {}
            Act::Leave(_, clean) => {
                self.sockets -= 1;
                match (self.sockets, clean) {
                    (0, true) => self.end(now_ms),
                    (0, false) => self.cut_ms = Some(now_ms),
                    _ => {}
                }
            }
            Act::Away(_, away) => self.away = self.there && *away,
            Act::Wait(_) => {
                let lapsed = self.cut_ms.filter(|cut_ms| now_ms >= cut_ms + 15_000);
                if let Some(cut_ms) = lapsed {
                    self.end(cut_ms);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Three users with up to three devices each: what is told, one change after the other, is what the naive model shows.
    #[test]
    fn what_is_told_adds_up_to_what_is_so(acts in prop::collection::vec(act(), 1..80)) {
        let users = ["ada", "ben", "cay"].map(user);
        let mut naive = <[Naive; 3]>::default();
        let mut shown = naive.clone().map(|naive| naive.shown());
        let mut people = People::default();
        let (began, mut now_ms) = (Instant::now(), 0);
        for act in &acts {
            if let Act::Wait(ms) = act {
                now_ms += ms;
            }
            let now = began + Duration::from_millis(now_ms);
            let at = Timestamp(now_ms.cast_signed());
            let changes: Vec<Change> = match act {
                Act::Arrive(who) if naive[*who].sockets == 3 => continue,
                Act::Arrive(who) => people.arrive(&users[*who]).into_iter().collect(),
                Act::Leave(who, _) if naive[*who].sockets == 0 => continue,
                Act::Leave(who, clean) => {
                    people.leave(&users[*who].id, *clean, now, at).into_iter().collect()
                }
                Act::Away(who, away) => people.set_away(&users[*who].id, *away).into_iter().collect(),
                Act::Wait(_) => std::iter::from_fn(|| people.lapse(now)).collect(),
            };
            match act {
                Act::Arrive(who) | Act::Leave(who, _) | Act::Away(who, _) => {
                    naive[*who].act(act, now_ms);
                }
                Act::Wait(_) => naive.iter_mut().for_each(|naive| naive.act(act, now_ms)),
            }
            for change in changes {
                let who = users.iter().position(|user| user.id == change.user.id).unwrap();
                let told = (change.status, change.last_seen_at.map(|at| at.0.cast_unsigned()));
                prop_assert_ne!(shown[who], told, "told without a change: {:?}", act);
                shown[who] = told;
            }
            for (who, naive) in naive.iter().enumerate() {
                prop_assert_eq!(shown[who], naive.shown(), "{:?} after {:?}", users[who].id, act);
                let known = people.get(&users[who].id).map(|(_, status)| status);
                prop_assert_eq!(known, naive.there.then(|| naive.shown().0));
            }
        }
    }
}

#[tokio::test]
async fn a_guard_that_is_dropped_was_cut_off_unless_it_said_so() {
    let ((signals, _folder), ada) = (signals().await, user("ada"));
    assert_eq!(signals.known(&ada.id), Known::Gone);
    let (phone, desk) = (signals.arrive(&ada), signals.arrive(&ada));
    drop(phone);
    assert_eq!(signals.known(&ada.id), Known::There(Status::Online));
    drop(desk);
    assert_eq!(signals.known(&ada.id), Known::There(Status::Online));
    let phone = signals.arrive(&ada);
    phone.leave_cleanly();
    assert_eq!(signals.known(&ada.id), Known::There(Status::Online));
    drop(phone);
    assert!(matches!(signals.known(&ada.id), Known::LastSeen(_)));
}
