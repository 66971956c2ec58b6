//! Commits what a pen has written.

use super::Pen;
use crate::model::{ReadAdvanced, Seq};
use crate::store::{Changes, Needs, Store};

impl<S: Store> Pen<'_, S> {
    /// What would be committed now.
    pub(crate) fn changes(&self) -> Changes {
        let alive = self.dirty_reactions.iter().filter_map(|key| {
            let message = self.messages.get(&key.message)?;
            message.deleted_at.is_none().then_some((key, message))
        });
        Changes {
            seen: Vec::new(),
            events: self.log[self.written..].to_vec(),
            users: (self.dirty_users.iter())
                .map(|id| self.users[id].clone())
                .collect(),
            rooms: (self.dirty_rooms.iter())
                .map(|id| self.rooms[id].clone())
                .collect(),
            members: (self.dirty_members.iter())
                .map(|key| self.members[key].clone())
                .collect(),
            reads: (self.reads.iter())
                .map(|key| ReadAdvanced {
                    room: self.rooms[&key.0].clone(),
                    member: self.members[key].clone(),
                })
                .collect(),
            sent: (self.sent.iter())
                .filter_map(|id| self.messages.get(id).cloned())
                .collect(),
            changed: (self.changed.iter())
                .filter_map(|id| self.messages.get(id).cloned())
                .collect(),
            reactors: (alive.clone())
                .map(|(key, _)| (key.clone(), self.reactions.get(key).copied()))
                .collect(),
            reactions: alive
                .map(|(key, message)| {
                    let now = message.reactions.iter().find(|it| it.emoji == key.emoji);
                    (key.message, key.emoji.clone(), now.cloned())
                })
                .collect(),
            prune_to: None,
        }
    }

    /// Commits what was done since the last time, as one batch.
    pub(crate) async fn flush(&mut self) {
        // As the writer does: a store may write a batch otherwise where it knows its rooms.
        let needs = Needs {
            rooms: self.dirty_rooms.iter().copied().collect(),
            ..Needs::default()
        };
        let facts = self.store.begin(&needs).await.unwrap();
        assert_eq!(facts.head, Seq(self.written as u64));
        self.store.commit(&self.changes()).await.unwrap();
        self.flushed();
    }

    /// Forgets what was to be committed.
    pub(crate) fn flushed(&mut self) {
        self.written = self.log.len();
        self.dirty_users.clear();
        self.dirty_rooms.clear();
        self.dirty_members.clear();
        self.reads.clear();
        self.sent.clear();
        self.changed.clear();
        self.dirty_reactions.clear();
    }
}
