//! What a viewer follows as of a place in the log, and how each event changes that.
//!
//! Pure: fed the events after that place in order, it says of each whether the viewer is shown it. Replays and live
//! delivery both go by it, so that revocation is exact by log order.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Event, RoomId, UserId, Visibility, What};

/// Which rooms a stream is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The rooms that the viewer is a member of, whichever they are at the time.
    Mine,
    /// These rooms, each for as long as the viewer may read it.
    Rooms(Arc<[RoomId]>),
}

/// What becomes of an event in a viewer's stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is shown.
    Deliver,
    /// `AccessRevoked` stands in its place, and nothing above it follows from that room.
    Revoke,
    /// It is not for this stream.
    Skip,
}

/// The rooms a stream follows, as of a place in the log.
#[derive(Clone, PartialEq, Debug)]
pub struct Access {
    /// Whose stream.
    pub viewer: UserId,
    /// What it asked for.
    pub scope: Scope,
    /// The rooms it follows now, and whether the viewer is a member of each.
    pub rooms: HashMap<RoomId, bool>,
}

impl Access {
    /// Takes the next event and says what becomes of it. Events come in log order, each once.
    pub fn follow(&mut self, event: &Event) -> Verdict {
        let room = event.room_id();
        if self.enters(event) {
            self.rooms.insert(room, true);
            return Verdict::Deliver;
        }
        let Some(&member) = self.rooms.get(&room) else {
            return Verdict::Skip;
        };
        if self.loses(event, member) {
            self.rooms.remove(&room);
            return Verdict::Revoke;
        }
        if self.is_own_leaving(event) {
            self.rooms.insert(room, false);
        }
        Verdict::Deliver
    }

    /// The viewer comes in. A stream of named rooms takes up no room that it does not follow already: it was told that
    /// nothing more of it follows.
    fn enters(&self, event: &Event) -> bool {
        let comes_in = match &event.what {
            What::RoomCreated { members } => members.contains(&self.viewer),
            What::MemberJoined(member) => member.user.id == self.viewer,
            _ => false,
        };
        comes_in && (self.scope == Scope::Mine || self.rooms.contains_key(&event.room_id()))
    }

    fn loses(&self, event: &Event, member: bool) -> bool {
        match &event.what {
            What::RoomDeleted { .. } => true,
            What::RoomUpdated { made_private } => *made_private && !member,
            What::MemberLeft(_) if self.is_own_leaving(event) => {
                self.scope == Scope::Mine || event.room.visibility == Visibility::Private
            }
            _ => false,
        }
    }

    fn is_own_leaving(&self, event: &Event) -> bool {
        matches!(&event.what, What::MemberLeft(member) if member.user.id == self.viewer)
    }
}
