//! WebSocket messages over a byte stream: a reader for what comes in; what goes out is in the outbox, and is written from there.
//!
//! Reading and writing go on side by side in one poll: a peer that takes nothing is still listened to. Nothing is kept for
//! a socket that is idle: bytes are read into a buffer of the thread's.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Close;
use super::reader::{Fault, Incoming, Reader};
use crate::hub::{Flush, Framing, Outbox};
use crate::transport::farewell::farewell;

/// What happened on the wire.
#[derive(Debug)]
pub(super) enum Event {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary,
    /// A control frame, already answered where it needs to be.
    Control,
    /// Bytes were written.
    Wrote {
        /// A ping with them.
        pinged: bool,
    },
    /// Bytes wait and the socket takes none.
    Blocked,
    /// The next message to write is a ping, to be completed before.
    Ping,
    /// The peer closes.
    Closed,
    /// The peer is gone without a word.
    Lost,
    /// The peer broke a rule of the wire.
    Broken(Close),
}

/// One end of a WebSocket.
pub(super) struct Wire<S> {
    io: S,
    reader: Reader,
    /// Read, and not looked at yet.
    unread: Bytes,
    outbox: Arc<Outbox>,
    /// The payload of the newest ping that could not be answered yet.
    unanswered: Option<Vec<u8>>,
    /// What the peer's close frame is answered with.
    close_code: Option<u16>,
    blocked: bool,
}

/// Bytes read at a time: most messages are smaller.
const READ_BYTES: usize = 4 * 1024;

thread_local! {
    static READ: RefCell<[u8; READ_BYTES]> = const { RefCell::new([0; READ_BYTES]) };
}

/// Pongs wait for room when so much is to be written; then only the newest is sent (RFC 6455, 5.5.3).
const CONTROL_OUT_BYTES_MAX: usize = 128 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// The server's end of a socket. `early` is what was read from it already.
    pub(super) fn new(io: S, early: Bytes, message_bytes_max: usize, outbox: Arc<Outbox>) -> Self {
        Self {
            io,
            reader: Reader::new(message_bytes_max),
            unread: early,
            outbox,
            unanswered: None,
            close_code: None,
            blocked: false,
        }
    }

    /// What is written from.
    pub(super) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Changes how long a message may be, from the next one on.
    pub(super) fn limit(&mut self, message_bytes_max: usize) {
        self.reader.limit(message_bytes_max);
    }

    /// Sends a close frame behind what was begun - behind everything that waits, where `everything` is asked for - and ends
    /// the socket in such a way that the peer gets to read it.
    pub(super) async fn close(&mut self, close: Close, everything: bool) {
        let reason = close.reason_cut().as_bytes();
        let mut left = self.outbox.finish(everything);
        left.extend_from_slice(header(CLOSE, 2 + reason.len()).as_slice());
        left.extend_from_slice(&close.code.to_be_bytes());
        left.extend_from_slice(reason);
        // Boxed: few sockets are ever here, and all would keep room for it.
        Box::pin(farewell(&mut self.io, &left)).await;
    }

    /// Whether the peer has closed because it was done, rather than over something that went wrong: 1000, 1001 (a page that
    /// is left), or no code at all.
    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.close_code, None | Some(1000 | 1001))
    }

    /// Answers the peer's close frame and ends the socket.
    pub(super) async fn close_back(&mut self) {
        let mut left = self.outbox.finish(false);
        let code = self.close_code.map(u16::to_be_bytes);
        let code = code.as_ref().map_or(&[][..], |code| code);
        left.extend_from_slice(header(CLOSE, code.len()).as_slice());
        left.extend_from_slice(code);
        Box::pin(farewell(&mut self.io, &left)).await;
    }

    /// The next thing that happens. Without `reading`, what the peer sends stays where it is.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, reading: bool) -> Poll<Event> {
        if let Poll::Ready(event) = self.poll_write(cx) {
            return Poll::Ready(event);
        }
        if !reading {
            return Poll::Pending;
        }
        self.poll_read(cx)
    }

    /// Answers a ping, if there is room for that.
    fn pong(&mut self) {
        if self.unanswered.is_some()
            && self.outbox.queued_bytes() <= CONTROL_OUT_BYTES_MAX
            && let Some(payload) = self.unanswered.take()
        {
            let head = header(PONG, payload.len());
            let frame = [head.as_slice(), &payload].concat();
            self.outbox.push_raw(frame.into());
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        self.pong();
        let io = &mut self.io;
        let write = |cx: &mut Context<'_>, bytes: &[u8]| Pin::new(io).poll_write(cx, bytes);
        match self.outbox.flush(cx, write) {
            Flush::Wrote { pinged, left } => {
                self.blocked = false;
                if !left {
                    // Of no effect on TCP; what lies between may hold bytes back.
                    let _ = Pin::new(&mut self.io).poll_flush(cx);
                }
                Poll::Ready(Event::Wrote { pinged })
            }
            Flush::Ping => Poll::Ready(Event::Ping),
            Flush::Lost => Poll::Ready(Event::Lost),
            Flush::Blocked if !self.blocked => {
                self.blocked = true;
                Poll::Ready(Event::Blocked)
            }
            Flush::Blocked | Flush::Idle => Poll::Pending,
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            let mut bytes = &self.unread[..];
            let next = self.reader.next(&mut bytes);
            let read = self.unread.len() - bytes.len();
            self.unread.advance(read);
            if self.unread.is_empty() {
                // It may hold on to much more than the bytes that were read last.
                self.unread = Bytes::new();
            }
            match next {
                Ok(Some(incoming)) => return Poll::Ready(self.incoming(incoming)),
                Ok(None) => {}
                Err(fault) => return Poll::Ready(Event::Broken(broken(fault))),
            }
            if !ready!(self.poll_more(cx)) {
                return Poll::Ready(Event::Lost);
            }
        }
    }

    /// Reads; false when nothing more comes.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        READ.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer));
            self.unread = Bytes::copy_from_slice(buffer.filled());
            Poll::Ready(read.is_ok() && !self.unread.is_empty())
        })
    }

    fn incoming(&mut self, incoming: Incoming) -> Event {
        match incoming {
            Incoming::Text(text) => Event::Text(text),
            Incoming::Binary => Event::Binary,
            Incoming::Ping(payload) => {
                self.unanswered = Some(payload);
                self.pong();
                Event::Control
            }
            Incoming::Pong => Event::Control,
            Incoming::Close(reason) => {
                self.close_code = reason.map(|(code, _)| code);
                Event::Closed
            }
        }
    }
}

impl<S> Drop for Wire<S> {
    /// Workers must not hold on to a socket that is over.
    fn drop(&mut self) {
        self.outbox.close();
    }
}

fn broken(fault: Fault) -> Close {
    match (fault.close_code(), fault) {
        (1009, Fault::TooLarge { bytes_max }) if bytes_max < super::MESSAGE_BYTES_MAX => {
            Close::TOO_LARGE_BEFORE_INIT
        }
        (1009, _) => Close::TOO_LARGE,
        (1007, _) => Close::NOT_UTF8,
        _ => Close::BROKEN_FRAME,
    }
}

const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PONG: u8 = 0xA;

/// A ping of the wire, without a payload. RFC 6455, section 5.5.2.
pub(super) const PING: &[u8] = &[0x89, 0];

/// Each message in a text frame of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextFrames;

impl Framing for TextFrames {
    fn framed_bytes(&self, own: &[u8], shared: &[u8]) -> usize {
        let bytes = own.len() + shared.len();
        header(TEXT, bytes).as_slice().len() + bytes
    }

    fn frame(&self, own: &[u8], shared: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(header(TEXT, own.len() + shared.len()).as_slice());
        out.extend_from_slice(own);
        out.extend_from_slice(shared);
    }
}

/// A final, unmasked frame's header. RFC 6455, section 5.2.
fn header(opcode: u8, bytes: usize) -> Header {
    let start = Header::default().with(&[0x80 | opcode]);
    match (u8::try_from(bytes), u16::try_from(bytes)) {
        (Ok(short), _) if short < 126 => start.with(&[short]),
        (_, Ok(middle)) => start.with(&[126]).with(&middle.to_be_bytes()),
        _ => start.with(&[127]).with(&(bytes as u64).to_be_bytes()),
    }
}

/// At most ten bytes.
#[derive(Clone, Copy, Default)]
struct Header {
    bytes: [u8; 10],
    len: u8,
}

impl Header {
    fn with(mut self, more: &[u8]) -> Self {
        for byte in more {
            if let Some(place) = self.bytes.get_mut(usize::from(self.len)) {
                *place = *byte;
                self.len += 1;
            }
        }
        self
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
