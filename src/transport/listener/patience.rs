//! A connection as hyper has it: one whose client takes nothing, or next to nothing, of an answer is given up.
//!
//! Whoever asks and does not read would have the answer kept for ever otherwise. Sockets and streams look after themselves.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// As long as a socket may take nothing.
pub(super) const STALL: Duration = Duration::from_secs(10);
/// So long an answer may take in any case: 300 kB at 5 kB a second, beside what the kernel holds.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// And as much longer as it has been taken at this pace: whoever reads a byte now and then is not reading.
const BYTES_PER_SECOND: u64 = 32_000;

/// A connection that waits for its client with patience, but not for ever.
#[derive(Debug)]
pub struct Patient<S> {
    conn: S,
    /// While bytes wait that the kernel has not taken.
    late: Option<Box<Late>>,
}

#[derive(Debug)]
struct Late {
    since: Instant,
    /// When the kernel last took some.
    took_at: Instant,
    /// How many it has taken since.
    took: u64,
    alarm: Pin<Box<Sleep>>,
}

impl<S> Patient<S> {
    pub(super) fn new(conn: S) -> Self {
        Self { conn, late: None }
    }

    /// The connection itself, for whoever looks after it now.
    pub fn into_inner(self) -> S {
        self.conn
    }

    fn watch(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match wrote {
            Poll::Pending => {
                let late = self.late.get_or_insert_with(|| Box::new(Late::from_now()));
                late.poll(cx)
            }
            Poll::Ready(Ok(bytes)) => {
                if let Some(late) = &mut self.late {
                    late.took(bytes);
                }
                wrote
            }
            Poll::Ready(Err(_)) => wrote,
        }
    }
}

impl Late {
    fn from_now() -> Self {
        let now = Instant::now();
        Self {
            since: now,
            took_at: now,
            took: 0,
            alarm: Box::pin(sleep_until(now + STALL)),
        }
    }

    fn took(&mut self, bytes: usize) {
        self.took_at = Instant::now();
        self.took += bytes as u64;
    }

    fn deadline(&self) -> Instant {
        let earned = Duration::from_millis(self.took * 1_000 / BYTES_PER_SECOND);
        (self.took_at + STALL).min(self.since + PATIENCE + earned)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let deadline = self.deadline();
        if self.alarm.deadline() != deadline {
            self.alarm.as_mut().reset(deadline);
        }
        self.alarm.as_mut().poll(cx).map(|()| {
            let why = "the client takes the answer too slowly, or not at all";
            Err(io::Error::new(io::ErrorKind::TimedOut, why))
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.conn).poll_write(cx, buf);
        self.watch(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.conn).poll_write_vectored(cx, bufs);
        self.watch(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.conn.is_write_vectored()
    }

    /// Hyper comes here once the kernel has all that there is.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.late = None;
        Pin::new(&mut self.conn).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::*;

    const ANSWER_BYTES: usize = 16 * 1024 * 1024;

    /// A client with an answer on its way, of which 64 KiB are in the kernel's hands; what becomes of it, and when.
    fn answered() -> (DuplexStream, JoinHandle<(io::Result<()>, Duration)>) {
        let (near, far) = duplex(64 * 1024);
        let answering = tokio::spawn(async move {
            let (mut conn, begun) = (Patient::new(far), Instant::now());
            let written = async {
                conn.write_all(&vec![b'x'; ANSWER_BYTES]).await?;
                conn.flush().await
            };
            (written.await, begun.elapsed())
        });
        (near, answering)
    }

    /// Reads so much each second, for as long as there is something.
    async fn read_at(client: &mut DuplexStream, bytes_per_second: usize) -> usize {
        let (mut all, mut part) = (0, vec![0; bytes_per_second]);
        loop {
            let mut taken = 0;
            while taken < bytes_per_second {
                match client.read(&mut part[taken..]).await.unwrap() {
                    0 => return all + taken,
                    bytes => taken += bytes,
                }
            }
            all += taken;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_taken_at_all_is_given_up_after_10_s() {
        let (_client, answering) = answered();
        let (written, waited) = answering.await.unwrap();
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(waited, STALL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_of_less_is_forgiven() {
        let (mut client, answering) = answered();
        let mut rest = vec![0; ANSWER_BYTES];
        for part in rest.chunks_mut(ANSWER_BYTES / 4) {
            tokio::time::sleep(STALL - Duration::from_millis(1)).await;
            client.read_exact(part).await.unwrap();
        }
        answering.await.unwrap().0.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_50_kb_a_second_gets_the_largest_answer_whole() {
        let (mut client, answering) = answered();
        assert_eq!(read_at(&mut client, 50_000).await, ANSWER_BYTES);
        let (written, took) = answering.await.unwrap();
        written.unwrap();
        assert!(took > 5 * PATIENCE, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_a_little_now_and_then_is_given_up() {
        let (mut client, answering) = answered();
        let read = read_at(&mut client, 8_000).await;
        let (written, took) = answering.await.unwrap();
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(
            PATIENCE < took && took < 2 * PATIENCE,
            "{took:?}, {read} bytes"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_answer_does_not_pay_for_the_one_before() {
        let (mut client, far) = duplex(1_000);
        let mut conn = Patient::new(far);
        for _ in 0..20 {
            let answer = async {
                conn.write_all(&[b'x'; 2_000]).await.unwrap();
                conn.flush().await.unwrap();
            };
            let read = async {
                tokio::time::sleep(STALL / 2).await;
                client.read_exact(&mut [0; 2_000]).await.unwrap();
            };
            tokio::join!(answer, read);
        }
    }
}
