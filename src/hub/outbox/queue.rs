//! The queue under an outbox's lock: frames that wait, the rest of one that was taken in part, and who writes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};

use super::{Flush, Frame, Framing, Live, Sink};

/// Bytes that are put together for one write: enough to fill a socket's send buffer, little enough to stay fair.
const WRITE_BYTES: usize = 64 * 1024;
/// What a thread keeps for putting frames together: more than it takes unless a payload is long.
const SCRATCH_BYTES: usize = 4 * WRITE_BYTES;

thread_local! {
    /// Where frames are put together. One copy and one `send` cost less than a vectored write of many small parts.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn with_scratch<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        let done = work(scratch);
        if scratch.capacity() > SCRATCH_BYTES {
            *scratch = Vec::new();
        }
        done
    })
}

/// What this thread keeps.
#[cfg(test)]
pub(super) fn scratch_bytes() -> usize {
    SCRATCH.with_borrow(Vec::capacity)
}

pub(super) struct Queue {
    framing: &'static dyn Framing,
    /// The rest of a frame that the socket took in part.
    torn: Bytes,
    torn_ping: bool,
    frames: VecDeque<Waiting>,
    /// Of all that waits, without what frames it.
    bytes: usize,
    pub(super) sink: Option<Arc<dyn Sink>>,
    /// The task that writes, while it waits for something to write.
    writer: Option<Waker>,
    closed: bool,
}

struct Waiting {
    frame: Frame,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// A ping that is to be completed.
    RawPing,
    /// A ping as it is to be sent.
    Ping,
    /// As it is to be on the wire.
    Raw,
}

impl Queue {
    pub(super) fn new(framing: &'static dyn Framing) -> Self {
        Self {
            framing,
            torn: Bytes::new(),
            torn_ping: false,
            frames: VecDeque::new(),
            bytes: 0,
            sink: None,
            writer: None,
            closed: false,
        }
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> (Vec<u8>, Vec<Frame>) {
        let frames = self.frames.iter().map(|waiting| waiting.frame.clone());
        (self.torn.to_vec(), frames.collect())
    }

    fn is_empty(&self) -> bool {
        self.torn.is_empty() && self.frames.is_empty()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Bytes that wait with this frame.
    pub(super) fn add(&mut self, frame: Frame) -> usize {
        self.put(frame, Kind::Text)
    }

    pub(super) fn add_ping(&mut self, frame: Frame) {
        self.put(frame, Kind::RawPing);
    }

    pub(super) fn add_raw(&mut self, bytes: Bytes) {
        self.put(Frame::whole(bytes), Kind::Raw);
    }

    fn put(&mut self, frame: Frame, kind: Kind) -> usize {
        if !self.closed {
            self.bytes += frame.len();
            self.frames.push_back(Waiting { frame, kind });
            self.wake();
        }
        self.bytes
    }

    pub(super) fn take(&mut self, frames: &mut Vec<Frame>, max_bytes: usize) {
        let (before, mut taken) = (frames.len(), 0);
        while let Some(Waiting { frame, .. }) = self.frames.front() {
            let bytes = frame.len();
            if frames.len() > before && taken + bytes > max_bytes {
                break;
            }
            taken += bytes;
            frames.extend(self.frames.pop_front().map(|waiting| waiting.frame));
        }
        self.bytes -= taken;
        self.shrink();
    }

    pub(super) fn wake_when_filled(&mut self, cx: &Context<'_>) {
        match &mut self.writer {
            Some(writer) => writer.clone_from(cx.waker()),
            writer => *writer = Some(cx.waker().clone()),
        }
    }

    fn wake(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    pub(super) fn complete_ping(&mut self, complete: impl FnOnce(Bytes) -> Bytes) {
        let ping = self.frames.iter_mut().find(|frame| frame.is_unfinished());
        if let Some(ping) = ping {
            let before = ping.frame.len();
            ping.frame.own = complete(std::mem::take(&mut ping.frame.own));
            ping.kind = Kind::Ping;
            self.bytes = self.bytes - before + ping.frame.len();
        }
    }

    pub(super) fn has_unfinished_ping(&self) -> bool {
        self.frames.iter().any(Waiting::is_unfinished)
    }

    pub(super) fn close(&mut self) {
        *self = Self {
            writer: self.writer.take(),
            closed: true,
            ..Self::new(self.framing)
        };
        self.wake();
    }

    /// See [`super::Outbox::finish`].
    pub(super) fn left(&mut self, everything: bool) -> Vec<u8> {
        let mut left = Vec::from(std::mem::take(&mut self.torn));
        if everything {
            for waiting in self.frames.drain(..) {
                waiting.write(self.framing, &mut left);
            }
        }
        left
    }

    /// See [`super::Outbox::flush`].
    pub(super) fn flush(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut Context<'_>, &[u8]) -> Poll<io::Result<usize>>,
    ) -> Flush {
        if self.is_empty() {
            self.wake_when_filled(cx);
            return Flush::Idle;
        }
        if self.torn.is_empty() && self.frames.front().is_some_and(Waiting::is_unfinished) {
            return Flush::Ping;
        }
        match self.write(|bytes| write(cx, bytes)) {
            Poll::Pending => {
                // What is queued meanwhile changes nothing.
                self.writer = None;
                Flush::Blocked
            }
            Poll::Ready(Ok(0) | Err(_)) => Flush::Lost,
            Poll::Ready(Ok(bytes)) => {
                let pinged = self.wrote(bytes);
                let left = !self.is_empty();
                self.shrink();
                Flush::Wrote { pinged, left }
            }
        }
    }

    /// Writes what comes first, at most some [`WRITE_BYTES`] of it: of a large frame each byte is copied once, however little of it
    /// the socket takes at a time.
    fn write(
        &mut self,
        write: impl FnOnce(&[u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.torn.len() >= WRITE_BYTES {
            return write(&self.torn[..WRITE_BYTES]);
        }
        let framing = self.framing;
        if self.torn.is_empty()
            && let Some(first) = self.frames.front().filter(|first| first.is_large(framing))
        {
            let mut frame = Vec::with_capacity(first.bytes(framing));
            first.write(framing, &mut frame);
            let wrote = write(&frame[..WRITE_BYTES]);
            if let Poll::Ready(Ok(1..)) = wrote {
                self.tear(frame.into());
            }
            return wrote;
        }
        with_scratch(|scratch| {
            scratch.extend_from_slice(&self.torn);
            let finished = self
                .frames
                .iter()
                .take_while(|waiting| !waiting.is_unfinished() && !waiting.is_large(framing));
            for waiting in finished {
                if scratch.len() >= WRITE_BYTES {
                    break;
                }
                waiting.write(framing, scratch);
            }
            write(scratch)
        })
    }

    /// The first frame is taken in part: these are its bytes, of which none is taken away yet.
    fn tear(&mut self, frame: Bytes) {
        if let Some(first) = self.frames.pop_front() {
            self.bytes = self.bytes - first.frame.len() + frame.len();
            self.torn = frame;
            self.torn_ping = first.kind == Kind::Ping;
        }
    }

    /// Takes away what was written; true where a ping has left with it.
    fn wrote(&mut self, mut bytes: usize) -> bool {
        let of_torn = bytes.min(self.torn.len());
        self.torn.advance(of_torn);
        self.bytes -= of_torn;
        bytes -= of_torn;
        let mut pinged = self.torn.is_empty() && std::mem::take(&mut self.torn_ping);
        while bytes > 0
            && let Some(waiting) = self.frames.front()
        {
            let whole = waiting.bytes(self.framing);
            if bytes < whole {
                let mut frame = Vec::with_capacity(whole);
                waiting.write(self.framing, &mut frame);
                self.tear(frame.into());
                self.torn.advance(bytes);
                self.bytes -= bytes;
                break;
            }
            bytes -= whole;
            pinged |= waiting.kind == Kind::Ping;
            self.bytes -= waiting.frame.len();
            self.frames.pop_front();
        }
        pinged
    }

    /// Writes live payloads to the socket itself while nothing waits before them; how many of them are done with. The rest of
    /// one that was taken in part waits.
    pub(super) fn write_through<'a>(
        &mut self,
        count: usize,
        at: &impl Fn(usize) -> Live<'a>,
    ) -> usize {
        let mut done = 0;
        if !self.is_empty() {
            return done;
        }
        let Some(sink) = &self.sink else {
            return done;
        };
        with_scratch(|scratch| {
            while done < count {
                scratch.clear();
                let mut next = done;
                while next < count && scratch.len() < WRITE_BYTES {
                    encode(self.framing, at(next), scratch);
                    next += 1;
                }
                if scratch.is_empty() {
                    done = next;
                    continue;
                }
                // Where the socket is gone, its task is told so when it writes.
                let Ok(wrote) = sink.try_write(scratch) else {
                    return;
                };
                if wrote < scratch.len() {
                    let (whole, torn) = torn_at(wrote, done, self.framing, at);
                    done = whole;
                    self.torn = Bytes::copy_from_slice(&scratch[wrote..wrote + torn]);
                    self.bytes = torn;
                    return;
                }
                done = next;
            }
        });
        if !self.is_empty() {
            self.wake();
        }
        done
    }

    fn shrink(&mut self) {
        // Live events of a socket that keeps up do not come by here: an idle connection should hold next to nothing.
        if self.frames.is_empty() && self.frames.capacity() > 0 {
            self.frames = VecDeque::new();
        }
        if self.torn.is_empty() {
            self.torn = Bytes::new();
        }
    }
}

impl Waiting {
    fn is_unfinished(&self) -> bool {
        self.kind == Kind::RawPing
    }

    /// Whether it is written in several parts, and by itself.
    fn is_large(&self, framing: &dyn Framing) -> bool {
        self.bytes(framing) > WRITE_BYTES
    }

    fn bytes(&self, framing: &dyn Framing) -> usize {
        match self.kind {
            Kind::Raw => self.frame.len(),
            _ => framing.framed_bytes(&self.frame.own, &self.frame.shared),
        }
    }

    fn write(&self, framing: &dyn Framing, out: &mut Vec<u8>) {
        match self.kind {
            Kind::Raw => out.extend_from_slice(&self.frame.own),
            _ => framing.frame(&self.frame.own, &self.frame.shared, out),
        }
    }
}

fn encode(framing: &dyn Framing, live: Live<'_>, out: &mut Vec<u8>) {
    if !live.ended.load(Ordering::Relaxed) {
        framing.frame(live.prefix, live.payload, out);
    }
}

/// Where in the payloads from `first` on the socket has stopped after `wrote` bytes: how many are done with, counting the
/// one that it took in part, and how much of that one is left.
fn torn_at<'a>(
    wrote: usize,
    first: usize,
    framing: &dyn Framing,
    at: &impl Fn(usize) -> Live<'a>,
) -> (usize, usize) {
    let (mut end, mut next) = (0, first);
    while end < wrote {
        let live = at(next);
        next += 1;
        if !live.ended.load(Ordering::Relaxed) {
            end += framing.framed_bytes(live.prefix, live.payload);
        }
    }
    (next, end - wrote)
}
