//! Rules of messages: sending once, editing, deleting.

use std::sync::Arc;

use super::{Answer, EditMessage, SendMessage, Sent, members, rooms, users};
use crate::error::Error;
use crate::log::Batch;
use crate::model::{
    Fingerprint, Member, Message, MessageId, Reply, Role, Room, User, UserId, What,
};

const MUST_SEND: Error = Error::Forbidden {
    needs: "a reader may not send: ask an owner for the role MEMBER",
};

pub(super) fn send(
    batch: &mut Batch,
    by: &Arc<User>,
    id: MessageId,
    fingerprint: Fingerprint,
    input: SendMessage,
) -> Result<Answer, Error> {
    let (room, member) = rooms::readable(batch, input.room, &by.id)?;
    if let Some(message) = batch.message(id) {
        return sent_before(current(batch, message), room, &by.id, fingerprint);
    }
    if batch.is_taken(id.uuid()) {
        return Err(Error::Conflict {
            why: "this id is already something else's",
        });
    }
    let reply_to = input
        .reply_to
        .map(|id| quotable(batch, &room, id))
        .transpose()?;
    let joins_as = role_to_send_with(member.as_deref())?;

    users::note(by.clone(), batch);
    let room = match joins_as {
        Some(role) => members::come_in(batch, &room, by, by.clone(), role, member.as_deref()).0,
        None => room,
    };
    let message = Arc::new(Message {
        id,
        room: room.id,
        author: by.clone(),
        body: Some(input.body),
        data: input.data,
        version: 1,
        created_at: batch.now(),
        edited_at: None,
        deleted_at: None,
        reply_to,
        cursor: batch.next(),
        fingerprint,
        reactions: Arc::default(),
    });
    let room = Arc::new(Room {
        last_activity_at: batch.now(),
        last_message: Some(id),
        ..(*room).clone()
    });
    batch.put_room(room.clone());
    batch.put_sent(message.clone());
    batch.append(room.clone(), by.clone(), What::MessageSent(message.clone()));
    Ok(Answer::Sent(Sent {
        message,
        room,
        duplicate: false,
    }))
}

/// Sending twice is sending once: the message as it is now, whatever became of it since.
fn sent_before(
    message: Arc<Message>,
    room: Arc<Room>,
    viewer: &UserId,
    fingerprint: Fingerprint,
) -> Result<Answer, Error> {
    if message.author.id == *viewer && message.fingerprint == fingerprint {
        Ok(Answer::Sent(Sent {
            message,
            room,
            duplicate: true,
        }))
    } else {
        Err(Error::Conflict {
            why: "this id was used for another message",
        })
    }
}

/// A message with what it quotes as that stands by now: an earlier command of the batch may have deleted it.
fn current(batch: &Batch, message: &Arc<Message>) -> Arc<Message> {
    let quoted = message
        .reply_to
        .as_ref()
        .and_then(|reply| batch.message(reply.id));
    match quoted {
        Some(quoted) => Arc::new(Message {
            reply_to: Some(quote(quoted)),
            ..(**message).clone()
        }),
        None => message.clone(),
    }
}

fn quotable(batch: &Batch, room: &Room, id: MessageId) -> Result<Reply, Error> {
    let quoted = batch.message(id).filter(|quoted| quoted.room == room.id);
    quoted.map(|quoted| quote(quoted)).ok_or(Error::NotFound {
        what: "message to reply to",
    })
}

/// A quote goes one message deep: of what the quoted one replies to, only the id comes along.
fn quote(quoted: &Message) -> Reply {
    let reply_to = quoted.reply_to.as_ref().map(|reply| Reply {
        id: reply.id,
        message: None,
    });
    Reply {
        id: quoted.id,
        message: Some(Arc::new(Message {
            reply_to,
            ..quoted.clone()
        })),
    }
}

/// The role to join with first, if the sender is not in the room.
fn role_to_send_with(member: Option<&Member>) -> Result<Option<Role>, Error> {
    let inside = member.filter(|member| member.is_active());
    let role = inside.map_or_else(
        || members::role_on_joining(member),
        |member| Ok(member.role),
    )?;
    if role == Role::Reader {
        return Err(MUST_SEND);
    }
    Ok(inside.is_none().then_some(role))
}

/// A message that the viewer may read.
pub(super) struct Seen {
    /// As it is by now.
    pub(super) message: Arc<Message>,
    /// Where it is.
    pub(super) room: Arc<Room>,
    /// The viewer's membership, if it is in the room.
    pub(super) member: Option<Arc<Member>>,
}

pub(super) fn seen(batch: &Batch, id: MessageId, viewer: &UserId) -> Result<Seen, Error> {
    let absent = Error::NotFound { what: "message" };
    let message = batch.message(id).ok_or(absent.clone())?;
    let (room, member) = rooms::readable(batch, message.room, viewer).map_err(|_| absent)?;
    let member = member.filter(|member| member.is_active());
    Ok(Seen {
        message: current(batch, message),
        room,
        member,
    })
}

pub(super) fn edit(batch: &mut Batch, by: &Arc<User>, input: EditMessage) -> Result<Answer, Error> {
    let Seen {
        message: before,
        room,
        member,
    } = seen(batch, input.message, &by.id)?;
    if before.author.id != by.id {
        return Err(Error::Forbidden {
            needs: "only its author may edit a message",
        });
    }
    let Some(member) = member else {
        return Err(Error::Forbidden {
            needs: "join the room before you edit in it",
        });
    };
    if member.role == Role::Reader {
        return Err(MUST_SEND);
    }
    if before.deleted_at.is_some() {
        return Err(Error::Conflict {
            why: "the message was deleted",
        });
    }
    let data = input.data.or_else(|| before.data.clone());
    if data.is_none() && input.body.as_str().trim().is_empty() {
        return Err(Error::BodyBlank);
    }
    let body = Some(input.body);
    // The same edit twice is one edit, also when the second still expects the version before the first.
    if before.body == body && before.data == data {
        return Ok(Answer::Message(before));
    }
    if input
        .expected_version
        .is_some_and(|expected| expected != before.version)
    {
        return Err(Error::Conflict {
            why: "the message has another version by now: read it again",
        });
    }
    let version = before.version + 1;
    let message = Arc::new(Message {
        body,
        data,
        version,
        edited_at: Some(batch.now()),
        ..(*before).clone()
    });
    batch.put_changed(message.clone());
    batch.append(room, by.clone(), What::MessageEdited(message.clone()));
    Ok(Answer::Message(message))
}

pub(super) fn delete(batch: &mut Batch, by: &Arc<User>, id: MessageId) -> Result<Answer, Error> {
    let Seen {
        message: before,
        room,
        member,
    } = seen(batch, id, &by.id)?;
    let owner = member.is_some_and(|member| member.role == Role::Owner);
    if before.author.id != by.id && !owner {
        return Err(Error::Forbidden {
            needs: "only its author or an owner of the room may delete a message",
        });
    }
    if before.deleted_at.is_some() {
        return Ok(Answer::Message(before));
    }
    // The version goes up so that a client which keeps the highest keeps the deletion.
    let version = before.version + 1;
    let message = Arc::new(Message {
        version,
        deleted_at: Some(batch.now()),
        ..before.blanked()
    });
    batch.put_changed(message.clone());
    batch.append(room, by.clone(), What::MessageDeleted(message.clone()));
    Ok(Answer::Message(message))
}
