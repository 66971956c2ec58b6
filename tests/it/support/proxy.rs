//! A bad network in front of the server: slow, unsteady, narrow, cut at any byte, or silent for good.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// What one connection goes through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// Each way.
    pub(crate) latency: Duration,
    /// At most so much more, at random; bytes stay in order.
    pub(crate) jitter: Duration,
    /// Each way; `None` for as fast as it goes.
    pub(crate) bytes_per_sec: Option<u32>,
    pub(crate) end: Option<End>,
    /// Of its jitter.
    pub(crate) seed: u64,
}

/// Where a connection ends: behind so many bytes towards the client or the server, whichever comes first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) down_bytes: usize,
    pub(crate) up_bytes: usize,
    pub(crate) how: How,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum How {
    /// RST on both sides.
    Reset,
    /// FIN on both sides.
    Close,
    /// Nothing more is carried either way, and nobody is told.
    Silence,
    /// Nothing more is carried the way that came to its end, and nobody is told.
    HalfSilence,
}

impl Link {
    /// A network that one does not notice.
    pub(crate) const GOOD: Self = Self {
        latency: Duration::ZERO,
        jitter: Duration::ZERO,
        bytes_per_sec: None,
        end: None,
        seed: 0,
    };
}

/// What happened to connections so far.
#[derive(Default, Debug)]
pub(crate) struct Tally {
    pub(crate) connections: AtomicU64,
    /// Ended by RST or FIN.
    pub(crate) cuts: AtomicU64,
    /// Gone silent.
    pub(crate) silences: AtomicU64,
}

impl Tally {
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    pub(crate) fn silences(&self) -> u64 {
        self.silences.load(Ordering::Relaxed)
    }
}

type Forecast = Box<dyn FnMut() -> Link + Send>;

struct Shared {
    target: SocketAddr,
    forecast: Mutex<Forecast>,
    tally: Tally,
    /// Cuts all that are open.
    cut: Mutex<CancellationToken>,
}

/// A TCP proxy. Dropping it cuts every connection.
pub(crate) struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Listens in front of `target`; each new connection gets the link that `forecast` says.
    pub(crate) async fn start(
        target: SocketAddr,
        forecast: impl FnMut() -> Link + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target,
            forecast: Mutex::new(Box::new(forecast)),
            tally: Tally::default(),
            cut: Mutex::default(),
        });
        let listening = tokio::spawn(listen(listener, shared.clone()));
        Self {
            addr,
            shared,
            listening,
        }
    }

    /// Where clients connect to.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    /// What new connections get from now on.
    pub(crate) fn turn(&self, forecast: impl FnMut() -> Link + Send + 'static) {
        *self.shared.forecast.lock().unwrap() = Box::new(forecast);
    }

    /// Cuts every connection there is, by RST.
    pub(crate) fn cut_all(&self) {
        std::mem::take(&mut *self.shared.cut.lock().unwrap()).cancel();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut_all();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (client, _) = listener.accept().await.expect("there are descriptors left");
        let link = (shared.forecast.lock().unwrap())();
        shared.tally.connections.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(carry(client, link, shared.clone()));
    }
}

/// Why a connection ended.
enum Ended {
    /// Both sides have said all that they had to say.
    Over,
    Broken,
    AsForecast(How),
}

/// A narrow link has no deep buffers: the server is to feel that it is narrow.
const NARROW_WINDOW_BYTES: u32 = 64 * 1024;
/// How long a silent connection is held: longer than either side takes to find out.
const SILENCE: Duration = Duration::from_secs(60);

async fn carry(mut client: TcpStream, link: Link, shared: Arc<Shared>) {
    let cut = shared.cut.lock().unwrap().clone();
    let Ok(mut server) = dial(shared.target, &link).await else {
        return reset(&client);
    };
    let _ = client.set_nodelay(true);
    let ended = {
        let (client, server) = (client.split(), server.split());
        tokio::select! {
            ended = both(client, server, link) => ended,
            () = cut.cancelled() => Ended::AsForecast(How::Reset),
        }
    };
    let tally = &shared.tally;
    match ended {
        Ended::Over => {}
        Ended::Broken => [&client, &server].into_iter().for_each(reset),
        Ended::AsForecast(How::Close) => {
            tally.cuts.fetch_add(1, Ordering::Relaxed);
        }
        Ended::AsForecast(How::Reset) => {
            tally.cuts.fetch_add(1, Ordering::Relaxed);
            [&client, &server].into_iter().for_each(reset);
        }
        Ended::AsForecast(How::Silence | How::HalfSilence) => {
            tally.silences.fetch_add(1, Ordering::Relaxed);
            let _ = timeout(SILENCE, cut.cancelled()).await;
        }
    }
}

async fn dial(target: SocketAddr, link: &Link) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if link.bytes_per_sec.is_some() {
        socket.set_recv_buffer_size(NARROW_WINDOW_BYTES)?;
    }
    let server = socket.connect(target).await?;
    server.set_nodelay(true)?;
    Ok(server)
}

/// Once it is dropped it is gone by RST.
fn reset(socket: &TcpStream) {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

type Halves<'a> = (ReadHalf<'a>, WriteHalf<'a>);

async fn both(client: Halves<'_>, server: Halves<'_>, link: Link) -> Ended {
    let end = |bytes: fn(&End) -> usize| link.end.as_ref().map_or(usize::MAX, bytes);
    let mut down = Box::pin(forward(server.0, client.1, link, end(|end| end.down_bytes)));
    let mut up = Box::pin(forward(client.0, server.1, link, end(|end| end.up_bytes)));
    let (first, other) = tokio::select! {
        first = &mut down => (first, up),
        first = &mut up => (first, down),
    };
    match (first, link.end.map(|end| end.how)) {
        (Way::Broken, _) => Ended::Broken,
        (Way::AtItsEnd, Some(How::HalfSilence)) => {
            // The other way goes on, for as long as someone is there.
            let _ = timeout(SILENCE, other).await;
            Ended::AsForecast(How::HalfSilence)
        }
        (Way::AtItsEnd, how) => Ended::AsForecast(how.unwrap_or(How::Close)),
        (Way::Over, how) => match other.await {
            Way::Over => Ended::Over,
            Way::Broken => Ended::Broken,
            Way::AtItsEnd => Ended::AsForecast(how.unwrap_or(How::Close)),
        },
    }
}

/// How carrying bytes one way came to an end.
enum Way {
    /// Who speaks there has closed its side.
    Over,
    Broken,
    /// Everything up to the forecast's last byte has been carried.
    AtItsEnd,
}

/// A segment or three.
const PIECE_BYTES: usize = 4 * 1024;
/// Pieces on their way at once: 128 KiB, as the buffers of a mobile network are deep.
const PIECES: usize = 32;

async fn forward(from: ReadHalf<'_>, to: WriteHalf<'_>, link: Link, limit: usize) -> Way {
    let (queue, queued) = mpsc::channel(PIECES);
    match tokio::try_join!(take(from, queue, link, limit), give(to, queued, link)) {
        Ok((Way::Over, mut to)) => to.shutdown().await.map_or(Way::Broken, |()| Way::Over),
        Ok((way, _)) => way,
        Err(_) => Way::Broken,
    }
}

type Piece = (Instant, Bytes);

/// Reads until the end or the limit; each piece is due once it has been on its way for long enough.
async fn take(
    mut from: ReadHalf<'_>,
    queue: mpsc::Sender<Piece>,
    link: Link,
    limit: usize,
) -> io::Result<Way> {
    let mut rng = StdRng::seed_from_u64(link.seed);
    let (mut left, mut due) = (limit, Instant::now());
    while left > 0 {
        let mut piece = BytesMut::zeroed(left.min(PIECE_BYTES));
        let bytes = from.read(&mut piece).await?;
        if bytes == 0 {
            return Ok(Way::Over);
        }
        piece.truncate(bytes);
        left -= bytes;
        let takes = link.latency + link.jitter.mul_f64(rng.random());
        due = due.max(Instant::now() + takes);
        if queue.send((due, piece.freeze())).await.is_err() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
    }
    Ok(Way::AtItsEnd)
}

async fn give(
    mut to: WriteHalf<'_>,
    mut queued: mpsc::Receiver<Piece>,
    link: Link,
) -> io::Result<WriteHalf<'_>> {
    while let Some((due, piece)) = queued.recv().await {
        // The link's latency, then its bandwidth: time is what this proxy is for.
        sleep_until(due).await;
        if let Some(bytes_per_sec) = link.bytes_per_sec {
            let secs = piece.len() as f64 / f64::from(bytes_per_sec);
            sleep(Duration::from_secs_f64(secs)).await;
        }
        to.write_all(&piece).await?;
    }
    Ok(to)
}
