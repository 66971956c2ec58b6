//! What is worth telling and not worth keeping: who is there, who types, who has read how far, and what apps say to one
//! another in passing.
//!
//! A signal is told at most once, has no place in the log and is never stored; only when someone was last seen is. States
//! are pure (`presence`, `typing`, `rooms`, `seen`); [`Signals`] holds them together, with the clock. It knows who is to be
//! told no closer than by room: [`Ear`]s take signals to the workers in the order in which they were told.

mod attendance;
mod ears;
mod presence;
mod rooms;
mod run;
mod seen;
#[cfg(test)]
mod tests;
mod told;
mod typing;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

pub use ears::{Ear, Heard};
pub use presence::{Change, Status};
pub use told::{Kind, Said, Told};

use crate::bus::Newest;
use crate::log::Tail;
use crate::model::{
    Data, Event, ReadAdvanced, Role, Room, RoomId, Seq, Timestamp, User, UserId, What,
};
use crate::store::Store;
use ears::{Ears, Waiting};
use presence::People;
use rooms::{News, Rooms};
use seen::LastSeen;
use typing::{Stopped, Typing};

/// Signals. Cheap to clone.
#[derive(Clone)]
pub struct Signals(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    tail: Arc<Tail>,
    state: Mutex<State>,
    /// There is an earlier time to wake at, or something to write.
    stirred: Notify,
    /// There is something to write.
    unwritten: Notify,
    /// A room is to be taken up.
    wanted: Notify,
    /// A room that was left is to be forgotten.
    left: Notify,
}

#[derive(Default)]
struct State {
    people: People,
    typing: Typing,
    rooms: Rooms,
    ears: Ears,
    last_seen: LastSeen,
    /// Rooms that are to be read from the store.
    wanted: HashSet<RoomId>,
    /// The log's events up to here were taken.
    walked: Seq,
    /// As far as the log was announced.
    announced: Newest,
    /// The server stops: who leaves now does not leave.
    closed: bool,
}

/// How someone stands, as far as is known without the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// There: online or away.
    There(Status),
    /// Gone since then, and the store may not have it yet.
    LastSeen(Timestamp),
    /// Not there. The store knows since when, if it was ever.
    Gone,
}

/// A socket, or whatever else keeps its user online while it lives. Dropping it is its end: cut off, unless
/// [`Present::leave_cleanly`] was called before.
pub struct Present {
    signals: Signals,
    user: Arc<User>,
    cleanly: AtomicBool,
}

impl Present {
    /// To be called before it is dropped where the client has closed it: its user need not be waited for.
    pub fn leave_cleanly(&self) {
        self.cleanly.store(true, Ordering::Relaxed);
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let cleanly = self.cleanly.load(Ordering::Relaxed);
        self.signals.leave(&self.user.id, cleanly);
    }
}

impl Signals {
    /// Nobody is there yet. [`Signals::run`] keeps them going.
    pub fn new(store: Arc<dyn Store>, tail: Arc<Tail>) -> Self {
        let state = State {
            walked: tail.head(),
            announced: tail.announced(),
            ..State::default()
        };
        Self(Arc::new(Inner {
            store,
            tail,
            state: Mutex::new(state),
            stirred: Notify::new(),
            unwritten: Notify::new(),
            wanted: Notify::new(),
            left: Notify::new(),
        }))
    }

    /// A user has one more socket, once it is known who it is. To be kept for as long as the socket lives.
    pub fn arrive(&self, user: &Arc<User>) -> Present {
        let mut state = self.state();
        if let Some(change) = state.people.arrive(user) {
            // Should the server be cut off itself, this much is known.
            state.last_seen.note(user.id.clone(), Timestamp::now());
            state.tell_presence(change);
            self.0.stirred.notify_one();
        }
        Present {
            signals: self.clone(),
            user: user.clone(),
            cleanly: AtomicBool::new(false),
        }
    }

    /// A newer token of someone who is there shows another name or picture.
    pub fn renew(&self, user: &Arc<User>) {
        let mut state = self.state();
        if let Some(change) = state.people.renew(user) {
            state.tell_presence(change);
        }
    }

    fn leave(&self, user: &UserId, cleanly: bool) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        let left = (state.people).leave(user, cleanly, Instant::now(), Timestamp::now());
        if let Some(change) = left {
            state.tell_presence(change);
        }
        self.0.stirred.notify_one();
    }

    /// What a user says of itself. Of no effect where it has no socket.
    pub fn set_away(&self, user: &UserId, away: bool) {
        let mut state = self.state();
        if let Some(change) = state.people.set_away(user, away) {
            state.tell_presence(change);
        }
    }

    /// How a user stands. To be asked before the store is, which it refers to.
    pub fn known(&self, user: &UserId) -> Known {
        let state = self.state();
        match state.people.get(user) {
            Some((_, status)) => Known::There(status),
            None => (state.last_seen.get(user)).map_or(Known::Gone, Known::LastSeen),
        }
    }

    /// A room that someone listens to, and a user's role in it; `None` also where it is not known here.
    pub fn standing(&self, room: RoomId, user: &UserId) -> Option<(Arc<Room>, Role)> {
        let state = self.state();
        let role = state.rooms.role(room, user)?;
        Some((state.rooms.get(room)?.clone(), role))
    }

    /// As far as the log was announced: what the store says from now on is at least as new.
    pub fn place(&self) -> Seq {
        self.state().place()
    }

    /// A member types; when that lapses unless it is said again. Whether it is a member still is looked up in the same step as it
    /// is told. `vouched`: the store has said so, asked at this place or later. `None` where that is not so, or no longer: ask again.
    pub fn start_typing(
        &self,
        room: RoomId,
        user: &Arc<User>,
        vouched: Option<Seq>,
    ) -> Option<Timestamp> {
        let mut state = self.state();
        if !state.may_speak(room, &user.id, vouched) {
            return None;
        }
        state.typing.start(room, user, Instant::now());
        let (user, typing) = (user.clone(), true);
        state.tell(room, Said::Typing { user, typing });
        self.0.stirred.notify_one();
        let lasts_ms = i64::try_from(Typing::LASTS.as_millis()).unwrap_or(i64::MAX);
        Some(Timestamp(Timestamp::now().0.saturating_add(lasts_ms)))
    }

    /// A member types no longer. Saying it twice is no news.
    pub fn stop_typing(&self, room: RoomId, user: &UserId) {
        let mut state = self.state();
        let stopped = state.typing.stop(room, user);
        state.tell_stopped(stopped);
    }

    /// A member says something of an app's own; `vouched` and `None` as of [`Signals::start_typing`].
    pub fn say(
        &self,
        room: RoomId,
        user: &Arc<User>,
        vouched: Option<Seq>,
        kind: Kind,
        data: Option<Data>,
    ) -> Option<()> {
        let mut state = self.state();
        if !state.may_speak(room, &user.id, vouched) {
            return None;
        }
        let user = user.clone();
        state.tell(room, Said::App { user, kind, data });
        Some(())
    }

    /// A member has read on: its room is told, and its other devices.
    fn read_on(&self, read: &ReadAdvanced) {
        let ReadAdvanced { room, member } = read;
        let state = self.state();
        let told = Told::new(room.clone(), Said::Read(member.clone()), state.place());
        state.ears.tell(room.id, &Heard::Then(told.clone()));
        state
            .ears
            .tell_all(&Heard::Own(member.user.id.clone(), told));
    }

    /// An ear for a worker, which is rung for when there is something to hear.
    pub fn ear(&self, bell: Arc<Notify>) -> Ear {
        let waiting = Arc::new(Waiting::new(bell));
        let number = self.state().ears.open(waiting.clone());
        Ear::new(self.clone(), number, waiting)
    }

    fn listen(&self, ear: usize, room: RoomId) {
        let mut state = self.state();
        state.ears.listen(ear, room);
        // A room that is being taken up is told of to all who listen by then.
        if !state.tell_first(ear, room) && state.rooms.get(room).is_none() {
            state.wanted.insert(room);
            self.0.wanted.notify_one();
        }
    }

    fn leave_room(&self, ear: usize, room: RoomId) {
        let mut state = self.state();
        if state.ears.leave(ear, room) {
            state.rooms.drop(room);
            state.wanted.remove(&room);
            self.0.left.notify_one();
        }
    }

    fn close_ear(&self, ear: usize) {
        let mut state = self.state();
        for room in state.ears.close(ear) {
            state.rooms.drop(room);
            state.wanted.remove(&room);
        }
        self.0.left.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is said now is said of the log up to here.
    fn place(&self) -> Seq {
        self.announced.get().max(self.walked)
    }

    /// Whether a user may be heard in a room. What is known here is as new as the log was walked; what the store has said may
    /// be newer.
    fn may_speak(&self, room: RoomId, user: &UserId, vouched: Option<Seq>) -> bool {
        match self.rooms.role(room, user) {
            Some(Role::Owner | Role::Member) => true,
            _ if self.rooms.get(room).is_none() => vouched.is_some(),
            _ => vouched.is_some_and(|place| place > self.walked),
        }
    }

    fn tell(&mut self, room: RoomId, said: Said) {
        if let Some(about) = self.rooms.get(room) {
            let told = Told::new(about.clone(), said, self.place());
            self.ears.tell(room, &Heard::Then(told));
        }
    }

    /// Tells one ear who is in a room; false where that is not known yet.
    fn tell_first(&mut self, ear: usize, room: RoomId) -> bool {
        let (about, said) = (self.rooms.get(room), self.rooms.who_is_there(room));
        let Some((about, said)) = about.zip(said) else {
            return false;
        };
        let first = Heard::First(Told::new(about.clone(), said, self.place()));
        self.ears.tell_one(ear, first);
        true
    }

    /// Tells all ears who is in a room that was taken up.
    fn tell_who_is_there(&mut self, room: RoomId) {
        let (about, said) = (self.rooms.get(room), self.rooms.who_is_there(room));
        if let Some((about, said)) = about.zip(said) {
            let first = Heard::First(Told::new(about.clone(), said, self.place()));
            self.ears.tell(room, &first);
        }
    }

    fn tell_presence(&mut self, change: Change) {
        if change.status == Status::Offline {
            let stopped = self.typing.stop_all(&change.user.id);
            self.tell_stopped(stopped);
        }
        if let Some(at) = change.last_seen_at {
            self.last_seen.note(change.user.id.clone(), at);
        }
        for (room, news) in self.rooms.changed(&change) {
            self.tell_news(room, news);
        }
    }

    fn tell_news(&mut self, room: RoomId, news: News) {
        let said = match news {
            News::One(change) => Some(Said::Presence(change)),
            News::All => self.rooms.who_is_there(room),
        };
        if let Some(said) = said {
            self.tell(room, said);
        }
    }

    fn tell_stopped(&mut self, stopped: impl IntoIterator<Item = Stopped>) {
        for (room, user) in stopped {
            let typing = false;
            self.tell(room, Said::Typing { user, typing });
        }
    }

    /// Takes the log's next event: who sends or leaves types no more, and rooms have other members.
    fn follow(&mut self, event: &Event) {
        let room = event.room_id();
        let people = &self.people;
        if let Some(news) = self.rooms.follow(event, |user| people.get(user)) {
            self.tell_news(room, news);
        }
        let stopped = match &event.what {
            What::MessageSent(message) => self.typing.stop(room, &message.author.id),
            What::MemberLeft(member) => self.typing.stop(room, &member.user.id),
            _ => None,
        };
        self.tell_stopped(stopped);
    }
}
