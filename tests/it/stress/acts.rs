//! What may happen, one thing at a time, at random.

use std::collections::BTreeSet;

use rand::Rng;
use rand::seq::{IndexedRandom, IteratorRandom};
use serde_json::json;
use uuid::Uuid;

use super::client::Order;
use super::director::{Act, Director, Message};
use super::stream::{Nonce, Scope, Shape, User};

const SEND: &str =
    "mutation($input:SendMessageInput!){sendMessage(input:$input){duplicate message{id cursor}}}";
const EDIT: &str =
    "mutation($input:EditMessageInput!){editMessage(input:$input){message{version}}}";
const DELETE: &str =
    "mutation($input:DeleteMessageInput!){deleteMessage(input:$input){message{id}}}";
const CREATE: &str = "mutation($input:CreateRoomInput!){createRoom(input:$input){room{id}}}";
const UPDATE: &str = "mutation($input:UpdateRoomInput!){updateRoom(input:$input){room{id}}}";
const DELETE_ROOM: &str = "mutation($input:DeleteRoomInput!){deleteRoom(input:$input){roomId}}";
const JOIN: &str = "mutation($input:JoinRoomInput!){joinRoom(input:$input){room{id}}}";
const LEAVE: &str = "mutation($input:LeaveRoomInput!){leaveRoom(input:$input){roomId}}";
const ADD: &str = "mutation($input:AddMemberInput!){addMember(input:$input){member{id}}}";
const REMOVE: &str = "mutation($input:RemoveMemberInput!){removeMember(input:$input){memberId}}";

impl Director {
    /// Members of a room, about.
    const MEMBERS: usize = 15;

    /// Beside each message now and then something else.
    pub(super) fn something_else(&mut self) {
        match self.rng.random_range(0..1000) {
            0..30 => self.edit(),
            30..50 => self.delete(),
            50..70 => self.come_or_go(),
            70..80 => self.add_or_remove(),
            80..90 => self.change_role(),
            90..94 => self.change_room(),
            94..96 => self.replace_room(),
            100..116 => {
                let n = self.any_client();
                self.tell(n, Order::Cut);
            }
            120..128 => self.stall(),
            130..150 => self.follow_more(),
            150..165 => {
                let n = self.any_client();
                self.tell(n, Order::Unsubscribe);
            }
            _ => {}
        }
    }

    pub(super) fn send_any(&mut self) {
        let public = self.rng.random_bool(0.01);
        let rooms = self.rooms.iter().filter(|room| {
            if public {
                room.public
            } else {
                !room.members.is_empty()
            }
        });
        let Some(room) = rooms.choose(&mut self.rng) else {
            return;
        };
        // Who sends into a public room joins it.
        let by = if public {
            None
        } else {
            room.members.iter().copied().choose(&mut self.rng)
        };
        let room = room.id;
        let n = match by {
            Some(user) => self.client_of(user),
            None => self.any_client(),
        };
        let bytes = match self.rng.random_range(0..100) {
            0..80 => self.rng.random_range(0..600),
            80..98 => self.rng.random_range(600..3_000),
            _ => self.rng.random_range(3_000..16_000),
        };
        let quoted = self
            .rng
            .random_bool(0.1)
            .then(|| self.message_of(room))
            .flatten();
        self.send(n, room, bytes, quoted);
    }

    pub(super) fn send(&mut self, n: usize, room: Uuid, bytes: usize, quoted: Option<Uuid>) {
        let id = Uuid::now_v7();
        let body = self.body(id, bytes);
        let input = json!({ "id": id, "roomId": room, "body": body, "replyToId": quoted });
        let message = Message {
            id,
            author: n,
            room,
        };
        self.act(n, SEND, input, Act::Send(message));
    }

    fn body(&mut self, message: Uuid, bytes: usize) -> String {
        let nonce = Nonce::new(self.rng.random(), bytes);
        self.record.bodies.insert(nonce, message);
        nonce.body()
    }

    fn edit(&mut self) {
        let Some((id, author)) = self
            .messages
            .choose(&mut self.rng)
            .map(|m| (m.id, m.author))
        else {
            return;
        };
        let bytes = self.rng.random_range(0..1_000);
        let body = self.body(id, bytes);
        self.act(
            author,
            EDIT,
            json!({ "messageId": id, "body": body }),
            Act::Edit,
        );
    }

    fn delete(&mut self) {
        if self.messages.is_empty() {
            return;
        }
        let n = self.rng.random_range(0..self.messages.len());
        let message = self.messages.swap_remove(n);
        let by = if self.rng.random() {
            message.author
        } else {
            self.steward()
        };
        self.act(by, DELETE, json!({ "messageId": message.id }), Act::Delete);
    }

    fn come_or_go(&mut self) {
        let n = self.any_client();
        let user = self.cast.users[n];
        let room = self.rooms.choose(&mut self.rng).expect("there are rooms");
        let id = room.id;
        let input = json!({ "roomId": id });
        if room.members.contains(&user) {
            self.act(n, LEAVE, input, Act::Out(id, user));
        } else if room.public && room.members.len() < Self::MEMBERS {
            self.act(n, JOIN, input, Act::In(id, user));
        } else if let Some(user) = room.members.iter().copied().choose(&mut self.rng) {
            let n = self.client_of(user);
            self.act(n, LEAVE, input, Act::Out(id, user));
        }
    }

    fn add_or_remove(&mut self) {
        let room = self.rooms.choose(&mut self.rng).expect("there are rooms");
        let (id, steward) = (room.id, self.steward());
        if room.members.len() < Self::MEMBERS {
            let n = self.any_client();
            self.add(id, self.cast.users[n], "MEMBER");
        } else if let Some(user) = room.members.iter().copied().choose(&mut self.rng) {
            let input = json!({ "roomId": id, "userId": name(user) });
            self.act(steward, REMOVE, input, Act::Out(id, user));
        }
    }

    fn change_role(&mut self) {
        let room = self.rooms.choose(&mut self.rng).expect("there are rooms");
        let id = room.id;
        if let Some(user) = room.members.iter().copied().choose(&mut self.rng) {
            let role = *["MEMBER", "MEMBER", "READER", "OWNER"]
                .choose(&mut self.rng)
                .unwrap();
            self.add(id, user, role);
        }
    }

    pub(super) fn add(&mut self, room: Uuid, user: User, role: &str) {
        let input = json!({ "roomId": room, "userId": name(user), "role": role });
        self.act(self.steward(), ADD, input, Act::In(room, user));
    }

    /// Opens a room or closes it; an open one may get another name instead.
    fn change_room(&mut self) {
        let (steward, fresh) = (self.steward(), self.serial);
        let idle = self.rooms.iter_mut().filter(|room| !room.busy);
        let Some(room) = idle.choose(&mut self.rng) else {
            return;
        };
        room.busy = true;
        let id = room.id;
        if room.public && self.rng.random_bool(0.3) {
            let input = json!({ "roomId": id, "name": format!("room {fresh}") });
            return self.act(steward, UPDATE, input, Act::Update(id, None));
        }
        let public = !room.public;
        let visibility = if public { "PUBLIC" } else { "PRIVATE" };
        let input = json!({ "roomId": id, "visibility": visibility });
        self.act(steward, UPDATE, input, Act::Update(id, Some(public)));
    }

    fn replace_room(&mut self) {
        let idle = (0..self.rooms.len()).filter(|n| !self.rooms[*n].busy);
        if let Some(n) = idle.choose(&mut self.rng) {
            let room = self.rooms.swap_remove(n);
            let input = json!({ "roomId": room.id });
            self.act(self.steward(), DELETE_ROOM, input, Act::DeleteRoom);
            self.create_any();
        }
    }

    pub(super) fn create_any(&mut self) {
        let everyone: BTreeSet<User> = self.cast.users.iter().copied().collect();
        let others = everyone.into_iter().filter(|user| *user != User::MAX);
        let members = others.choose_multiple(&mut self.rng, Self::MEMBERS);
        let public = self.rng.random();
        self.create(Uuid::now_v7(), members, public);
    }

    pub(super) fn create(&mut self, id: Uuid, members: Vec<User>, public: bool) {
        let visibility = if public { "PUBLIC" } else { "PRIVATE" };
        let names: Vec<_> = members.iter().copied().map(name).collect();
        let input =
            json!({ "id": id, "name": "room", "visibility": visibility, "memberIds": names });
        self.act(
            self.steward(),
            CREATE,
            input,
            Act::Create(id, members, public),
        );
    }

    /// Has one of those who follow much, and are soon far behind, read nothing for so many messages: seconds, now and then
    /// longer than the server has patience.
    fn stall(&mut self) {
        let n =
            self.rng.random_range(0..self.cast.users.len() / 8) * 8 + self.rng.random_range(0..2);
        let messages = match self.rng.random_range(0..40) {
            0 => 6_500,
            1..30 => self.rng.random_range(700..2_500),
            _ => self.rng.random_range(1..700),
        };
        if self.stalled.iter().all(|(other, _)| *other != n) {
            self.tell(n, Order::Stall);
            self.stalled.push((n, self.sent() + messages));
        }
    }

    pub(super) fn wake(&mut self, sent: usize) {
        while let Some(at) = self.stalled.iter().position(|(_, until)| *until <= sent) {
            let (n, _) = self.stalled.swap_remove(at);
            self.tell(n, Order::ReadOn);
        }
    }

    fn follow_more(&mut self) {
        let n = self.any_client();
        let scope = match self.rng.random_range(0..3) {
            0 => Scope::Mine,
            1 => self.some_rooms(),
            _ => Scope::Messages(self.any_room()),
        };
        self.tell(n, Order::Subscribe(scope, Shape::Plain));
    }

    pub(super) fn some_rooms(&mut self) -> Scope {
        let ids = self.rooms.iter().map(|room| room.id);
        Scope::Rooms(ids.choose_multiple(&mut self.rng, 5).into())
    }

    pub(super) fn any_room(&mut self) -> Uuid {
        self.rooms
            .choose(&mut self.rng)
            .expect("there are rooms")
            .id
    }

    fn message_of(&mut self, room: Uuid) -> Option<Uuid> {
        let messages = self.messages.iter().rev().take(2_000);
        let there = messages.filter(|message| message.room == room);
        there.choose(&mut self.rng).map(|message| message.id)
    }
}

fn name(user: User) -> String {
    format!("u{user}")
}
