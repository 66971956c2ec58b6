//! What a subscription to signals listens to: those of the rooms it names that the viewer is a member of.

use std::sync::Arc;

use super::Core;
use super::ask::Unanswered;
use super::line::{HandOver, Line, Sub};
use crate::model::{Access, Event, Scope, What};
use crate::store::Store;

/// Finds out what may be listened to, and asks the worker for a seat.
pub(super) fn begin(core: &Arc<Core>, line: &Arc<Line>, sub: Arc<Sub>, scope: Scope) {
    let (shared, line) = (core.clone(), line.clone());
    core.spawn(async move {
        let read = || read(&*shared.store, &line, &scope);
        // A closed semaphore cannot be: it lives as long as the hub.
        let permit = shared.renders.acquire().await;
        let read = shared.ask(&sub, read).await;
        drop(permit);
        match read {
            Ok((place, access)) => {
                let hand_over = HandOver { sub, place, access };
                line.post(|mail| mail.listeners.push(hand_over));
            }
            Err(Unanswered::Ended) => {}
            Err(Unanswered::Unavailable) => line.close_unanswered(),
        }
    });
}

async fn read(
    store: &dyn Store,
    line: &Line,
    scope: &Scope,
) -> Result<(crate::model::Seq, Access), crate::store::StoreError> {
    let (bounds, mut access) = store.access(&line.viewer.user.id, scope).await?;
    access.rooms.retain(|_, is_member| *is_member);
    // From here on it says of which rooms it was told who is there: of none.
    access.rooms.values_mut().for_each(|told| *told = false);
    Ok((bounds.head, access))
}

/// Takes the log's next event: the viewer may come into a room that it named, or lose it.
pub(super) fn follow(access: &mut Access, event: &Event) {
    let room = event.room_id();
    let comes_in = match &event.what {
        What::RoomCreated { members } => members.contains(&access.viewer),
        What::MemberJoined(member) => member.user.id == access.viewer,
        _ => false,
    };
    let loses = match &event.what {
        What::MemberLeft(member) => member.user.id == access.viewer,
        What::RoomDeleted { .. } => true,
        _ => false,
    };
    let is_named = matches!(&access.scope, Scope::Rooms(named) if named.contains(&room));
    if comes_in && is_named {
        access.rooms.entry(room).or_insert(false);
    } else if loses {
        access.rooms.remove(&room);
    }
}
