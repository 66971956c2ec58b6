//! Clients that live in bad networks, and send through them: in the end each has exactly the log, in which everything that
//! was sent is once and in the order in which its sender said it.
//!
//! `make soak` runs it for `SOAK_MINUTES`; `TIDINGS_TEST_SEED` has a run's random choices again.

use std::collections::HashMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use super::client::{Client, Counts, Habits, Order, Said, Word};
use super::poster::Poster;
use super::stream::{Scope, Stream, seq_of};
use super::{ask, head, log};
use crate::support::{End, How, Link, Plan, Proxy, TestServer, seed};

/// How large a run is, and when it ends.
struct Play {
    clients: usize,
    /// Public rooms; each is followed by some of the clients.
    rooms: usize,
    until: Until,
    habits: Habits,
    ping_secs: u64,
}

enum Until {
    /// So many messages, as fast as they are answered.
    Sent(usize),
    /// Messages at this pace.
    Over(Duration, u32),
}

const SHORT: Play = Play {
    clients: 20,
    rooms: 4,
    until: Until::Sent(600),
    habits: Habits {
        backoff: Duration::from_millis(30),
        patience: Duration::from_millis(1_500),
    },
    ping_secs: 1,
};

/// As it is in life: graphql-ws's own backoff, and `keepAlive: 10_000`.
const fn soak(minutes: u64) -> Play {
    Play {
        clients: 200,
        rooms: 20,
        until: Until::Over(Duration::from_secs(60 * minutes), 20),
        habits: Habits {
            backoff: Duration::from_secs(1),
            patience: Duration::from_secs(10),
        },
        ping_secs: 5,
    }
}

/// One in five sends over HTTP and follows nothing.
fn is_poster(n: usize) -> bool {
    n % 5 == 4
}

/// The networks there are: each connection has one of its own.
fn weather(mut rng: StdRng) -> impl FnMut() -> Link + Send + 'static {
    move || {
        let millis = Duration::from_millis;
        // As many ends within the handshake as within the first kilobytes, as within many.
        let bytes = |rng: &mut StdRng| 10_f64.powf(rng.random_range(2.0..4.9)) as usize;
        let (latency, jitter, bytes_per_sec) = match rng.random_range(0..10) {
            0..3 => (1, 5, None),
            3..7 => (20, 40, None),
            7 => (150, 150, None),
            _ => (50, 50, Some(50_000)),
        };
        let how = [
            How::Reset,
            How::Reset,
            How::Close,
            How::Close,
            How::Silence,
            How::HalfSilence,
        ];
        let both = rng.random_bool(0.3);
        let (down, up) = (bytes(&mut rng), bytes(&mut rng) / 4);
        let is_up = rng.random_bool(0.3);
        let end = End {
            down_bytes: if is_up && !both { usize::MAX } else { down },
            up_bytes: if is_up || both { up } else { usize::MAX },
            how: how[rng.random_range(0..how.len())],
        };
        Link {
            latency: millis(latency),
            jitter: millis(jitter),
            bytes_per_sec,
            end: Some(end),
            seed: rng.random(),
        }
    }
}

/// Everyone who takes part, by number.
struct Company {
    orders: Vec<UnboundedSender<Order>>,
    words: UnboundedReceiver<Word>,
    clients: JoinSet<Client>,
    posters: JoinSet<Counts>,
}

impl Company {
    fn gather(
        server: &TestServer,
        proxy: &Proxy,
        play: &Play,
        start: &str,
        rng: &mut StdRng,
    ) -> Self {
        let (word, words) = unbounded_channel();
        let mut company = Self {
            orders: Vec::new(),
            words,
            clients: JoinSet::new(),
            posters: JoinSet::new(),
        };
        for number in 0..play.clients {
            let (order, orders) = unbounded_channel();
            company.orders.push(order);
            let (token, own) = (server.token(&format!("u{number}")), StdRng::from_rng(rng));
            if is_poster(number) {
                let poster = Poster {
                    number,
                    addr: proxy.addr(),
                    token,
                    habits: play.habits,
                    rng: own,
                    words: word.clone(),
                };
                company.posters.spawn(poster.run(orders));
            } else {
                let client = Client {
                    number,
                    words: word.clone(),
                    streams: follows(number, play, start, rng),
                    ..Client::new(proxy.addr(), token, play.habits, own)
                };
                company.clients.spawn(client.run(orders));
            }
        }
        company
    }

    async fn word(&mut self) -> Word {
        // Longer than the longest backoff behind the longest silence.
        const LONGEST: Duration = Duration::from_secs(240);
        tokio::select! {
            word = timeout(LONGEST, self.words.recv()) => word.expect("someone says something in time").unwrap(),
            Some(gone) = self.clients.join_next() => panic!("client {} left", gone.expect("a client fails").number),
            Some(gone) = self.posters.join_next() => panic!("a poster left: {gone:?}"),
        }
    }

    fn order(&self, to: usize, order: Order) {
        self.orders[to].send(order).expect("it takes orders");
    }
}

/// Rooms by themselves and together, from the same place on.
fn follows(number: usize, play: &Play, start: &str, rng: &mut StdRng) -> Vec<Stream> {
    let stream = |n: usize, scope| {
        let after = Some(start.to_owned());
        Stream::new(format!("s{n}"), scope, after, seq_of(start))
    };
    let mut some = |count| (0..play.rooms).map(room_id).choose_multiple(rng, count);
    match number % 3 {
        0 => vec![stream(0, Scope::Rooms(some(3)))],
        1 => vec![
            stream(0, Scope::Messages(some(1)[0])),
            stream(1, Scope::Messages(some(1)[0])),
        ],
        _ => vec![
            stream(0, Scope::Rooms(some(2))),
            stream(1, Scope::Messages(some(1)[0])),
            stream(2, Scope::Rooms(some(1))),
        ],
    }
}

fn room_id(n: usize) -> Uuid {
    Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0001_0000 + n as u128)
}

async fn make_rooms(server: &TestServer, rooms: usize) {
    let query = "mutation($input:CreateRoomInput!){createRoom(input:$input){room{id}}}";
    for n in 0..rooms {
        let input = serde_json::json!({ "id": room_id(n), "name": "room", "visibility": "PUBLIC" });
        ask(server, "ada", query, serde_json::json!({ "input": input })).await;
    }
}

/// Has messages sent until it is over; what was acknowledged.
async fn direct(company: &mut Company, play: &Play, rng: &mut StdRng) -> Vec<Said> {
    let (mut said, mut told) = (Vec::new(), 0);
    let mut say = |company: &Company| {
        let room = room_id(rng.random_range(0..play.rooms));
        company.order(rng.random_range(0..play.clients), Order::Say(room));
    };
    match play.until {
        Until::Sent(messages) => {
            while said.len() < messages {
                // Those who are away just now hold up a few, and the others go on.
                while told < messages && told - said.len() < 2 * play.clients {
                    say(company);
                    told += 1;
                }
                said.extend(company.word().await.said());
            }
        }
        Until::Over(time, per_sec) => {
            let over = Instant::now() + time;
            let mut pace = interval(Duration::from_secs(1) / per_sec);
            pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
            while Instant::now() < over {
                tokio::select! {
                    word = company.word() => said.extend(word.said()),
                    _ = pace.tick() => {
                        say(company);
                        told += 1;
                    }
                }
            }
        }
    }
    while said.len() < told {
        said.extend(company.word().await.said());
    }
    said
}

/// Runs it to the end, and holds it to the log.
async fn play(play: Play) {
    let mut rng = StdRng::seed_from_u64(seed());
    let server = Plan::default().env("TIDINGS_PING_INTERVAL_SECS", play.ping_secs);
    let server = server.start();
    make_rooms(&server, play.rooms).await;
    let start = head(&server).await;
    let proxy = Proxy::start(server.addr(), weather(StdRng::from_rng(&mut rng))).await;
    let mut company = Company::gather(&server, &proxy, &play, &start, &mut rng);
    tell_memory(&server, "at the beginning");
    let began = Instant::now();
    let said = direct(&mut company, &play, &mut rng).await;

    // What is still to come comes over the same network.
    let end = seq_of(&head(&server).await);
    (0..play.clients).for_each(|n| company.order(n, Order::Reach(end)));
    for _ in 0..play.clients {
        while !matches!(company.word().await, Word::Reached) {}
    }
    let took = began.elapsed();
    company.orders.clear();
    let clients = company.clients.join_all().await;
    let posters = company.posters.join_all().await;
    let log = log::read(&server.database()).await;
    assert_sent_once_and_in_order(&said, &log);
    for stream in clients.iter().flat_map(|client| &client.streams) {
        stream.assert_is(&log);
    }
    let counts: Counts = clients
        .iter()
        .map(|client| client.counts.clone())
        .chain(posters)
        .sum();
    let streams = clients.iter().flat_map(|client| &client.streams);
    let shown: usize = streams.map(Stream::len).sum();
    let tally = proxy.tally();
    eprintln!(
        "{} clients, {took:.1?}: {} sends, {} events, {shown} shown; {} connections, {} cuts, {} silences; {counts:?}",
        play.clients,
        said.len(),
        log.len(),
        tally.connections(),
        tally.cuts(),
        tally.silences()
    );
    tell_memory(&server, "at the end");
    // A run in which nothing happened proves nothing.
    let least = play.clients as u64;
    assert!(
        shown > said.len() && counts.duplicates > 0,
        "{shown}, {counts:?}"
    );
    assert!(tally.cuts() > 2 * least && tally.silences() > least / 2);
    assert!(counts.silent > 0 && counts.resumed > least, "{counts:?}");
}

fn tell_memory(server: &TestServer, when: &str) {
    #[cfg(target_os = "linux")]
    eprintln!(
        "the server holds {} KiB {when}",
        crate::support::resident_bytes(server.pid()) >> 10
    );
    #[cfg(not(target_os = "linux"))]
    let _ = (server, when);
}

fn assert_sent_once_and_in_order(said: &[Said], log: &[log::Entry]) {
    let sends = log.iter().filter(|entry| entry.is_send);
    let sends: Vec<_> = sends
        .map(|entry| (entry.message.unwrap(), entry.seq))
        .collect();
    let place: HashMap<_, _> = sends.iter().copied().collect();
    assert_eq!(place.len(), sends.len(), "a message is in the log twice");
    assert_eq!(
        sends.len(),
        said.len(),
        "sends in the log, acknowledged ones"
    );
    let mut said = said.to_vec();
    said.sort_by_key(|said| (said.by, said.nth));
    for two in said.windows(2).filter(|two| two[0].by == two[1].by) {
        let places = [place[&two[0].id], place[&two[1].id]];
        assert!(places[0] < places[1], "{two:?} are at {places:?}");
    }
}

#[tokio::test]
async fn in_bad_networks_each_ends_with_exactly_the_log() {
    play(SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes as long as it is told to: make soak"]
async fn soak_in_bad_networks() {
    let minutes = std::env::var("SOAK_MINUTES").ok();
    let minutes = minutes.and_then(|minutes| minutes.parse().ok());
    play(soak(minutes.unwrap_or(30))).await;
}
