//! What is shared is executed with no viewer: everything reachable under a subscription is shown so, but for what is
//! marked; and what an event brings along is shown at once, without a read.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use async_graphql::parser::types::FieldDefinition;
use async_graphql::{EmptyMutation, EmptySubscription, Object, Schema};
use futures_util::FutureExt;
use serde_json::json;

use super::super::event::RoomEventIsEvent;
use super::super::node::Node;
use super::super::{Event, Message, Room, Signal, sdl};
use super::types::{Types, named};
use super::world::World;
use crate::document::Shape;
use crate::hub::Item;
use crate::model::{self, Cursor, Resync, RoomId, Seq, Timestamp, What};
use crate::signal::{Change, Kind, Said, Status, Told};

/// What a subscription yields, as a query.
pub(super) struct Stream(Vec<Item>);

#[Object]
impl Stream {
    async fn events(&self) -> Vec<Event> {
        let items = self.0.iter().cloned();
        items.filter_map(Event::from_item).collect()
    }

    async fn signals(&self) -> Vec<Signal> {
        let items = self.0.iter().cloned();
        items.filter_map(Signal::from_item).collect()
    }

    async fn room_read(&self) -> Vec<Room> {
        let items = self.0.iter().cloned();
        items.filter_map(Room::read_on).collect()
    }

    async fn message_sent(&self) -> Vec<Message> {
        let sent = |item: &Item| match item {
            Item::Event(event) => Message::sent(event),
            _ => None,
        };
        self.0.iter().filter_map(sent).collect()
    }
}

pub(super) type Shown = Schema<Stream, EmptyMutation, EmptySubscription>;

/// What a subscription would show of these, asked for as a query, by no one.
pub(super) fn show(world: &World, items: Vec<Item>) -> Shown {
    Schema::build(Stream(items), EmptyMutation, EmptySubscription)
        .register_output_type::<RoomEventIsEvent>()
        .register_output_type::<Node>()
        .data(world.deps.clone())
        .finish()
}

/// Every kind of event, read back from the log, and what is not in it.
async fn everything() -> (World, Shown) {
    let mut world = World::new().await;
    let room = world.room("ada", "PUBLIC", &["ben"]).await;
    let first = world.send("ada", &room, "first", None).await;
    let second = world.send("ben", &room, "second", Some(&first)).await;
    let third = world.send("cay", &room, "third", Some(&second)).await;
    for (field, input) in [
        ("addReaction", json!({"messageId": first, "emoji": "👍"})),
        ("addReaction", json!({"messageId": first, "emoji": "🎉"})),
        ("removeReaction", json!({"messageId": first, "emoji": "👍"})),
        (
            "editMessage",
            json!({"messageId": first, "body": "again", "data": {"a": 1}}),
        ),
        ("deleteMessage", json!({"messageId": third})),
        (
            "updateRoom",
            json!({"roomId": room, "name": "new", "data": {"b": 2}}),
        ),
        (
            "addMember",
            json!({"roomId": room, "userId": "ben", "role": "READER"}),
        ),
        ("removeMember", json!({"roomId": room, "userId": "ben"})),
    ] {
        let who = if third == input["messageId"] {
            "cay"
        } else {
            "ada"
        };
        let ty = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
        let query =
            format!("mutation($input: {ty}!) {{ {field}(input: $input) {{ __typename }} }}");
        world.ask(who, &query, json!({"input": input})).await;
    }
    let cursor: Cursor = world.head().await;
    let events = world.deps.store.events(Seq::ZERO, 100).await.unwrap();
    let signals = every_signal(&events);
    let mut items: Vec<_> = events.into_iter().map(Item::Event).collect();
    items.extend(signals);
    let (reason, room) = (Resync::CursorAhead, RoomId::LOBBY);
    items.extend([
        Item::CaughtUp(cursor),
        Item::Resync { cursor, reason },
        Item::Revoked { cursor, room },
    ]);
    world.hush().await;
    let shown = show(&world, items);
    (world, shown)
}

/// Every kind of signal, about someone and something of these events.
fn every_signal(events: &[Arc<model::Event>]) -> Vec<Item> {
    let member = events.iter().find_map(|event| match &event.what {
        What::MemberUpdated(member) => Some(member.clone()),
        _ => None,
    });
    let (room, member) = (&events.last().unwrap().room, member.unwrap());
    let user = member.user.clone();
    let all = [
        Said::WhoIsThere {
            online: vec![user.clone()],
            away: vec![user.clone()],
            present: 2,
        },
        Said::Presence(Change {
            user: user.clone(),
            status: Status::Offline,
            last_seen_at: Some(Timestamp(1)),
        }),
        Said::Typing {
            user: user.clone(),
            typing: true,
        },
        Said::Read(member),
        Said::App {
            user,
            kind: Kind::parse("pointer").unwrap(),
            data: None,
        },
    ];
    let told = all.map(|said| Item::Signal(Told::new(room.clone(), said, crate::model::Seq::ZERO)));
    told.into()
}

/// For each object reachable under a subscription, the shortest selection that leads there, with `@` in its place.
fn ways(types: &Types) -> HashMap<String, String> {
    let mut ways = HashMap::new();
    let mut queue: VecDeque<(String, String)> = types.fields["Subscription"]
        .iter()
        .map(|it| {
            (
                named(&it.ty.node).to_owned(),
                format!("{{ {} {{ @ }} }}", it.name.node),
            )
        })
        .collect();
    let mut seen = HashSet::new();
    while let Some((ty, way)) = queue.pop_front() {
        if let Some(objects) = types.behind.get(&ty) {
            for object in objects {
                let way = way.replace('@', &format!("... on {object} {{ @ }}"));
                queue.push_back((object.clone(), way));
            }
            continue;
        }
        if !seen.insert(ty.clone()) {
            continue;
        }
        for field in &types.fields[&ty] {
            let target = named(&field.ty.node).to_owned();
            let marked = !field.directives.is_empty();
            if types.fields.contains_key(&target) && !marked {
                let way = way.replace('@', &format!("{} {{ @ }}", field.name.node));
                queue.push_back((target, way));
            }
        }
        ways.insert(ty, way);
    }
    ways
}

/// Executes without a viewer what stands for each type of object, and compares what fails with the marks.
struct Unseen {
    types: Types,
    shape: Shape,
    shown: Shown,
    /// Marks that were found to be needed.
    marks: HashSet<String>,
}

impl Unseen {
    /// Whether the hub takes a field for one that depends on who asks.
    fn is_marked(&self, ty: &str, field: &str) -> bool {
        self.shape.field(ty, field).unwrap().per_viewer
    }

    fn below(&self, field: &FieldDefinition) -> &'static str {
        match self.types.is_composite(named(&field.ty.node)) {
            true => "{ __typename }",
            false => "",
        }
    }

    /// A selection on `ty`, within `way`: fails for want of a viewer if `marked`, and not at all otherwise.
    async fn try_out(&self, way: &str, selection: &str, marked: bool) {
        let query = way.replace('@', selection);
        let answer = self.shown.execute(&query).await;
        let is_refused = !answer.errors.is_empty();
        assert_eq!(is_refused, marked, "{query}: {:?}", answer.errors);
        for error in answer.errors {
            let error = serde_json::to_value(error).unwrap();
            assert_eq!(error["extensions"]["code"], "UNAUTHENTICATED", "{query}");
        }
    }

    /// Each field of a type, through itself and through its interfaces.
    async fn fields(&mut self, ty: &str, way: &str) {
        for field in &self.types.fields[ty] {
            let (name, marked) = (&field.name.node, self.is_marked(ty, &field.name.node));
            if marked {
                self.marks.insert(format!("{ty}.{name}"));
            }
            let selection = format!("{name} {}", self.below(field));
            self.try_out(way, &selection, marked).await;
            for interface in self.types.interfaces(ty) {
                let fields = &self.types.fields[interface];
                if fields.iter().any(|field| field.name.node == *name) {
                    assert_eq!(self.is_marked(interface, name), marked);
                    let selection = format!("... on {interface} {{ {selection} }}");
                    self.try_out(way, &selection, marked).await;
                }
            }
        }
    }

    /// Each field that takes arguments, with each of them: pages from and up to a place that there is.
    async fn arguments(&self, ty: &str, way: &str) {
        for field in &self.types.fields[ty] {
            let name = &field.name.node;
            if field.arguments.is_empty() || self.is_marked(ty, name) {
                continue;
            }
            if !super::super::is_connection(named(&field.ty.node)) {
                let selection = format!("{name}(first: 1) {{ __typename }}");
                self.try_out(way, &selection, false).await;
                continue;
            }
            let page = format!("{name}(first: 1) {{ pageInfo {{ endCursor }} }}");
            let answer = self.shown.execute(way.replace('@', &page)).await;
            let answer = answer.data.into_json().unwrap().to_string();
            let (_, end) = answer.split_once("\"endCursor\":\"").unwrap();
            let (end, _) = end.split_once('"').unwrap();
            for argument in &field.arguments {
                let value = match argument.node.ty.node.to_string().as_str() {
                    "Int" => "1".to_owned(),
                    _ => format!("\"{end}\""),
                };
                let argument = &argument.node.name.node;
                let selection = format!("{name}({argument}: {value}) {{ __typename }}");
                self.try_out(way, &selection, false).await;
            }
        }
    }

    /// All that is not marked of each object that a field of this type leads to: a room by its message may be made
    /// otherwise than one by its event.
    async fn one_further(&self, ty: &str, way: &str) {
        for field in &self.types.fields[ty] {
            let (name, target) = (&field.name.node, named(&field.ty.node));
            if !self.types.is_composite(target) || self.is_marked(ty, name) {
                continue;
            }
            let targets = self.types.behind.get(target);
            for object in targets.unwrap_or(&vec![target.to_owned()]) {
                let fields = self.types.fields[object].iter();
                let plain = fields.filter(|field| !self.is_marked(object, &field.name.node));
                let plain = plain.map(|field| format!("{} {}", field.name.node, self.below(field)));
                let plain = plain.collect::<Vec<_>>().join(" ");
                let selection = format!("{name} {{ ... on {object} {{ {plain} }} }}");
                self.try_out(way, &selection, false).await;
            }
        }
    }
}

#[tokio::test]
async fn without_a_viewer_what_is_marked_fails_and_nothing_else() {
    let (_world, shown) = everything().await;
    let types = Types::read();
    let ways = ways(&types);
    assert!(ways.len() >= 20, "{ways:#?}");
    let mut unseen = Unseen {
        types,
        shape: Shape::read(&sdl()).unwrap(),
        shown,
        marks: HashSet::new(),
    };
    for (ty, way) in &ways {
        unseen.fields(ty, way).await;
        unseen.arguments(ty, way).await;
        unseen.one_further(ty, way).await;
    }
    let marks: BTreeSet<_> = unseen.marks.iter().map(String::as_str).collect();
    assert_eq!(
        marks,
        BTreeSet::from([
            "Reaction.viewerReacted",
            "Room.unreadCount",
            "Room.viewerReadUpTo",
            "Room.viewerRole",
            "User.presence",
            "User.rooms"
        ])
    );
}

#[tokio::test]
async fn what_an_event_brings_along_is_shown_at_once() {
    let (world, shown) = everything().await;
    let query = "{ events { __typename cursor
        ... on RoomEvent { at actor { id name avatarUrl } room { id name visibility data memberCount } }
        ... on MessageSent { message { ...m } }
        ... on MessageEdited { message { ...m } }
        ... on MessageDeleted { message { ...m } }
        ... on ReactionAdded { emoji message { ...m } }
        ... on ReactionRemoved { emoji message { ...m } }
        ... on MemberJoined { member { id role joinedAt user { id name } } }
        ... on MemberUpdated { member { id role joinedAt user { id name } } }
        ... on MemberLeft { memberId user { id } }
        ... on ResyncRequired { reason } ... on AccessRevoked { roomId } } messageSent { ...m } }
        fragment m on Message { id body data version createdAt editedAt deletedAt cursor author { id name }
            room { id name } reactions { id emoji count }
            replyTo { id body author { id name } room { id } reactions { id emoji count } } }";
    let before = world.deps.store.reads();
    let answer = shown.execute(query).now_or_never();
    let answer = answer.expect("nothing to wait for");
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    assert_eq!(world.deps.store.reads(), before);
    let answer = answer.data.into_json().unwrap();
    let kinds: HashSet<_> = super::world::each(&answer["events"], "__typename")
        .into_iter()
        .collect();
    assert_eq!(kinds.len(), 13, "{kinds:?}");
}

#[tokio::test]
async fn the_last_message_is_the_one_the_event_is_about() {
    let world = World::new().await;
    let room = world.room("ada", "PRIVATE", &[]).await;
    world.send("ada", &room, "newest", None).await;
    let events = world.deps.store.events(Seq::ZERO, 100).await.unwrap();
    let items = events.into_iter().map(Item::Event).collect();
    let shown = show(&world, items);
    let query = "{ messageSent { room { lastMessage { body room { lastMessage { body } } } } } }";
    let answer = shown
        .execute(query)
        .now_or_never()
        .expect("nothing to wait for");
    let answer = answer.data.into_json().unwrap();
    assert_eq!(
        answer["messageSent"][0]["room"]["lastMessage"]["body"],
        "newest"
    );
}
