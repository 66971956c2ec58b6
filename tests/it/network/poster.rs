//! A client that only sends, over HTTP: it says each message until it is answered, under the same id.

use std::net::SocketAddr;

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::sleep;
use uuid::Uuid;

use super::client::{Counts, Habits, Order, Said, Word};

pub(super) struct Poster {
    pub(super) number: usize,
    pub(super) addr: SocketAddr,
    pub(super) token: String,
    pub(super) habits: Habits,
    pub(super) rng: StdRng,
    pub(super) words: UnboundedSender<Word>,
}

impl Poster {
    /// Until nobody gives orders any more.
    pub(super) async fn run(mut self, mut orders: UnboundedReceiver<Order>) -> Counts {
        let http = reqwest::Client::builder().timeout(self.habits.patience);
        let http = http.build().unwrap();
        let (mut counts, mut spoken) = (Counts::default(), 0);
        while let Some(order) = orders.recv().await {
            let word = match order {
                Order::Say(room) => {
                    let said = Said {
                        by: self.number,
                        nth: spoken,
                        room,
                        id: Uuid::now_v7(),
                    };
                    spoken += 1;
                    counts.duplicates += u64::from(self.post(&http, said).await);
                    Word::Said(said)
                }
                Order::Reach(_) => Word::Reached,
                Order::Try(..) => panic!("it only sends"),
            };
            let _ = self.words.send(word);
        }
        counts
    }

    /// Whether it had been sent before.
    async fn post(&mut self, http: &reqwest::Client, said: Said) -> bool {
        let url = format!("http://{}/graphql", self.addr);
        for retries in 0.. {
            let post = http.post(&url).bearer_auth(&self.token);
            let answer = async {
                let answer = post.json(&said.request()).send().await?;
                answer.json::<Value>().await
            };
            if let Ok(answer) = answer.await {
                if let Some(duplicate) = answer["data"]["sendMessage"]["duplicate"].as_bool() {
                    return duplicate;
                }
                let error = &answer["errors"][0]["extensions"];
                assert_eq!(error["retryable"], true, "{answer}");
            }
            // As the clients that listen do: nothing tells one that only posts when it is worth another try.
            let wait = 2_f64.powi(retries.min(5)) + self.rng.random_range(0.3..3.0);
            sleep(self.habits.backoff.mul_f64(wait)).await;
        }
        unreachable!("it ends by being answered")
    }
}
