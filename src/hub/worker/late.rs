//! Signals' payloads that have to wait for the store: one at a time for each operation, so that they come in order.
//!
//! Whom one is for is decided when it is told, not when its payload is there: what is told in between stands behind it in
//! the same lane.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::super::line::Sub;
use super::super::operation::Operation;
use super::super::roster::SeatId;
use super::super::{Core, Item};
use crate::model::{RoomId, Scope, Seq, UserId};
use crate::signal::Told;

/// A signal, and whom it is for.
pub(super) struct Due {
    pub(super) told: Arc<Told>,
    /// Seats whose rooms it is told in; or, of `roomRead`, this user's.
    pub(super) own: Option<UserId>,
    pub(super) to: Vec<(SeatId, Arc<Sub>)>,
    /// How often its payload was made.
    makes: u32,
}

impl Due {
    pub(super) fn new(told: &Arc<Told>, own: Option<&UserId>, to: Vec<(SeatId, Arc<Sub>)>) -> Self {
        Self {
            told: told.clone(),
            own: own.cloned(),
            to,
            makes: 0,
        }
    }

    pub(super) fn room(&self) -> RoomId {
        self.told.room.id
    }
}

/// What has become of a payload that had to wait.
struct Made {
    operation: u64,
    rendered: Option<Rendered>,
}

impl Made {
    /// Whether a worker that has walked so far may give it out.
    fn may_be_told(&self, walked: Seq) -> bool {
        let rendered = self.rendered.as_ref();
        rendered.is_none_or(|it| it.not_before <= walked)
    }
}

struct Rendered {
    payload: Bytes,
    /// It shows nothing that was deleted up to here.
    deleted_to: Seq,
    /// It may show things as they were at this place, which some may not see any more.
    not_before: Seq,
}

/// What waits, by operation.
pub(super) struct Lanes {
    lanes: HashMap<u64, Lane>,
    made: Arc<Mutex<VecDeque<Made>>>,
    /// Rung when something is made.
    bell: Arc<Notify>,
}

struct Lane {
    operation: Arc<Operation>,
    /// The first one's payload is being made.
    due: VecDeque<Due>,
}

impl Lanes {
    /// Signals that may wait in a lane; what comes then is not told.
    pub(super) const LANE_MAX: usize = 64;
    /// What shows something that was deleted is made so often in all; a room where that much is deleted can do without.
    const MAKES: u32 = 3;
    /// The log is looked through for deletions so far: more of it than is written while one payload is made.
    const LOOK: usize = 1_024;

    pub(super) fn new(bell: Arc<Notify>) -> Self {
        Self {
            lanes: HashMap::new(),
            made: Arc::default(),
            bell,
        }
    }

    pub(super) fn has(&self, operation: u64) -> bool {
        self.lanes.contains_key(&operation)
    }

    /// Whether one more is not to be told.
    pub(super) fn is_full(&self, operation: u64) -> bool {
        let lane = self.lanes.get(&operation);
        lane.is_some_and(|lane| lane.due.len() >= Self::LANE_MAX)
    }

    /// Lets a signal wait for its payload, behind those of the same operation.
    pub(super) fn push(&mut self, core: &Arc<Core>, operation: &Arc<Operation>, due: Due) {
        let lane = self.lanes.entry(operation.id).or_insert_with(|| Lane {
            operation: operation.clone(),
            due: VecDeque::new(),
        });
        let is_full = lane.due.len() >= Self::LANE_MAX;
        // Where one has read on twice, the later says all.
        let is_same = |other: &&mut Due| {
            due.own.is_some() && other.own == due.own && other.room() == due.room()
        };
        match lane.due.iter_mut().skip(1).find(is_same) {
            Some(same) => *same = due,
            // What is not told in a room is not asked for here.
            None if due.own.is_some() && is_full => {}
            None => lane.due.push_back(due),
        }
        if let [first] = lane.due.make_contiguous() {
            make(core, operation, first, &self.made, &self.bell);
        }
    }

    /// The first signal of a lane whose payload is there and may be given out by a worker that has walked so far; the next
    /// one's is begun.
    pub(super) fn pop(
        &mut self,
        core: &Arc<Core>,
        walked: Seq,
    ) -> Option<(Arc<Operation>, Due, Option<Bytes>)> {
        loop {
            let made = {
                let mut all = lock(&self.made);
                let at = all.iter().position(|made| made.may_be_told(walked))?;
                all.remove(at)?
            };
            // Forgotten meanwhile.
            let Some(lane) = self.lanes.get_mut(&made.operation) else {
                continue;
            };
            let Some(mut due) = lane.due.pop_front() else {
                continue;
            };
            let operation = lane.operation.clone();
            let stale = (made.rendered.as_ref())
                .is_some_and(|it| has_deleted(core, due.room(), it.deleted_to));
            if stale && due.makes < Self::MAKES && !due.to.is_empty() {
                make(core, &operation, &mut due, &self.made, &self.bell);
                lane.due.push_front(due);
                continue;
            }
            let payload = made.rendered.filter(|_| !stale).map(|it| it.payload);
            match lane.due.front_mut() {
                Some(next) => make(core, &operation, next, &self.made, &self.bell),
                None => {
                    self.lanes.remove(&operation.id);
                }
            }
            return Some((operation, due, payload));
        }
    }

    /// What waits is of a room's seats no more: they have missed something, and begin anew.
    pub(super) fn forsake(&mut self, operation: u64, room: RoomId, seats: &HashSet<SeatId>) {
        let lane = self.lanes.get_mut(&operation).map(|lane| &mut lane.due);
        let of_room = lane.into_iter().flatten();
        for due in of_room.filter(|due| due.own.is_none() && due.room() == room) {
            due.to.retain(|(id, _)| !seats.contains(id));
        }
    }

    /// Likewise, of all.
    pub(super) fn forsake_room(&mut self, room: RoomId) {
        let waiting = self.lanes.values_mut().flat_map(|lane| &mut lane.due);
        let of_room = waiting.filter(|due| due.own.is_none() && due.room() == room);
        of_room.for_each(|due| due.to.clear());
    }

    /// Nothing that waits is told, but the first of each lane is waited for, so that never more is made at once.
    pub(super) fn clear(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.due.truncate(1);
            lane.due.iter_mut().for_each(|due| due.to.clear());
        }
    }
}

/// Whether something of a room was deleted after a place.
fn has_deleted(core: &Core, room: RoomId, after: Seq) -> bool {
    use crate::model::What::{MessageDeleted, RoomDeleted};
    match core.tail.since(after, Lanes::LOOK) {
        Some(events) if events.len() < Lanes::LOOK => events.iter().any(|event| {
            event.room_id() == room && matches!(event.what, MessageDeleted(_) | RoomDeleted { .. })
        }),
        _ => true,
    }
}

/// Has a payload made elsewhere.
fn make(
    core: &Arc<Core>,
    operation: &Arc<Operation>,
    due: &mut Due,
    made: &Arc<Mutex<VecDeque<Made>>>,
    bell: &Arc<Notify>,
) {
    due.makes += 1;
    let (made, bell, shared) = (made.clone(), bell.clone(), core.clone());
    let (operation, own, told) = (operation.clone(), due.own.clone(), due.told.clone());
    core.spawn(async move {
        let rendered = render(&shared, &operation, &told, own.as_ref()).await;
        lock(&made).push_back(Made {
            operation: operation.id,
            rendered,
        });
        bell.notify_one();
    });
}

/// The payload, with what it shows; none where the store does not answer, or where it is not for that user any more.
async fn render(
    core: &Core,
    operation: &Arc<Operation>,
    told: &Arc<Told>,
    own: Option<&UserId>,
) -> Option<Rendered> {
    // A closed semaphore cannot be: it lives as long as the hub.
    let _permit = core.renders.acquire().await;
    // From before anything is read.
    let (as_of, deleted_to) = (core.payloads.as_of(), core.tail.head());
    let item = Item::Signal(told.clone());
    let payload = operation.render_later(&item, as_of).await.ok()?;
    // Asked after it was made, so that what is shown was readable when it was read. Who listens to a room the worker knows as of
    // any place; of the rooms of one who follows `roomRead` it knows only what was lost since.
    let shown = match own {
        None => core.store.bounds().await.map(|bounds| Some(bounds.head)),
        Some(user) => {
            let scope = Scope::Rooms([told.room.id].into());
            let access = core.store.access(user, &scope).await;
            access.map(|(bounds, now)| now.rooms.contains_key(&told.room.id).then_some(bounds.head))
        }
    };
    match shown {
        Ok(shown) => shown.map(|not_before| Rendered {
            payload,
            deleted_to,
            not_before,
        }),
        Err(error) => {
            tracing::warn!(%error, "a signal was not told");
            None
        }
    }
}

fn lock(made: &Mutex<VecDeque<Made>>) -> MutexGuard<'_, VecDeque<Made>> {
    made.lock().unwrap_or_else(PoisonError::into_inner)
}
