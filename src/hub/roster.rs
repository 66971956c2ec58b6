//! The roster: for each room the seats to serve there, grouped by operation so that each group is rendered once.

use std::collections::HashMap;
use std::sync::Arc;

use super::operation::Operation;
use crate::model::RoomId;

/// A seat's number at its worker.
pub(super) type SeatId = u32;

/// Room to seats.
#[derive(Default)]
pub(super) struct Roster(HashMap<RoomId, HashMap<u64, Group>>);

/// The seats of one room that one operation serves. Never empty.
pub(super) struct Group {
    pub(super) operation: Arc<Operation>,
    pub(super) seats: Vec<SeatId>,
}

impl Roster {
    /// The groups to serve in a room.
    pub(super) fn groups(&self, room: RoomId) -> impl Iterator<Item = &Group> {
        self.0.get(&room).into_iter().flat_map(HashMap::values)
    }

    /// All seats of a room.
    pub(super) fn seats(&self, room: RoomId) -> Vec<SeatId> {
        let groups = self.groups(room);
        groups.flat_map(|group| &group.seats).copied().collect()
    }

    /// Serves a room to a seat, once.
    pub(super) fn add(&mut self, room: RoomId, operation: &Arc<Operation>, seat: SeatId) {
        let groups = self.0.entry(room).or_default();
        let group = groups.entry(operation.id).or_insert_with(|| Group {
            operation: operation.clone(),
            seats: Vec::new(),
        });
        group.seats.push(seat);
    }

    /// Serves it no longer.
    pub(super) fn remove(&mut self, room: RoomId, operation: u64, seat: SeatId) {
        let Some(groups) = self.0.get_mut(&room) else {
            return;
        };
        let Some(group) = groups.get_mut(&operation) else {
            return;
        };
        if let Some(at) = group.seats.iter().position(|other| *other == seat) {
            group.seats.swap_remove(at);
        }
        if group.seats.is_empty() {
            groups.remove(&operation);
        }
        if groups.is_empty() {
            self.0.remove(&room);
        }
    }
}
