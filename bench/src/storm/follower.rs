//! One who follows a room, is cut off, and comes back as the stock graphql-ws does - but no sooner than a 503 says.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use memchr::memmem;
use rand::Rng;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::load::frames::{CLOSE, Frame, Frames, PING, PONG, TEXT, push_client_frame};
use crate::load::{Role, Talk};
use crate::server::token;

/// What everyone has in common.
pub struct World {
    pub address: String,
    /// Grows when the network cuts everyone off.
    pub cut: watch::Sender<u64>,
    pub tally: Tally,
    /// When each message of the live room was sent.
    pub sent: RefCell<Vec<Instant>>,
    /// Of each delivery there, while it is being measured.
    pub latencies: RefCell<Vec<Duration>>,
}

/// How often something happened, to everyone together.
#[derive(Default)]
pub struct Tally {
    /// Followers who have been live.
    pub followed: Cell<usize>,
    /// Told to go (1012).
    pub told: Cell<usize>,
    /// Refused with 503.
    pub refused: Cell<usize>,
    /// Attempts that failed before they were acknowledged: nobody listens, reset, no answer.
    pub failed: Cell<usize>,
    /// Closed with another code than 1012.
    pub closed: Cell<usize>,
}

pub fn count(cell: &Cell<usize>) {
    cell.set(cell.get() + 1);
}

/// How a connection ended.
enum Gone {
    /// 503, with the seconds that it said.
    Refused(Option<u64>),
    Failed,
    /// After it was acknowledged.
    Lost,
}

pub struct Follower {
    pub world: Rc<World>,
    pub user: String,
    pub room_id: String,
    /// Whether its deliveries are timed; such a one is never cut off.
    pub is_live: bool,
    /// Messages that it has: each once, in order.
    pub has: Rc<Cell<usize>>,
    pub resume: Option<String>,
}

const DOCUMENT: &str = "subscription($roomId:ID!){messageSent(roomId:$roomId){body}}";
/// Longer than any server takes that has not given up.
const PATIENCE: Duration = Duration::from_secs(60);

impl Follower {
    /// For as long as the task lives.
    ///
    /// # Errors
    /// A message that is lost, doubled or out of order.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut retries = 0;
        loop {
            let init = self.init()?;
            let floor = match self.connected(init).await? {
                Gone::Lost => {
                    retries = 0;
                    0
                }
                Gone::Failed => {
                    count(&self.world.tally.failed);
                    0
                }
                Gone::Refused(secs) => {
                    count(&self.world.tally.refused);
                    secs.unwrap_or(0)
                }
            };
            // As graphql-ws 6 waits by default.
            let wait = 2_f64.powi(retries) + rand::rng().random_range(0.3..3.0);
            retries += 1;
            sleep(Duration::from_secs_f64(wait.max(floor as f64))).await;
        }
    }

    /// Comes once, with this `init`, and stays for as long as the task lives where it is let in.
    ///
    /// # Errors
    /// As [`Follower::run`], and a refusal that does not say when to come back.
    pub async fn visit(mut self, init: Vec<u8>) -> anyhow::Result<()> {
        match self.connected(init).await? {
            Gone::Refused(secs) => {
                ensure!(secs.is_some(), "a 503 without Retry-After");
                count(&self.world.tally.refused);
            }
            Gone::Failed => count(&self.world.tally.failed),
            Gone::Lost => {}
        }
        Ok(())
    }

    async fn connected(&mut self, init: Vec<u8>) -> anyhow::Result<Gone> {
        let mut cut = self.world.cut.subscribe();
        let opened = timeout(PATIENCE, self.open()).await;
        let Ok(Ok(opened)) = opened else {
            return Ok(Gone::Failed);
        };
        let (mut tcp, rest) = match opened {
            Ok(opened) => opened,
            Err(secs) => return Ok(Gone::Refused(secs)),
        };
        let mut conversation = Conversation {
            frames: Frames::of_websocket(),
            acknowledged: false,
        };
        let mut buffer = vec![0; 4096];
        let mut out = init;
        self.hear(&mut conversation, &rest, &mut out)?;
        loop {
            if tcp.write_all(&out).await.is_err() {
                return Ok(conversation.gone());
            }
            out.clear();
            let read = tokio::select! {
                read = tcp.read(&mut buffer) => read,
                _ = cut.changed(), if !self.is_live => return Ok(conversation.gone()),
            };
            match read {
                Ok(0) | Err(_) => return Ok(conversation.gone()),
                Ok(bytes) => {
                    if self.hear(&mut conversation, &buffer[..bytes], &mut out)? {
                        return Ok(conversation.gone());
                    }
                }
            }
        }
    }

    /// The socket and what has come behind the handshake; or the seconds that a 503 says.
    async fn open(&self) -> anyhow::Result<Result<(TcpStream, Vec<u8>), Option<u64>>> {
        let mut tcp = TcpStream::connect(&self.world.address).await?;
        tcp.set_nodelay(true)?;
        let talk = Talk::Graphql { ordered: true };
        let upgrade = talk.upgrade(&self.world.address, &Role::publisher());
        let upgrade = upgrade.context("it is a WebSocket")?;
        tcp.write_all(upgrade.as_bytes()).await?;
        let mut head = Vec::new();
        loop {
            ensure!(tcp.read_buf(&mut head).await? > 0, "closed");
            if let Some(end) = memmem::find(&head, b"\r\n\r\n") {
                let rest = head.split_off(end + 4);
                let head = String::from_utf8_lossy(&head).to_lowercase();
                if head.starts_with("http/1.1 503 ") {
                    let after = head.split_once("\r\nretry-after: ");
                    let secs = after.and_then(|(_, rest)| rest.lines().next()?.parse().ok());
                    return Ok(Err(secs));
                }
                ensure!(head.starts_with("http/1.1 101 "), "{head}");
                return Ok(Ok((tcp, rest)));
            }
        }
    }

    /// `connection_init`, with a token.
    ///
    /// # Errors
    /// The token cannot be signed.
    pub fn init(&self) -> anyhow::Result<Vec<u8>> {
        let resume = self.resume.as_ref().map(|place| json!({ "1": place }));
        let payload = json!({ "token": token(&self.user)?, "resume": resume.unwrap_or(json!({})) });
        let init = json!({ "type": "connection_init", "payload": payload });
        let mut out = Vec::new();
        push_client_frame(&mut out, TEXT, init.to_string().as_bytes());
        Ok(out)
    }

    /// What is to be said to that goes into `out`. Whether the server has closed.
    fn hear(
        &mut self,
        conversation: &mut Conversation,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> anyhow::Result<bool> {
        let mut is_closed = false;
        let acknowledged = &mut conversation.acknowledged;
        conversation.frames.feed(bytes, |frame| {
            match frame.kind {
                PING => push_client_frame(out, PONG, b""),
                CLOSE => {
                    let code = frame.payload.get(..2).map(|two| [two[0], two[1]]);
                    let tally = &self.world.tally;
                    match code.map(u16::from_be_bytes) {
                        Some(1012) => count(&tally.told),
                        _ => count(&tally.closed),
                    }
                    push_client_frame(out, CLOSE, frame.payload);
                    is_closed = true;
                }
                TEXT => *acknowledged |= self.take(&frame, out)?,
                kind => bail!("a frame of kind {kind}"),
            }
            Ok(())
        })?;
        Ok(is_closed)
    }

    /// Whether this is the acknowledgement.
    fn take(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) -> anyhow::Result<bool> {
        let text = std::str::from_utf8(frame.payload)?;
        let behind = |mark: &str| text.split_once(mark).map(|(_, rest)| rest);
        let upto_quote = |rest: &str| rest.split('"').next().map(str::to_owned);
        if text.contains(r#""type":"next""#) {
            let body = behind(r#""body":""#).and_then(upto_quote);
            self.receive(&body.with_context(|| text.to_owned())?)?;
            self.resume = behind(r#""cursor":""#).and_then(upto_quote);
        } else if text.contains(r#""type":"ping""#) {
            let place = behind(r#""1":""#).and_then(upto_quote);
            if self.resume.is_none() && place.is_some() {
                count(&self.world.tally.followed);
            }
            self.resume = place;
            push_client_frame(out, TEXT, br#"{"type":"pong"}"#);
        } else if text.contains(r#""type":"connection_ack""#) {
            let payload = json!({ "query": DOCUMENT, "variables": { "roomId": self.room_id } });
            let subscribe = json!({ "id": "1", "type": "subscribe", "payload": payload });
            push_client_frame(out, TEXT, subscribe.to_string().as_bytes());
            return Ok(true);
        } else {
            bail!("{}: {text}", self.user);
        }
        Ok(false)
    }

    fn receive(&mut self, body: &str) -> anyhow::Result<()> {
        let number: usize = body.trim_start_matches('x').parse()?;
        let due = self.has.get();
        ensure!(
            number == due,
            "{} got {number} where {due} was due",
            self.user
        );
        self.has.set(due + 1);
        if self.is_live {
            let sent = self.world.sent.borrow();
            let sent = sent.get(number).context("it was never sent")?;
            self.world.latencies.borrow_mut().push(sent.elapsed());
        }
        Ok(())
    }
}

struct Conversation {
    frames: Frames,
    acknowledged: bool,
}

impl Conversation {
    fn gone(&self) -> Gone {
        if self.acknowledged {
            Gone::Lost
        } else {
            Gone::Failed
        }
    }
}
