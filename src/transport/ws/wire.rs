//! WebSocket messages over a byte stream: tungstenite's state machine for what comes in and for control frames, and one
//! buffer that everything going out is copied into and that is written in one piece.
//!
//! Reading and writing go on side by side in one poll: a peer that takes nothing is still listened to.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message, Utf8Bytes, error::ProtocolError};

use super::Close;
use crate::hub::Frame;

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
    Wrote,
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
    out: BytesMut,
    written: u64,
}

/// tungstenite clears this much on each read, and most messages are smaller.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Pongs wait for room when so much is to be written; then only the newest is sent (RFC 6455, 5.5.3).
const CONTROL_OUT_BYTES_MAX: usize = 128 * 1024;
/// A write buffer that grew larger is given back once it is empty.
const IDLE_OUT_BYTES_MAX: usize = 4 * 1024;
/// How long a peer may take to read its close frame and close its side.
const FAREWELL: Duration = Duration::from_secs(2);

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// The server's end of a socket. `early` is what was read from it already.
    pub(super) fn new(io: S, early: &Bytes, message_bytes_max: usize) -> Self {
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
            out: BytesMut::new(),
            written: 0,
        }
    }

    /// Changes how long a message may be, from the next one on.
    pub(super) fn limit(&mut self, message_bytes_max: usize) {
        self.context.set_config(|config| {
            config.max_message_size = Some(message_bytes_max);
            config.max_frame_size = Some(message_bytes_max);
        });
    }

    /// Adds a text message to what is to be written.
    pub(super) fn push(&mut self, frame: &Frame) {
        let (own, shared) = (&frame.own[..], &frame.shared[..]);
        self.out.reserve(10 + own.len() + shared.len());
        header(&mut self.out, 0x1, own.len() + shared.len());
        self.out.extend_from_slice(own);
        self.out.extend_from_slice(shared);
    }

    /// Bytes that are to be written.
    pub(super) fn waiting(&self) -> usize {
        self.out.len()
    }

    /// Bytes written ever.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// The next thing that happens. Nothing is lost when this is dropped. Without `reading`, what the peer sends stays
    /// where it is.
    pub(super) async fn event(&mut self, reading: bool) -> Event {
        std::future::poll_fn(|cx| self.poll(cx, reading)).await
    }

    /// Sends a close frame behind what waits and ends the socket in such a way that the peer gets to read it.
    pub(super) async fn close(mut self, close: Close) {
        let reason = close.reason_cut();
        header(&mut self.out, 0x8, 2 + reason.len());
        self.out.put_u16(close.code);
        self.out.extend_from_slice(reason.as_bytes());
        self.farewell().await;
    }

    /// Answers the peer's close frame and ends the socket.
    pub(super) async fn close_back(mut self) {
        self.answer_close();
        self.farewell().await;
    }

    fn answer_close(&mut self) {
        let mut pipe = Pipe {
            io: &mut self.io,
            out: &mut self.out,
            cx: None,
        };
        // An error here is tungstenite's way to say that it is done.
        let _ = self.context.flush(&mut pipe);
    }

    /// Writes what waits, says that no more comes and reads until the peer has said so too: a socket that is closed with
    /// bytes unread is reset, and a reset takes the close frame away from the peer.
    async fn farewell(mut self) {
        let mut waste = [0; 1024];
        let farewell = async {
            self.io.write_all(&self.out).await?;
            self.io.shutdown().await?;
            while self.io.read(&mut waste).await? > 0 {}
            io::Result::Ok(())
        };
        // Whatever goes wrong here, the socket is over.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>, reading: bool) -> Poll<Event> {
        loop {
            match self.poll_write(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Event::Wrote),
                Poll::Ready(Err(_)) => return Poll::Ready(Event::Lost),
                Poll::Pending => {}
            }
            if !reading {
                return Poll::Pending;
            }
            let idle = self.out.is_empty();
            if let Poll::Ready(event) = self.poll_read(cx) {
                return Poll::Ready(event);
            }
            if !idle || self.out.is_empty() {
                return Poll::Pending;
            }
            // Reading made tungstenite write, a pong say, and nothing would wake us for it.
        }
    }

    /// Ready when something was written.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.out.is_empty() {
            return Poll::Pending;
        }
        match Pin::new(&mut self.io).poll_write(cx, &self.out) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(bytes)) => {
                self.out.advance(bytes);
                self.written += bytes as u64;
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        }
        if self.out.is_empty() {
            if self.out.capacity() > IDLE_OUT_BYTES_MAX {
                self.out = BytesMut::new();
            }
            // Of no effect on TCP; what lies between may hold bytes back.
            let _ = Pin::new(&mut self.io).poll_flush(cx);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let mut pipe = Pipe {
            io: &mut self.io,
            out: &mut self.out,
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

/// A final, unmasked frame's header. RFC 6455, section 5.2.
fn header(out: &mut BytesMut, opcode: u8, bytes: usize) {
    out.put_u8(0x80 | opcode);
    match (u8::try_from(bytes), u16::try_from(bytes)) {
        (Ok(short), _) if short < 126 => out.put_u8(short),
        (_, Ok(middle)) => {
            out.put_u8(126);
            out.put_u16(middle);
        }
        _ => {
            out.put_u8(127);
            out.put_u64(bytes as u64);
        }
    }
}

/// The stream as tungstenite wants it: what it reads comes from the socket, what it writes goes to the buffer.
struct Pipe<'a, 'b, S> {
    io: &'a mut S,
    out: &'a mut BytesMut,
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
        if self.out.len() > CONTROL_OUT_BYTES_MAX {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.out.extend_from_slice(frame);
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
