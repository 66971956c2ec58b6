//! Signals at one worker that is moved on by hand: what they wait for, whom they are for, and what they give way to.

mod late;
mod order;
mod who;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use serde_json::json;
use tokio::task::{JoinHandle, yield_now};

use super::schema::schema;
use super::world::{World, parse, user, viewer};
use crate::bus::Bus as _;
use crate::document::Shape;
use crate::graphql::executor::{Allowance, Executor};
use crate::hub::core::Core;
use crate::hub::line::{Inbox, Line};
use crate::hub::plan::plan;
use crate::hub::worker::Worker;
use crate::hub::{Connection, Frame, Outbox, Setup};
use crate::interleave::explored;
use crate::log::TailLimits;
use crate::model::{MessageId, ReadAdvanced, RoomId, Standing, Visibility::Private};
use crate::signal::{Kind, Present, Signals};

const SAYS: &str = "signals(roomIds: [$]) { says }";
/// What has to wait for the store.
const LAST: &str = "signals(roomIds: [$]) { says last }";
const EVENTS: &str = "events { kind room body }";

pub(super) struct Stage {
    pub(super) world: World,
    core: Arc<Core>,
    inbox: Arc<Inbox>,
    worker: Worker,
    signals: Signals,
    running: JoinHandle<()>,
    lines: u64,
}

impl Drop for Stage {
    fn drop(&mut self) {
        explored::set(None);
        self.running.abort();
    }
}

/// Whoever can go on does.
async fn settle() {
    for _ in 0..200 {
        yield_now().await;
    }
}

impl Stage {
    pub(super) async fn new() -> Self {
        Self::with_readers(4).await
    }

    /// The store answers so many reads at once.
    async fn with_readers(count: usize) -> Self {
        let world = World::with(1, TailLimits::default()).await;
        world.store.readers.store(count, SeqCst);
        let (store, tail) = (world.store.clone(), world.tail.clone());
        let schema = schema(world.probe.clone());
        let shape = Arc::new(Shape::read(&schema.sdl()).unwrap());
        let allowance = Allowance::new(0, 0);
        let executor = Executor::new(schema, shape.clone(), allowance, |_| {
            async_graphql::Data::default()
        });
        let signals = Signals::new(store.clone(), tail.clone());
        let core = Arc::new(Core::new(Setup {
            store,
            tail,
            signals: signals.clone(),
            execute: Arc::new(move |prepared, data| executor.stream(prepared, data)),
            shape,
            revocations: Arc::default(),
            workers: 1,
        }));
        let inbox = Arc::new(Inbox::default());
        let worker = Worker::new(core.clone(), inbox.clone());
        let running = signals.clone().run_alone(world.bus.listen_reads());
        Self {
            world,
            core,
            inbox,
            worker,
            running: tokio::spawn(running),
            signals,
            lines: 0,
        }
    }

    /// The worker does what there is to do for it; nobody else does anything.
    pub(super) fn turn(&mut self) -> bool {
        let lines = self.inbox.take().unwrap();
        self.worker.turn(&lines)
    }

    /// Everyone does what there is to do.
    pub(super) async fn work(&mut self) {
        for _ in 0..10 {
            settle().await;
            while self.turn() {}
        }
    }

    pub(super) async fn client(&mut self, name: &str, wishes: &[String]) -> Client {
        self.lines += 1;
        let (viewer, outbox) = (viewer(name), Arc::new(Outbox::new(Outbox::BUDGET_BYTES)));
        let present = self.signals.arrive(&viewer.user);
        let (dress, inbox) = (World::dress(), self.inbox.clone());
        let line = Line::new(self.lines, viewer.clone(), outbox.clone(), dress, inbox);
        let connection = Connection {
            core: self.core.clone(),
            line: Arc::new(line),
            present,
        };
        for (n, wish) in wishes.iter().enumerate() {
            let text = format!("subscription {{ {wish} }}");
            let prepared = self.world.prepare(&text, json!({})).unwrap();
            let plan = plan(&self.core, prepared, viewer.clone()).await.unwrap();
            connection.subscribe(n.to_string().into(), plan, None);
            self.work().await;
        }
        Client { connection, outbox }
    }

    fn say(&self, room: RoomId, kind: &str) {
        let kind = Kind::parse(kind).unwrap();
        let said = self.signals.say(room, &user("ada"), None, kind, None);
        said.expect("ada is a member");
    }

    fn hold(&self, held: bool) {
        self.world.probe.is_held.store(held, SeqCst);
    }

    /// What is being read is, and what waits behind it is held up in its turn.
    async fn let_one_through(&mut self) {
        self.hold(false);
        while self.world.probe.held.load(SeqCst) > 0 {
            yield_now().await;
        }
        self.hold(true);
        settle().await;
        while self.turn() {}
    }

    fn store_has(&self, last: &str) {
        *self.world.probe.last.lock().unwrap() = last.to_owned();
    }

    fn reads(&self, room: RoomId, name: &str) {
        let member = self.world.member(room, name, Standing::Active);
        let room = self.world.room(room);
        self.world
            .bus
            .announce_reads([ReadAdvanced { room, member }].into());
    }

    fn arrive(&self, name: &str) -> Present {
        self.signals.arrive(&user(name))
    }

    fn delete(&self, message: MessageId) {
        self.world.delete(message);
    }
}

pub(super) struct Client {
    connection: Connection,
    outbox: Arc<Outbox>,
}

impl Client {
    /// What came since the last time: what signals say, kinds and bodies of events.
    pub(super) async fn heard(&self) -> Vec<String> {
        let mut frames: Vec<Frame> = Vec::new();
        if self.outbox.queued_bytes() > 0 {
            self.outbox.take(&mut frames, usize::MAX).await;
        }
        let mut heard = Vec::new();
        let is_filler = |frame: &&Frame| {
            frame.own.iter().all(|byte| *byte == b' ')
                && frame.shared.iter().all(|byte| *byte == b' ')
        };
        for frame in frames.iter().filter(|frame| !is_filler(frame)) {
            let mut message = parse(frame);
            if message["type"] == "ping" {
                continue;
            }
            let data = message["payload"]["data"].take();
            let said = ["signals", "roomRead", "events"]
                .into_iter()
                .find_map(|field| data.get(field).cloned());
            let said = said.unwrap_or_default();
            let words = ["says", "body", "kind", "last"].map(|key| said[key].as_str());
            heard.push(match words {
                [Some(says), _, _, Some(last)] => format!("{says}: {last}"),
                [Some(says), ..] => says.to_owned(),
                [_, Some(body), ..] => body.to_owned(),
                [_, _, Some(kind), _] => kind.to_owned(),
                _ => data.to_string(),
            });
        }
        heard
    }

    /// So much waits that signals are dropped.
    fn stop_reading(&self) {
        let much = vec![b' '; Outbox::BUDGET_BYTES / 4];
        self.outbox.push(Frame::whole(much.into()));
    }
}

pub(super) fn of(wish: &str, rooms: &[RoomId]) -> String {
    let rooms: Vec<_> = rooms.iter().map(|room| format!("\"{room}\"")).collect();
    wish.replace('$', &rooms.join(","))
}

/// Ada's room, with bob in it.
pub(super) async fn room(stage: &mut Stage) -> RoomId {
    let room = stage.world.create("ada", Private);
    stage.world.join(room, "bob");
    stage.world.settled().await;
    stage.work().await;
    room
}
