//! async-graphql-axum as it comes: the same mutation and subscription over the same protocol, with a tokio broadcast
//! between them. No token is checked and nothing is written, so its figures are what the protocol, GraphQL and the
//! broadcast alone cost.

use async_graphql::{ID, InputObject, Object, Schema, SimpleObject, Subscription};
use async_graphql_axum::GraphQLSubscription;
use axum::Router;
use futures_util::{Stream, stream};
use tokio::sync::broadcast::{self, Sender};

use super::BROADCAST_EVENTS;

struct Query;

#[Object]
impl Query {
    async fn head(&self) -> &str {
        ""
    }
}

#[derive(InputObject)]
struct SendMessageInput {
    id: ID,
    room_id: ID,
    body: String,
}

#[derive(SimpleObject)]
struct SendMessagePayload {
    message: Message,
    duplicate: bool,
}

#[derive(Clone, SimpleObject)]
struct Message {
    id: ID,
    body: String,
    version: i32,
    created_at: String,
    cursor: String,
    author: User,
    room: Room,
}

#[derive(Clone, SimpleObject)]
struct User {
    id: ID,
    name: String,
}

#[derive(Clone, SimpleObject)]
struct Room {
    id: ID,
    name: String,
}

impl Message {
    fn new(input: SendMessageInput) -> Self {
        Self {
            cursor: format!("{:.20}", *input.room_id),
            id: input.id,
            body: input.body,
            version: 1,
            created_at: "2026-11-21T03:50:41.406Z".to_owned(),
            author: User {
                id: "publisher".into(),
                name: "publisher".to_owned(),
            },
            room: Room {
                id: input.room_id,
                name: "Lobby".to_owned(),
            },
        }
    }
}

struct Mutation(Sender<Message>);

#[Object]
impl Mutation {
    async fn send_message(&self, input: SendMessageInput) -> SendMessagePayload {
        let message = Message::new(input);
        // Nobody may be listening.
        let _ = self.0.send(message.clone());
        SendMessagePayload {
            message,
            duplicate: false,
        }
    }
}

struct Subscriptions(Sender<Message>);

#[Subscription]
impl Subscriptions {
    async fn message_sent(&self, room_id: ID) -> impl Stream<Item = Message> {
        stream::unfold(
            (self.0.subscribe(), room_id),
            |(mut messages, room_id)| async {
                loop {
                    // A broadcast that ends or loses something ends the stream, which the bench counts as an error.
                    let message = messages.recv().await.ok()?;
                    if message.room.id == room_id {
                        return Some((message, (messages, room_id)));
                    }
                }
            },
        )
    }
}

pub(super) fn app() -> Router {
    let messages = broadcast::channel(BROADCAST_EVENTS).0;
    let schema = Schema::new(Query, Mutation(messages.clone()), Subscriptions(messages));
    Router::new().route_service("/graphql", GraphQLSubscription::new(schema))
}
