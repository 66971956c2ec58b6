//! Fifty subscriptions at fifty places on one socket, cut a hundred times: each has the log, once and in order.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;
use uuid::Uuid;

use super::client::{Client, Habits, Order, Word};
use super::stream::{Scope, Stream, seq_of};
use super::{Running, ask, head, log, room};
use crate::support::{End, How, Link, Plan, Proxy, TestServer, seed};

const SUBSCRIPTIONS: usize = 50;
const CUTS: u64 = 100;
const ROOMS: usize = 40;
/// Nothing is said there but once, when nobody listens.
const QUIET: usize = 10;
const HISTORY: usize = 600;
/// Sends that are not answered yet.
const AT_ONCE: usize = 4;

const HABITS: Habits = Habits {
    backoff: Duration::from_millis(1),
    patience: Duration::from_secs(10),
};

const EDIT: &str = "mutation($input:EditMessageInput!){editMessage(input:$input){message{id}}}";
const DELETE: &str =
    "mutation($input:DeleteMessageInput!){deleteMessage(input:$input){message{id}}}";

/// Says things: in the first room the most, in the last one once in a while.
struct Speaker {
    running: Running,
    rooms: Vec<Uuid>,
    rng: StdRng,
}

impl Speaker {
    /// When it returns everything is answered: a socket's mutations are in order, and each edit has a send behind it.
    async fn speak(&mut self, mut goes_on: impl FnMut(usize) -> bool) {
        for _ in 0..AT_ONCE {
            self.say();
        }
        for answered in 0.. {
            let Word::Said(said) = self.running.word().await else {
                panic!("it was told to speak");
            };
            if !goes_on(answered) {
                break;
            }
            let input = match self.rng.random_range(0..20) {
                0 | 1 => Some((EDIT, json!({ "messageId": said.id, "body": "edited" }))),
                2 => Some((DELETE, json!({ "messageId": said.id }))),
                _ => None,
            };
            if let Some((query, input)) = input {
                let variables = json!({ "input": input });
                self.running.order(Order::Try(query, variables));
            }
            self.say();
        }
        for _ in 1..AT_ONCE {
            self.running.word().await;
        }
    }

    fn say(&mut self) {
        let n = (self.rooms.len() as f64).powf(self.rng.random()) as usize;
        self.running.order(Order::Say(self.rooms[n - 1]));
    }
}

/// What is followed, of each kind something: rooms of all rates by themselves and together, quiet ones, everything.
fn scope(n: usize, rooms: &[Uuid], quiet: &[Uuid], rng: &mut StdRng) -> Scope {
    match n {
        0..20 => Scope::Messages(rooms[n]),
        20..38 => Scope::Rooms(rooms.choose_multiple(rng, 1 + n % 5).copied().collect()),
        38..43 => Scope::Messages(quiet[n % QUIET]),
        43..48 => Scope::Rooms(vec![quiet[n % QUIET]]),
        _ => Scope::Mine,
    }
}

/// Cuts at random bytes: some within the handshake and the first words of either side, most later.
fn weather(mut rng: StdRng) -> impl FnMut() -> Link + Send + 'static {
    move || {
        // To have all fifty live takes up to 150 kB.
        let down_bytes = 10_f64.powf(rng.random_range(2.0..5.3)) as usize;
        let up_bytes = match rng.random_range(0..5) {
            0 => rng.random_range(1..20_000),
            _ => usize::MAX,
        };
        let how = [How::Reset, How::Close][rng.random_range(0..2)];
        let end = Some(End {
            down_bytes,
            up_bytes,
            how,
        });
        Link { end, ..Link::GOOD }
    }
}

#[tokio::test]
async fn fifty_subscriptions_at_fifty_places_on_one_socket_are_each_exact_after_a_hundred_cuts() {
    let mut rng = StdRng::seed_from_u64(seed());
    // So that quiet ones too know where they are.
    let server = Plan::default().env("TIDINGS_PING_INTERVAL_SECS", 1).start();
    let mut made = Vec::new();
    for _ in 0..ROOMS + QUIET {
        made.push(room(&server).await);
    }
    let (rooms, quiet) = made.split_at(ROOMS);
    let mut bob = Speaker {
        running: Running::start(Client::new(
            server.addr(),
            server.token("bob"),
            HABITS,
            StdRng::from_rng(&mut rng),
        )),
        rooms: rooms.to_vec(),
        rng: StdRng::from_rng(&mut rng),
    };
    let mut places = Vec::new();
    for _ in 0..10 {
        places.push(head(&server).await);
        bob.speak(|answered| answered < HISTORY / 10).await;
    }
    let end = head(&server).await;

    let streams = (0..SUBSCRIPTIONS).map(|n| {
        let scope = scope(n, rooms, quiet, &mut rng);
        // Every other one gives no place: it learns its first from the server's ping.
        let after = (n % 2 == 0).then(|| places.choose(&mut rng).unwrap().clone());
        let from = seq_of(after.as_ref().unwrap_or(&end));
        Stream::new(format!("s{n}"), scope, after, from)
    });
    let streams = streams.collect();
    let proxy = Proxy::start(server.addr(), weather(StdRng::from_rng(&mut rng))).await;
    let ada = Client {
        streams,
        ..Client::new(
            proxy.addr(),
            server.token("ada"),
            HABITS,
            StdRng::from_rng(&mut rng),
        )
    };
    let mut ada = Running::start(ada);
    // Cut all along, from its first word on.
    ada.reaches(&end).await;
    let cuts_before_live = proxy.tally().cuts();
    bob.speak(|_| proxy.tally().cuts() < cuts_before_live + CUTS)
        .await;

    say_in_the_dark(&server, &proxy, &made).await;
    ada.reaches(&head(&server).await).await;
    let ada = ada.end().await;
    bob.running.end().await;
    let log = log::read(&server.database()).await;
    for stream in &ada.streams {
        stream.assert_is(&log);
    }
    let came: usize = ada.streams.iter().map(Stream::len).sum();
    eprintln!(
        "{} cuts, {cuts_before_live} of them before all were live, {} connections; {} events, {came} shown; {:?}",
        proxy.tally().cuts(),
        proxy.tally().connections(),
        log.len(),
        ada.counts
    );
    assert!(ada.counts.resumed > 50 * CUTS / 4);
    for quiet in &ada.streams[38..48] {
        assert_eq!(quiet.len(), 1, "{}", quiet.id);
    }
    for followed in &ada.streams {
        assert!(followed.len() > 0, "{} had nothing to lose", followed.id);
    }
}

/// While the client is away, something in each room: for the quiet ones, all that is ever said there.
async fn say_in_the_dark(server: &TestServer, proxy: &Proxy, rooms: &[Uuid]) {
    // Nobody gets beyond the handshake.
    proxy.turn(|| {
        let end = Some(End {
            down_bytes: 60,
            up_bytes: usize::MAX,
            how: How::Reset,
        });
        Link { end, ..Link::GOOD }
    });
    proxy.cut_all();
    let query = "mutation($input:SendMessageInput!){sendMessage(input:$input){message{id}}}";
    for room in rooms {
        let input = json!({ "roomId": room, "body": "at last" });
        ask(server, "bob", query, json!({ "input": input })).await;
    }
    proxy.turn(|| Link::GOOD);
}
