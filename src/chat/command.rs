//! A command as the writer takes it: who, what, and where the decision is made.

use std::sync::Arc;

use super::{
    CreateRoom, EditMessage, SendMessage, Sent, UpdateRoom, direct, members, messages, reactions,
    reads, rooms, users,
};
use crate::error::Error;
use crate::log::{self, Batch};
use crate::model::{
    Cursor, Emoji, Fingerprint, Member, Message, MessageId, ReactionKey, Role, Room, RoomId, User,
    UserId,
};
use crate::store::Needs;

/// Something that a viewer wants done.
#[derive(Clone, Debug)]
pub struct Command {
    /// Who, as its token shows it.
    pub by: Arc<User>,
    /// What.
    pub act: Act,
}

/// What a viewer wants done.
#[derive(Clone, Debug)]
#[allow(
    missing_docs,
    reason = "named after the mutations, fields after their inputs"
)]
pub enum Act {
    SignIn,
    CreateRoom {
        id: RoomId,
        fingerprint: Fingerprint,
        input: CreateRoom,
    },
    OpenDirectRoom {
        /// Made of the two users' ids.
        id: RoomId,
        with: UserId,
    },
    UpdateRoom(UpdateRoom),
    DeleteRoom(RoomId),
    JoinRoom(RoomId),
    LeaveRoom(RoomId),
    AddMember {
        room: RoomId,
        user: UserId,
        role: Option<Role>,
    },
    RemoveMember {
        room: RoomId,
        user: UserId,
    },
    SendMessage {
        id: MessageId,
        fingerprint: Fingerprint,
        input: SendMessage,
    },
    EditMessage(EditMessage),
    DeleteMessage(MessageId),
    MarkRead {
        room: RoomId,
        up_to: Cursor,
    },
    AddReaction {
        message: MessageId,
        emoji: Emoji,
    },
    RemoveReaction {
        message: MessageId,
        emoji: Emoji,
    },
}

/// What a command comes to.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Nothing to show.
    Done,
    /// The room as it is now.
    Room(Arc<Room>),
    /// The room, and the membership that was added, changed or ended.
    Member(Arc<Room>, Arc<Member>),
    /// The message sent.
    Sent(Sent),
    /// The message as it is now.
    Message(Arc<Message>),
}

impl log::Command for Command {
    type Answer = Answer;

    fn needs(&self, needs: &mut Needs) {
        let by = &self.by.id;
        needs.users.insert(by.clone());
        match &self.act {
            Act::SignIn => {}
            Act::CreateRoom { id, input, .. } => {
                needs.nodes.insert(id.uuid());
                room(needs, *id, by);
                needs.users.extend(input.members.iter().cloned());
            }
            Act::OpenDirectRoom { id, with } => {
                needs.nodes.insert(id.uuid());
                needs.rooms.insert(*id);
                needs.users.insert(with.clone());
            }
            Act::UpdateRoom(input) => room(needs, input.room, by),
            Act::DeleteRoom(id)
            | Act::JoinRoom(id)
            | Act::LeaveRoom(id)
            | Act::MarkRead { room: id, .. } => room(needs, *id, by),
            Act::AddMember { room: id, user, .. } | Act::RemoveMember { room: id, user } => {
                room(needs, *id, by);
                room(needs, *id, user);
                needs.users.insert(user.clone());
            }
            Act::SendMessage { id, input, .. } => {
                needs.nodes.insert(id.uuid());
                needs.messages.insert(*id);
                needs.messages.extend(input.reply_to);
                room(needs, input.room, by);
            }
            Act::EditMessage(EditMessage { message, .. }) | Act::DeleteMessage(message) => {
                seen_message(needs, *message, by);
            }
            Act::AddReaction { message, emoji } | Act::RemoveReaction { message, emoji } => {
                seen_message(needs, *message, by);
                needs.reactions.insert(ReactionKey {
                    message: *message,
                    emoji: emoji.clone(),
                    user: by.clone(),
                });
            }
        }
    }

    fn decide(self, batch: &mut Batch) -> Result<Answer, Error> {
        let by = users::newest(&self.by, batch);
        let answer = match self.act {
            Act::SignIn => Ok(Answer::Done),
            Act::CreateRoom {
                id,
                fingerprint,
                input,
            } => rooms::create(batch, &by, id, fingerprint, input),
            Act::OpenDirectRoom { id, with } => direct::open(batch, &by, id, &with),
            Act::UpdateRoom(input) => rooms::update(batch, &by, input),
            Act::DeleteRoom(id) => rooms::delete(batch, &by, id),
            Act::JoinRoom(id) => members::join(batch, &by, id),
            Act::LeaveRoom(id) => members::leave(batch, &by, id),
            Act::AddMember { room, user, role } => members::add(batch, &by, room, &user, role),
            Act::RemoveMember { room, user } => members::remove(batch, &by, room, &user),
            Act::SendMessage {
                id,
                fingerprint,
                input,
            } => messages::send(batch, &by, id, fingerprint, input),
            Act::EditMessage(input) => messages::edit(batch, &by, input),
            Act::DeleteMessage(id) => messages::delete(batch, &by, id),
            Act::MarkRead { room, up_to } => reads::mark(batch, &by, room, up_to),
            Act::AddReaction { message, emoji } => reactions::add(batch, &by, message, emoji),
            Act::RemoveReaction { message, emoji } => reactions::remove(batch, &by, message, emoji),
        }?;
        // Only now: a command that is refused leaves no trace, not even a profile.
        users::note(by, batch);
        Ok(answer)
    }
}

fn seen_message(needs: &mut Needs, id: MessageId, viewer: &UserId) {
    needs.messages.insert(id);
    needs.viewers_of_messages.insert((id, viewer.clone()));
}

fn room(needs: &mut Needs, id: RoomId, user: &UserId) {
    needs.rooms.insert(id);
    needs.members.insert((id, user.clone()));
}
