//! Everyone is cut off at once and comes back: the server is restarted in order, is killed, or the network drops them all.
//! What was sent meanwhile reaches each of them, once and in order.

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::client::{Client, Counts, Habits, Order, Said, Word};
use super::poster::Poster;
use super::stream::{Scope, Stream, seq_of};
use super::{head, log, room};
use crate::support::{DEADLINE, Link, Plan, Proxy, TestServer, raise_file_limit, seed};

const CLIENTS: usize = 300;
/// Sent while they are away or coming back.
const MESSAGES: usize = 100;

const HABITS: Habits = Habits {
    backoff: Duration::from_millis(30),
    patience: Duration::from_secs(20),
};

/// Those who listen, and bob who sends.
struct Crowd {
    listeners: Vec<UnboundedSender<Order>>,
    bob: UnboundedSender<Order>,
    words: UnboundedReceiver<Word>,
    clients: JoinSet<Client>,
    posters: JoinSet<Counts>,
}

impl Crowd {
    fn gather(
        server: &TestServer,
        proxy: &Proxy,
        room: Uuid,
        start: &str,
        rng: &mut StdRng,
    ) -> Self {
        let (word, words) = unbounded_channel();
        let (bob, orders) = unbounded_channel();
        let mut crowd = Self {
            listeners: Vec::new(),
            bob,
            words,
            clients: JoinSet::new(),
            posters: JoinSet::new(),
        };
        let poster = Poster {
            number: CLIENTS,
            addr: server.addr(),
            token: server.token("bob"),
            habits: HABITS,
            rng: StdRng::from_rng(rng),
            words: word.clone(),
        };
        crowd.posters.spawn(poster.run(orders));
        for number in 0..CLIENTS {
            let (order, orders) = unbounded_channel();
            let scope = match number % 2 {
                0 => Scope::Messages(room),
                _ => Scope::Rooms(vec![room]),
            };
            let stream = Stream::new("1".to_owned(), scope, Some(start.to_owned()), seq_of(start));
            let client = Client {
                number,
                streams: vec![stream],
                words: word.clone(),
                ..Client::new(
                    proxy.addr(),
                    server.token("ada"),
                    HABITS,
                    StdRng::from_rng(rng),
                )
            };
            crowd.clients.spawn(client.run(orders));
            crowd.listeners.push(order);
        }
        crowd
    }

    async fn word(&mut self) -> Word {
        tokio::select! {
            word = timeout(2 * DEADLINE, self.words.recv()) => word.expect("someone says something in time").unwrap(),
            Some(gone) = self.clients.join_next() => panic!("client {} left", gone.expect("a client fails").number),
        }
    }

    fn say(&self, room: Uuid) {
        for _ in 0..MESSAGES {
            self.bob.send(Order::Say(room)).unwrap();
        }
    }

    /// Until everything that was said is acknowledged and everyone has it.
    async fn catches_up(&mut self, server: &TestServer, said: &mut Vec<Said>) {
        for _ in 0..MESSAGES {
            said.push(self.word().await.said().expect("nobody was asked for more"));
        }
        let end = seq_of(&head(server).await);
        for listener in &self.listeners {
            listener.send(Order::Reach(end)).unwrap();
        }
        for _ in 0..CLIENTS {
            assert!(matches!(self.word().await, Word::Reached));
        }
    }

    async fn end(mut self) -> (Vec<Client>, Counts) {
        self.listeners.clear();
        drop(self.bob);
        let clients = self.clients.join_all().await;
        let counts = clients.iter().map(|client| client.counts.clone());
        let counts = counts.chain(self.posters.join_all().await).sum();
        (clients, counts)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_were_cut_off_at_once_come_back_and_have_everything() {
    raise_file_limit(5 * CLIENTS as u64);
    let mut rng = StdRng::seed_from_u64(seed());
    // Long enough that the last of them is told in time on a busy machine, which is a tenth of it.
    let mut server = Plan::default().env("TIDINGS_DRAIN_SECS", 30).start();
    let room = room(&server).await;
    let start = head(&server).await;
    let proxy = Proxy::start(server.addr(), || Link::GOOD).await;
    let mut crowd = Crowd::gather(&server, &proxy, room, &start, &mut rng);
    let mut said = Vec::new();
    crowd.say(room);
    crowd.catches_up(&server, &mut said).await;
    for storm in ["restarted in order", "killed", "cut by the network"] {
        let began = Instant::now();
        crowd.say(room);
        server = match storm {
            "restarted in order" => block_in_place(|| {
                server.terminate();
                assert_eq!(server.wait().code(), Some(0));
                server.start_again()
            }),
            "killed" => block_in_place(|| server.restart()),
            _ => {
                proxy.cut_all();
                server
            }
        };
        crowd.catches_up(&server, &mut said).await;
        eprintln!(
            "{storm}: {CLIENTS} are caught up after {:.2?}",
            began.elapsed()
        );
    }
    let (clients, counts) = crowd.end().await;
    eprintln!("{counts:?}");
    let log = log::read(&server.database()).await;
    clients
        .iter()
        .flat_map(|client| &client.streams)
        .for_each(|stream| stream.assert_is(&log));
    let sent: Vec<_> = log
        .iter()
        .filter(|entry| entry.is_send)
        .map(|entry| entry.message)
        .collect();
    let said: Vec<_> = said.iter().map(|said| Some(said.id)).collect();
    assert_eq!(
        sent, said,
        "each message once, in the order in which it was said"
    );
    // Each came back three times; the server that was stopped had told them all.
    assert!(counts.connected >= 4 * CLIENTS as u64, "{counts:?}");
    assert_eq!(counts.closed_1012, CLIENTS as u64, "{counts:?}");
    assert_eq!(counts.silent, 0, "{counts:?}");
    // A subscription that has not begun within ten seconds is put off. Where others take half as long, so slow is the machine.
    let is_slow = counts.slowest_start > Duration::from_secs(5);
    let put_off = |reason: &String| is_slow && reason == "Not now: connect again and resume";
    assert!(counts.closed_1013.keys().all(put_off), "{counts:?}");
}
