//! A connection's bytes, and the place it takes among those of its address.

use std::cell::RefCell;
use std::io::{self, Read};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
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
            match read(tcp, buf) {
                Ok(()) => {
                    turn.made_progress();
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

/// Read at a time where the buffer is one that nothing was written to yet.
const READ_BYTES: usize = 8 * 1024;

thread_local! {
    /// hyper's buffer has room for 8 KiB and more of bytes that are not initialised: to clear them for each read costs more
    /// than to copy the few that come.
    static READ: RefCell<[u8; READ_BYTES]> = const { RefCell::new([0; READ_BYTES]) };
}

fn read(tcp: &TcpStream, buf: &mut ReadBuf<'_>) -> io::Result<()> {
    if buf.initialized().len() == buf.capacity() {
        let bytes = read_into(tcp, buf.initialize_unfilled())?;
        buf.advance(bytes);
        return Ok(());
    }
    READ.with_borrow_mut(|spare| {
        let room = spare.len().min(buf.remaining());
        let bytes = read_into(tcp, &mut spare[..room])?;
        buf.put_slice(&spare[..bytes]);
        Ok(())
    })
}

/// As the stream's own `poll_read` does: where fewer bytes come than there is room for, there are no more (epoll(7),
/// edge-triggered), so the stream is noted as read to its end. To find that out by reading once more is a system call
/// for each message. The end itself is told by the kernel, and stays noted.
fn read_into(tcp: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
    const TELLS_OF_MORE: bool = cfg!(target_os = "linux");
    let mut short = None;
    let read = tcp.try_io(Interest::READABLE, || {
        let bytes = (&*SockRef::from(tcp)).read(room)?;
        if TELLS_OF_MORE && (1..room.len()).contains(&bytes) {
            short = Some(bytes);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(bytes)
    });
    short.map_or(read, Ok)
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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use bytes::BytesMut;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::super::places::Places;
    use super::*;

    async fn pair() -> (SharedConn, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let place = Places::new(None).take(IpAddr::from([127, 0, 0, 1]));
        let conn = Conn::new(accepted.unwrap().0, place.unwrap());
        (SharedConn(Arc::new(conn)), client.unwrap())
    }

    /// All that comes, `cleared` telling into which kind of buffer: as a WebSocket reads, or as hyper does.
    async fn read_on(conn: &mut SharedConn, bytes: usize, cleared: bool) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < bytes {
            let read = if cleared {
                let mut room = vec![0; 4 * 1024];
                let read = conn.read(&mut room).await.unwrap();
                room.truncate(read);
                room
            } else {
                let mut room = BytesMut::with_capacity(16 * 1024);
                conn.read_buf(&mut room).await.unwrap();
                room.to_vec()
            };
            assert!(!read.is_empty(), "ended after {} bytes", all.len());
            all.extend(read);
        }
        all
    }

    /// A stream that is noted as read to its end too early would be waited for until the deadline.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_comes_is_read_however_much_it_is_and_whenever_it_comes() {
        const DEADLINE: Duration = Duration::from_secs(60);
        let (mut conn, mut client) = pair().await;
        let sizes = [1, 600, 4_095, 4_096, 4_097, 8_191, 8_192, 8_193, 100_000];
        let talk = async {
            for round in 0..900 {
                let said = vec![round as u8; sizes[round % sizes.len()]];
                // Apart, so that some of it comes while the rest is being read.
                let (first, second) = said.split_at(said.len() / 2);
                let cleared = round / sizes.len() % 2 == 0;
                let say = async {
                    client.write_all(first).await.unwrap();
                    client.write_all(second).await.unwrap();
                };
                let ((), heard) = tokio::join!(say, read_on(&mut conn, said.len(), cleared));
                assert!(heard == said, "round {round}");
            }
            client.write_all(b"bye").await.unwrap();
            client.shutdown().await.unwrap();
            assert_eq!(read_on(&mut conn, 3, true).await, b"bye");
            assert_eq!(conn.read(&mut [0; 8]).await.unwrap(), 0);
        };
        timeout(DEADLINE, talk).await.expect("something was missed");
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_stream_that_gave_less_than_there_was_room_for_is_not_asked_once_more() {
        let (mut conn, mut client) = pair().await;
        client.write_all(b"hello").await.unwrap();
        assert_eq!(read_on(&mut conn, 5, true).await, b"hello");
        let mut asked = false;
        let again = conn.0.tcp().try_io(Interest::READABLE, || {
            asked = true;
            Ok(())
        });
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(!asked);
    }
}
