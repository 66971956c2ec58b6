//! A connection that is written to from an outbox until its client goes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::hub::{Flush, Outbox};
use crate::transport::farewell::farewell;

/// What happened on the wire.
#[derive(Debug)]
pub(super) enum Event {
    /// Bytes were written.
    Wrote,
    /// Bytes wait and the connection takes none.
    Blocked,
    /// The client is gone, or has said that nothing more comes from it, which is how it goes.
    Lost,
}

/// The server's end of a stream.
pub(super) struct Wire<S> {
    io: S,
    outbox: Arc<Outbox>,
    blocked: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(io: S, outbox: Arc<Outbox>) -> Self {
        Self {
            io,
            outbox,
            blocked: false,
        }
    }

    /// What is written from.
    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The next thing that happens. Nothing is lost when this is dropped.
    pub(super) async fn event(&mut self) -> Event {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Writes all that waits and then `last`, and ends the connection so that the client gets to read it.
    pub(super) async fn end(&mut self, last: &[u8]) {
        let mut left = self.outbox.finish(true);
        left.extend_from_slice(last);
        farewell(&mut self.io, &left).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            let io = &mut self.io;
            let write = |cx: &mut Context<'_>, bytes: &[u8]| Pin::new(io).poll_write(cx, bytes);
            match self.outbox.flush(cx, write) {
                Flush::Wrote { .. } => {
                    self.blocked = false;
                    return Poll::Ready(Event::Wrote);
                }
                // Complete as the hub made it.
                Flush::Ping => self.outbox.complete_ping(|ping| ping),
                Flush::Lost => return Poll::Ready(Event::Lost),
                Flush::Blocked if !self.blocked => {
                    self.blocked = true;
                    return Poll::Ready(Event::Blocked);
                }
                Flush::Blocked | Flush::Idle => return self.poll_gone(cx),
            }
        }
    }

    /// Whatever the client still says is not listened to.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let mut waste = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut waste);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(Event::Lost);
            }
        }
    }
}

impl<S> Drop for Wire<S> {
    /// Workers must not hold on to a connection that is over.
    fn drop(&mut self) {
        self.outbox.close();
    }
}
