//! The rules, command by command, over facts in memory.

mod direct;
mod making;
mod members;
mod messages;
mod reactions;
mod reads;

use std::sync::Arc;

use super::*;
use crate::error::Code;
use crate::log::{Batch, Command as _};
use crate::model::Fingerprint;
use crate::model::{Epoch, Role, Standing, Timestamp, User, What};
use crate::store::{Changes, Facts};

struct World(Batch);

fn user(id: &str) -> Arc<User> {
    Arc::new(User {
        id: UserId::stored(id),
        name: id.to_uppercase().as_str().into(),
        avatar_url: None,
        profile_at: Timestamp(1),
    })
}

impl World {
    fn new() -> Self {
        Self(Batch::new(
            Facts::default(),
            Timestamp(1_000),
            Epoch::generate(),
        ))
    }

    fn act(&mut self, by: &str, act: Act) -> Result<Answer, Code> {
        let before = self.0.extent();
        let outcome = Command { by: user(by), act }.decide(&mut self.0);
        if outcome.is_err() {
            assert_eq!(before, self.0.extent(), "a refused command left a trace");
        }
        outcome.map_err(|error| error.code())
    }

    fn room(&mut self, owner: &str, visibility: Visibility) -> RoomId {
        self.room_with_id(owner, visibility, RoomId::generate())
    }

    fn room_with_id(&mut self, owner: &str, visibility: Visibility, id: RoomId) -> RoomId {
        let name = RoomName::parse("a room").unwrap();
        let input = CreateRoom {
            id: Some(id),
            name,
            visibility,
            members: vec![],
            data: None,
        };
        self.create(owner, input).unwrap().id
    }

    fn send(&mut self, by: &str, room: RoomId, id: MessageId, body: &str) -> Result<Sent, Code> {
        self.reply(by, room, id, body, None)
    }

    fn reply(
        &mut self,
        by: &str,
        room: RoomId,
        id: MessageId,
        body: &str,
        reply_to: Option<MessageId>,
    ) -> Result<Sent, Code> {
        let fingerprint = Fingerprint(
            *blake3::hash(body.as_bytes())
                .as_bytes()
                .first_chunk()
                .unwrap(),
        );
        let body = MessageBody::parse(body, false).unwrap();
        let input = SendMessage {
            id: Some(id),
            room,
            body,
            data: None,
            reply_to,
        };
        match self.act(
            by,
            Act::SendMessage {
                id,
                fingerprint,
                input,
            },
        )? {
            Answer::Sent(sent) => Ok(sent),
            other => panic!("{other:?}"),
        }
    }

    fn edit(
        &mut self,
        by: &str,
        message: MessageId,
        body: &str,
        expected: Option<u32>,
    ) -> Result<Arc<Message>, Code> {
        let body = MessageBody::parse(body, true).unwrap();
        let input = EditMessage {
            message,
            body,
            data: None,
            expected_version: expected,
        };
        message_of(self.act(by, Act::EditMessage(input))?)
    }

    fn delete(&mut self, by: &str, message: MessageId) -> Result<Arc<Message>, Code> {
        message_of(self.act(by, Act::DeleteMessage(message))?)
    }

    fn add(
        &mut self,
        by: &str,
        room: RoomId,
        user: &str,
        role: Option<Role>,
    ) -> Result<Answer, Code> {
        self.act(
            by,
            Act::AddMember {
                room,
                user: UserId::stored(user),
                role,
            },
        )
    }

    fn remove(&mut self, by: &str, room: RoomId, user: &str) -> Result<Answer, Code> {
        self.act(
            by,
            Act::RemoveMember {
                room,
                user: UserId::stored(user),
            },
        )
    }

    fn events(self) -> Vec<What> {
        self.changes()
            .events
            .iter()
            .map(|event| event.what.clone())
            .collect()
    }

    fn changes(self) -> Changes {
        self.0.into_changes()
    }
}

fn message_of(answer: Answer) -> Result<Arc<Message>, Code> {
    match answer {
        Answer::Message(message) => Ok(message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_older_token_does_not_undo_a_newer_profile() {
    let mut world = World::new();
    let named = |name: &str, at| {
        Arc::new(User {
            id: UserId::stored("ada"),
            name: name.into(),
            avatar_url: None,
            profile_at: Timestamp(at),
        })
    };
    for (name, at) in [("Ada", 10), ("Ada L.", 20), ("Old", 15)] {
        Command {
            by: named(name, at),
            act: Act::SignIn,
        }
        .decide(&mut world.0)
        .unwrap();
    }
    assert_eq!(&*world.changes().users[0].name, "Ada L.");
}
