//! A small world: rooms and people whose doings are appended to a log, a hub that follows it, and clients.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_graphql::Variables;
use bytes::Bytes;
use serde_json::{Value as Json, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::schema::{Probe, TestSchema, schema};
use super::store::MemoryStore;
use crate::auth::Viewer;
use crate::bus::{Announcement, Bus, LocalBus};
use crate::document::{Documents, Limits, Prepared, Shape};
use crate::graphql::executor::{Allowance, Executor};
use crate::hub::{Connection, Envelope, Frame, Hub, Notice, Outbox, Plan, Setup};
use crate::log::{Tail, TailLimits};
use crate::model::{
    Cursor, Event, Fingerprint, Member, MemberId, Message, MessageBody, MessageId, Reply, Role,
    Room, RoomId, RoomName, Seq, Standing, Timestamp, User, UserId, Visibility, What,
};
use crate::signal::Signals;
use crate::store::Store;

pub(super) struct World {
    pub(super) store: Arc<MemoryStore>,
    pub(super) tail: Arc<Tail>,
    pub(super) hub: Hub,
    pub(super) probe: Arc<Probe>,
    documents: Documents,
    pub(super) bus: Arc<LocalBus>,
    is_mute: AtomicBool,
    rooms: Mutex<HashMap<RoomId, Arc<Room>>>,
    messages: Mutex<HashMap<MessageId, Arc<Message>>>,
    stop: CancellationToken,
    follow: JoinHandle<()>,
}

pub(super) fn user(name: &str) -> Arc<User> {
    Arc::new(User::unseen(UserId::stored(name)))
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(2, TailLimits::default()).await
    }

    pub(super) async fn with(workers: usize, limits: TailLimits) -> Self {
        let store = Arc::new(MemoryStore::default());
        let bus = Arc::new(LocalBus::new());
        let stop = CancellationToken::new();
        let (tail, follow) = Tail::start(store.clone(), &*bus, limits, stop.clone())
            .await
            .unwrap();
        let probe = Arc::new(Probe::default());
        let schema: TestSchema = schema(probe.clone());
        let shape = Arc::new(Shape::read(&schema.sdl()).unwrap());
        let executor = Executor::new(schema, shape.clone(), Allowance::new(0, 0), |_| {
            async_graphql::Data::default()
        });
        let hub = Hub::start(Setup {
            store: store.clone(),
            tail: tail.clone(),
            signals: Signals::new(store.clone(), tail.clone()),
            execute: Arc::new(move |prepared, data| executor.stream(prepared, data)),
            shape: shape.clone(),
            revocations: Arc::default(),
            workers,
        });
        Self {
            store,
            tail,
            hub: hub.unwrap(),
            probe,
            documents: Documents::new(Limits::default(), shape),
            bus,
            is_mute: AtomicBool::new(false),
            rooms: Mutex::default(),
            messages: Mutex::default(),
            stop,
            follow: tokio::spawn(follow),
        }
    }

    /// Ends everything, and sees that it ends.
    pub(super) async fn end(self) {
        self.hub.stop().await;
        self.stop.cancel();
        self.follow.await.unwrap();
    }

    pub(super) fn head(&self) -> Seq {
        Seq(self.store.log.lock().unwrap().len() as u64)
    }

    /// Waits until the tail has what happened so far.
    pub(super) async fn settled(&self) {
        let head = self.head();
        let mut growth = self.tail.watch();
        growth.wait_for(|seen| *seen >= head).await.unwrap();
    }

    pub(super) fn cursor(&self, seq: u64) -> Cursor {
        self.store.epochs().cursor(Seq(seq))
    }

    pub(super) fn log(&self) -> Vec<Arc<Event>> {
        self.store.log.lock().unwrap().clone()
    }

    /// The last thing to happen, for tests that run until then.
    pub(super) fn finish(&self, room: RoomId) -> Seq {
        let what = What::RoomUpdated {
            made_private: false,
        };
        self.append(&self.room(room), &user("owner"), what)
    }

    fn append(&self, room: &Arc<Room>, actor: &Arc<User>, what: What) -> Seq {
        let bus = (!self.is_mute.load(Ordering::Relaxed)).then_some(&*self.bus);
        append(&self.store, bus, room, actor, what)
    }

    /// Changes a room when it is called, wherever that is.
    pub(super) fn updater(&self, room: RoomId) -> impl Fn() + use<> {
        let (store, bus) = (self.store.clone(), self.bus.clone());
        let room = self.room(room);
        let made_private = false;
        move || {
            let what = What::RoomUpdated { made_private };
            append(&store, Some(&bus), &room, &user("owner"), what);
        }
    }

    /// Whether what happens from now on is written and not announced.
    pub(super) fn mute(&self, is_mute: bool) {
        self.is_mute.store(is_mute, Ordering::Relaxed);
    }

    pub(super) fn create(&self, by: &str, visibility: Visibility) -> RoomId {
        let room = Arc::new(Room {
            id: RoomId::generate(),
            name: RoomName::stored("room"),
            visibility,
            data: None,
            created_at: Timestamp(0),
            last_activity_at: Timestamp(0),
            last_message: None,
            member_count: 1,
            owner_count: 1,
            direct: false,
            fingerprint: None,
            deleted: false,
        });
        self.rooms.lock().unwrap().insert(room.id, room.clone());
        let members = [UserId::stored(by)].into();
        self.append(&room, &user(by), What::RoomCreated { members });
        room.id
    }

    pub(super) fn room(&self, id: RoomId) -> Arc<Room> {
        self.rooms.lock().unwrap()[&id].clone()
    }

    pub(super) fn member(&self, room: RoomId, name: &str, standing: Standing) -> Arc<Member> {
        Arc::new(Member {
            id: MemberId::generate(),
            room,
            user: user(name),
            role: Role::Member,
            joined_at: Timestamp(0),
            joined_seq: Seq(0),
            standing,
            read_up_to: None,
        })
    }

    pub(super) fn join(&self, room: RoomId, name: &str) -> Seq {
        let member = self.member(room, name, Standing::Active);
        self.append(&self.room(room), &user(name), What::MemberJoined(member))
    }

    pub(super) fn leave(&self, room: RoomId, name: &str) -> Seq {
        let member = self.member(room, name, Standing::Left);
        self.append(&self.room(room), &user(name), What::MemberLeft(member))
    }

    pub(super) fn make_private(&self, id: RoomId) -> Seq {
        let private = Arc::new(Room {
            visibility: Visibility::Private,
            ..(*self.room(id)).clone()
        });
        self.rooms.lock().unwrap().insert(id, private.clone());
        let what = What::RoomUpdated { made_private: true };
        self.append(&private, &user("owner"), what)
    }

    pub(super) fn delete_room(&self, id: RoomId) -> Seq {
        let room = self.room(id);
        let was = room.visibility;
        self.append(&room, &user("owner"), What::RoomDeleted { was })
    }

    pub(super) fn send(&self, room: RoomId, body: &str) -> Seq {
        self.reply(room, body, None).1
    }

    pub(super) fn reply(
        &self,
        room: RoomId,
        body: &str,
        to: Option<MessageId>,
    ) -> (MessageId, Seq) {
        let quoted = to.map(|to| self.messages.lock().unwrap()[&to].clone());
        let author = user("author");
        let message = Arc::new(Message {
            id: MessageId::generate(),
            room,
            author: author.clone(),
            body: Some(MessageBody::stored(body)),
            data: None,
            version: 1,
            created_at: Timestamp(0),
            edited_at: None,
            deleted_at: None,
            reply_to: quoted.map(|message| Reply {
                id: message.id,
                message: Some(message),
            }),
            cursor: self.cursor(0),
            fingerprint: Fingerprint([0; 16]),
            reactions: Arc::default(),
        });
        self.messages
            .lock()
            .unwrap()
            .insert(message.id, message.clone());
        let id = message.id;
        let seq = self.append(&self.room(room), &author, What::MessageSent(message));
        (id, seq)
    }

    pub(super) fn delete(&self, id: MessageId) -> Seq {
        let message = Arc::new(self.messages.lock().unwrap()[&id].blanked());
        let room = self.room(message.room);
        self.append(&room, &user("author"), What::MessageDeleted(message))
    }

    pub(super) async fn plan(&self, name: &str, text: &str) -> Result<Plan, String> {
        self.plan_with(name, text, json!({})).await
    }

    pub(super) async fn plan_with(
        &self,
        name: &str,
        text: &str,
        variables: Json,
    ) -> Result<Plan, String> {
        let prepared = self.prepare(text, variables)?;
        self.hub.plan(prepared, viewer(name)).await
    }

    pub(super) fn prepare(&self, text: &str, variables: Json) -> Result<Prepared, String> {
        let variables = Variables::from_json(variables);
        let prepared = self.documents.prepare(text, None, variables);
        prepared.map_err(|rejection| format!("{:?}", rejection.errors))
    }

    pub(super) fn dress() -> Arc<dyn Envelope> {
        Arc::new(Dress)
    }

    pub(super) fn client(&self, name: &str) -> Client {
        self.client_with(name, Outbox::BUDGET_BYTES)
    }

    pub(super) fn client_with(&self, name: &str, budget_bytes: usize) -> Client {
        let outbox = Arc::new(Outbox::new(budget_bytes));
        let connection = self
            .hub
            .connect(viewer(name), outbox.clone(), Arc::new(Dress));
        Client {
            name: name.to_owned(),
            connection: Some(connection),
            outbox,
            read: VecDeque::new(),
        }
    }
}

fn append(
    store: &MemoryStore,
    bus: Option<&LocalBus>,
    room: &Arc<Room>,
    actor: &Arc<User>,
    what: What,
) -> Seq {
    let mut log = store.log.lock().unwrap();
    let seq = Seq(log.len() as u64 + 1);
    let event = Arc::new(Event {
        cursor: store.epochs().cursor(seq),
        at: Timestamp(0),
        room: room.clone(),
        actor: actor.clone(),
        what,
    });
    log.push(event.clone());
    if let Some(bus) = bus {
        bus.announce(Announcement::Events([event].into()));
    }
    seq
}

pub(super) fn viewer(name: &str) -> Arc<Viewer> {
    Arc::new(Viewer {
        user: user(name),
        expires_at: Timestamp(i64::MAX),
        issued_at: None,
    })
}

struct Dress;

impl Envelope for Dress {
    fn next_prefix(&self, id: &str) -> Bytes {
        format!(r#"{{"id":"{id}","type":"next","payload":"#).into()
    }

    fn error(&self, id: &str, errors: &str) -> Bytes {
        format!(r#"{{"id":"{id}","type":"error","payload":{errors}}}"#).into()
    }

    fn ping(&self, positions: &[(Arc<str>, Cursor)]) -> Option<Bytes> {
        let resume: serde_json::Map<_, _> = positions
            .iter()
            .map(|(id, cursor)| (id.to_string(), cursor.to_string().into()))
            .collect();
        let ping = json!({ "type": "ping", "payload": { "resume": resume } });
        Some(ping.to_string().into())
    }
}

/// One connection, read by the test.
pub(super) struct Client {
    pub(super) name: String,
    pub(super) connection: Option<Connection>,
    pub(super) outbox: Arc<Outbox>,
    read: VecDeque<Json>,
}

impl Client {
    pub(super) async fn subscribe(&self, world: &World, id: &str, text: &str) {
        self.resume(world, id, text, None).await;
    }

    pub(super) async fn resume(&self, world: &World, id: &str, text: &str, resume: Option<Cursor>) {
        let plan = world.plan(&self.name, text).await.unwrap();
        self.connection().subscribe(id.into(), plan, resume);
    }

    pub(super) fn connection(&self) -> &Connection {
        self.connection.as_ref().unwrap()
    }

    /// The next message, whatever it is.
    pub(super) async fn message(&mut self) -> Json {
        while self.read.is_empty() {
            let mut frames = Vec::new();
            self.outbox.take(&mut frames, 4096).await;
            self.read.extend(frames.iter().map(parse));
        }
        self.read.pop_front().unwrap()
    }

    /// The next message that is no ping.
    pub(super) async fn next(&mut self) -> Json {
        loop {
            let message = self.message().await;
            if message["type"] != "ping" {
                return message;
            }
        }
    }

    /// The positions in the next ping.
    pub(super) async fn ping(&mut self) -> Json {
        loop {
            let message = self.message().await;
            if message["type"] == "ping" {
                return message["payload"]["resume"].clone();
            }
        }
    }

    /// `data.events` of the next payload.
    pub(super) async fn event(&mut self) -> Json {
        let next = self.next().await;
        assert_eq!(next["type"], "next", "{next}");
        next["payload"]["data"]["events"].clone()
    }

    /// Bodies and other kinds of events through `CaughtUp`.
    pub(super) async fn until(&mut self, last: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let event = self.event().await;
            let said = event["body"].as_str().or(event["kind"].as_str()).unwrap();
            seen.push(said.to_owned());
            if said == last {
                return seen;
            }
        }
    }

    /// Reads until a subscription has said that it has caught up.
    pub(super) async fn until_greeted(&mut self) {
        while !self.event().await.to_string().contains("CaughtUp") {}
    }

    pub(super) async fn notice(&self) -> Notice {
        self.connection().notice().await
    }
}

pub(super) fn parse(frame: &Frame) -> Json {
    let text = [&frame.own[..], &frame.shared[..]].concat();
    serde_json::from_slice(&text).unwrap()
}
