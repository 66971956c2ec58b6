//! How many messages a member has not read.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::Bench;
use super::pen::Pen;
use crate::model::{MessageId, RoomId, Seq, UserId, Visibility};
use crate::store::Store;

impl<S: Store> Pen<'_, S> {
    /// The count, message by message; `None` for one who is not in the room.
    fn naive(&self, user: &UserId, room: RoomId) -> Option<u32> {
        let member = self.members.get(&(room, user.clone()))?;
        let unread = self.messages.values().filter(|it| {
            it.room == room
                && it.author.id != *user
                && it.deleted_at.is_none()
                && Some(it.cursor.seq) > member.read_up_to
        });
        let count = unread.count().try_into().unwrap();
        member.is_active().then_some(count)
    }

    /// That the store counts as one would by hand, for everyone and every room at once.
    pub(crate) async fn counts_agree(&self) {
        let rooms: Vec<_> = self.rooms.keys().copied().collect();
        for user in self.users.keys() {
            let mut counts = self.store.unread(user, &rooms).await.unwrap();
            let expected = rooms.iter().map(|room| (*room, self.naive(user, *room)));
            let mut expected: Vec<_> = expected
                .filter_map(|(room, count)| Some((room, count?)))
                .collect();
            counts.sort();
            expected.sort();
            assert_eq!(counts, expected, "{user:?}");
        }
    }
}

pub(crate) async fn what_others_said_after_the_mark_is_unread<B: Bench>(bench: B) {
    let mut pen = Pen::new(bench.store()).await;
    let (ada, bob, cay) = (pen.user("ada"), pen.user("bob"), pen.user("cay"));
    let room = pen.create_room(&ada, &[&bob], Visibility::Public);
    let first = pen.send(&ada, room, "first");
    pen.send(&bob, room, "second");
    let third = pen.send(&ada, room, "third");
    pen.send(&ada, room, "fourth");
    pen.flush().await;
    let unread = async |user| pen.store.unread(user, &[room]).await.unwrap();
    assert_eq!(unread(&bob).await, [(room, 3)]);
    assert_eq!(unread(&ada).await, [(room, 1)]);
    assert_eq!(unread(&cay).await, [], "not a member");
    pen.edit(first, "again");
    pen.delete(third);
    pen.flush().await;
    let unread = async |user| pen.store.unread(user, &[room]).await.unwrap();
    assert_eq!(unread(&bob).await, [(room, 2)]);
    pen.read(&bob, room, Seq(2));
    pen.flush().await;
    let unread = async |user| pen.store.unread(user, &[room]).await.unwrap();
    assert_eq!(unread(&bob).await, [(room, 1)]);
    pen.read(&bob, room, pen.head());
    pen.leave(&ada, room);
    pen.flush().await;
    let unread = async |user| pen.store.unread(user, &[room]).await.unwrap();
    assert_eq!(unread(&bob).await, [(room, 0)]);
    assert_eq!(unread(&ada).await, [], "a member no more");
    pen.counts_agree().await;
}

/// Things that happen at random.
struct Life<'p, 's, S> {
    pen: &'p mut Pen<'s, S>,
    rng: StdRng,
    users: Vec<UserId>,
    rooms: Vec<RoomId>,
    messages: Vec<(RoomId, MessageId)>,
}

impl<S: Store> Life<'_, '_, S> {
    fn happen(&mut self) {
        // Most of it befalls one room, and most is said by one user: who never marks.
        let room = match self.rng.random_bool(0.6) {
            true => self.rooms[0],
            false => *self.rooms.choose(&mut self.rng).unwrap(),
        };
        let user = self.users.choose(&mut self.rng).unwrap().clone();
        let talker = self.rng.random_bool(0.5);
        let author = if talker {
            self.users[0].clone()
        } else {
            user.clone()
        };
        let inside = (self.pen.members.get(&(room, user.clone()))).is_some_and(|it| it.is_active());
        match self.rng.random_range(0..100) {
            0..75 => {
                let id = self.pen.send(&author, room, "hello");
                self.messages.push((room, id));
            }
            75..85 => {
                if let Some((_, id)) = self.messages.choose(&mut self.rng).copied()
                    && self.pen.messages[&id].deleted_at.is_none()
                {
                    self.pen.delete(id);
                }
            }
            85..89 => {
                if let Some((_, id)) = self.messages.choose(&mut self.rng).copied()
                    && self.pen.messages[&id].deleted_at.is_none()
                {
                    self.pen.edit(id, "again");
                }
            }
            89..96 if inside && user != self.users[0] => {
                let before = self.pen.member(room, &user).read_up_to;
                let least = before.unwrap_or(Seq::ZERO).0;
                let mark = self.rng.random_range(least..=self.pen.head().0);
                self.pen.read(&user, room, Seq(mark));
            }
            96..98 if inside => self.pen.leave(&user, room),
            96..98 => self.pen.join(&user, room),
            98 if self.rng.random_bool(0.1) && self.rooms.len() > 1 => {
                let gone = self.rooms.pop().unwrap();
                self.pen.delete_room(&user, gone);
                self.messages.retain(|(room, _)| *room != gone);
            }
            _ => {}
        }
    }
}

pub(crate) async fn unread_counts_agree_with_the_naive_count<B: Bench>(bench: B) {
    let seed = std::env::var("TIDINGS_UNREAD_SEED").ok();
    let seed = seed.map_or_else(rand::random, |seed| seed.parse().unwrap());
    eprintln!("TIDINGS_UNREAD_SEED={seed}");
    let mut pen = Pen::new(bench.store()).await;
    let users: Vec<_> = ["ada", "bob", "cay", "dan"]
        .map(|name| pen.user(name))
        .into();
    let others: Vec<_> = users[1..].iter().collect();
    let mut rooms = vec![RoomId::LOBBY];
    for _ in 0..3 {
        rooms.push(pen.create_room(&users[0], &others, Visibility::Public));
    }
    for user in &users {
        pen.join(user, RoomId::LOBBY);
    }
    pen.flush().await;
    let rng = StdRng::seed_from_u64(seed);
    let messages = Vec::new();
    let mut life = Life {
        pen: &mut pen,
        rng,
        users,
        rooms,
        messages,
    };
    for _ in 0..60 {
        // Batches of one and of more than a block.
        let most = *[1, 20, 90, 300].choose(&mut life.rng).unwrap();
        for _ in 0..life.rng.random_range(1..=most) {
            life.happen();
        }
        life.pen.flush().await;
        life.pen.counts_agree().await;
    }
}
