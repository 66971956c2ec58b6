//! A WebSocket as light as hundreds of them in one thread need it, and as rude: it reads when the test says so, has as
//! small a window as the test wants, and is cut at any byte.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// A socket that offered graphql-transport-ws.
pub(crate) struct Wire {
    tcp: TcpStream,
    read: BytesMut,
    head: String,
    /// When something was read last, and the longest time that nothing was.
    read_at: Instant,
    longest_silence: Duration,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A text message.
    Text(Text),
    /// The server closes, with this code and for this reason.
    Closed(u16, String),
    /// The connection is gone, without a word.
    Lost,
}

/// A text message; valid UTF-8.
#[derive(Debug)]
pub(crate) struct Text(Bytes);

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("text is UTF-8")
    }
}

/// The server does not open a socket just now (503): what it says about when to come back.
#[derive(Debug, thiserror::Error)]
#[error("refused, come back in {retry_after:?}")]
pub(crate) struct Refused {
    pub(crate) retry_after: Option<Duration>,
}

impl Refused {
    fn of(head: &str) -> Option<Self> {
        let fields = head.strip_prefix("HTTP/1.1 503 ")?.lines().skip(1);
        let mut fields = fields.filter_map(|field| field.split_once(": "));
        let found = fields.find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
        let secs = found.and_then(|(_, secs)| secs.parse().ok());
        Some(Self {
            retry_after: secs.map(Duration::from_secs),
        })
    }
}

impl Wire {
    /// Enough for many small frames at once.
    const READ_BYTES: usize = 16 * 1024;

    /// Opens one. A small `window_bytes` makes the server notice soon that nothing is read.
    ///
    /// # Errors
    /// The network's, or [`Refused`] within one.
    pub(crate) async fn open(addr: SocketAddr, window_bytes: Option<u32>) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = window_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        let tcp = socket.connect(addr).await?;
        tcp.set_nodelay(true)?;
        let mut wire = Self {
            tcp,
            read: BytesMut::new(),
            head: String::new(),
            read_at: Instant::now(),
            longest_silence: Duration::ZERO,
        };
        let request = format!(
            "GET /graphql HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        );
        wire.tcp.write_all(request.as_bytes()).await?;
        wire.head = wire.read_head().await?;
        if let Some(refused) = Refused::of(&wire.head) {
            return Err(io::Error::other(refused));
        }
        assert!(wire.head.starts_with("HTTP/1.1 101 "), "{}", wire.head);
        Ok(wire)
    }

    /// What the server answered to the handshake.
    pub(crate) fn head(&self) -> &str {
        &self.head
    }

    async fn read_head(&mut self) -> io::Result<String> {
        const END: &[u8] = b"\r\n\r\n";
        loop {
            if let Some(at) = self.read.windows(END.len()).position(|four| four == END) {
                let head = self.read.split_to(at + END.len());
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            if self.tcp.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Says a text message. Where the connection is gone, hearing will tell.
    pub(crate) async fn say(&mut self, text: &str) {
        let mut frame = BytesMut::with_capacity(text.len() + 14);
        head(&mut frame, 0x81, text.len());
        frame.extend_from_slice(text.as_bytes());
        let _ = self.tcp.write_all(&frame).await;
    }

    /// The next thing that comes. Safe to be dropped while it waits.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            match take_frame(&mut self.read) {
                Some((0x1, payload)) => return Heard::Text(Text(payload)),
                Some((0x8, mut payload)) => {
                    let code = payload.try_get_u16().unwrap_or(1005);
                    let mut answer = BytesMut::new();
                    head(&mut answer, 0x88, 2);
                    answer.extend_from_slice(&code.to_be_bytes());
                    let _ = self.tcp.write_all(&answer).await;
                    let reason = String::from_utf8_lossy(&payload).into_owned();
                    return Heard::Closed(code, reason);
                }
                Some((0x9 | 0xA, _)) => continue,
                Some((opcode, _)) => panic!("a frame of opcode {opcode}"),
                None => {}
            }
            self.read.reserve(Self::READ_BYTES);
            match self.tcp.read_buf(&mut self.read).await {
                Ok(0) | Err(_) => return Heard::Lost,
                Ok(_) => {}
            }
            self.longest_silence = self.longest_silence.max(self.read_at.elapsed());
            self.read_at = Instant::now();
        }
    }

    /// The longest time for which nothing was read: nothing came, or this process did not come to it.
    pub(crate) fn longest_silence(&self) -> Duration {
        self.longest_silence
    }

    /// Once it is dropped it is gone by a reset, which loses what is on its way.
    pub(crate) fn reset(&self) {
        let _ = SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
    }
}

/// The head of a frame masked with zeros, which is as valid as any mask and changes nothing.
fn head(frame: &mut BytesMut, first: u8, len: usize) {
    frame.extend_from_slice(&[first]);
    match u16::try_from(len) {
        Ok(short @ ..=125) => frame.extend_from_slice(&[0x80 | short as u8]),
        Ok(len) => {
            frame.extend_from_slice(&[0x80 | 126]);
            frame.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            frame.extend_from_slice(&[0x80 | 127]);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
}

/// Takes a whole frame off what was read: opcode and payload.
fn take_frame(read: &mut BytesMut) -> Option<(u8, Bytes)> {
    let (first, second) = (*read.first()?, *read.get(1)?);
    assert_eq!(first & 0xF0, 0x80, "one frame a message, no reserved bit");
    let (skip, len) = match second {
        short @ ..=125 => (2, usize::from(short)),
        126 => (
            4,
            u16::from_be_bytes(read.get(2..4)?.try_into().unwrap()).into(),
        ),
        127 => {
            let len = u64::from_be_bytes(read.get(2..10)?.try_into().unwrap());
            (10, usize::try_from(len).unwrap())
        }
        _ => panic!("a server masks nothing"),
    };
    if read.len() < skip + len {
        return None;
    }
    read.advance(skip);
    Some((first & 0x0F, read.split_to(len).freeze()))
}

/// The text behind `name` up to the next quote: quicker than parsing where names occur once and values hold no quotes.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    behind(text, name)?.split('"').next()
}

/// The text behind `name`.
pub(crate) fn behind<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.find(name).map(|at| &text[at + name.len()..])
}

/// The place in the log that is a cursor's first half: ten digits of base 32.
pub(crate) fn seq_of(cursor: &str) -> u64 {
    assert_eq!(cursor.len(), 20, "{cursor}");
    u64::from_str_radix(&cursor[..10], 32).unwrap()
}
