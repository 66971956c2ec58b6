//! async-graphql-axum as it comes: the same mutation over the same protocol, with nothing behind it. No token is checked,
//! nothing is written and nobody is told, so its figure is what the protocol and GraphQL alone cost.

use async_graphql::{EmptySubscription, ID, InputObject, Object, Schema, SimpleObject};
use async_graphql_axum::GraphQLSubscription;
use axum::Router;

struct Query;

#[Object]
impl Query {
    async fn head(&self) -> &str {
        ""
    }
}

struct Mutation;

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

#[derive(SimpleObject)]
struct Message {
    id: ID,
    cursor: String,
}

#[Object]
impl Mutation {
    async fn send_message(&self, input: SendMessageInput) -> SendMessagePayload {
        let cursor = format!("{:.10}{:.10}", input.body, *input.room_id);
        SendMessagePayload {
            message: Message {
                id: input.id,
                cursor,
            },
            duplicate: false,
        }
    }
}

/// Serves on a free port and says which.
pub async fn serve() -> anyhow::Result<()> {
    let schema = Schema::new(Query, Mutation, EmptySubscription);
    let app = Router::new().route_service("/graphql", GraphQLSubscription::new(schema));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    eprintln!(
        "{}",
        serde_json::json!({ "listening": listener.local_addr()? })
    );
    axum::serve(axum::serve::ListenerExt::tap_io(listener, nodelay), app).await?;
    Ok(())
}

/// Without it Nagle's algorithm would be what is measured.
fn nodelay(stream: &mut tokio::net::TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        eprintln!("nodelay: {error}");
    }
}
