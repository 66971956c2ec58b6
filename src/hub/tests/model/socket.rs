//! One connection's socket: its outbox, the task that empties it, and what has come out at the client's end.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;

use super::client::Followed;
use super::stage::Woken;
use crate::hub::outbox::{Flush, Framing, Sink};
use crate::hub::{Connection, Frame, Outbox};
use crate::interleave::explored::digest;

pub(super) struct Socket {
    pub(super) connection: Connection,
    pub(super) outbox: Arc<Outbox>,
    /// Where the worker writes to it by itself; else its client takes frames from the outbox.
    wire: Option<Writing>,
    /// Frames that the client has.
    came: RefCell<Vec<Vec<u8>>>,
    pub(super) subs: RefCell<Vec<Followed>>,
    /// The hub wants it closed.
    pub(super) is_closed: Cell<bool>,
}

/// A socket's task.
struct Writing {
    wire: Arc<Wire>,
    woken: Arc<Woken>,
    is_blocked: Cell<bool>,
}

/// What the network holds: at most `room` bytes that the client has not read.
pub(super) struct Wire {
    room: usize,
    bytes: Mutex<Carried>,
}

#[derive(Default)]
struct Carried {
    unread: Vec<u8>,
    /// The beginning of a frame whose end has not come.
    begun: Vec<u8>,
}

impl Wire {
    pub(super) fn new(room: usize) -> Self {
        Self {
            room,
            bytes: Mutex::default(),
        }
    }

    fn free(&self) -> usize {
        self.room - self.bytes.lock().unwrap().unread.len()
    }
}

/// Two bytes that say how long a frame is, and the frame.
pub(super) struct Lengths;

impl Framing for Lengths {
    fn framed_bytes(&self, own: &[u8], shared: &[u8]) -> usize {
        2 + own.len() + shared.len()
    }

    fn frame(&self, own: &[u8], shared: &[u8], out: &mut Vec<u8>) {
        let bytes = u16::try_from(own.len() + shared.len()).unwrap();
        out.extend_from_slice(&bytes.to_be_bytes());
        out.extend_from_slice(own);
        out.extend_from_slice(shared);
    }
}

impl Sink for Wire {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.free());
        if taken == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut carried = self.bytes.lock().unwrap();
        carried.unread.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }
}

/// The frames in `bytes`, and what is left.
fn frames(mut bytes: &[u8]) -> (Vec<Vec<u8>>, &[u8]) {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk()
        && let Some((frame, rest)) = rest.split_at_checked(u16::from_be_bytes(*length).into())
    {
        frames.push(frame.to_vec());
        bytes = rest;
    }
    (frames, bytes)
}

impl Socket {
    pub(super) fn new(connection: Connection, wire: Option<Arc<Wire>>) -> Self {
        let wire = wire.map(|wire| Writing {
            wire,
            // It has not looked yet.
            woken: Arc::new(Woken::new(true)),
            is_blocked: Cell::new(false),
        });
        Self {
            outbox: connection.line.outbox.clone(),
            connection,
            wire,
            came: RefCell::default(),
            subs: RefCell::default(),
            is_closed: Cell::new(false),
        }
    }

    /// All that was queued so far, in order.
    pub(super) fn queued(&self) -> Vec<Vec<u8>> {
        let mut all = self.came.borrow().clone();
        let (torn, _) = self.outbox.waiting();
        if let Some(writing) = &self.wire {
            let carried = writing.wire.bytes.lock().unwrap();
            let bytes = [&carried.begun[..], &carried.unread, &torn].concat();
            let (whole, rest) = frames(&bytes);
            assert!(rest.is_empty(), "half a frame");
            all.extend(whole);
        }
        all.extend(self.waiting());
        all
    }

    /// Whole frames that the outbox holds.
    pub(super) fn waiting(&self) -> impl Iterator<Item = Vec<u8>> {
        let (_, waiting) = self.outbox.waiting();
        let text = |frame: Frame| [&frame.own[..], &frame.shared].concat();
        waiting.into_iter().map(text)
    }

    pub(super) fn can_take(&self) -> bool {
        match &self.wire {
            Some(writing) => writing.wire.free() < writing.wire.room,
            None => self.outbox.queued_bytes() > 0,
        }
    }

    /// The client reads: all that the network holds, or one frame from the outbox. The frames that it has now.
    pub(super) fn take(&self) -> Vec<Vec<u8>> {
        let taken = match &self.wire {
            Some(writing) => {
                let mut carried = writing.wire.bytes.lock().unwrap();
                let unread = std::mem::take(&mut carried.unread);
                carried.begun.extend(unread);
                let (whole, rest) = frames(&carried.begun);
                let rest = rest.to_vec();
                carried.begun = rest;
                whole
            }
            None => {
                let mut frames = Vec::new();
                self.outbox.take(&mut frames, 1).now_or_never().unwrap();
                let frames = frames.iter();
                frames
                    .map(|frame| [&frame.own[..], &frame.shared].concat())
                    .collect()
            }
        };
        self.came.borrow_mut().extend(taken.clone());
        taken
    }

    /// Whether the socket's task has something to do.
    pub(super) fn can_flush(&self) -> bool {
        self.wire.as_ref().is_some_and(|writing| {
            let has_room = writing.is_blocked.get() && writing.wire.free() > 0;
            writing.woken.is_set() || has_room
        })
    }

    /// The socket's task writes once.
    pub(super) fn flush(&self) {
        let writing = self.wire.as_ref().unwrap();
        writing.woken.set(false);
        writing.is_blocked.set(false);
        let waker = Waker::from(writing.woken.clone());
        let write = |_: &mut Context<'_>, bytes: &[u8]| match writing.wire.try_write(bytes) {
            Ok(taken) => Poll::Ready(Ok(taken)),
            Err(_) => Poll::Pending,
        };
        let flush = |write| self.outbox.flush(&mut Context::from_waker(&waker), write);
        match flush(write) {
            Flush::Idle => {}
            Flush::Blocked => writing.is_blocked.set(true),
            Flush::Wrote { .. } => writing.woken.set(true),
            Flush::Ping => {
                self.outbox.complete_ping(|ping| ping);
                writing.woken.set(true);
            }
            Flush::Lost => panic!("the socket is there"),
        }
    }

    /// All that what comes may depend on; `contents`: also on what the client reads.
    pub(super) fn state(&self, contents: bool) -> u64 {
        let (torn, waiting) = self.outbox.waiting();
        let sizes: Vec<_> = waiting.iter().map(Frame::len).collect();
        let waiting: Option<Vec<_>> = contents.then(|| self.waiting().collect());
        let writing = self.wire.as_ref().map(|writing| {
            let carried = writing.wire.bytes.lock().unwrap();
            let flags = (writing.woken.is_set(), writing.is_blocked.get());
            let sizes = (carried.unread.len(), carried.begun.len());
            let contents = contents.then(|| (carried.unread.clone(), carried.begun.clone()));
            (flags, sizes, contents)
        });
        let flags = (self.outbox.has_unfinished_ping(), self.is_closed.get());
        digest(&(torn.len(), sizes, waiting, writing, flags))
    }
}
