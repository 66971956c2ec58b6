//! Pages and look-ups: each one statement, however many rooms it is for.

use std::cmp::Reverse;
use std::sync::Arc;

use sqlx::sqlite::SqliteRow;

use super::SqliteStore;
use super::batch::array;
use super::reader::Statement;
use super::rows::{Columns, Result, number, role, unreadable};
use super::sql;
use crate::model::{
    Member, MemberId, Message, MessageId, Room, RoomId, Seq, Timestamp, User, UserId,
};
use crate::store::{Attendance, Bounds, MemberKey, Page, PageArgs, RoomKey, RoomList, RoomView};

/// Greater than any id's 16 bytes.
const ID_MAX: [u8; 17] = [u8::MAX; 17];

impl SqliteStore {
    pub(super) async fn read_rooms(
        &self,
        viewer: &UserId,
        ids: &[RoomId],
    ) -> Result<Vec<RoomView>> {
        let statement = sqlx::query(sql::ROOMS)
            .bind(viewer.as_str().to_owned())
            .bind(array(ids.iter().map(|id| id.uuid()))?);
        let view = |mut row: Columns<'_>| {
            Ok(RoomView {
                room: row.room()?,
                role: row.maybe_role()?,
                read_up_to: row.maybe_seq()?,
            })
        };
        self.read(statement, view).await
    }

    pub(super) async fn read_messages(&self, ids: &[MessageId]) -> Result<Vec<Arc<Message>>> {
        let ids = array(ids.iter().map(|id| id.uuid()))?;
        let statement = sqlx::query(sql::MESSAGES).bind(ids);
        self.read(statement, |mut row| row.message(&self.epochs))
            .await
    }

    pub(super) async fn read_members(&self, ids: &[MemberId]) -> Result<Vec<Arc<Member>>> {
        let ids = array(ids.iter().map(|id| id.uuid()))?;
        let statement = sqlx::query(sql::MEMBERS).bind(ids);
        self.read(statement, |mut row| row.member()).await
    }

    pub(super) async fn read_users(
        &self,
        viewer: &UserId,
        ids: &[UserId],
    ) -> Result<Vec<Arc<User>>> {
        let statement = sqlx::query(sql::USERS)
            .bind(array(ids.iter().map(UserId::as_str))?)
            .bind(viewer.as_str().to_owned())
            .bind(viewer.as_str().to_owned());
        self.read(statement, |mut row| row.user()).await
    }

    pub(super) async fn read_attendance(&self, room: RoomId) -> Result<Option<Attendance>> {
        let statement = sqlx::query(sql::ATTENDANCE).bind(array([room.uuid()])?);
        let row = |mut row: Columns<'_>| {
            let bounds = Bounds {
                floor: row.seq()?,
                head: row.seq()?,
            };
            let (room, members): (_, Vec<(String, i64)>) = (row.room()?, row.json()?);
            let member = |(id, code): (String, i64)| Ok((UserId::stored(&id), role(code)?));
            let members = members.into_iter().map(member).collect::<Result<_>>()?;
            Ok((bounds, room, members))
        };
        Ok(self.read(statement, row).await?.pop())
    }

    pub(super) async fn read_last_seen(
        &self,
        viewer: &UserId,
        ids: &[UserId],
    ) -> Result<Vec<(UserId, Option<Timestamp>)>> {
        let statement = sqlx::query(sql::LAST_SEEN)
            .bind(array(ids.iter().map(UserId::as_str))?)
            .bind(viewer.as_str().to_owned())
            .bind(viewer.as_str().to_owned());
        let row = |mut row: Columns<'_>| Ok((row.user_id()?, row.maybe_time()?));
        self.read(statement, row).await
    }

    pub(super) async fn read_profile(&self, id: &UserId) -> Result<Option<Arc<User>>> {
        let statement = sqlx::query(sql::PROFILE).bind(id.as_str().to_owned());
        Ok(self.read(statement, |mut row| row.user()).await?.pop())
    }

    /// All that are shared are read at once: there may be as many as members on a page. Of the others there is one each.
    pub(super) async fn read_room_pages(
        &self,
        lists: &[RoomList],
        args: &PageArgs<RoomKey>,
    ) -> Result<Vec<Page<Arc<Room>>>> {
        let pairs: Vec<_> = lists.iter().filter_map(pair).collect();
        let mut shared = match &pairs[..] {
            [] => Vec::new(),
            pairs => self.read_shared_rooms(pairs, args).await?,
        }
        .into_iter();
        let mut pages = Vec::with_capacity(lists.len());
        for list in lists {
            let ways = usize::from(args.backwards);
            let statement = match list {
                RoomList::Public => sqlx::query(sql::ROOMS_PUBLIC[ways]),
                RoomList::Of(user) => {
                    sqlx::query(sql::ROOMS_OF[ways]).bind(user.as_str().to_owned())
                }
                RoomList::Shared(..) => {
                    pages.extend(shared.next());
                    continue;
                }
            };
            let rooms = self.read(between(statement, args), |mut row| row.room());
            pages.push(page(rooms.await?, args.limit, args.backwards, false));
        }
        Ok(pages)
    }

    async fn read_shared_rooms(
        &self,
        pairs: &[(&str, &str)],
        args: &PageArgs<RoomKey>,
    ) -> Result<Vec<Page<Arc<Room>>>> {
        let statement =
            sqlx::query(sql::ROOMS_SHARED[usize::from(args.backwards)]).bind(array(pairs)?);
        let row = |mut row: Columns<'_>| Ok((row.int()?, row.room()?));
        let rows = self.read(between(statement, args), row).await?;
        Ok(pages(lists(pairs.len(), rows)?, args, |room| {
            Reverse((room.last_activity_at, room.id))
        }))
    }

    pub(super) async fn read_message_pages(
        &self,
        rooms: &[RoomId],
        args: &PageArgs<Seq>,
    ) -> Result<Vec<Page<Arc<Message>>>> {
        let after = args.after.map_or(-1, |seq| seq.0.cast_signed());
        let before = args.before.map_or(i64::MAX, |seq| seq.0.cast_signed());
        let statement = sqlx::query(sql::MESSAGE_PAGES[usize::from(args.backwards)])
            .bind(array(rooms.iter().map(|id| id.uuid()))?)
            .bind(after)
            .bind(before)
            .bind(one_more(args.limit));
        let rows = self
            .read(statement, |mut row| {
                Ok((row.int()?, row.message(&self.epochs)?))
            })
            .await?;
        let lists = lists(rooms.len(), rows)?;
        Ok(pages(lists, args, |message| message.cursor.seq))
    }

    pub(super) async fn read_member_pages(
        &self,
        rooms: &[RoomId],
        args: &PageArgs<MemberKey>,
    ) -> Result<Vec<Page<Arc<Member>>>> {
        let place = |key: &Option<MemberKey>, seq: i64| match key {
            Some(key) => (key.joined_seq.0.cast_signed(), key.user.as_str().to_owned()),
            None => (seq, String::new()),
        };
        let after = place(&args.after, -1);
        let before = place(&args.before, i64::MAX);
        let statement = sqlx::query(sql::MEMBER_PAGES[usize::from(args.backwards)])
            .bind(array(rooms.iter().map(|id| id.uuid()))?)
            .bind(after.0)
            .bind(after.1)
            .bind(before.0)
            .bind(before.1)
            .bind(one_more(args.limit));
        let rows = self
            .read(statement, |mut row| Ok((row.int()?, row.member()?)))
            .await?;
        let lists = lists(rooms.len(), rows)?;
        Ok(pages(lists, args, |member| {
            (member.joined_seq, member.user.id.clone())
        }))
    }

    /// Runs one statement and reads each of its rows.
    pub(super) async fn read<T>(
        &self,
        statement: Statement,
        row: impl Fn(Columns<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let rows: Vec<SqliteRow> = self.readers.fetch(statement).await?;
        rows.iter().map(|it| row(Columns::of(it))).collect()
    }
}

/// The two users whose rooms in common a list holds.
fn pair(list: &RoomList) -> Option<(&str, &str)> {
    match list {
        RoomList::Shared(one, other) => Some((one.as_str(), other.as_str())),
        RoomList::Public | RoomList::Of(_) => None,
    }
}

/// Binds the bounds of a list of rooms. It runs downwards: all of it lies between the greatest place and the least.
fn between(statement: Statement, args: &PageArgs<RoomKey>) -> Statement {
    let place = |key: Option<RoomKey>, at: i64, id: &[u8]| match key {
        Some(key) => (key.at.0, key.id.uuid().as_bytes().to_vec()),
        None => (at, id.to_vec()),
    };
    let after = place(args.after, i64::MAX, &ID_MAX);
    let before = place(args.before, i64::MIN, &[]);
    (statement.bind(after.0).bind(after.1))
        .bind(before.0)
        .bind(before.1)
        .bind(one_more(args.limit))
}

/// One more than is wanted tells whether there is more.
pub(super) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).map_or(i64::MAX, |limit| limit.saturating_add(1))
}

/// The rows of each list by the list's number.
pub(super) fn lists<T>(count: usize, rows: Vec<(i64, T)>) -> Result<Vec<Vec<T>>> {
    let mut lists: Vec<Vec<T>> = std::iter::repeat_with(Vec::new).take(count).collect();
    for (list, item) in rows {
        let list: usize = number(list)?;
        let list = (lists.get_mut(list)).ok_or_else(|| unreadable("a row of no list"))?;
        list.push(item);
    }
    Ok(lists)
}

/// Rows of a list come in any order: SQLite looks them up by a set of keys.
fn pages<T, K: Ord, A>(
    lists: Vec<Vec<T>>,
    args: &PageArgs<A>,
    key: impl Fn(&T) -> K,
) -> Vec<Page<T>> {
    lists
        .into_iter()
        .map(|mut items| {
            items.sort_by_cached_key(&key);
            page(items, args.limit, args.backwards, true)
        })
        .collect()
}

/// Takes the one too many away. `in_order`: the items come in the list's order even where the page is counted from its
/// end.
fn page<T>(mut items: Vec<T>, limit: usize, backwards: bool, in_order: bool) -> Page<T> {
    if backwards && in_order {
        items.reverse();
    }
    let more = items.len() > limit;
    items.truncate(limit);
    if backwards {
        items.reverse();
    }
    Page {
        items,
        has_previous: more && backwards,
        has_next: more && !backwards,
    }
}
