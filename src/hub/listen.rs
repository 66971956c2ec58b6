//! What a subscription to signals listens to: those of the rooms it names that the viewer is a member of.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::line::{HandOver, Line, Sub};
use crate::model::{Access, Event, Scope, What};
use crate::store::Store;

/// How often the store is asked before the socket is closed, each time after twice the wait: 1.5 s in all.
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Finds out what may be listened to, and asks the worker for a seat.
pub(super) fn begin(core: &Arc<Core>, line: &Arc<Line>, sub: Arc<Sub>, scope: Scope) {
    let (shared, line) = (core.clone(), line.clone());
    core.spawn(async move {
        let mut wait = FIRST_WAIT;
        for _ in 0..ATTEMPTS {
            // A closed semaphore cannot be: it lives as long as the hub.
            let permit = shared.reads.acquire().await;
            match read(&*shared.store, &line, &scope).await {
                Ok((place, access)) => {
                    let hand_over = HandOver { sub, place, access };
                    return line.post(|mail| mail.listeners.push(hand_over));
                }
                Err(error) => tracing::warn!(%error, "who may listen could not be read"),
            }
            drop(permit);
            if sub.has_ended() {
                return;
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        line.close(1013, "the store does not answer; try again later");
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
