//! A connection's bytes, and the place it takes among those of its address.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::places::Place;
use crate::hub::Sink;

/// A TCP stream that gives its place back when it is dropped, however far it has come: also as a WebSocket.
///
/// An upgraded request finds it again by `Upgraded::downcast::<TokioIo<Patient<SharedConn>>>()`; [`Conn::tcp`] then reads and writes
/// without hyper in between.
#[derive(Debug)]
pub struct Conn {
    tcp: TcpStream,
    place: Place,
}

impl Conn {
    pub(super) fn new(tcp: TcpStream, place: Place) -> Self {
        Self { tcp, place }
    }

    /// The stream itself: `try_read`, `try_write`, `readable` and `writable` take it by reference.
    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Whether its address has as many connections as it may without this one.
    pub(super) fn is_spare(&self) -> bool {
        self.place.spare
    }

    /// Lets the kernel take less for a client that does not read. Left alone it takes up to 4 MB, and says for as long that
    /// all is well; the buffer still lets 2.5 MB a second through at 100 ms of round trip. Of that what has not been sent yet is
    /// bounded by itself: of 122 kB a second for a client that has stopped reading (Linux, loopback, frames of 610 bytes) the
    /// kernel took 608 kB before, and takes 115 now, most of it the client's own window.
    pub fn bound_send_buffer(&self) {
        const SEND_BUFFER_BYTES: usize = 256 * 1024;
        let tcp = SockRef::from(&self.tcp);
        let bounded = tcp.set_send_buffer_size(SEND_BUFFER_BYTES);
        if let Err(error) = bounded.and_then(|()| bound_unsent(&tcp)) {
            tracing::debug!(%error, "a send buffer stays as large as it was");
        }
    }
}

#[cfg(any(target_os = "android", target_os = "linux"))]
fn bound_unsent(tcp: &SockRef<'_>) -> io::Result<()> {
    const UNSENT_BYTES: u32 = 32 * 1024;
    tcp.set_tcp_notsent_lowat(UNSENT_BYTES)
}

#[cfg(not(any(target_os = "android", target_os = "linux")))]
fn bound_unsent(_tcp: &SockRef<'_>) -> io::Result<()> {
    Ok(())
}

impl Sink for Conn {
    /// Past tokio: what it knows of the socket is a cache line further away, and its task finds out by itself when the socket
    /// takes no more.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        SockRef::from(&self.tcp).send(bytes)
    }
}

/// A connection whose task reads and writes it while others write to it as well, by [`Conn::tcp`]. One task at a time may wait
/// on it.
#[derive(Clone, Debug)]
pub struct SharedConn(pub Arc<Conn>);

impl AsyncRead for SharedConn {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // As the stream's own `poll_read` does: whoever sends without a pause must not have the thread to himself.
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        let tcp = self.0.tcp();
        loop {
            match tcp.try_read(buf.initialize_unfilled()) {
                Ok(bytes) => {
                    turn.made_progress();
                    buf.advance(bytes);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(tcp.poll_read_ready(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for SharedConn {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let tcp = self.0.tcp();
        loop {
            match tcp.try_write(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(tcp.poll_write_ready(cx))?;
                }
                wrote => return Poll::Ready(wrote),
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tcp = self.0.tcp();
        loop {
            match tcp.try_write_vectored(bufs) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(tcp.poll_write_ready(cx))?;
                }
                wrote => return Poll::Ready(wrote),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(self.0.tcp()).shutdown(Shutdown::Write))
    }
}
