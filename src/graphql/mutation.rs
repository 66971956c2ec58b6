//! `Mutation`.
//!
//! No resolver awaits anything before its command: a socket keeps its mutations in order by polling each once, which
//! hands the command to the writer. (`reauthenticate` has none; sockets keep its order by themselves.)

use std::sync::Arc;

use async_graphql::{Context, Object};

use super::asking::{deps, viewer};
use super::error::Result;
use super::input::{
    AddMemberInput, AddReactionInput, CreateRoomInput, DeleteMessageInput, DeleteRoomInput,
    EditMessageInput, JoinRoomInput, LeaveRoomInput, MarkReadInput, OpenDirectRoomInput,
    RemoveMemberInput, RemoveReactionInput, SendMessageInput, SendSignalInput, SetPresenceInput,
    SetTypingInput, UpdateRoomInput,
};
use super::loaders;
use super::member::RoomMember;
use super::message::Message;
use super::payload::{
    AddMemberPayload, AddReactionPayload, CreateRoomPayload, DeleteMessagePayload,
    DeleteRoomPayload, EditMessagePayload, JoinRoomPayload, LeaveRoomPayload, MarkReadPayload,
    OpenDirectRoomPayload, RemoveMemberPayload, RemoveReactionPayload, SendMessagePayload,
    SendSignalPayload, SetPresencePayload, SetTypingPayload, UpdateRoomPayload,
};
use super::reauthenticate::{ReauthenticateInput, ReauthenticatePayload, reauthenticate};
use super::room::Room;
use super::scalars::{DateTime, Json};
use super::user::User;
use crate::auth::Viewer;
use crate::chat::Chat;
use crate::error::Error;
use crate::model::{self, MessageId, Role, RoomId, Seq, UserId, Visibility};
use crate::signal::Kind;

/// Each is null when it failed, so that one failure does not hide what the others in its document have done.
pub struct Mutation;

/// Each is null when it failed, so that one failure does not hide what the others in its document have done.
#[Object]
impl Mutation {
    /// The viewer becomes its owner. The same id twice is one room.
    async fn create_room(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The room.")] input: CreateRoomInput,
    ) -> Result<Option<CreateRoomPayload>> {
        let (by, chat) = commanding(ctx)?;
        let room = chat.create_room(by, input.parsed()?).await?;
        let room = Room::new(room);
        Ok(Some(CreateRoomPayload { room }))
    }

    /// The direct room with a user: made on first use, the same ever after, whichever of the two asks.
    async fn open_direct_room(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "With whom.")] input: OpenDirectRoomInput,
    ) -> Result<Option<OpenDirectRoomPayload>> {
        let (by, chat) = commanding(ctx)?;
        let with = UserId::parse("userId", &input.user_id)?;
        let room = Room::new(chat.open_direct_room(by, with).await?);
        Ok(Some(OpenDirectRoomPayload { room }))
    }

    /// Owners only. Null leaves a thing as it is.
    async fn update_room(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: UpdateRoomInput,
    ) -> Result<Option<UpdateRoomPayload>> {
        let (by, chat) = commanding(ctx)?;
        let room = chat.update_room(by, input.parsed()?).await?;
        let room = Room::new(room);
        Ok(Some(UpdateRoomPayload { room }))
    }

    /// Owners only. The room and its messages are gone for good; everyone in it gets AccessRevoked.
    async fn delete_room(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which room.")] input: DeleteRoomInput,
    ) -> Result<Option<DeleteRoomPayload>> {
        let (by, chat) = commanding(ctx)?;
        let id = RoomId::parse("roomId", &input.room_id)?;
        chat.delete_room(by, id).await?;
        let room_id = input.room_id;
        Ok(Some(DeleteRoomPayload { room_id }))
    }

    /// A public room can be joined by anyone whom no owner has removed; a private one only through addMember. Who comes
    /// back has the role it left with.
    async fn join_room(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which room.")] input: JoinRoomInput,
    ) -> Result<Option<JoinRoomPayload>> {
        let (by, chat) = commanding(ctx)?;
        let id = RoomId::parse("roomId", &input.room_id)?;
        let room = Room::new(chat.join_room(by, id).await?);
        Ok(Some(JoinRoomPayload { room }))
    }

    /// CONFLICT for the last owner while others are there.
    async fn leave_room(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which room.")] input: LeaveRoomInput,
    ) -> Result<Option<LeaveRoomPayload>> {
        let (by, chat) = commanding(ctx)?;
        let id = RoomId::parse("roomId", &input.room_id)?;
        chat.leave_room(by, id).await?;
        let room_id = input.room_id;
        Ok(Some(LeaveRoomPayload { room_id }))
    }

    /// Owners only. For a member already there: sets the role. CONFLICT when no owner would be left.
    async fn add_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who, and where.")] input: AddMemberInput,
    ) -> Result<Option<AddMemberPayload>> {
        let (by, chat) = commanding(ctx)?;
        let id = RoomId::parse("roomId", &input.room_id)?;
        let user = UserId::parse("userId", &input.user_id)?;
        let role = input.role.map(Role::from);
        let (room, member) = chat.add_member(by, id, user, role).await?;
        let (room, member) = (Room::new(room), RoomMember::now(member));
        Ok(Some(AddMemberPayload { room, member }))
    }

    /// Owners only. Only addMember lets them in again, also where the room is public.
    async fn remove_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who, and from where.")] input: RemoveMemberInput,
    ) -> Result<Option<RemoveMemberPayload>> {
        let (by, chat) = commanding(ctx)?;
        let id = RoomId::parse("roomId", &input.room_id)?;
        let user = UserId::parse("userId", &input.user_id)?;
        let (room, member) = chat.remove_member(by, id, user).await?;
        let (room, member_id) = (Room::new(room), member.to_string().into());
        Ok(Some(RemoveMemberPayload { room, member_id }))
    }

    /// Sending the same id twice is sending once. Joins a public room.
    async fn send_message(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The message.")] input: SendMessageInput,
    ) -> Result<Option<SendMessagePayload>> {
        let (by, chat) = commanding(ctx)?;
        let sent = chat.send_message(by, input.parsed()?).await?;
        let message = Message::new(sent.message, Some(sent.room));
        let duplicate = sent.duplicate;
        Ok(Some(SendMessagePayload { message, duplicate }))
    }

    /// By its author. The same edit said twice is one edit.
    async fn edit_message(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: EditMessageInput,
    ) -> Result<Option<EditMessagePayload>> {
        let (by, chat) = commanding(ctx)?;
        let message = chat.edit_message(by, input.parsed()?).await?;
        let message = Message::new(message, None);
        Ok(Some(EditMessagePayload { message }))
    }

    /// By its author or an owner. Body and data are gone for good. Saying it twice is no error.
    async fn delete_message(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which message.")] input: DeleteMessageInput,
    ) -> Result<Option<DeleteMessagePayload>> {
        let (by, chat) = commanding(ctx)?;
        let id = MessageId::parse("messageId", &input.message_id)?;
        let message = Message::new(chat.delete_message(by, id).await?, None);
        Ok(Some(DeleteMessagePayload { message }))
    }

    /// Moves forward only; an earlier place changes nothing and is no error.
    async fn mark_read(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How far, and where.")] input: MarkReadInput,
    ) -> Result<Option<MarkReadPayload>> {
        let (by, chat) = commanding(ctx)?;
        let id = RoomId::parse("roomId", &input.room_id)?;
        let up_to = input.up_to.parsed("upTo")?;
        let room = Room::new(chat.mark_read(by, id, up_to).await?);
        Ok(Some(MarkReadPayload { room }))
    }

    /// Saying it twice is no error.
    async fn add_reaction(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The reaction.")] input: AddReactionInput,
    ) -> Result<Option<AddReactionPayload>> {
        let (by, chat) = commanding(ctx)?;
        let (message, emoji) = input.parsed()?;
        let message = Message::new(chat.add_reaction(by, message, emoji).await?, None);
        Ok(Some(AddReactionPayload { message }))
    }

    /// Saying it twice is no error.
    async fn remove_reaction(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The reaction.")] input: RemoveReactionInput,
    ) -> Result<Option<RemoveReactionPayload>> {
        let (by, chat) = commanding(ctx)?;
        let (message, emoji) = input.parsed()?;
        let message = Message::new(chat.remove_reaction(by, message, emoji).await?, None);
        Ok(Some(RemoveReactionPayload { message }))
    }

    /// A fresh token of the same user for the socket that this arrives on; its subscriptions go on.
    async fn reauthenticate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token.")] input: ReauthenticateInput,
    ) -> Result<Option<ReauthenticatePayload>> {
        reauthenticate(ctx, input).await.map(Some)
    }

    /// Lapses by itself: say it again before `expiresAt`.
    async fn set_typing(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Where, and whether.")] input: SetTypingInput,
    ) -> Result<Option<SetTypingPayload>> {
        let room = RoomId::parse("roomId", &input.room_id)?;
        if !input.typing {
            speaking(ctx, room, |_, _| Some(())).await?;
            deps(ctx)?.signals.stop_typing(room, &viewer(ctx)?.user.id);
            return Ok(Some(SetTypingPayload { expires_at: None }));
        }
        let start = |by: &Viewer, vouched| {
            let signals = &deps(ctx).ok()?.signals;
            signals.start_typing(room, &by.user, vouched)
        };
        let (_, expires_at) = speaking(ctx, room, start).await?;
        let expires_at = Some(DateTime(expires_at));
        Ok(Some(SetTypingPayload { expires_at }))
    }

    /// An app's own short-lived signal: a pointer position, a tap. At most once, never stored.
    async fn send_signal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The signal.")] input: SendSignalInput,
    ) -> Result<Option<SendSignalPayload>> {
        let room = RoomId::parse("roomId", &input.room_id)?;
        let (kind, data) = (Kind::parse(&input.kind)?, Json::parsed(input.data)?);
        let say = |by: &Viewer, vouched| {
            let signals = &deps(ctx).ok()?.signals;
            signals.say(room, &by.user, vouched, kind.clone(), data.clone())
        };
        let (about, ()) = speaking(ctx, room, say).await?;
        let room = Room::new(about);
        Ok(Some(SendSignalPayload { room }))
    }

    /// Away or back; being online is known from the sockets.
    async fn set_presence(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Away or back.")] input: SetPresenceInput,
    ) -> Result<Option<SetPresencePayload>> {
        let by = viewer(ctx)?;
        deps(ctx)?.signals.set_away(&by.user.id, input.away);
        let viewer = User(by.user.clone());
        Ok(Some(SetPresencePayload { viewer }))
    }
}

/// Says something in a room, where the viewer may be heard in it: as it may send. Of a room that someone listens to this is
/// known without a wait, so that the signals of one socket keep their order among themselves and with its messages. Else the
/// store is asked; and asked again where what it has said is no longer so when it comes to saying it.
async fn speaking<T>(
    ctx: &Context<'_>,
    room: RoomId,
    say: impl Fn(&Viewer, Option<Seq>) -> Option<T>,
) -> Result<(Arc<model::Room>, T), Error> {
    const ATTEMPTS: usize = 3;
    let (by, signals) = (viewer(ctx)?, &deps(ctx)?.signals);
    for _ in 0..ATTEMPTS {
        let known = signals.standing(room, &by.user.id);
        let (about, vouched) = match known {
            Some((about, Role::Owner | Role::Member)) => (about, None),
            _ => {
                let place = signals.place();
                (vouched_for(ctx, room).await?, Some(place))
            }
        };
        if let Some(said) = say(by, vouched) {
            return Ok((about, said));
        }
    }
    Err(Error::NotFound { what: "room" })
}

/// The room, where the store says that the viewer may be heard in it.
async fn vouched_for(ctx: &Context<'_>, room: RoomId) -> Result<Arc<model::Room>, Error> {
    let view = loaders::view(ctx, room).await?;
    let view = view.filter(|view| !view.room.deleted);
    match view.map(|view| (view.role, view.room)) {
        Some((Some(Role::Owner | Role::Member), room)) => Ok(room),
        Some((Some(Role::Reader), _)) => Err(Error::Forbidden {
            needs: "readers of a room are not heard in it; it takes a member",
        }),
        Some((None, room)) if room.visibility == Visibility::Public => Err(Error::Forbidden {
            needs: "only members are heard in a room; join it first",
        }),
        _ => Err(Error::NotFound { what: "room" }),
    }
}

fn commanding<'a>(ctx: &Context<'a>) -> Result<(&'a Viewer, &'a Chat), Error> {
    Ok((viewer(ctx)?, &deps(ctx)?.chat))
}
