//! WebSocket messages over a byte stream: tungstenite's state machine for what comes in and for control frames; what goes out
//! is in the outbox, and is written from there.
//!
//! Reading and writing go on side by side in one poll: a peer that takes nothing is still listened to.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message, Utf8Bytes, error::ProtocolError};

use super::Close;
use crate::hub::{Flush, Header, Outbox};

/// What happened on the wire.
#[derive(Debug)]
pub(super) enum Event {
    /// A text message.
    Text(Utf8Bytes),
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
    context: WebSocketContext,
    outbox: Arc<Outbox>,
    /// Control frames of tungstenite's that are not in the outbox yet.
    control: Vec<u8>,
    blocked: bool,
}

/// tungstenite clears this much on each read, and most messages are smaller.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Pongs wait for room when so much is to be written; then only the newest is sent (RFC 6455, 5.5.3).
const CONTROL_OUT_BYTES_MAX: usize = 128 * 1024;
/// How long a peer may take to read its close frame and close its side.
const FAREWELL: Duration = Duration::from_secs(2);

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// The server's end of a socket. `early` is what was read from it already.
    pub(super) fn new(io: S, early: &Bytes, message_bytes_max: usize, outbox: Arc<Outbox>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(READ_BUFFER_BYTES)
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        Self {
            io,
            context: WebSocketContext::from_partially_read(
                early.to_vec(),
                Role::Server,
                Some(config),
            ),
            outbox,
            control: Vec::new(),
            blocked: false,
        }
    }

    /// Changes how long a message may be, from the next one on.
    pub(super) fn limit(&mut self, message_bytes_max: usize) {
        self.context.set_config(|config| {
            config.max_message_size = Some(message_bytes_max);
            config.max_frame_size = Some(message_bytes_max);
        });
    }

    /// The next thing that happens. Nothing is lost when this is dropped. Without `reading`, what the peer sends stays
    /// where it is.
    pub(super) async fn event(&mut self, reading: bool) -> Event {
        std::future::poll_fn(|cx| self.poll(cx, reading)).await
    }

    /// Sends a close frame behind what was begun - behind everything that waits, where `everything` is asked for - and ends
    /// the socket in such a way that the peer gets to read it.
    pub(super) async fn close(self, close: Close, everything: bool) {
        let reason = close.reason_cut().as_bytes();
        let mut left = self.outbox.finish(text_header, everything);
        left.extend_from_slice(header(0x8, 2 + reason.len()).as_slice());
        left.extend_from_slice(&close.code.to_be_bytes());
        left.extend_from_slice(reason);
        // Boxed: few sockets are ever here, and all would keep room for it.
        Box::pin(self.farewell(left)).await;
    }

    /// Answers the peer's close frame and ends the socket.
    pub(super) async fn close_back(mut self) {
        let mut left = self.outbox.finish(text_header, false);
        self.answer_close();
        left.append(&mut self.control);
        Box::pin(self.farewell(left)).await;
    }

    fn answer_close(&mut self) {
        let mut pipe = Pipe {
            io: &mut self.io,
            out: &mut self.control,
            cx: None,
        };
        // An error here is tungstenite's way to say that it is done.
        let _ = self.context.flush(&mut pipe);
    }

    /// Writes what is left, says that no more comes and reads until the peer has said so too: a socket that is closed with
    /// bytes unread is reset, and a reset takes the close frame away from the peer.
    async fn farewell(mut self, left: Vec<u8>) {
        let mut waste = [0; 1024];
        let farewell = async {
            self.io.write_all(&left).await?;
            self.io.shutdown().await?;
            while self.io.read(&mut waste).await? > 0 {}
            io::Result::Ok(())
        };
        // Whatever goes wrong here, the socket is over.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>, reading: bool) -> Poll<Event> {
        loop {
            if let Poll::Ready(event) = self.poll_write(cx) {
                return Poll::Ready(event);
            }
            if !reading {
                return Poll::Pending;
            }
            if let Poll::Ready(event) = self.poll_read(cx) {
                return Poll::Ready(event);
            }
            if self.control.is_empty() {
                return Poll::Pending;
            }
            // Reading made tungstenite write, a pong say.
            if !self.queue_control() {
                return Poll::Pending;
            }
        }
    }

    fn queue_control(&mut self) -> bool {
        let room = self.outbox.queued_bytes() <= CONTROL_OUT_BYTES_MAX;
        if room && !self.control.is_empty() {
            self.outbox
                .push_raw(std::mem::take(&mut self.control).into());
        }
        room
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        self.queue_control();
        let io = &mut self.io;
        let write = |cx: &mut Context<'_>, bytes: &[u8]| Pin::new(io).poll_write(cx, bytes);
        match self.outbox.flush(cx, text_header, write) {
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
        let mut pipe = Pipe {
            io: &mut self.io,
            out: &mut self.control,
            cx: Some(cx),
        };
        Poll::Ready(match self.context.read(&mut pipe) {
            Ok(Message::Text(text)) => Event::Text(text),
            Ok(Message::Binary(_)) => Event::Binary,
            Ok(Message::Close(_)) => Event::Closed,
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Event::Control,
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return Poll::Pending;
            }
            Err(error) => broken(&error, self.context.get_config().max_message_size),
        })
    }
}

impl<S> Drop for Wire<S> {
    /// Workers must not hold on to a socket that is over.
    fn drop(&mut self) {
        self.outbox.close();
    }
}

fn broken(error: &Error, message_bytes_max: Option<usize>) -> Event {
    match error {
        Error::Capacity(_) if message_bytes_max == Some(super::MESSAGE_BYTES_MAX) => {
            Event::Broken(Close::TOO_LARGE)
        }
        Error::Capacity(_) => Event::Broken(Close::TOO_LARGE_BEFORE_INIT),
        Error::Utf8(_) => Event::Broken(Close::NOT_UTF8),
        Error::Io(_)
        | Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Event::Lost,
        _ => Event::Broken(Close::BROKEN_FRAME),
    }
}

/// What precedes a text message of so many bytes.
pub(super) fn text_header(bytes: usize) -> Header {
    header(0x1, bytes)
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

/// The stream as tungstenite wants it: what it reads comes from the socket, what it writes goes to the buffer.
struct Pipe<'a, 'b, S> {
    io: &'a mut S,
    out: &'a mut Vec<u8>,
    cx: Option<&'a mut Context<'b>>,
}

impl<S: AsyncRead + Unpin> Read for Pipe<'_, '_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(cx) = self.cx.as_mut() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let mut into = ReadBuf::new(into);
        match Pin::new(&mut *self.io).poll_read(cx, &mut into) {
            Poll::Ready(Ok(())) => Ok(into.filled().len()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<S> Write for Pipe<'_, '_, S> {
    /// All or nothing: a frame is never torn apart by one that is pushed after it.
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        if !self.out.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.out.extend_from_slice(frame);
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
