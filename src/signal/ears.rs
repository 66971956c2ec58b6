//! Where signals go: to each fan-out worker that has someone who listens, in the order in which they were told.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Signals;
use super::told::Told;
use crate::model::{RoomId, Seq, UserId};

/// What a worker hears.
#[derive(Clone, Debug)]
pub enum Heard {
    /// Who is there, for those who have asked.
    First(Arc<Told>),
    /// A signal, for those who know who was there before it.
    Then(Arc<Told>),
    /// A user has read on in a room, for its other devices.
    Own(UserId, Arc<Told>),
    /// Too much at once: nobody knows any more who is there.
    Lost,
}

impl Heard {
    /// Nobody is told before they have been told the log so far.
    pub fn not_before(&self) -> Seq {
        match self {
            Self::First(told) | Self::Then(told) | Self::Own(_, told) => told.not_before,
            Self::Lost => Seq::ZERO,
        }
    }

    /// Whether it is for those who listen to this room.
    pub fn is_in(&self, room: RoomId) -> bool {
        matches!(self, Self::First(told) | Self::Then(told) if told.room.id == room)
    }
}

/// A worker's ear.
pub struct Ear {
    signals: Signals,
    number: usize,
    heard: Arc<Waiting>,
}

/// What waits for a worker.
pub(super) struct Waiting {
    heard: Mutex<Words>,
    bell: Arc<Notify>,
}

#[derive(Default)]
struct Words {
    words: VecDeque<Heard>,
    /// Of them, those that nobody asked for.
    unasked: usize,
}

impl Waiting {
    /// As much as a worker tells in a moment. It is behind by more only when it has better to do.
    pub(super) const HEARD_MAX: usize = 4_096;

    pub(super) fn new(bell: Arc<Notify>) -> Self {
        let heard = Mutex::default();
        Self { heard, bell }
    }

    /// What was asked for always finds room: there is no more of it than rooms that were asked about, and were it lost, all
    /// of them would be asked about again, for ever.
    pub(super) fn put(&self, word: Heard) {
        let mut heard = self.lock();
        if !matches!(word, Heard::First(_)) {
            if heard.unasked >= Self::HEARD_MAX {
                heard.words.clear();
                heard.words.push_back(Heard::Lost);
                heard.unasked = 0;
            }
            heard.unasked += 1;
        }
        heard.words.push_back(word);
        drop(heard);
        self.bell.notify_one();
    }

    fn forget(&self, room: RoomId) {
        let mut heard = self.lock();
        let Words { words, unasked } = &mut *heard;
        words.retain(|word| {
            let goes = word.is_in(room);
            *unasked -= usize::from(goes && !matches!(word, Heard::First(_)));
            !goes
        });
    }

    fn lock(&self) -> MutexGuard<'_, Words> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ear {
    pub(super) fn new(signals: Signals, number: usize, heard: Arc<Waiting>) -> Self {
        Self {
            signals,
            number,
            heard,
        }
    }

    /// What was told since the last time.
    pub fn take(&self) -> VecDeque<Heard> {
        std::mem::take(&mut *self.heard.lock()).words
    }

    /// Someone listens to a room: it is told who is there, and from then on all that changes.
    pub fn listen(&self, room: RoomId) {
        self.signals.listen(self.number, room);
    }

    /// Nobody listens to a room here any more; what was told of it is forgotten.
    pub fn leave(&self, room: RoomId) {
        self.signals.leave_room(self.number, room);
        self.heard.forget(room);
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.signals.close_ear(self.number);
    }
}

/// All ears, and which room each listens to.
#[derive(Default)]
pub(super) struct Ears {
    all: Vec<Option<Arc<Waiting>>>,
    rooms: HashMap<RoomId, HashSet<usize>>,
}

impl Ears {
    pub(super) fn open(&mut self, waiting: Arc<Waiting>) -> usize {
        self.all.push(Some(waiting));
        self.all.len() - 1
    }

    /// The rooms that nobody listens to without it.
    pub(super) fn close(&mut self, ear: usize) -> Vec<RoomId> {
        if let Some(open) = self.all.get_mut(ear) {
            *open = None;
        }
        let rooms: Vec<_> = self.rooms.keys().copied().collect();
        let left = rooms.into_iter().filter(|room| self.leave(ear, *room));
        left.collect()
    }

    pub(super) fn listen(&mut self, ear: usize, room: RoomId) {
        self.rooms.entry(room).or_default().insert(ear);
    }

    /// True where nobody listens to the room any more.
    pub(super) fn leave(&mut self, ear: usize, room: RoomId) -> bool {
        let Some(ears) = self.rooms.get_mut(&room) else {
            return false;
        };
        ears.remove(&ear);
        let deserted = ears.is_empty();
        if deserted {
            self.rooms.remove(&room);
        }
        deserted
    }

    pub(super) fn is_heard(&self, room: RoomId) -> bool {
        self.rooms.contains_key(&room)
    }

    /// The rooms that are listened to.
    pub(super) fn rooms(&self) -> impl Iterator<Item = RoomId> {
        self.rooms.keys().copied()
    }

    /// Tells all who listen to a room.
    pub(super) fn tell(&self, room: RoomId, word: &Heard) {
        for ear in self.rooms.get(&room).into_iter().flatten() {
            self.tell_one(*ear, word.clone());
        }
    }

    pub(super) fn tell_one(&self, ear: usize, word: Heard) {
        if let Some(Some(open)) = self.all.get(ear) {
            open.put(word);
        }
    }

    /// Tells everyone, whatever they listen to.
    pub(super) fn tell_all(&self, word: &Heard) {
        for open in self.all.iter().flatten() {
            open.put(word.clone());
        }
    }
}
