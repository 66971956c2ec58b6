//! Networks as phones have them, between the real server and clients that behave like the stock one.

mod bad;
mod client;
mod fifty;
mod log;
mod poster;
pub(crate) mod retention;
#[cfg(unix)]
mod storm;
mod stream;

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

use self::client::{Client, Order, Word};
use self::stream::seq_of;
use crate::support::{DEADLINE, TestServer};

/// A client that runs: where it takes orders, and what it was in the end.
struct Running {
    orders: UnboundedSender<Order>,
    words: UnboundedReceiver<Word>,
    client: JoinHandle<Client>,
}

impl Running {
    fn start(mut client: Client) -> Self {
        let (orders, taken) = unbounded_channel();
        let words;
        (client.words, words) = unbounded_channel();
        Self {
            orders,
            words,
            client: tokio::spawn(client.run(taken)),
        }
    }

    fn order(&self, order: Order) {
        self.orders.send(order).expect("it takes orders");
    }

    async fn word(&mut self) -> Word {
        let word = timeout(4 * DEADLINE, self.words.recv()).await;
        word.expect("it says something in time").expect("it runs")
    }

    /// Until all its streams are at the end of the log as it is now.
    async fn reaches(&mut self, head: &str) {
        self.order(Order::Reach(seq_of(head)));
        while !matches!(self.word().await, Word::Reached) {}
    }

    async fn end(self) -> Client {
        drop(self.orders);
        self.client.await.unwrap()
    }
}

/// One request over HTTP that must succeed.
async fn ask(server: &TestServer, user: &str, query: &str, variables: Value) -> Value {
    let post = reqwest::Client::new().post(server.url("/graphql"));
    let request = json!({ "query": query, "variables": variables });
    let post = post.bearer_auth(server.token(user)).json(&request);
    let mut answer: Value = post.send().await.unwrap().json().await.unwrap();
    assert!(answer["errors"].is_null(), "{answer}");
    answer["data"].take()
}

async fn head(server: &TestServer) -> String {
    let data = ask(server, "ada", "{ head }", json!({})).await;
    data["head"].as_str().unwrap().to_owned()
}

/// A room of ada's, with bob in it.
async fn room(server: &TestServer) -> Uuid {
    let query = "mutation($input:CreateRoomInput!){createRoom(input:$input){room{id}}}";
    let id = Uuid::now_v7();
    let input = json!({ "id": id, "name": "room", "memberIds": ["bob"] });
    ask(server, "ada", query, json!({ "input": input })).await;
    id
}
