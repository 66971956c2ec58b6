//! Reads of one request, gathered so that a page of things takes as many statements as one thing.
//!
//! They live in the request's data. Where there are none - a payload rendered for many - a read stands alone.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::Context;

use super::answer;
use super::asking::{store, viewer};
use super::gather::Gather;
use crate::error::Error;
use crate::model::{
    Emoji, Member, MemberId, Message, MessageId, Room, RoomId, Seq, Timestamp, User, UserId,
    Visibility,
};
use crate::store::{MemberKey, Page, PageArgs, RoomKey, RoomList, RoomView, StoreError};

/// Things that are read in one statement, so that no more than these come before they are counted: a page of the log.
const READ_AT_ONCE: usize = 500;

type Messages = Arc<Page<Arc<Message>>>;
type Members = Arc<Page<Arc<Member>>>;
type Rooms = Arc<Page<Arc<Room>>>;
type Users = Arc<[Arc<User>]>;
type Emojis = Arc<HashSet<Emoji>>;

/// A request's loaders.
#[derive(Default)]
pub struct Loaders {
    messages: Gather<MessageId, Arc<Message>>,
    message_pages: Gather<(RoomId, PageArgs<Seq>), Messages>,
    member_pages: Gather<(RoomId, PageArgs<MemberKey>), Members>,
    room_pages: Gather<(RoomList, PageArgs<RoomKey>), Rooms>,
    members: Gather<MemberId, Arc<Member>>,
    /// The first so many to react with an emoji under a message.
    reactors: Gather<((MessageId, Emoji), usize), Users>,
    /// As the request's viewer stands to them. These and the next three are the only ones that depend on who asks.
    views: Gather<RoomId, RoomView>,
    unread: Gather<RoomId, u32>,
    reacted: Gather<MessageId, Emojis>,
    last_seen: Gather<UserId, Option<Timestamp>>,
}

fn loaders<'a>(ctx: &Context<'a>, alone: &'a Loaders) -> &'a Loaders {
    ctx.data_opt::<Loaders>().unwrap_or(alone)
}

/// A message, whoever asks: the caller has seen to it that the viewer may read its room.
pub(super) async fn message(
    ctx: &Context<'_>,
    id: MessageId,
) -> Result<Option<Arc<Message>>, Error> {
    let store = store(ctx)?;
    let alone = Loaders::default();
    let read = |ids: Vec<MessageId>| async move {
        let mut found = HashMap::new();
        for ids in ids.chunks(READ_AT_ONCE) {
            let messages = store.messages(ids).await?;
            answer::messages_read(ctx, messages.iter().map(|it| &**it)).await;
            found.extend(messages.into_iter().map(|it| (it.id, it)));
        }
        Ok(found)
    };
    loaders(ctx, &alone).messages.load(id, read).await
}

/// An active membership, whoever asks: the caller has seen to it that the viewer may read its room.
pub(super) async fn member(ctx: &Context<'_>, id: MemberId) -> Result<Option<Arc<Member>>, Error> {
    let store = store(ctx)?;
    let alone = Loaders::default();
    let read = |ids: Vec<MemberId>| async move {
        let found = store.members(&ids).await?;
        Ok(found.into_iter().map(|it| (it.id, it)).collect())
    };
    loaders(ctx, &alone).members.load(id, read).await
}

/// A room as the viewer stands to it, whether it may read it or not.
pub(super) async fn view(ctx: &Context<'_>, id: RoomId) -> Result<Option<RoomView>, Error> {
    let (store, viewer) = (store(ctx)?, &viewer(ctx)?.user.id);
    let alone = Loaders::default();
    let read = |ids: Vec<RoomId>| async move {
        let found = store.rooms(viewer, &ids).await?;
        Ok(found.into_iter().map(|it| (it.room.id, it)).collect())
    };
    loaders(ctx, &alone).views.load(id, read).await
}

/// When a user was last seen, where that is known; `None` for one whose presence is not the viewer's to know.
pub(super) async fn last_seen(
    ctx: &Context<'_>,
    id: &UserId,
) -> Result<Option<Option<Timestamp>>, Error> {
    let (store, viewer) = (store(ctx)?, &viewer(ctx)?.user.id);
    let alone = Loaders::default();
    let read = |ids: Vec<UserId>| async move {
        let found = store.last_seen(viewer, &ids).await?;
        Ok(found.into_iter().collect())
    };
    let loaders = loaders(ctx, &alone);
    loaders.last_seen.load(id.clone(), read).await
}

/// How many messages by others the viewer has not read; 0 where it is not a member.
pub(super) async fn unread(ctx: &Context<'_>, id: RoomId) -> Result<u32, Error> {
    let (store, viewer) = (store(ctx)?, &viewer(ctx)?.user.id);
    let alone = Loaders::default();
    let read = |ids: Vec<RoomId>| async move {
        let found = store.unread(viewer, &ids).await?;
        Ok(found.into_iter().collect())
    };
    let count = loaders(ctx, &alone).unread.load(id, read).await?;
    Ok(count.unwrap_or_default())
}

/// A room that the viewer may read; `None` for one that is absent or hidden.
pub(super) async fn readable(ctx: &Context<'_>, id: RoomId) -> Result<Option<Arc<Room>>, Error> {
    let view = view(ctx, id).await?;
    let readable = |view: &RoomView| {
        let shown = view.role.is_some() || view.room.visibility == Visibility::Public;
        shown && !view.room.deleted
    };
    Ok(view.filter(readable).map(|view| view.room))
}

/// A page of a room's messages.
pub(super) async fn messages(
    ctx: &Context<'_>,
    room: RoomId,
    args: PageArgs<Seq>,
) -> Result<Messages, Error> {
    let store = store(ctx)?;
    let alone = Loaders::default();
    let read = |keys| async move {
        let mut found = HashMap::new();
        for (args, rooms) in by_args(keys) {
            for rooms in rooms.chunks(lists_at_once(&args)) {
                let pages = store.message_pages(rooms, &args).await?;
                let messages = pages.iter().flat_map(|page| &page.items);
                answer::messages_read(ctx, messages.map(|it| &**it)).await;
                found.extend(keyed(rooms, &args, pages));
            }
        }
        Ok(found)
    };
    let page = loaders(ctx, &alone).message_pages.load((room, args), read);
    page.await?.ok_or(Error::Internal)
}

/// A page of a room's members.
pub(super) async fn members(
    ctx: &Context<'_>,
    room: RoomId,
    args: PageArgs<MemberKey>,
) -> Result<Members, Error> {
    let store = store(ctx)?;
    let alone = Loaders::default();
    let read = |keys| async move {
        let mut found = HashMap::new();
        for (args, rooms) in by_args(keys) {
            let pages = store.member_pages(&rooms, &args).await?;
            found.extend(keyed(&rooms, &args, pages));
        }
        Ok(found)
    };
    let page = loaders(ctx, &alone).member_pages.load((room, args), read);
    page.await?.ok_or(Error::Internal)
}

/// A page of a list of rooms.
pub(super) async fn rooms(
    ctx: &Context<'_>,
    list: RoomList,
    args: PageArgs<RoomKey>,
) -> Result<Rooms, Error> {
    let store = store(ctx)?;
    let alone = Loaders::default();
    let read = |keys| async move {
        let mut found = HashMap::new();
        for (args, lists) in by_args(keys) {
            for lists in lists.chunks(lists_at_once(&args)) {
                let pages = store.room_pages(lists, &args).await?;
                let rooms = pages.iter().flat_map(|page| &page.items);
                answer::rooms_read(ctx, rooms.map(|it| &**it)).await;
                found.extend(keyed(lists, &args, pages));
            }
        }
        Ok(found)
    };
    let page = loaders(ctx, &alone).room_pages.load((list, args), read);
    page.await?.ok_or(Error::Internal)
}

/// The first to react with an emoji under a message.
pub(super) async fn reactors(
    ctx: &Context<'_>,
    under: (MessageId, Emoji),
    first: usize,
) -> Result<Users, Error> {
    let store = store(ctx)?;
    let alone = Loaders::default();
    let read = |keys: Vec<((MessageId, Emoji), usize)>| async move {
        let mut by_size: HashMap<usize, Vec<_>> = HashMap::new();
        for (under, first) in keys {
            by_size.entry(first).or_default().push(under);
        }
        let mut found = HashMap::new();
        for (first, under) in by_size {
            let lists = store.reactors(&under, first).await?;
            let keys = under.into_iter().map(|under| (under, first));
            found.extend(keys.zip(lists.into_iter().map(Users::from)));
        }
        Ok::<_, StoreError>(found)
    };
    let users = loaders(ctx, &alone).reactors.load((under, first), read);
    users.await?.ok_or(Error::Internal)
}

/// What the viewer reacts with under a message.
pub(super) async fn reacted(ctx: &Context<'_>, id: MessageId) -> Result<Emojis, Error> {
    let (store, viewer) = (store(ctx)?, &viewer(ctx)?.user.id);
    let alone = Loaders::default();
    let read = |ids: Vec<MessageId>| async move {
        let mut found: HashMap<_, HashSet<_>> = HashMap::new();
        for (id, emoji) in store.reacted(viewer, &ids).await? {
            found.entry(id).or_default().insert(emoji);
        }
        let found = found.into_iter().map(|(id, emoji)| (id, Arc::new(emoji)));
        Ok(found.collect())
    };
    let reacted = loaders(ctx, &alone).reacted.load(id, read).await?;
    Ok(reacted.unwrap_or_default())
}

/// The lists of which the same piece is wanted: read at once.
fn by_args<L, K: Eq + Hash>(keys: Vec<(L, PageArgs<K>)>) -> HashMap<PageArgs<K>, Vec<L>> {
    let mut groups: HashMap<_, Vec<_>> = HashMap::new();
    for (list, args) in keys {
        groups.entry(args).or_default().push(list);
    }
    groups
}

type Keyed<L, K, T> = ((L, PageArgs<K>), Arc<Page<T>>);

/// Of how many lists a piece is read in one statement.
fn lists_at_once<K>(args: &PageArgs<K>) -> usize {
    (READ_AT_ONCE / args.limit.max(1)).max(1)
}

fn keyed<L: Clone, K: Clone, T>(
    lists: &[L],
    args: &PageArgs<K>,
    pages: Vec<Page<T>>,
) -> impl Iterator<Item = Keyed<L, K, T>> {
    let pages = pages.into_iter().map(Arc::new);
    let keys = lists.iter().map(|list| (list.clone(), args.clone()));
    keys.zip(pages)
}
