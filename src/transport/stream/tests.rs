//! When a stream ends, on a clock that tests set.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::feed::Feed;
use super::format::Format;
use super::wire::Wire;
use crate::auth::Viewer;
use crate::hub::{Frame, Notice, Outbox};
use crate::model::{Cursor, UserId};
use crate::transport::census::Census;
use crate::transport::drain::Drain;
use crate::transport::ws::{Subscriptions, Timers, Waits};

/// A connection of the hub's, by hand.
struct ByHand {
    notices: Mutex<mpsc::UnboundedReceiver<Notice>>,
    outbox: Arc<Outbox>,
}

impl Subscriptions for ByHand {
    type Plan = ();

    fn subscribe(&self, _: Arc<str>, (): (), _: Option<Cursor>) {}

    fn unsubscribe(&self, _: &str) {}

    fn renew(&self, _: &Viewer) {}

    fn leave_cleanly(&self) {}

    fn ping(&self) {
        self.outbox
            .push_ping(Frame::whole(Bytes::from_static(b":\n\n")));
    }

    fn poll_notice(&self, cx: &mut Context<'_>) -> Poll<Notice> {
        match ready!(self.notices.lock().unwrap().poll_recv(cx)) {
            Some(notice) => Poll::Ready(notice),
            None => Poll::Pending,
        }
    }
}

/// A stream over a pipe that takes `room` bytes, and the client's end of it.
struct Stage {
    client: DuplexStream,
    outbox: Arc<Outbox>,
    notices: mpsc::UnboundedSender<Notice>,
    drain: Drain,
    serving: JoinHandle<()>,
    begun: Instant,
}

const SECOND: Duration = Duration::from_secs(1);

impl Stage {
    fn new(room: usize, lifetime: Duration) -> Self {
        let (client, server) = tokio::io::duplex(room);
        let framing = Format::Events.framing(true);
        let outbox = Arc::new(Outbox::framed(Outbox::BUDGET_BYTES, framing));
        let (notices, told) = mpsc::unbounded_channel();
        let drain = Drain::new(10 * SECOND);
        let now = Instant::now().into_std();
        let mut timers = Timers::new(Waits::default(), now);
        timers.initialised(now);
        timers.acknowledged(now, lifetime, 1.0, now);
        let ada = UserId::parse("id", "ada").unwrap();
        let feed = Feed {
            connection: ByHand {
                notices: Mutex::new(told),
                outbox: outbox.clone(),
            },
            timers,
            drain: drain.clone(),
            last_words: Format::Events.last_words(true),
            counted: Arc::new(Census::default()).enter(&ada, 0).unwrap(),
        };
        let serving = drain.spawn(feed.serve(Wire::new(server, outbox.clone())));
        Self {
            client,
            outbox,
            notices,
            drain,
            serving,
            begun: Instant::now(),
        }
    }

    fn push(&self, text: &'static str) {
        self.outbox.push(Frame::whole(text.into()));
    }

    /// All that comes until the stream ends, and when that is.
    async fn until_its_end(mut self) -> (String, Duration) {
        let mut text = String::new();
        self.client.read_to_string(&mut text).await.unwrap();
        let ended = self.begun.elapsed();
        drop(self.client);
        self.serving.await.unwrap();
        (text, ended)
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn the_end_of_a_subscription_is_told_behind_all_that_waits() {
    let stage = Stage::new(1024, HOUR);
    stage.push("event: next\ndata: {}\n\n");
    stage.notices.send(Notice::Ended("".into())).unwrap();
    let (text, _) = stage.until_its_end().await;
    assert_eq!(
        text,
        "16\r\nevent: next\ndata: {}\n\n\r\n17\r\nevent: complete\ndata:\n\n\r\n0\r\n\r\n"
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_hub_closes_is_cut() {
    let stage = Stage::new(1024, HOUR);
    stage.notices.send(Notice::Close(1013, "later")).unwrap();
    assert_eq!(stage.until_its_end().await.0, "");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_for_ten_seconds_is_cut_off() {
    let stage = Stage::new(16, HOUR);
    stage.push("more than its pipe takes at once, and nobody reads");
    let begun = stage.begun;
    stage.serving.await.unwrap();
    assert_eq!(begun.elapsed(), 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_a_little_now_and_then_is_not() {
    let mut stage = Stage::new(16, HOUR);
    stage.push("more than its pipe takes at once, and somebody reads slowly");
    for _ in 0..3 {
        tokio::time::sleep(9 * SECOND).await;
        stage.client.read_exact(&mut [0; 16]).await.unwrap();
    }
    assert!(!stage.serving.is_finished());
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_token_without_an_end() {
    let stage = Stage::new(1024, 20 * SECOND);
    let (text, ended) = stage.until_its_end().await;
    assert_eq!((text.as_str(), ended), ("", 20 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_comment_comes_every_25_seconds() {
    let stage = Stage::new(1024, 80 * SECOND);
    let (text, _) = stage.until_its_end().await;
    assert_eq!(text, "3\r\n:\n\n\r\n".repeat(3));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_ends_streams_within_its_grace_and_without_an_end() {
    let stage = Stage::new(1024, HOUR);
    let drain = stage.drain.clone();
    drain.begin();
    tokio::task::yield_now().await;
    stage.push("event: next\ndata: {}\n\n");
    let (text, ended) = stage.until_its_end().await;
    assert_eq!(text, "16\r\nevent: next\ndata: {}\n\n\r\n");
    assert!(ended < 10 * SECOND, "{ended:?}");
    assert_eq!(drain.finished().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_ends_its_stream() {
    let stage = Stage::new(1024, HOUR);
    drop(stage.client);
    stage.serving.await.unwrap();
    assert!(stage.outbox.push(Frame::whole("nobody".into())));
    assert_eq!(stage.outbox.queued_bytes(), 0);
}
