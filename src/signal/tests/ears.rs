//! What waits for a worker that is busy.

use std::sync::Arc;

use tokio::sync::Notify;

use super::super::ears::{Ear, Heard, Waiting};
use super::super::told::{Said, Told};
use super::rooms::room;
use super::{signals, user};
use crate::model::Seq;

fn typing() -> Arc<Told> {
    let user = user("ada");
    let said = Said::Typing { user, typing: true };
    Told::new(room(), said, Seq::ZERO)
}

#[tokio::test]
async fn what_was_told_of_a_room_that_was_left_is_forgotten() {
    let (signals, _folder) = signals().await;
    let waiting = Arc::new(Waiting::new(Arc::new(Notify::new())));
    let ear = Ear::new(signals, 0, waiting.clone());
    let (left, other) = (typing(), typing());
    waiting.put(Heard::First(left.clone()));
    waiting.put(Heard::Then(left.clone()));
    waiting.put(Heard::Own(user("ada").id.clone(), left.clone()));
    waiting.put(Heard::Then(other.clone()));
    ear.leave(left.room.id);
    let heard = ear.take();
    assert!(matches!(heard.front(), Some(Heard::Own(..))));
    assert!(matches!(heard.back(), Some(Heard::Then(told)) if Arc::ptr_eq(told, &other)));
    assert_eq!(heard.len(), 2);
}

#[tokio::test]
async fn of_what_nobody_asked_for_too_much_is_lost_and_no_answer_is() {
    let (signals, _folder) = signals().await;
    let waiting = Arc::new(Waiting::new(Arc::new(Notify::new())));
    let ear = Ear::new(signals, 0, waiting.clone());
    let told = typing();
    let is_lost = |word: &Heard| matches!(word, Heard::Lost);
    for _ in 0..Waiting::HEARD_MAX {
        waiting.put(Heard::Then(told.clone()));
    }
    for _ in 0..2 * Waiting::HEARD_MAX {
        waiting.put(Heard::First(told.clone()));
    }
    let heard = ear.take();
    assert_eq!(heard.len(), 3 * Waiting::HEARD_MAX);
    assert!(!heard.iter().any(is_lost));

    for _ in 0..=Waiting::HEARD_MAX {
        waiting.put(Heard::Then(told.clone()));
    }
    let heard = ear.take();
    assert!(matches!(heard.front(), Some(Heard::Lost)));
    assert_eq!(heard.len(), 2, "the one that was too much is told");
}
