//! One client: a socket that never blocks, what is still to be written to it, and how far its conversation has come.

use std::io::{ErrorKind, Read, Write};
use std::{mem, net};

use anyhow::{Context, bail};
use memchr::memmem;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use serde_json::Value as Json;

use super::frames::{Frame, Frames};
use super::ledger::Ledger;
use super::mark::Mark;
use super::role::Role;
use super::stamp::Stamp;
use super::talk::{self, Heard, Talk};

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The HTTP response is not whole yet.
    Upgrading,
    /// Greeted, not yet welcome.
    Greeting,
    /// Whatever it wanted has been asked for.
    Ready,
    /// Cut off, which it may be.
    Lost,
}

pub struct Client {
    /// The number of the message that must come next; none before the first has come.
    pub next: Option<usize>,
    phase: Phase,
    stream: TcpStream,
    talk: Talk,
    role: Role,
    response: Vec<u8>,
    frames: Frames,
    out: Vec<u8>,
    written: usize,
    stamp: Mark,
    /// The place of the message that came last, for who resumes.
    cursor: Option<String>,
    cursor_mark: Mark,
    /// Numbers that came before their turn, from a server that may do so.
    early: Vec<usize>,
}

impl Client {
    /// Connects, which on a loopback address is done as soon as the listener's queue has room.
    pub fn connect(
        address: &str,
        talk: Talk,
        role: Role,
        ledger: &mut Ledger,
    ) -> anyhow::Result<Self> {
        let stream = net::TcpStream::connect(address).context("connecting")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut client = Self {
            next: role.next,
            phase: Phase::Upgrading,
            stream: TcpStream::from_std(stream),
            talk,
            role,
            response: Vec::new(),
            frames: talk.frames(),
            out: Vec::new(),
            written: 0,
            stamp: Mark::new(Stamp::MARK),
            cursor: None,
            cursor_mark: Mark::new("\"cursor\":\""),
            early: Vec::new(),
        };
        match talk.upgrade(address, &client.role) {
            Some(request) => client.out = request.into_bytes(),
            None => client.greet(ledger)?,
        }
        client.flush()?;
        Ok(client)
    }

    pub fn register(&mut self, registry: &Registry, token: Token) -> anyhow::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        Ok(registry.register(&mut self.stream, token, both)?)
    }

    /// Whether it was cut off.
    pub fn is_lost(&self) -> bool {
        self.phase == Phase::Lost
    }

    pub fn name(&self) -> &str {
        &self.role.user
    }

    /// The place of the message that came last, if the role keeps it.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// The same client once more, to go on from what it got last.
    pub fn resumed(&self) -> Role {
        let mut role = self.role.clone();
        role.next = self.next;
        if let (Some(follows), Some(cursor)) = (&mut role.follows, &self.cursor) {
            follows.variables["after"] = cursor.as_str().into();
        }
        role
    }

    /// The room whose messages it gets.
    pub const fn room(&self) -> usize {
        self.role.room
    }

    /// Bytes that are still to be written.
    pub const fn waiting_bytes(&self) -> usize {
        self.out.len() - self.written
    }

    pub fn publish(&mut self, room_id: &str, body: &str, operation: usize) -> anyhow::Result<()> {
        self.talk.publish(&mut self.out, room_id, body, operation);
        self.flush()
    }

    /// Has a publisher execute an operation; its acceptance is counted.
    pub fn execute(
        &mut self,
        operation: usize,
        document: &str,
        variables: &Json,
    ) -> anyhow::Result<()> {
        talk::execute(&mut self.out, operation, document, variables);
        self.flush()
    }

    /// Writes what waits and reads what there is. `is_closed` says that nothing comes after that.
    ///
    /// # Errors
    /// What no run without a fault sees. For who may be cut off that is being cut off, and no error.
    pub fn serve(
        &mut self,
        is_closed: bool,
        buffer: &mut [u8],
        ledger: &mut Ledger,
    ) -> anyhow::Result<()> {
        let served = self
            .flush()
            .and_then(|()| self.read(is_closed, buffer, ledger));
        if served.is_err() && self.role.may_be_cut {
            ledger.lost += 1;
            ledger.ready -= usize::from(self.phase == Phase::Ready);
            self.phase = Phase::Lost;
            return Ok(());
        }
        served
    }

    /// Writes what the socket takes.
    fn flush(&mut self) -> anyhow::Result<()> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("writing"),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads what there is and enters it into the ledger.
    fn read(
        &mut self,
        is_closed: bool,
        buffer: &mut [u8],
        ledger: &mut Ledger,
    ) -> anyhow::Result<()> {
        loop {
            let bytes = match self.stream.read(buffer) {
                Ok(0) => bail!("closed by the server in phase {:?}", self.phase),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("reading"),
            };
            ledger.tick();
            self.take(&buffer[..bytes], ledger)?;
            // Less than asked for: there was no more (epoll(7), edge-triggered), and asking again would be a call more.
            // The end, though, is not told twice.
            if bytes < buffer.len() && !is_closed {
                return Ok(());
            }
        }
    }

    fn take(&mut self, bytes: &[u8], ledger: &mut Ledger) -> anyhow::Result<()> {
        if self.phase != Phase::Upgrading {
            return self.hear(bytes, ledger);
        }
        self.response.extend_from_slice(bytes);
        let Some(end) = memmem::find(&self.response, b"\r\n\r\n") else {
            return Ok(());
        };
        if !self.response.starts_with(b"HTTP/1.1 101 ") {
            bail!("refused: {}", String::from_utf8_lossy(&self.response));
        }
        let rest = mem::take(&mut self.response).split_off(end + 4);
        self.greet(ledger)?;
        self.flush()?;
        self.hear(&rest, ledger)
    }

    fn greet(&mut self, ledger: &mut Ledger) -> anyhow::Result<()> {
        self.talk.greet(&mut self.out, &self.role)?;
        self.phase = Phase::Greeting;
        if !self.talk.welcomes() {
            self.welcome(ledger);
        }
        Ok(())
    }

    fn welcome(&mut self, ledger: &mut Ledger) {
        if let Some(follows) = &self.role.follows {
            self.talk.subscribe(&mut self.out, follows);
        }
        self.phase = Phase::Ready;
        ledger.ready += 1;
    }

    fn hear(&mut self, bytes: &[u8], ledger: &mut Ledger) -> anyhow::Result<()> {
        // Aside for the while, so that what a frame means may change the rest of the client.
        let mut frames = mem::replace(&mut self.frames, self.talk.frames());
        let fed = frames.feed(bytes, |frame| self.hear_frame(frame, ledger));
        self.frames = frames;
        fed.and_then(|()| self.flush())
    }

    fn hear_frame(&mut self, frame: Frame<'_>, ledger: &mut Ledger) -> anyhow::Result<()> {
        match self.talk.hear(frame, &mut self.stamp)? {
            Heard::Message(stamp) => {
                self.receive(stamp)?;
                if self.role.may_be_cut {
                    self.keep_place(frame.payload)?;
                }
                ledger.received(stamp, frame.wire_bytes)?;
            }
            Heard::Accepted => ledger.accepted += 1,
            Heard::Welcome => self.welcome(ledger),
            Heard::Wants(reply) => self.talk.reply(&mut self.out, reply),
            Heard::Nothing => {}
        }
        Ok(())
    }

    fn keep_place(&mut self, payload: &[u8]) -> anyhow::Result<()> {
        let cursor = self
            .cursor_mark
            .find(payload)
            .and_then(|rest| rest.get(..Talk::CURSOR_BYTES));
        let cursor = str::from_utf8(cursor.context("a message without a cursor")?)?;
        let place = self.cursor.get_or_insert_default();
        place.clear();
        place.push_str(cursor);
        Ok(())
    }

    /// Every message once and in order, or the run is worth nothing.
    fn receive(&mut self, stamp: Stamp) -> anyhow::Result<()> {
        let (room, next) = (self.role.room, self.next.unwrap_or(stamp.number));
        let early = self.talk.reorders() && stamp.number > next;
        let twice = self.early.contains(&stamp.number);
        if stamp.room != room || twice || (stamp.number != next && !early) {
            bail!(
                "{} got {stamp:?} where message {next} of room {room} was due",
                self.role.user
            );
        }
        if early {
            self.early.push(stamp.number);
        } else {
            self.next = Some(next + 1);
        }
        while let Some(at) = self.early.iter().position(|n| Some(*n) == self.next) {
            self.next = Some(self.early.swap_remove(at) + 1);
        }
        Ok(())
    }
}
