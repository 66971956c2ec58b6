//! Clients served from one epoll: subscribers, and a publisher unless they only listen.

use std::time::{Duration, Instant};

use anyhow::Context;
use mio::{Events, Poll, Token};

use super::client::Client;
use super::ledger::Ledger;
use super::role::Role;
use super::talk::Talk;

/// Clients that may be in the middle of connecting: well below the queue of anyone's listener.
const CONNECTING_MAX: usize = 64;
/// A server from which nothing comes for so long is not slow but stuck.
pub(super) const SILENCE: Duration = Duration::from_secs(30);
/// Large enough for one read to empty a socket in most cases, small enough to stay in the core's cache.
const READ_BYTES: usize = 64 * 1024;
/// Of the bodies from which the right length is told: enough for a header of the same kind.
const FIRST_BODY_BYTES: usize = 200;

pub struct Crowd {
    pub ledger: Ledger,
    pub subscribers: Vec<Client>,
    /// Clients that may be in the middle of connecting.
    pub connecting_max: usize,
    pub(super) publisher: Option<Client>,
    pub(super) talk: Talk,
    pub(super) room_ids: Vec<String>,
    /// Subscribers of each room.
    pub(super) listeners: Vec<i64>,
    /// Bytes of each body, so that each frame is as long as everyone's.
    pub(super) body_bytes: usize,
    address: String,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
}

const PUBLISHER: Token = Token(usize::MAX);

impl Crowd {
    /// A publisher, and nobody yet who listens.
    pub fn new(address: &str, talk: Talk, room_ids: Vec<String>) -> anyhow::Result<Self> {
        let mut crowd = Self::of_listeners(address, talk)?;
        crowd.ledger = Ledger::of_publisher();
        crowd.open_rooms(room_ids);
        let role = Role::publisher();
        let mut publisher = Client::connect(address, talk, role, &mut crowd.ledger)?;
        publisher.register(crowd.poll.registry(), PUBLISHER)?;
        crowd.publisher = Some(publisher);
        crowd.wait("connecting", |crowd| crowd.ledger.ready == 1)?;
        Ok(crowd)
    }

    /// Only for who listens to what another crowd publishes. When that was sent is not known here.
    pub fn of_listeners(address: &str, talk: Talk) -> anyhow::Result<Self> {
        Ok(Self {
            ledger: Ledger::of_listeners(),
            subscribers: Vec::new(),
            connecting_max: CONNECTING_MAX,
            publisher: None,
            talk,
            room_ids: Vec::new(),
            listeners: Vec::new(),
            body_bytes: FIRST_BODY_BYTES,
            address: address.to_owned(),
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            buffer: vec![0; READ_BYTES],
        })
    }

    pub(super) fn open_rooms(&mut self, room_ids: Vec<String>) {
        self.listeners.resize(room_ids.len(), 0);
        self.ledger.open_rooms(room_ids.len());
        self.room_ids = room_ids;
    }

    /// Connects them all and has each ask for what it wants.
    pub fn connect(&mut self, roles: impl IntoIterator<Item = Role>) -> anyhow::Result<()> {
        for role in roles {
            if let Some(listeners) = self.listeners.get_mut(role.room) {
                *listeners += 1;
            }
            let mut client = Client::connect(&self.address, self.talk, role, &mut self.ledger)?;
            client.register(self.poll.registry(), Token(self.subscribers.len()))?;
            self.subscribers.push(client);
            self.wait("connecting", |crowd| {
                crowd.connecting() < crowd.connecting_max
            })?;
        }
        self.wait("connecting", |crowd| crowd.connecting() == 0)
    }

    const fn connecting(&self) -> usize {
        self.subscribers.len() + self.publisher.is_some() as usize
            - self.ledger.ready
            - self.ledger.lost
    }

    /// Connects anew whoever was cut off, each from what it got last.
    pub fn reconnect(&mut self) -> anyhow::Result<usize> {
        let mut again = 0;
        for n in 0..self.subscribers.len() {
            if self.subscribers[n].is_lost() {
                let role = self.subscribers[n].resumed();
                self.ledger.lost -= 1;
                let mut client = Client::connect(&self.address, self.talk, role, &mut self.ledger)?;
                client.register(self.poll.registry(), Token(n))?;
                self.subscribers[n] = client;
                again += 1;
            }
        }
        Ok(again)
    }

    /// Serves sockets until something is so.
    pub fn wait(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let mut heard = Instant::now();
        while !is_so(self) {
            if self.turn(Some(Instant::now() + SILENCE))? {
                heard = Instant::now();
            }
            let silent = heard.elapsed() >= SILENCE;
            anyhow::ensure!(!silent, "{what}: nothing came for {SILENCE:?}");
        }
        Ok(())
    }

    /// Serves sockets until then.
    pub fn serve_until(&mut self, until: Instant) -> anyhow::Result<()> {
        while Instant::now() < until {
            self.turn(Some(until))?;
        }
        Ok(())
    }

    /// Serves what is ready, waiting for it until `until` at most. Whether anything was.
    pub fn turn(&mut self, until: Option<Instant>) -> anyhow::Result<bool> {
        let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
        self.poll.poll(&mut self.events, timeout)?;
        for event in &self.events {
            let client = match event.token() {
                PUBLISHER => self.publisher.as_mut(),
                Token(n) => self.subscribers.get_mut(n),
            };
            let Some(client) = client.filter(|client| !client.is_lost()) else {
                continue;
            };
            client
                .serve(event.is_read_closed(), &mut self.buffer, &mut self.ledger)
                .with_context(|| client.name().to_owned())?;
        }
        Ok(!self.events.is_empty())
    }
}
