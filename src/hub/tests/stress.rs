//! Everything at once, at random: people come and go, rooms close, messages are deleted, sockets are slow and break. Each
//! stream is the log as its viewer may see it, in order, once.
//!
//! `TIDINGS_STRESS_SEED` runs one seed, as a failure prints it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom, IndexedRandom};
use rand::{Rng, SeedableRng};
use serde_json::Value as Json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::store::access_after;
use super::world::{Client, World};
use crate::log::TailLimits;
use crate::model::Visibility::{Private, Public};
use crate::model::{Cursor, Event, MessageId, RoomId, Scope, Seq, UserId};

const PEOPLE: [&str; 6] = ["ada", "bob", "cy", "dee", "eve", "fay"];
const EVENTS: usize = 250;

/// What one subscription showed, over all its connections.
#[derive(Default)]
struct Stream {
    /// Place, kind, room.
    items: Vec<(Seq, String, String)>,
    place: Option<Cursor>,
    end_room: String,
    ended: bool,
}

struct Reader {
    name: &'static str,
    named: Arc<[RoomId]>,
    rng: StdRng,
    mine: Stream,
    rooms: Stream,
    /// The last place that `mine` has shown; the end of all places while it is away.
    seen: watch::Sender<Seq>,
}

fn act(world: &World, rng: &mut StdRng, rooms: &mut Vec<RoomId>, messages: &mut Vec<MessageId>) {
    let name = *PEOPLE.choose(rng).unwrap();
    let room = *rooms.choose(rng).unwrap();
    match rng.random_range(0..100) {
        0..55 => {
            let to = messages.choose(rng).copied();
            let to = to.filter(|_| rng.random_bool(0.2));
            messages.push(world.reply(room, "some words, not too few of them", to).0);
        }
        55..70 => drop(world.join(room, name)),
        70..85 => drop(world.leave(room, name)),
        85..90 => drop(world.make_private(room)),
        90..94 if !messages.is_empty() => {
            let at = rng.random_range(0..messages.len());
            world.delete(messages.swap_remove(at));
        }
        94..96 if rooms.len() > 4 => {
            rooms.retain(|other| *other != room);
            world.delete_room(room);
        }
        _ => rooms.push(world.create(name, if rng.random() { Public } else { Private })),
    }
}

impl Reader {
    /// Reads at its own pace, now and then on a new connection, until both streams have shown the end.
    async fn run(&mut self, world: &World, end: &CancellationToken) {
        loop {
            let budget = [600, 2_000, 262_144].choose(&mut self.rng).copied();
            let mut client = world.client_with(self.name, budget.unwrap());
            let list = format!(
                "{:?}",
                self.named
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
            );
            let waits = if self.rng.random_bool(0.2) {
                "waits"
            } else {
                ""
            };
            let mine = format!("subscription {{ events {{ kind room {waits} }} }}");
            let rooms = format!("subscription {{ events(roomIds: {list}) {{ kind room }} }}");
            client.resume(world, "mine", &mine, self.mine.place).await;
            client
                .resume(world, "rooms", &rooms, self.rooms.place)
                .await;
            let last = self.rng.random_bool(0.3);
            let until = self.rng.random_range(1..150);
            if self
                .read(&mut client, if last { usize::MAX } else { until })
                .await
            {
                return;
            }
            if self.rng.random_bool(0.05) {
                drop(client);
                self.seen.send_replace(Seq(u64::MAX));
                end.cancelled().await;
            }
        }
    }

    async fn read(&mut self, client: &mut Client, messages: usize) -> bool {
        for _ in 0..messages {
            if self.mine.has_ended() && self.rooms.has_ended() {
                return true;
            }
            let message = client.message().await;
            match message["type"].as_str().unwrap() {
                "ping" => self.learn(&message["payload"]["resume"]),
                "next" if message["id"] == "mine" => {
                    self.mine.take(&message["payload"]);
                    let seen = self.mine.place.unwrap().seq;
                    self.seen.send_replace(seen);
                }
                "next" => self.rooms.take(&message["payload"]),
                other => panic!("{other}"),
            }
            for _ in 0..self.rng.random_range(0..8) {
                tokio::task::yield_now().await;
            }
        }
        false
    }

    fn learn(&mut self, positions: &Json) {
        for (id, stream) in [("mine", &mut self.mine), ("rooms", &mut self.rooms)] {
            if let Some(text) = positions[id].as_str() {
                stream.place = Some(text.parse().unwrap());
            }
        }
    }
}

impl Stream {
    fn take(&mut self, payload: &Json) {
        assert_eq!(payload["errors"], Json::Null);
        let cursor: Cursor = payload["extensions"]["cursor"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        self.place = Some(cursor);
        let event = &payload["data"]["events"];
        let kind = event["kind"].as_str().unwrap().to_owned();
        let room = event["room"].as_str().unwrap_or_default().to_owned();
        self.ended |= kind == "RoomUpdated" && room == self.end_room;
        self.items.push((cursor.seq, kind, room));
    }

    fn has_ended(&self) -> bool {
        self.ended
    }

    fn check(&self, log: &[Arc<Event>], viewer: &UserId, scope: &Scope, who: &str) {
        let access: Vec<HashSet<RoomId>> = (0..=log.len())
            .map(|head| {
                access_after(&log[..head], viewer, scope)
                    .rooms
                    .into_keys()
                    .collect()
            })
            .collect();
        let mut shown = BTreeMap::new();
        let mut last = Seq::ZERO;
        for (seq, kind, room) in &self.items {
            match kind.as_str() {
                "CaughtUp" => assert!(*seq >= last, "{who}: CaughtUp at {seq} after {last}"),
                "AccessRevoked" => {
                    assert!(*seq >= last, "{who}: revoked at {seq} after {last}");
                    let id = RoomId::parse("room", room).unwrap();
                    let is_lost = !access[seq.0 as usize].contains(&id);
                    assert!(
                        is_lost,
                        "{who}: {room} revoked at {seq}, where it can be read"
                    );
                }
                _ => {
                    assert!(*seq > last, "{who}: {kind} at {seq} after {last}");
                    let event = &log[seq.0 as usize - 1];
                    assert_eq!(*room, event.room_id().to_string(), "{who}: at {seq}");
                    shown.insert(*seq, event.room_id());
                }
            }
            last = *seq;
        }
        self.check_whole(log, &access, &shown, scope, who);
        self.check_lost(&access, &shown, who);
        self.check_told(&access, scope, who);
    }

    /// A room that was lost for good was told to be, and among one's own at the very place.
    fn check_told(&self, access: &[HashSet<RoomId>], scope: &Scope, who: &str) {
        let rooms: HashSet<RoomId> = access.iter().flatten().copied().collect();
        for room in rooms {
            let Some(last) = access.iter().rposition(|rooms| rooms.contains(&room)) else {
                continue;
            };
            let lost = Seq(last as u64 + 1);
            if last + 1 == access.len() || lost <= START {
                continue;
            }
            let told = self.items.iter().any(|(seq, kind, id)| {
                let is_place = *scope != Scope::Mine || *seq == lost;
                kind == "AccessRevoked" && *id == room.to_string() && is_place
            });
            assert!(told, "{who}: {room} was lost at {lost} and not told");
        }
    }

    /// What was readable from its event on to the end was shown.
    fn check_whole(
        &self,
        log: &[Arc<Event>],
        access: &[HashSet<RoomId>],
        shown: &BTreeMap<Seq, RoomId>,
        scope: &Scope,
        who: &str,
    ) {
        for event in log {
            let (seq, room) = (event.cursor.seq, event.room_id());
            // A stream of named rooms takes none up again, so there it must have been readable all along.
            let from = match scope {
                Scope::Mine => seq.0 as usize,
                Scope::Rooms(_) => log.iter().position(|e| e.room_id() == room).unwrap() + 1,
            };
            if access[from..].iter().all(|rooms| rooms.contains(&room)) && seq > START {
                assert!(
                    shown.contains_key(&seq),
                    "{who}: {:?} is missing",
                    event.what
                );
            }
        }
    }

    /// Nothing was shown of a room above the place where it was lost, unless it came back.
    fn check_lost(&self, access: &[HashSet<RoomId>], shown: &BTreeMap<Seq, RoomId>, who: &str) {
        for (seq, _, room) in self
            .items
            .iter()
            .filter(|(_, kind, _)| kind == "AccessRevoked")
        {
            let room = RoomId::parse("room", room).unwrap();
            for (later, _) in shown
                .range(seq.next()..)
                .filter(|(_, other)| **other == room)
            {
                let back = access[seq.0 as usize..]
                    .iter()
                    .any(|rooms| rooms.contains(&room));
                assert!(back, "{who}: {room} was lost at {seq} and shown at {later}");
            }
        }
    }
}

const START: Seq = Seq(1);

async fn run(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let ring = *[40, 200, 16_384].choose(&mut rng).unwrap();
    let limits = TailLimits {
        events: ring,
        ..TailLimits::default()
    };
    let world = Arc::new(World::with(2, limits).await);
    // Everyone is in the first room for good; what happens there last is the end.
    let end_room = world.create(PEOPLE[0], Public);
    world.settled().await;
    let mut rooms: Vec<RoomId> = (0..5)
        .map(|n| {
            let visibility = if n % 2 == 0 { Public } else { Private };
            world.create(PEOPLE[n], visibility)
        })
        .collect();
    let named: Arc<[RoomId]> = [end_room, rooms[0], rooms[1], rooms[2]].into();
    let end = CancellationToken::new();
    let mut seen = Vec::new();
    let readers = (0..10).map(|n| {
        let (world, end, name) = (world.clone(), end.clone(), PEOPLE[n % PEOPLE.len()]);
        let mut reader = Reader {
            name,
            named: named.clone(),
            rng: StdRng::seed_from_u64(seed.wrapping_mul(31).wrapping_add(n as u64)),
            mine: Stream::default(),
            rooms: Stream::default(),
            seen: watch::Sender::default(),
        };
        seen.push(reader.seen.subscribe());
        for stream in [&mut reader.mine, &mut reader.rooms] {
            stream.place = Some(world.cursor(START.0));
            stream.end_room = end_room.to_string();
        }
        tokio::spawn(async move {
            reader.run(&world, &end).await;
            reader
        })
    });
    let readers: Vec<_> = readers.collect();
    for name in PEOPLE {
        world.join(end_room, name);
    }
    let mut messages = Vec::new();
    for n in 0..EVENTS {
        act(&world, &mut rng, &mut rooms, &mut messages);
        if n % 4 == 0 {
            // So that some are live most of the time, not all of them behind.
            let beat = world.send(end_room, "beat");
            let one = seen.choose_mut(&mut rng).unwrap();
            one.wait_for(|seen| *seen >= beat).await.unwrap();
        }
    }
    world.settled().await;
    end.cancel();
    world.finish(end_room);
    let mut log = Vec::new();
    for reader in readers {
        let reader = reader.await.unwrap();
        if log.is_empty() {
            log = world.log();
        }
        let viewer = UserId::stored(reader.name);
        let who = format!("seed {seed}, ring {ring}, {}", reader.name);
        reader
            .mine
            .check(&log, &viewer, &Scope::Mine, &format!("{who}, mine"));
        let scope = Scope::Rooms(reader.named.clone());
        reader
            .rooms
            .check(&log, &viewer, &scope, &format!("{who}, named"));
    }
    Arc::into_inner(world).unwrap().end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_stream_is_the_log_as_its_viewer_may_see_it_in_order_once() {
    let seed = std::env::var("TIDINGS_STRESS_SEED").ok();
    let seeds: Vec<u64> = match seed.map(|seed| seed.parse().unwrap()) {
        Some(seed) => vec![seed],
        None => {
            let first = rand::random_range(0..1_000_000);
            (first..first + 3).collect()
        }
    };
    for seed in seeds {
        eprintln!("seed {seed}");
        let run = tokio::time::timeout(Duration::from_secs(60), run(seed));
        let told = format!("seed {seed}: some reader has not seen what it waits for");
        run.await.expect(&told);
    }
}
