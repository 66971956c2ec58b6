//! [`Chat`]: one method for each command, from a viewer's wish to the writer's answer.

use std::sync::Arc;

use super::command::{Act, Answer, Command};
use super::fingerprint::Fingerprints;
use super::signed_in::SignedIn;
use super::{CreateRoom, EditMessage, SendMessage, Sent, UpdateRoom};
use crate::auth::Viewer;
use crate::error::Error;
use crate::log::Writer;
use crate::model::{
    Cursor, Emoji, Member, MemberId, Message, MessageId, Role, Room, RoomId, UserId,
};

/// The commands. Cheap to clone. Each hands its command to the writer on first poll, before anything is awaited, so
/// polling futures in an order is enough to keep that order.
#[derive(Clone)]
pub struct Chat {
    writer: Writer<Command>,
    fingerprints: Fingerprints,
    signed_in: Arc<SignedIn>,
}

#[allow(
    clippy::missing_errors_doc,
    reason = "each gives what the schema's description of its mutation says"
)]
impl Chat {
    /// Commands go to this writer; contents are fingerprinted with the store's key.
    pub fn new(writer: Writer<Command>, fingerprint_key: [u8; 32]) -> Self {
        Self {
            writer,
            fingerprints: Fingerprints::new(fingerprint_key),
            signed_in: Arc::new(SignedIn::bounded(SignedIn::USERS_MAX)),
        }
    }

    /// Notes who signed in, so that others see its name. Free when nothing changed since the last time.
    pub async fn sign_in(&self, viewer: &Viewer) -> Result<(), Error> {
        if self.signed_in.knows(&viewer.user) {
            return Ok(());
        }
        self.submit(viewer, Act::SignIn).await?;
        self.signed_in.note(&viewer.user);
        Ok(())
    }

    /// `createRoom`.
    pub async fn create_room(&self, by: &Viewer, input: CreateRoom) -> Result<Arc<Room>, Error> {
        let id = input.id.unwrap_or_else(RoomId::generate);
        let fingerprint = self.fingerprints.room(&by.user.id, &input);
        let act = Act::CreateRoom {
            id,
            fingerprint,
            input,
        };
        room(self.submit(by, act).await)
    }

    /// `openDirectRoom`.
    pub async fn open_direct_room(&self, by: &Viewer, with: UserId) -> Result<Arc<Room>, Error> {
        let id = self.fingerprints.direct_room(&by.user.id, &with);
        room(self.submit(by, Act::OpenDirectRoom { id, with }).await)
    }

    /// `updateRoom`.
    pub async fn update_room(&self, by: &Viewer, input: UpdateRoom) -> Result<Arc<Room>, Error> {
        room(self.submit(by, Act::UpdateRoom(input)).await)
    }

    /// `deleteRoom`.
    pub async fn delete_room(&self, by: &Viewer, room: RoomId) -> Result<(), Error> {
        self.submit(by, Act::DeleteRoom(room)).await.map(drop)
    }

    /// `joinRoom`.
    pub async fn join_room(&self, by: &Viewer, id: RoomId) -> Result<Arc<Room>, Error> {
        room(self.submit(by, Act::JoinRoom(id)).await)
    }

    /// `leaveRoom`.
    pub async fn leave_room(&self, by: &Viewer, room: RoomId) -> Result<(), Error> {
        self.submit(by, Act::LeaveRoom(room)).await.map(drop)
    }

    /// `addMember`; `None` is MEMBER for someone new and changes nothing for someone who is there.
    pub async fn add_member(
        &self,
        by: &Viewer,
        room: RoomId,
        user: UserId,
        role: Option<Role>,
    ) -> Result<(Arc<Room>, Arc<Member>), Error> {
        member(self.submit(by, Act::AddMember { room, user, role }).await)
    }

    /// `removeMember`.
    pub async fn remove_member(
        &self,
        by: &Viewer,
        room: RoomId,
        user: UserId,
    ) -> Result<(Arc<Room>, MemberId), Error> {
        let removed = member(self.submit(by, Act::RemoveMember { room, user }).await);
        removed.map(|(room, member)| (room, member.id))
    }

    /// `sendMessage`.
    pub async fn send_message(&self, by: &Viewer, input: SendMessage) -> Result<Sent, Error> {
        let id = input.id.unwrap_or_else(MessageId::generate);
        let fingerprint = self.fingerprints.message(&input);
        match self
            .submit(
                by,
                Act::SendMessage {
                    id,
                    fingerprint,
                    input,
                },
            )
            .await?
        {
            Answer::Sent(sent) => Ok(sent),
            _ => Err(Error::Internal),
        }
    }

    /// `editMessage`.
    pub async fn edit_message(
        &self,
        by: &Viewer,
        input: EditMessage,
    ) -> Result<Arc<Message>, Error> {
        message(self.submit(by, Act::EditMessage(input)).await)
    }

    /// `deleteMessage`.
    pub async fn delete_message(&self, by: &Viewer, id: MessageId) -> Result<Arc<Message>, Error> {
        message(self.submit(by, Act::DeleteMessage(id)).await)
    }

    /// `markRead`.
    pub async fn mark_read(
        &self,
        by: &Viewer,
        id: RoomId,
        up_to: Cursor,
    ) -> Result<Arc<Room>, Error> {
        room(self.submit(by, Act::MarkRead { room: id, up_to }).await)
    }

    /// `addReaction`.
    pub async fn add_reaction(
        &self,
        by: &Viewer,
        message: MessageId,
        emoji: Emoji,
    ) -> Result<Arc<Message>, Error> {
        self::message(self.submit(by, Act::AddReaction { message, emoji }).await)
    }

    /// `removeReaction`.
    pub async fn remove_reaction(
        &self,
        by: &Viewer,
        message: MessageId,
        emoji: Emoji,
    ) -> Result<Arc<Message>, Error> {
        self::message(
            self.submit(by, Act::RemoveReaction { message, emoji })
                .await,
        )
    }

    async fn submit(&self, by: &Viewer, act: Act) -> Result<Answer, Error> {
        self.writer
            .submit(Command {
                by: by.user.clone(),
                act,
            })
            .await
    }
}

fn room(answer: Result<Answer, Error>) -> Result<Arc<Room>, Error> {
    match answer? {
        Answer::Room(room) => Ok(room),
        _ => Err(Error::Internal),
    }
}

fn member(answer: Result<Answer, Error>) -> Result<(Arc<Room>, Arc<Member>), Error> {
    match answer? {
        Answer::Member(room, member) => Ok((room, member)),
        _ => Err(Error::Internal),
    }
}

fn message(answer: Result<Answer, Error>) -> Result<Arc<Message>, Error> {
    match answer? {
        Answer::Message(message) => Ok(message),
        _ => Err(Error::Internal),
    }
}
