//! When reservations lapse and their streams end, on a clock that tests set.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::time::Instant;

use super::events::SingleFrames;
use super::reservation::PUT_OFF_MAX;
use super::{Opened, Refused, Reservations, WAITING_MAX, WAITING_PER_USER_MAX};
use crate::auth::Viewer;
use crate::document::Prepared;
use crate::hub::{Notice, Outbox};
use crate::transport::drain::Drain;
use crate::transport::http::Origins;
use crate::transport::stream::chunked::Chunked;
use crate::transport::ws::socket_tests::stage::Stage;
use crate::transport::ws::{Api, AtOnce, Endpoint, Settings, Waits};

const SECOND: Duration = Duration::from_secs(1);

/// Reservations whose operations do as they are told.
struct Desk {
    stage: Arc<Stage>,
    drain: Drain,
    reservations: Reservations<Stage, DuplexStream>,
}

impl Desk {
    fn new() -> Self {
        let (stage, drain) = (Arc::new(Stage::default()), Drain::new(10 * SECOND));
        let settings = Settings {
            waits: Waits::default(),
            at_once: AtOnce {
                subscriptions: 2,
                operations: 3,
            },
            connections_per_user: 0,
            sockets_per_second: None,
            addresses_apart: true,
            origins: Arc::new(Origins::Any),
        };
        let endpoint = Endpoint::new(stage.clone(), settings, drain.clone());
        Self {
            stage,
            drain,
            reservations: Reservations::new(endpoint),
        }
    }

    /// The viewer of such a token: `ada 60` is ada for a minute.
    async fn viewer(&self, token: &str) -> Arc<Viewer> {
        self.stage.authenticate(token).await.unwrap()
    }

    async fn reserve(&self, viewer: &str) -> String {
        let viewer = self.viewer(viewer).await;
        self.reservations.reserve(viewer, None).unwrap()
    }

    /// The client's end of the stream, which takes `room` bytes without being read.
    async fn open(&self, token: &str, room: usize) -> DuplexStream {
        let (client, io) = tokio::io::duplex(room);
        let framing = &Chunked(SingleFrames);
        let outbox = Arc::new(Outbox::framed(Outbox::BUDGET_BYTES, framing));
        let pings = false;
        let opened = Opened { io, outbox, pings };
        let ticket = self.reservations.claim(token, None).unwrap();
        assert!(ticket.send(opened).is_ok());
        client
    }

    fn prepare(&self, query: &str, variables: Json) -> Prepared {
        let request = json!({ "query": query, "variables": variables });
        let Json::Object(request) = request else {
            unreachable!()
        };
        self.stage.prepare(request).unwrap()
    }

    async fn execute(&self, token: &str, id: &str, query: &str) -> Result<(), Refused> {
        self.execute_with(token, id, query, json!({})).await
    }

    async fn execute_with(
        &self,
        token: &str,
        id: &str,
        query: &str,
        variables: Json,
    ) -> Result<(), Refused> {
        let (viewer, prepared) = (self.viewer("ada").await, self.prepare(query, variables));
        self.reservations
            .execute(token, viewer, id, Ok(prepared))
            .await
    }
}

impl Desk {
    /// Queries with answers of a megabyte each, all under way before the first of them ends.
    async fn execute_large(&self, token: &str, how_many: usize) {
        let gate = json!({ "gate": "large" });
        for nth in 0..how_many {
            let id = nth.to_string();
            let executed = self.execute_with(token, &id, "{ large }", gate.clone());
            assert_eq!(executed.await, Ok(()));
        }
        let all = u32::try_from(how_many).unwrap();
        let waiting = self.stage.waiting.acquire_many(all).await.unwrap();
        waiting.forget();
        self.stage.open("large");
    }

    /// Waits until an operation has ended: its id is free.
    async fn ended(&self, token: &str, id: &str) {
        while self.execute(token, id, "{ a }").await == Err(Refused::Running) {
            tokio::task::yield_now().await;
        }
    }
}

/// All that comes until the stream ends, and when that is.
async fn until_its_end(mut client: DuplexStream) -> (String, Duration) {
    let (begun, mut text) = (Instant::now(), String::new());
    client.read_to_string(&mut text).await.unwrap();
    (text, begun.elapsed())
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn next(id: &str, payload: &str) -> String {
    chunk(&format!(
        "event: next\ndata: {{\"id\":\"{id}\",\"payload\":{payload}}}\n\n"
    ))
}

fn complete(id: &str) -> String {
    chunk(&format!("event: complete\ndata: {{\"id\":\"{id}\"}}\n\n"))
}

#[tokio::test(start_paused = true)]
async fn a_reservation_whose_stream_does_not_come_within_half_a_minute_lapses() {
    let desk = Desk::new();
    let in_time = desk.reserve("ada").await;
    tokio::time::sleep(29 * SECOND).await;
    let _client = desk.open(&in_time, 1024).await;
    let late = desk.reserve("ada").await;
    tokio::time::sleep(31 * SECOND).await;
    let claimed = desk.reservations.claim(&late, None);
    assert_eq!(claimed.err(), Some(Refused::Unknown));
    let executed = desk.execute(&late, "q", "{ a }").await;
    assert_eq!(executed, Err(Refused::Unknown));
    assert_eq!(desk.execute(&in_time, "q", "{ a }").await, Ok(()));
    assert_eq!(desk.drain.sockets(), 1);
}

#[tokio::test(start_paused = true)]
async fn so_many_reservations_wait_and_no_more_until_some_have_lapsed() {
    let desk = Desk::new();
    for nth in 0..WAITING_MAX {
        desk.reserve(&format!("user-{}", nth / WAITING_PER_USER_MAX))
            .await;
    }
    let ada = desk.viewer("ada").await;
    let refused = desk.reservations.reserve(ada, None).unwrap_err();
    assert_eq!(refused.status, 503);
    assert!(refused.retry_after_ms.is_some());
    tokio::time::sleep(31 * SECOND).await;
    desk.reserve("ada").await;
    assert_eq!(desk.drain.sockets(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_user_has_so_many_waiting_and_no_more_until_some_have_lapsed() {
    let desk = Desk::new();
    for _ in 0..WAITING_PER_USER_MAX {
        desk.reserve("ada").await;
    }
    let ada = desk.viewer("ada").await;
    let refused = desk.reservations.reserve(ada, None).unwrap_err();
    assert_eq!(refused.status, 429);
    desk.reserve("bob").await;
    tokio::time::sleep(31 * SECOND).await;
    desk.reserve("ada").await;
}

#[tokio::test(start_paused = true)]
async fn who_claims_a_stream_and_goes_away_leaves_nothing_behind() {
    let desk = Desk::new();
    let token = desk.reserve("ada").await;
    drop(desk.reservations.claim(&token, None).unwrap());
    while desk.drain.sockets() > 0 {
        tokio::task::yield_now().await;
    }
    let executed = desk.execute(&token, "q", "{ a }").await;
    assert_eq!(executed, Err(Refused::Unknown));
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_token_and_without_an_end() {
    let desk = Desk::new();
    let token = desk.reserve("ada 20").await;
    let client = desk.open(&token, 1024).await;
    let (text, ended) = until_its_end(client).await;
    // The leeway counted, and one comment at least.
    assert_eq!(
        text,
        chunk(":\n\n").repeat(text.len() / chunk(":\n\n").len())
    );
    assert!((49 * SECOND..=50 * SECOND).contains(&ended), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fresh_token_before_the_stream_counts_for_the_stream() {
    let desk = Desk::new();
    let token = desk.reserve("ada 20").await;
    let variables = json!({ "token": "ada 90" });
    let renewed = desk.execute_with(&token, "r", "mutation { renew }", variables);
    assert_eq!(renewed.await, Ok(()));
    let client = desk.open(&token, 1024).await;
    let (text, ended) = until_its_end(client).await;
    let answer = next("r", r#"{"data":{"renew":"ada"}}"#) + &complete("r");
    assert!(text.starts_with(&answer), "{text}");
    assert!((119 * SECOND..=120 * SECOND).contains(&ended), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_for_ten_seconds_is_cut_off() {
    let desk = Desk::new();
    let token = desk.reserve("ada").await;
    let client = desk.open(&token, 16).await;
    desk.execute(&token, "q", "{ longer_than_that }")
        .await
        .unwrap();
    let begun = Instant::now();
    while desk.drain.sockets() > 0 {
        tokio::time::sleep(SECOND / 10).await;
    }
    assert!((10 * SECOND..11 * SECOND).contains(&begun.elapsed()));
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn what_the_hub_closes_is_cut() {
    let desk = Desk::new();
    let token = desk.reserve("ada").await;
    let client = desk.open(&token, 1024).await;
    desk.execute(&token, "q", "{ a }").await.unwrap();
    desk.stage.line().tell(Notice::Close(4403, "withdrawn"));
    let (text, ended) = until_its_end(client).await;
    assert!(!text.ends_with("0\r\n\r\n"), "{text}");
    assert!(ended < SECOND, "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_cannot_begin_now_cuts_the_stream_and_one_that_never_can_is_told() {
    let desk = Desk::new();
    let token = desk.reserve("ada").await;
    let client = desk.open(&token, 1024).await;
    desk.execute(&token, "x", "subscription { refused }")
        .await
        .unwrap();
    desk.execute(&token, "y", "subscription { busy }")
        .await
        .unwrap();
    let (text, ended) = until_its_end(client).await;
    let refused = r#"{"errors":[{"message":"refused"}]}"#;
    assert_eq!(text, next("x", refused) + &complete("x"));
    assert!(ended < SECOND, "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_lets_mutations_be_answered() {
    let desk = Desk::new();
    let token = desk.reserve("ada").await;
    let client = desk.open(&token, 1024).await;
    let gate = json!({ "gate": "g" });
    desk.execute_with(&token, "m", "mutation { send }", gate)
        .await
        .unwrap();
    let waits = desk.stage.waiting.acquire().await.unwrap();
    waits.forget();
    // One that waits for its stream is not waited for.
    desk.reserve("bob").await;
    desk.drain.begin();
    tokio::time::sleep(9 * SECOND).await;
    assert_eq!(desk.drain.sockets(), 1);
    desk.stage.open("g");
    let (text, _) = until_its_end(client).await;
    let answer = next("m", r#"{"data":{"send":"ada"}}"#) + &complete("m");
    assert!(text.contains(&answer), "{text}");
    assert!(!text.ends_with("0\r\n\r\n"), "{text}");
    assert_eq!(desk.drain.finished().await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_is_stopped_says_nothing_more() {
    let desk = Desk::new();
    let token = desk.reserve("ada").await;
    let client = desk.open(&token, 1024).await;
    let gate = json!({ "gate": "g" });
    desk.execute_with(&token, "m", "mutation { send }", gate)
        .await
        .unwrap();
    let ada = desk.viewer("ada").await.user.id.clone();
    desk.reservations.stop(&token, &ada, "m").await.unwrap();
    desk.stage.open("g");
    desk.execute(&token, "m", "{ next }").await.unwrap();
    desk.execute(&token, "s", "subscription { s }")
        .await
        .unwrap();
    desk.stage.line().subscribed("s").await;
    desk.reservations.stop(&token, &ada, "s").await.unwrap();
    desk.stage.line().unsubscribed("s").await;
    desk.stage.line().tell(Notice::Close(1013, "enough"));
    let (text, _) = until_its_end(client).await;
    let answer = next("m", r#"{"data":{"next":"ada"}}"#) + &complete("m");
    assert_eq!(text, answer);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_ends_its_operations() {
    let desk = Desk::new();
    let token = desk.reserve("ada").await;
    let client = desk.open(&token, 1024).await;
    desk.execute(&token, "s", "subscription { s }")
        .await
        .unwrap();
    let line = desk.stage.line();
    line.subscribed("s").await;
    drop(client);
    line.ended().await;
    while desk.drain.sockets() > 0 {
        tokio::task::yield_now().await;
    }
    let claimed = desk.reservations.claim(&token, None);
    assert_eq!(claimed.err(), Some(Refused::Unknown));
}

#[tokio::test(start_paused = true)]
async fn two_large_answers_wait_for_a_stream_and_a_third_ends_the_reservation() {
    let desk = Desk::new();
    let token = desk.reserve("ada 20").await;
    desk.execute_large(&token, 2).await;
    for id in ["0", "1"] {
        desk.ended(&token, id).await;
    }
    let client = desk.open(&token, 1024).await;
    let (text, _) = until_its_end(client).await;
    let answer = json!({ "data": "x".repeat(1 << 20) }).to_string();
    for id in ["0", "1"] {
        assert!(text.contains(&*next(id, &answer)), "{} bytes", text.len());
    }

    let desk = Desk::new();
    let (token, begun) = (desk.reserve("ada").await, Instant::now());
    desk.execute_large(&token, 3).await;
    while desk.drain.sockets() > 0 {
        tokio::time::sleep(SECOND / 100).await;
    }
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    let claimed = desk.reservations.claim(&token, None);
    assert_eq!(claimed.err(), Some(Refused::Unknown));
}

#[tokio::test(start_paused = true)]
async fn so_many_are_told_to_come_later_and_with_one_more_the_stream_is_cut() {
    for (more, is_there) in [(0, true), (1, false)] {
        let desk = Desk::new();
        let token = desk.reserve("ada").await;
        desk.execute_large(&token, 1).await;
        // The first that is told so.
        desk.ended(&token, "0").await;
        for _ in 1..PUT_OFF_MAX + more {
            assert_eq!(desk.execute(&token, "q", "{ a }").await, Ok(()));
        }
        let claimed = desk.reservations.claim(&token, None);
        if is_there {
            claimed.unwrap();
        } else {
            while desk.drain.sockets() > 0 {
                tokio::task::yield_now().await;
            }
            let executed = desk.execute(&token, "q", "{ a }").await;
            assert_eq!(executed, Err(Refused::Unknown));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_when_the_server_begins_to_stop_does_not_begin() {
    let desk = Desk::new();
    let token = desk.reserve("ada").await;
    let mut client = desk.open(&token, 1024).await;
    desk.execute(&token, "q", "{ a }").await.unwrap();
    // The stream is there.
    client.read_u8().await.unwrap();
    {
        let mut mutation = pin!(desk.execute(&token, "m", "mutation { send }"));
        let mut subscription = pin!(desk.execute(&token, "s", "subscription { s }"));
        assert_eq!(mutation.as_mut().now_or_never(), None);
        assert_eq!(subscription.as_mut().now_or_never(), None);
        desk.drain.begin();
        assert_eq!(mutation.await, Ok(()));
        assert_eq!(subscription.await, Ok(()));
    }
    let (text, _) = until_its_end(client).await;
    assert!(text.contains(r#"{"id":"m","payload":{"errors":"#), "{text}");
    assert!(text.contains(&complete("m")), "{text}");
    // A subscription that is told of an error is over for its client; this one comes back.
    assert!(!text.contains(r#""id":"s""#), "{text}");
    assert!(desk.stage.begun.lock().unwrap().is_empty());
}
