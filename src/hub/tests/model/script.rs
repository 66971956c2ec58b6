//! What happens in a model: what is written, what each client does, and within which bounds.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::owed::Due;
use crate::hub::position::Pace;
use crate::hub::tests::world::user;
use crate::model::{
    Cursor, Epoch, Event, Fingerprint, Member, MemberId, Message, MessageBody, MessageId, Role,
    Room, RoomId, RoomName, Scope, Seq, Standing, Timestamp, UserId, Visibility, What,
};

/// Something that happens to a room; rooms have numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Doing {
    /// It is made, with one member.
    Create(usize, Visibility, &'static str),
    Say(usize),
    /// A message whose payload is never there at once.
    Slow(usize),
    /// The message at this place in the log is deleted.
    Delete(u64),
    Join(usize, &'static str),
    Leave(usize, &'static str),
    MakePrivate(usize),
    DeleteRoom(usize),
    /// Retention takes the log away up to this place.
    Prune(u64),
}

/// What a subscription is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum About {
    Mine,
    Rooms(&'static [usize]),
    /// `messageSent` of one room.
    Messages(usize),
}

/// Where a subscription begins.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum From {
    /// At the end of the log, as it was when it was planned.
    Now,
    /// After this place, by its argument.
    After(u64),
    /// After what the client knows to have of the subscription of this name: the latest frame's place, or a ping's.
    Known,
}

/// Something that a client does; subscriptions have letters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Act {
    Plan,
    Subscribe(char, About, From),
    Unsubscribe(char),
    Ping,
    /// The socket breaks. What follows is done on another.
    Cut,
    /// What was done before is not explored: all come to rest here first, in one order.
    Rest,
}

/// What is explored: each actor does its things in this order, and all orders between actors are tried.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// In the log, and in the tail as far as that reaches back.
    pub(super) before: Vec<Doing>,
    /// The writer's.
    pub(super) writes: Vec<Doing>,
    /// Each client's name and doings.
    pub(super) clients: Vec<(&'static str, Vec<Act>)>,
    /// Events in the ring.
    pub(super) ring: usize,
    /// Events that may be committed and not announced.
    pub(super) ahead: u64,
    /// Frames within a connection's budget.
    pub(super) budget: usize,
    /// Bytes that the network holds for each client, where the worker writes to sockets by itself.
    pub(super) wire: Option<usize>,
    /// Items in a page from the store.
    pub(super) page: usize,
    pub(super) pace: Pace,
    /// How often the store may fail.
    pub(super) failures: usize,
    /// How often one that works may be overtaken half-way.
    pub(super) overtakes: usize,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            before: Vec::new(),
            writes: Vec::new(),
            clients: Vec::new(),
            ring: 100,
            ahead: 2,
            budget: 4,
            wire: None,
            page: 100,
            pace: Pace {
                remainder: 1,
                seating: 2,
                ring: 2,
                ..Pace::default()
            },
            failures: 0,
            overtakes: 0,
        }
    }
}

/// What a writer's step is.
#[derive(Clone)]
pub(super) enum Write {
    Event(Arc<Event>),
    Prune(Seq),
}

pub(super) fn room(number: usize) -> RoomId {
    RoomId::from_uuid(Uuid::from_u128(0x7000_8000_0000_0000_0000 + number as u128))
}

pub(super) fn number(room: RoomId) -> usize {
    (room.uuid().as_u128() & 0xff) as usize
}

/// Events of the room with this number have payloads that are never there at once.
pub(super) const SLOW: usize = 9;

/// Whether an event's payload is never there at once.
pub(super) fn is_slow(event: &Event) -> bool {
    if number(event.room_id()) == SLOW {
        return true;
    }
    let body = event.message().and_then(|message| message.body.as_ref());
    body.is_some_and(|body| body.as_str() == "slow")
}

impl About {
    pub(super) fn scope(self) -> Scope {
        match self {
            Self::Mine => Scope::Mine,
            Self::Rooms(rooms) => Scope::Rooms(rooms.iter().map(|n| room(*n)).collect()),
            Self::Messages(n) => Scope::Rooms([room(n)].into()),
        }
    }

    pub(super) fn messages_only(self) -> bool {
        matches!(self, Self::Messages(_))
    }
}

/// Makes events of doings.
#[derive(Default)]
struct Author {
    rooms: HashMap<usize, Arc<Room>>,
    events: Vec<Arc<Event>>,
}

/// A script with its events, which are the same in every run.
pub(super) struct Plot {
    pub(super) script: Script,
    pub(super) before: Vec<Arc<Event>>,
    pub(super) writes: Vec<Write>,
    /// All that is ever written.
    log: Vec<Arc<Event>>,
    due: RefCell<HashMap<(&'static str, About), Rc<Due>>>,
    /// Time stands still on it but for `Step::Wait`.
    pub(super) runtime: Runtime,
}

impl Plot {
    pub(super) fn new(script: &Script) -> Self {
        let mut author = Author::default();
        for doing in &script.before {
            author.write(*doing);
        }
        let before = author.events.clone();
        let writes = script.writes.iter().map(|doing| author.write(*doing));
        let mut runtime = Builder::new_current_thread();
        runtime.enable_time().start_paused(true);
        Self {
            script: script.clone(),
            before,
            writes: writes.collect(),
            log: author.events,
            due: RefCell::default(),
            runtime: runtime.build().unwrap(),
        }
    }

    pub(super) fn due(&self, viewer: &'static str, about: About) -> Rc<Due> {
        let mut due = self.due.borrow_mut();
        let due = due.entry((viewer, about));
        due.or_insert_with(|| Rc::new(Due::new(&self.log, viewer, about)))
            .clone()
    }
}

impl Author {
    fn write(&mut self, doing: Doing) -> Write {
        let (number, what) = match doing {
            Doing::Create(number, visibility, by) => {
                self.rooms
                    .insert(number, Arc::new(made(number, visibility)));
                let members = [UserId::stored(by)].into();
                (number, What::RoomCreated { members })
            }
            Doing::Say(number) => (number, What::MessageSent(self.message(number, "said"))),
            Doing::Slow(number) => (number, What::MessageSent(self.message(number, "slow"))),
            Doing::Delete(seq) => {
                let sent = &self.events[seq as usize - 1];
                let blank = sent.message().unwrap().blanked();
                let number = number(sent.room_id());
                (number, What::MessageDeleted(Arc::new(blank)))
            }
            Doing::Join(number, name) => {
                let member = member(number, name, Standing::Active);
                (number, What::MemberJoined(member))
            }
            Doing::Leave(number, name) => {
                let member = member(number, name, Standing::Left);
                (number, What::MemberLeft(member))
            }
            Doing::MakePrivate(number) => {
                let private = made(number, Visibility::Private);
                self.rooms.insert(number, Arc::new(private));
                (number, What::RoomUpdated { made_private: true })
            }
            Doing::DeleteRoom(number) => {
                let was = self.rooms[&number].visibility;
                (number, What::RoomDeleted { was })
            }
            Doing::Prune(floor) => return Write::Prune(Seq(floor)),
        };
        let event = Arc::new(Event {
            cursor: self.cursor(),
            at: Timestamp(0),
            room: self.rooms[&number].clone(),
            actor: user("actor"),
            what,
        });
        self.events.push(event.clone());
        Write::Event(event)
    }

    fn cursor(&self) -> Cursor {
        Cursor {
            seq: Seq(self.events.len() as u64 + 1),
            epoch: Epoch::stored(1),
        }
    }

    fn message(&self, number: usize, body: &str) -> Arc<Message> {
        Arc::new(Message {
            id: MessageId::from_uuid(Uuid::from_u128(1 + self.events.len() as u128)),
            room: room(number),
            author: user("actor"),
            body: Some(MessageBody::stored(body)),
            data: None,
            version: 1,
            created_at: Timestamp(0),
            edited_at: None,
            deleted_at: None,
            reply_to: None,
            cursor: self.cursor(),
            fingerprint: Fingerprint([0; 16]),
            reactions: Arc::default(),
        })
    }
}

fn made(number: usize, visibility: Visibility) -> Room {
    Room {
        id: room(number),
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
    }
}

fn member(number: usize, name: &str, standing: Standing) -> Arc<Member> {
    Arc::new(Member {
        id: MemberId::from_uuid(Uuid::from_u128(1)),
        room: room(number),
        user: user(name),
        role: Role::Member,
        joined_at: Timestamp(0),
        joined_seq: Seq(0),
        standing,
        read_up_to: None,
    })
}
