//! What is shared is what each would have got alone. Operations at random, each spelled by every viewer in its own way, are
//! followed while things happen at random, and resumed afterwards; the bytes that a viewer was sent are those of a plain
//! execution of its own document, for the same event, with itself in the context.
//!
//! `TIDINGS_SHARING_SEED` runs one seed, as a failure prints it; `TIDINGS_SHARING_OPERATIONS` says how many operations.

mod follower;
mod operation;
mod spelling;
mod stage;
mod town;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use self::follower::{Follower, Wanted};
use self::operation::Operation;
use self::spelling::spell;
use self::stage::{Client, Plain, Sent, Stage};
use self::town::{PEOPLE, Town};
use super::types::Types;
use super::world::World;
use crate::hub::Item;
use crate::model::{Cursor, Event, MessageId, RoomId, Seq, What};

/// What a run has come to, so that it is seen to have tried what it is for.
#[derive(Default, Debug)]
struct Count {
    operations: usize,
    live: usize,
    from_ring: usize,
    from_store: usize,
    revoked: usize,
    /// Payloads that several viewers were sent as the same bytes in memory.
    shared: usize,
    kinds: HashMap<String, usize>,
}

struct Run {
    world: World,
    plain: Plain,
    types: Types,
    town: Town,
    rng: StdRng,
    count: Count,
}

impl Run {
    /// Operations followed at a time; so few that each sees several kinds of events.
    const OPERATIONS: usize = 12;
    /// Things that happen while they are.
    const HAPPENINGS: usize = 6;

    async fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let world = World::new().await;
        let town = Town::new(&world, &mut rng).await;
        Self {
            plain: Plain::new(&world),
            types: Types::read(),
            town,
            rng,
            count: Count::default(),
            world,
        }
    }

    async fn round(&mut self) {
        let live = Stage::live(&self.world, &self.plain);
        let head = self.caught_up().await;
        let mut clients: Vec<_> = PEOPLE.iter().map(|who| live.client(who)).collect();
        let (mut operations, mut followers) = (Vec::new(), Vec::new());
        for number in 0..Self::OPERATIONS {
            let operation = self.operation(operations.last());
            let mut some = Vec::new();
            for client in clients.iter().enumerate() {
                some.extend(self.follow(&live, client, number, &operation, None).await);
            }
            self.count.operations += usize::from(!some.is_empty());
            followers.extend(some);
            operations.push(operation);
        }
        self.begun(&mut clients, &mut followers, head).await;
        let start = head;
        for _ in 0..Self::HAPPENINGS {
            let before = self.caught_up().await;
            self.town.happen(&self.world, &mut self.rng).await;
            let after = self.caught_up().await;
            self.told(
                &live,
                &mut clients,
                &mut followers,
                &operations,
                (before, after),
            )
            .await;
        }
        self.resume(&live, &operations, start).await;
        live.end().await;
        let events = if self.rng.random() { 0 } else { 16_384 };
        let restarted = Stage::restarted(&self.world, &self.plain, events).await;
        self.resume(&restarted, &operations, start).await;
        restarted.end().await;
    }

    /// One that is within the limits when it is said plainly; often not far from the last.
    fn operation(&mut self, last: Option<&Operation>) -> Operation {
        loop {
            let operation = match last {
                Some(last) if self.rng.random() => last.changed(&self.types, &mut self.rng),
                _ => Operation::generate(&self.types, &mut self.rng),
            };
            let plainly = spell(&operation, &Vec::new(), &self.types, 0.0, &mut self.rng);
            if self.plain.prepare(&plainly).is_some() {
                return operation;
            }
        }
    }

    /// The end of the log, once the tail has it.
    async fn caught_up(&self) -> Cursor {
        let head = self.world.head().await;
        let mut growth = self.world.deps.tail.watch();
        growth.wait_for(|seen| *seen >= head.seq).await.unwrap();
        head
    }

    /// A subscription to an operation in a viewer's own words, with rooms of its own choice. `None` where there is nothing
    /// to follow: the room cannot be read, or what came of a change is no document.
    async fn follow(
        &mut self,
        stage: &Stage,
        (at, client): (usize, &Client),
        number: usize,
        operation: &Operation,
        from: Option<Cursor>,
    ) -> Option<Follower> {
        let rooms = &self.town.rooms;
        let mut follower = Follower::choose(at, number, operation, rooms, from, &mut self.rng);
        let prepared = follower.prepare(&self.plain, &self.types, operation, &mut self.rng);
        let plan = stage.hub.plan(prepared, client.viewer.clone()).await;
        match plan {
            Ok(plan) => client.subscribe(&follower.id, plan, follower.resume),
            Err(errors) => {
                let expected = ["NOT_FOUND", "conflict", "can never be of type"];
                let is_expected = expected.iter().any(|it| errors.contains(it));
                assert!(is_expected, "{errors}: {}", follower.told(client));
                return None;
            }
        }
        let store = &self.world.deps.store;
        let access = store.access(&client.viewer.user.id, &follower.scope);
        follower.access = Some(access.await.unwrap().1);
        Some(follower)
    }

    /// What a subscription without a past begins with.
    async fn begun(&mut self, clients: &mut [Client], followers: &mut [Follower], head: Cursor) {
        let wanted: Vec<_> = followers.iter().map(|it| it.opening(head)).collect();
        settle(clients, followers, &wanted, head.seq).await;
        for (follower, wanted) in followers.iter_mut().zip(wanted) {
            let sent = clients[follower.client].take(&follower.id);
            self.compare(&clients[follower.client], follower, &wanted, &sent)
                .await
                .unwrap_or_else(|why| panic!("{why}"));
        }
    }

    /// What those who follow were sent of the events between two places.
    async fn told(
        &mut self,
        stage: &Stage,
        clients: &mut [Client],
        followers: &mut [Follower],
        operations: &[Operation],
        (before, after): (Cursor, Cursor),
    ) {
        settle(clients, followers, &[], after.seq).await;
        let events = stage.tail.since(before.seq, usize::MAX).unwrap();
        let gone = Gone::of(&events);
        let mut payloads: HashMap<(usize, Seq), Vec<Sent>> = HashMap::new();
        for follower in followers {
            let client = &mut clients[follower.client];
            let sent = client.take(&follower.id);
            let mut wanted = Vec::new();
            for event in &events {
                wanted.extend(follower.walk(event));
            }
            self.compare(client, follower, &wanted, &sent)
                .await
                .unwrap_or_else(|why| panic!("{why}"));
            self.count.live += sent.len();
            for (wanted, sent) in wanted.iter().zip(&sent) {
                self.count.revoked +=
                    usize::from(matches!(wanted, Wanted::Payload(Item::Revoked { .. })));
                if let Wanted::Payload(Item::Event(event)) = wanted {
                    let kind = follower::kind(event).to_owned();
                    *self.count.kinds.entry(kind).or_default() += 1;
                    // What shows something that was deleted since is kept no longer: one worker may have made it before
                    // that, and another after.
                    if !operations[follower.operation].reads() && !gone.shows(event) {
                        let key = (follower.operation, event.cursor.seq);
                        payloads.entry(key).or_default().push(sent.clone());
                    }
                }
            }
        }
        for sent in payloads.values() {
            self.count.shared += shared(sent);
        }
    }

    /// The same operations once more, from where the others began.
    async fn resume(&mut self, stage: &Stage, operations: &[Operation], start: Cursor) {
        let head = self.caught_up().await;
        let mut clients: Vec<_> = PEOPLE.iter().map(|who| stage.client(who)).collect();
        let mut followers = Vec::new();
        for (number, operation) in operations.iter().enumerate() {
            let at = self.rng.random_range(0..PEOPLE.len());
            let from = Cursor {
                seq: Seq(self.rng.random_range(start.seq.0..=head.seq.0)),
                ..start
            };
            let client = (at, &clients[at]);
            let follower = self.follow(stage, client, number, operation, Some(from));
            followers.extend(follower.await);
        }
        for follower in &mut followers {
            let client = &mut clients[follower.client];
            let by_ring = follower.by_ring(&stage.tail, head);
            let store = &*self.world.deps.store;
            let by_store = follower.by_store(store, &stage.tail, head).await;
            // By the ring it is as much: that is taken only where what the viewer follows has not changed since.
            let frames = by_store.len();
            client
                .settle(&[(follower.id.clone(), frames)], head.seq)
                .await;
            let sent = client.take(&follower.id);
            // What is in the ring is as the event left it, in the store as it is now; a stream shows the one or the other.
            if let Some(by_ring) = by_ring
                && self
                    .compare(client, follower, &by_ring, &sent)
                    .await
                    .is_ok()
            {
                self.count.from_ring += sent.len();
                continue;
            }
            self.compare(client, follower, &by_store, &sent)
                .await
                .unwrap_or_else(|why| panic!("{why}"));
            self.count.from_store += sent.len();
        }
    }

    /// Whether a subscription was sent just what was wanted, byte for byte.
    async fn compare(
        &self,
        client: &Client,
        follower: &Follower,
        wanted: &[Wanted],
        sent: &[Sent],
    ) -> Result<(), String> {
        if wanted.len() != sent.len() {
            return Err(format!("{}\n{wanted:#?}\n{sent:#?}", follower.told(client)));
        }
        for (wanted, sent) in wanted.iter().zip(sent) {
            let expected = match wanted {
                Wanted::End(code) => vec![Sent::End((*code).to_owned())],
                Wanted::Payload(item) => vec![self.payload(client, follower, item).await],
                Wanted::Either(now, ring) => vec![
                    self.payload(client, follower, now).await,
                    self.payload(client, follower, ring).await,
                ],
            };
            if !expected.contains(sent) {
                return Err(format!("{}\n{expected:?}\n{sent:?}", follower.told(client)));
            }
        }
        Ok(())
    }

    /// What is not shared, and is what the specification says.
    async fn payload(&self, client: &Client, follower: &Follower, item: &Item) -> Sent {
        let prepared = follower.prepared();
        let (bytes, data) = self.plain.payload(prepared, &client.viewer, item).await;
        let ty = follower::type_of(item, follower.messages_only);
        let checked = follower.asked.check(&self.types, &data, ty);
        checked.unwrap_or_else(|why| panic!("{}\n{why}\n{data}", follower.told(client)));
        Sent::Payload(bytes.into())
    }
}

async fn settle(clients: &mut [Client], followers: &[Follower], wanted: &[Vec<Wanted>], at: Seq) {
    for (number, client) in clients.iter_mut().enumerate() {
        let of_client = followers.iter().enumerate();
        let of_client = of_client.filter(|(_, follower)| follower.client == number);
        let ids = of_client
            .map(|(index, follower)| (follower.id.clone(), wanted.get(index).map_or(0, Vec::len)));
        client.settle(&ids.collect::<Vec<_>>(), at).await;
    }
}

/// What some events deleted.
#[derive(Default)]
struct Gone {
    messages: HashSet<MessageId>,
    rooms: HashSet<RoomId>,
}

impl Gone {
    fn of(events: &[Arc<Event>]) -> Self {
        let mut gone = Self::default();
        for event in events {
            match &event.what {
                What::MessageDeleted(message) => {
                    gone.messages.insert(message.id);
                }
                What::RoomDeleted { .. } => {
                    gone.rooms.insert(event.room_id());
                }
                _ => {}
            }
        }
        gone
    }

    /// Whether an event shows any of it, itself or as a quote.
    fn shows(&self, event: &Event) -> bool {
        let message = event.message();
        let quoted = message.and_then(|message| message.reply_to.as_ref());
        self.rooms.contains(&event.room_id())
            || message.is_some_and(|message| self.messages.contains(&message.id))
            || quoted.is_some_and(|quoted| self.messages.contains(&quoted.id))
    }
}

/// How many beyond the first were sent the very same bytes. It is all of them.
fn shared(sent: &[Sent]) -> usize {
    let place = |sent: &Sent| match sent {
        Sent::Payload(bytes) => bytes.as_ptr(),
        Sent::End(_) => std::ptr::null(),
    };
    let first = place(&sent[0]);
    assert!(sent.iter().all(|sent| place(sent) == first), "{sent:?}");
    sent.len() - 1
}

async fn run(seed: u64, operations: usize) -> Count {
    eprintln!("seed {seed}");
    let mut run = Run::new(seed).await;
    while run.count.operations < operations {
        run.round().await;
    }
    run.count
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[tokio::test]
async fn what_is_shared_is_what_each_would_have_got_alone() {
    let seed = setting("TIDINGS_SHARING_SEED").unwrap_or_else(|| rand::random_range(0..1_000_000));
    let operations = setting("TIDINGS_SHARING_OPERATIONS").unwrap_or(100);
    // A few databases rather than one that grows.
    let each = 100;
    let runs = operations.div_ceil(each);
    for seed in seed..seed + runs {
        let count = run(seed, usize::try_from(each).unwrap()).await;
        eprintln!("{count:?}");
        assert!(count.live > 0 && count.from_ring > 0 && count.from_store > 0);
        assert!(count.shared > 0 && count.kinds.len() >= 4);
    }
}
