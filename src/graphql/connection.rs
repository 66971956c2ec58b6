//! Relay connections: own types, because the library's cannot carry descriptions.

use std::sync::Arc;

use async_graphql::{Context, Object};

use super::answer;
use super::error::Result;
use super::loaders;
use super::member::RoomMember;
use super::message::Message;
use super::page::{Place, Wanted};
use super::room::Room;
use crate::model::{self, RoomId, Seq};
use crate::store::{MemberKey, Page, PageArgs, RoomKey};

/// Whether there is more of a list beyond one end of a page.
#[derive(Clone)]
enum More {
    Known(bool),
    /// Only the store can tell: any of this piece of the room's messages?
    Messages(RoomId, PageArgs<Seq>),
}

impl More {
    async fn get(&self, ctx: &Context<'_>) -> Result<bool> {
        match self {
            Self::Known(more) => Ok(*more),
            Self::Messages(room, args) => {
                let page = loaders::messages(ctx, *room, args.clone()).await?;
                Ok(!page.items.is_empty())
            }
        }
    }
}

/// Cursors of a page, for the list that it came from.
#[derive(Clone)]
pub(super) struct PageInfo {
    next: More,
    previous: More,
    start: Option<String>,
    end: Option<String>,
}

/// Cursors of a page, for the list that it came from.
#[Object]
impl PageInfo {
    /// Something follows the last edge.
    async fn has_next_page(&self, ctx: &Context<'_>) -> Result<bool> {
        self.next.get(ctx).await
    }

    /// Something precedes the first edge.
    async fn has_previous_page(&self, ctx: &Context<'_>) -> Result<bool> {
        self.previous.get(ctx).await
    }

    /// The first edge's cursor: `before` it goes on backwards.
    async fn start_cursor(&self) -> Option<&str> {
        self.start.as_deref()
    }

    /// The last edge's cursor: `after` it goes on forwards.
    async fn end_cursor(&self) -> Option<&str> {
        self.end.as_deref()
    }
}

/// What a connection may list.
trait Listed {
    fn cursor(&self) -> String;
}

impl Listed for Room {
    fn cursor(&self) -> String {
        let (at, id) = (self.room.last_activity_at, self.room.id);
        RoomKey { at, id }.text()
    }
}

impl Listed for Message {
    fn cursor(&self) -> String {
        self.message.cursor.to_string()
    }
}

impl Listed for RoomMember {
    fn cursor(&self) -> String {
        let (joined_seq, user) = (self.member.joined_seq, self.member.user.id.clone());
        MemberKey { joined_seq, user }.text()
    }
}

macro_rules! connections {
    ($(
        $connection:ident of $node:ident {
            $(#[$edge_doc:meta])*
            $edge:ident {
                $(#[$cursor_doc:meta])*
                cursor
                $(#[$node_doc:meta])*
                node
            }
        }
    )*) => { $(
        /// `nodes` spares the edges; caches that join pages (Apollo, urql, Relay) need `edges`.
        pub(super) struct $connection {
            nodes: Vec<$node>,
            info: PageInfo,
        }

        /// `nodes` spares the edges; caches that join pages (Apollo, urql, Relay) need `edges`.
        #[Object]
        impl $connection {
            /// In the list's order, each with its cursor.
            async fn edges(&self, ctx: &Context<'_>) -> Vec<$edge> {
                answer::items(ctx, self.nodes.len()).await;
                self.nodes.iter().cloned().map($edge).collect()
            }

            /// The same without cursors.
            async fn nodes(&self, ctx: &Context<'_>) -> &[$node] {
                answer::items(ctx, self.nodes.len()).await;
                &self.nodes
            }

            /// Where the page begins and ends.
            async fn page_info(&self) -> &PageInfo {
                &self.info
            }
        }

        $(#[$edge_doc])*
        pub(super) struct $edge($node);

        $(#[$edge_doc])*
        #[Object]
        impl $edge {
            $(#[$cursor_doc])*
            async fn cursor(&self) -> String {
                self.0.cursor()
            }

            $(#[$node_doc])*
            async fn node(&self) -> &$node {
                &self.0
            }
        }
    )* };
}

connections! {
    RoomConnection of Room {
        /// A room in a list.
        RoomEdge {
            /// Its place in the list; it moves when the room does.
            cursor
            /// The room.
            node
        }
    }
    MessageConnection of Message {
        /// A message in a list.
        MessageEdge {
            /// The message's own `cursor`.
            cursor
            /// The message.
            node
        }
    }
    RoomMemberConnection of RoomMember {
        /// A member in a list.
        RoomMemberEdge {
            /// Its place in the list.
            cursor
            /// The member.
            node
        }
    }
}

impl RoomConnection {
    pub(super) fn new(wanted: &Wanted<RoomKey>, page: &Page<Arc<model::Room>>) -> Self {
        let (nodes, info) = part(wanted, page, |room| Room::new(room.clone()));
        Self { nodes, info }
    }
}

impl RoomMemberConnection {
    pub(super) fn new(wanted: &Wanted<MemberKey>, page: &Page<Arc<model::Member>>) -> Self {
        let (nodes, info) = part(wanted, page, |member| RoomMember::now(member.clone()));
        Self { nodes, info }
    }
}

impl MessageConnection {
    /// Any place in the log may bound it, so whether there is something at or beyond a bound is asked of the store,
    /// where a client wants to know.
    pub(super) fn new(
        room: &Arc<model::Room>,
        wanted: &Wanted<Seq>,
        page: &Page<Arc<model::Message>>,
    ) -> Self {
        let listed =
            |message: &Arc<model::Message>| Message::new(message.clone(), Some(room.clone()));
        let (nodes, mut info) = part(wanted, page, listed);
        let one = |after, before| PageArgs {
            after,
            before,
            limit: 1,
            backwards: before.is_some(),
        };
        let cut = wanted.cut(page);
        info.previous = match wanted.args.after {
            Some(after) if !cut.has_previous => {
                More::Messages(room.id, one(None, Some(after.next())))
            }
            _ => More::Known(cut.has_previous),
        };
        info.next = match wanted.args.before {
            Some(Seq::ZERO) => More::Messages(room.id, one(None, None)),
            Some(before) if !cut.has_next => {
                More::Messages(room.id, one(Some(Seq(before.0 - 1)), None))
            }
            _ => More::Known(cut.has_next),
        };
        Self { nodes, info }
    }
}

/// A bound was an item of the list, so there is something at it.
fn part<K, T: Clone, N: Listed>(
    wanted: &Wanted<K>,
    page: &Page<T>,
    node: impl Fn(&T) -> N,
) -> (Vec<N>, PageInfo) {
    let page = wanted.cut(page);
    let nodes: Vec<N> = page.items.iter().map(node).collect();
    let info = PageInfo {
        next: More::Known(page.has_next || wanted.args.before.is_some()),
        previous: More::Known(page.has_previous || wanted.args.after.is_some()),
        start: nodes.first().map(Listed::cursor),
        end: nodes.last().map(Listed::cursor),
    };
    (nodes, info)
}

/// Whether a type is a connection: what a subscription may not select.
pub fn is_connection(type_name: &str) -> bool {
    type_name.ends_with("Connection")
}
