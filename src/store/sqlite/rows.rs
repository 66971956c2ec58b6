//! Rows to values. Columns are read in the order in which [`super::sql`] selects them.

use std::collections::HashMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Decode, Error, Row};
use uuid::Uuid;

use crate::model::{
    Data, Emoji, Epochs, Fingerprint, Member, MemberId, Message, MessageBody, MessageId, Reaction,
    Reply, Role, Room, RoomId, RoomName, Seq, Standing, Timestamp, User, UserId, Visibility,
};

/// What a driver's call gives.
pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

/// A row, read column after column.
pub(super) struct Columns<'r> {
    row: &'r SqliteRow,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(super) fn of(row: &'r SqliteRow) -> Self {
        Self { row, next: 0 }
    }

    /// The next column. The tables are STRICT, so types are not checked again value by value.
    fn take<T: Decode<'r, Sqlite>>(&mut self) -> Result<T> {
        let at = self.next;
        self.next += 1;
        self.row.try_get_unchecked(at)
    }

    pub(super) fn int(&mut self) -> Result<i64> {
        self.take()
    }

    pub(super) fn seq(&mut self) -> Result<Seq> {
        Ok(Seq(number(self.int()?)?))
    }

    /// `None` where there is none.
    pub(super) fn maybe_seq(&mut self) -> Result<Option<Seq>> {
        let seq = self.take::<Option<i64>>()?;
        seq.map(|seq| number(seq).map(Seq)).transpose()
    }

    pub(super) fn flag(&mut self) -> Result<bool> {
        Ok(self.int()? != 0)
    }

    pub(super) fn time(&mut self) -> Result<Timestamp> {
        self.take().map(Timestamp)
    }

    pub(super) fn maybe_time(&mut self) -> Result<Option<Timestamp>> {
        Ok(self.take::<Option<i64>>()?.map(Timestamp))
    }

    pub(super) fn uuid(&mut self) -> Result<Uuid> {
        self.take().and_then(uuid)
    }

    pub(super) fn maybe_uuid(&mut self) -> Result<Option<Uuid>> {
        self.take::<Option<&[u8]>>()?.map(uuid).transpose()
    }

    pub(super) fn room_id(&mut self) -> Result<RoomId> {
        self.uuid().map(RoomId::from_uuid)
    }

    pub(super) fn user_id(&mut self) -> Result<UserId> {
        self.take().map(UserId::stored)
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take::<&[u8]>()?.try_into().map_err(unreadable)
    }

    /// `None` where the row has no role: not a member.
    pub(super) fn maybe_role(&mut self) -> Result<Option<Role>> {
        self.take::<Option<i64>>()?.map(role).transpose()
    }

    fn data(&mut self) -> Result<Option<Data>> {
        let text = self.take::<Option<&str>>()?;
        text.map(|text| serde_json::from_str(text).map(Data::stored))
            .transpose()
            .map_err(unreadable)
    }

    pub(super) fn user(&mut self) -> Result<Arc<User>> {
        Ok(Arc::new(User {
            id: self.user_id()?,
            name: self.take::<&str>()?.into(),
            avatar_url: self.take::<Option<&str>>()?.map(Arc::from),
            profile_at: self.time()?,
        }))
    }

    pub(super) fn room(&mut self) -> Result<Arc<Room>> {
        Ok(Arc::new(Room {
            id: self.room_id()?,
            name: RoomName::stored(self.take()?),
            visibility: visibility(self.int()?)?,
            data: self.data()?,
            created_at: self.time()?,
            last_activity_at: self.time()?,
            last_message: self.maybe_uuid()?.map(MessageId::from_uuid),
            member_count: number(self.int()?)?,
            owner_count: number(self.int()?)?,
            deleted: self.flag()?,
            direct: self.flag()?,
            fingerprint: (self.maybe_uuid()?).map(|it| Fingerprint(it.into_bytes())),
        }))
    }

    pub(super) fn member(&mut self) -> Result<Arc<Member>> {
        let id = MemberId::from_uuid(self.uuid()?);
        let room = self.room_id()?;
        let role = role(self.int()?)?;
        let joined_at = self.time()?;
        let joined_seq = self.seq()?;
        let standing = standing(self.int()?)?;
        let read_up_to = self.maybe_seq()?;
        Ok(Arc::new(Member {
            id,
            room,
            user: self.user()?,
            role,
            joined_at,
            joined_seq,
            standing,
            read_up_to,
        }))
    }

    /// A JSON array in one column.
    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        serde_json::from_str(self.take()?).map_err(unreadable)
    }

    pub(super) fn user_list(&mut self) -> Result<HashMap<UserId, Arc<User>>> {
        let users: Vec<(String, String, Option<String>, i64)> = self.json()?;
        let user = |(id, name, avatar_url, profile_at): (String, String, Option<String>, i64)| {
            let user = User {
                id: UserId::stored(&id),
                name: name.into(),
                avatar_url: avatar_url.map(Arc::from),
                profile_at: Timestamp(profile_at),
            };
            (user.id.clone(), Arc::new(user))
        };
        Ok(users.into_iter().map(user).collect())
    }

    /// Members whose users came before them.
    pub(super) fn member_list(
        &mut self,
        users: &HashMap<UserId, Arc<User>>,
    ) -> Result<Vec<Arc<Member>>> {
        type Row = (Uuid, Uuid, String, i64, i64, u64, i64, Option<u64>);
        let members = self.json::<Vec<Row>>()?.into_iter();
        let member = |(id, room, user, code, at, seq, stands, read_up_to)| {
            let user: String = user;
            Ok(Arc::new(Member {
                id: MemberId::from_uuid(id),
                room: RoomId::from_uuid(room),
                user: (users.get(user.as_str()).cloned())
                    .ok_or_else(|| unreadable("a member is no user"))?,
                role: role(code)?,
                joined_at: Timestamp(at),
                joined_seq: Seq(seq),
                standing: standing(stands)?,
                read_up_to: Option::map(read_up_to, Seq),
            }))
        };
        members.map(member).collect()
    }

    pub(super) fn emoji(&mut self) -> Result<Emoji> {
        self.take().map(Emoji::stored)
    }

    pub(super) fn maybe_emoji(&mut self) -> Result<Option<Emoji>> {
        Ok(self.take::<Option<&str>>()?.map(Emoji::stored))
    }

    /// A message's reactions, by first use.
    fn reactions(&mut self) -> Result<Arc<[Reaction]>> {
        let text: &str = self.take()?;
        if text == "[]" {
            return Ok(Arc::default());
        }
        let rows: Vec<(String, u32, u64)> = serde_json::from_str(text).map_err(unreadable)?;
        let reaction = |(emoji, count, since): (String, u32, u64)| Reaction {
            emoji: Emoji::stored(&emoji),
            count,
            since: Seq(since),
        };
        let mut reactions: Vec<_> = rows.into_iter().map(reaction).collect();
        reactions.sort_unstable_by_key(|it| it.since);
        Ok(reactions.into())
    }

    /// A message with the one it replies to.
    pub(super) fn message(&mut self, epochs: &Epochs) -> Result<Arc<Message>> {
        let mut message = self.lone_message(epochs)?;
        if let Some(reply) = &mut message.reply_to {
            reply.message = match self.row.try_get_unchecked::<Option<i64>, _>(self.next)? {
                Some(_) => Some(Arc::new(self.lone_message(epochs)?)),
                None => None,
            };
        }
        Ok(Arc::new(message))
    }

    fn lone_message(&mut self, epochs: &Epochs) -> Result<Message> {
        let cursor = epochs.cursor(self.seq()?);
        let id = MessageId::from_uuid(self.uuid()?);
        let room = self.room_id()?;
        let version = number(self.int()?)?;
        let created_at = self.time()?;
        let edited_at = self.take::<Option<i64>>()?.map(Timestamp);
        let deleted_at = self.take::<Option<i64>>()?.map(Timestamp);
        let fingerprint = Fingerprint(self.bytes()?);
        let reply_to = self.maybe_uuid()?.map(|id| Reply {
            id: MessageId::from_uuid(id),
            message: None,
        });
        let body = self.take::<Option<&str>>()?.map(MessageBody::stored);
        Ok(Message {
            id,
            room,
            body,
            data: self.data()?,
            author: self.user()?,
            reactions: self.reactions()?,
            version,
            created_at,
            edited_at,
            deleted_at,
            reply_to,
            cursor,
            fingerprint,
        })
    }
}

fn uuid(bytes: &[u8]) -> Result<Uuid> {
    Uuid::from_slice(bytes).map_err(unreadable)
}

/// A count or place that was written as an `i64`.
pub(super) fn number<T: TryFrom<i64>>(value: i64) -> Result<T> {
    T::try_from(value).map_err(|_| unreadable(format!("{value} is out of range")))
}

/// The file holds what this program does not write.
pub(super) fn unreadable(
    source: impl Into<Box<dyn std::error::Error + Send + Sync + 'static>>,
) -> Error {
    Error::Decode(source.into())
}

fn visibility(code: i64) -> Result<Visibility> {
    match code {
        1 => Ok(Visibility::Public),
        2 => Ok(Visibility::Private),
        _ => Err(unreadable(format!("no visibility {code}"))),
    }
}

pub(super) const fn visibility_code(visibility: Visibility) -> u8 {
    match visibility {
        Visibility::Public => 1,
        Visibility::Private => 2,
    }
}

pub(super) fn role(code: i64) -> Result<Role> {
    match code {
        1 => Ok(Role::Owner),
        2 => Ok(Role::Member),
        3 => Ok(Role::Reader),
        _ => Err(unreadable(format!("no role {code}"))),
    }
}

pub(super) const fn role_code(role: Role) -> u8 {
    match role {
        Role::Owner => 1,
        Role::Member => 2,
        Role::Reader => 3,
    }
}

fn standing(code: i64) -> Result<Standing> {
    match code {
        1 => Ok(Standing::Active),
        2 => Ok(Standing::Left),
        3 => Ok(Standing::Removed),
        _ => Err(unreadable(format!("no standing {code}"))),
    }
}

pub(super) const fn standing_code(standing: Standing) -> u8 {
    match standing {
        Standing::Active => 1,
        Standing::Left => 2,
        Standing::Removed => 3,
    }
}
