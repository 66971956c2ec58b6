//! A publisher and any number of subscribers, served from one epoll.

use std::time::{Duration, Instant};

use anyhow::Context;
use mio::{Events, Poll, Token};

use super::client::Client;
use super::ledger::Ledger;
use super::talk::{Role, Talk};

/// The publisher is the first client.
const PUBLISHER: usize = 0;
/// Clients that may be in the middle of connecting: well below the queue of anyone's listener.
const CONNECTING_MAX: usize = 64;
/// A server from which nothing comes for so long is not slow but stuck.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes of messages that wait for the publisher's socket to take them, in a burst.
const AHEAD_BYTES: usize = 64 * 1024;
/// Large enough for one read to empty a socket in most cases, small enough to stay in the core's cache.
const READ_BYTES: usize = 64 * 1024;
/// Of the bodies from which the right length is told: enough for a header of the same kind.
const FIRST_BODY_BYTES: usize = 200;
/// Messages of a publisher that are not answered yet, where they are answered. Tidings refuses more than 100.
const UNANSWERED_MAX: usize = 64;

pub struct Crowd {
    pub ledger: Ledger,
    pub clients: Vec<Client>,
    address: String,
    talk: Talk,
    room_ids: Vec<String>,
    /// Subscribers of each room.
    listeners: Vec<i64>,
    /// Bytes of each body, so that each frame is as long as everyone's.
    body_bytes: usize,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
}

impl Crowd {
    /// A publisher, and nobody who listens.
    pub fn new(address: &str, talk: Talk, room_ids: Vec<String>) -> anyhow::Result<Self> {
        let mut crowd = Self {
            ledger: Ledger::new(room_ids.len()),
            clients: Vec::new(),
            address: address.to_owned(),
            talk,
            listeners: vec![0; room_ids.len()],
            room_ids,
            body_bytes: FIRST_BODY_BYTES,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            buffer: vec![0; READ_BYTES],
        };
        let publisher = Role {
            user: "publisher".to_owned(),
            room: 0,
            follows: None,
        };
        crowd.connect([publisher])?;
        Ok(crowd)
    }

    /// Connects them all and has each ask for what it wants.
    pub fn connect(&mut self, roles: impl IntoIterator<Item = Role>) -> anyhow::Result<()> {
        for role in roles {
            if role.follows.is_some() {
                self.listeners[role.room] += 1;
            }
            let mut client = Client::connect(&self.address, self.talk, role)?;
            client.register(self.poll.registry(), Token(self.clients.len()))?;
            self.clients.push(client);
            self.wait("connecting", |crowd| crowd.connecting() < CONNECTING_MAX)?;
        }
        self.wait("connecting", |crowd| {
            crowd.clients.iter().all(Client::is_ready)
        })
    }

    /// Clients become ready in about the order in which they came, so the newest tell.
    fn connecting(&self) -> usize {
        let newest = self.clients.iter().rev().take(4 * CONNECTING_MAX);
        newest.filter(|client| !client.is_ready()).count()
    }

    /// Everyone who listens, once.
    pub fn subscribers(&self) -> &[Client] {
        &self.clients[PUBLISHER + 1..]
    }

    /// Sends messages until each subscriber has got one.
    pub fn warm_up(&mut self) -> anyhow::Result<()> {
        const PATIENCE: Duration = Duration::from_millis(500);
        let began = Instant::now();
        while self
            .subscribers()
            .iter()
            .any(|client| client.next.is_none())
        {
            anyhow::ensure!(
                began.elapsed() < 4 * SILENCE,
                "not everyone hears the publisher"
            );
            (0..self.room_ids.len()).try_for_each(|room| self.publish(room))?;
            let patience = Instant::now() + PATIENCE;
            while Instant::now() < patience && !self.all_have_all() {
                self.turn(Some(patience))?;
            }
        }
        self.wait("warming up", Self::all_have_all)?;
        self.ledger.outstanding = 0;
        Ok(())
    }

    /// Pads the bodies so that each frame has exactly so many bytes. There must be a subscriber.
    pub fn pad(&mut self, frame_bytes: usize) -> anyhow::Result<()> {
        self.warm_up()?;
        let others = self.ledger.wire_bytes.saturating_sub(self.body_bytes);
        self.body_bytes = frame_bytes.saturating_sub(others);
        self.ledger.frame_bytes = Some(frame_bytes);
        self.publish(0)?;
        self.drain().context("making all frames equally long")
    }

    /// Sends a room's next message.
    pub fn publish(&mut self, room: usize) -> anyhow::Result<()> {
        let body = self.ledger.send(room).body(self.body_bytes);
        self.ledger.outstanding += self.listeners[room];
        let operation = self.ledger.sent_to_all();
        self.clients[PUBLISHER].publish(&self.room_ids[room], &body, operation)
    }

    /// Sends `count` messages, one each `interval`, to each room in turn.
    pub fn pace(&mut self, count: usize, interval: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        for n in 0..count {
            let due = began + interval * u32::try_from(n)?;
            while Instant::now() < due {
                self.turn(Some(due))?;
            }
            self.wait("publishing", Self::may_publish)?;
            self.publish(n % self.room_ids.len())?;
            self.turn(Some(Instant::now()))?;
        }
        Ok(())
    }

    /// Sends `count` messages as fast as the server takes them.
    pub fn burst(&mut self, count: usize) -> anyhow::Result<()> {
        for n in 0..count {
            self.publish(n % self.room_ids.len())?;
            self.wait("publishing", Self::may_publish)?;
        }
        Ok(())
    }

    /// Waits until all have all.
    pub fn drain(&mut self) -> anyhow::Result<()> {
        // Counting is for speed; what counts is that each client has what it must.
        self.wait("delivering", |crowd| {
            crowd.ledger.outstanding <= 0 && crowd.all_have_all()
        })
    }

    fn may_publish(&self) -> bool {
        let unanswered = self.ledger.sent_to_all() - self.ledger.accepted as usize;
        self.clients[PUBLISHER].waiting_bytes() < AHEAD_BYTES
            && (!self.talk.answers() || unanswered < UNANSWERED_MAX)
    }

    fn all_have_all(&self) -> bool {
        let accepted =
            !self.talk.answers() || self.ledger.accepted as usize == self.ledger.sent_to_all();
        accepted
            && self
                .subscribers()
                .iter()
                .all(|client| client.next == Some(self.ledger.sent(client.room())))
    }

    /// Serves sockets until something is so.
    pub fn wait(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let mut heard = Instant::now();
        while !is_so(self) {
            if self.turn(Some(Instant::now() + SILENCE))? {
                heard = Instant::now();
            }
            anyhow::ensure!(
                heard.elapsed() < SILENCE,
                "{what}: nothing came for {SILENCE:?}"
            );
        }
        Ok(())
    }

    /// Serves what is ready, waiting for it until `until` at most. Whether anything was.
    pub fn turn(&mut self, until: Option<Instant>) -> anyhow::Result<bool> {
        let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
        self.poll.poll(&mut self.events, timeout)?;
        for event in &self.events {
            let client = &mut self.clients[event.token().0];
            let served = client
                .flush()
                .and_then(|()| client.read(&mut self.buffer, &mut self.ledger));
            served.with_context(|| format!("client {}", event.token().0))?;
        }
        Ok(!self.events.is_empty())
    }
}
