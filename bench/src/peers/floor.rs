//! The floor: one thread and one epoll that reads a message from the publisher and calls write(2) with the ready frame
//! for each subscriber. No runtime, no protocol beyond what the bench's client needs: it neither checks the WebSocket key
//! nor answers pings.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::load::frames::{Frame, Frames, TEXT, server_frame};

const LISTENER: Token = Token(usize::MAX);
const SWITCHED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

struct Client {
    stream: TcpStream,
    /// What could not be written yet.
    waiting: Vec<u8>,
    what: What,
}

enum What {
    /// Its request so far.
    Upgrading(Vec<u8>),
    Subscriber,
    Publisher(Frames),
}

pub(super) fn serve() -> anyhow::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    let registry = poll.registry().try_clone()?;
    registry.register(&mut listener, LISTENER, Interest::READABLE)?;
    super::say_where(listener.local_addr()?);
    let mut clients = BTreeMap::new();
    let (mut events, mut made) = (Events::with_capacity(1024), 0);
    let mut ready = Vec::new();
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Some(mut stream) = unless_blocked(listener.accept().map(|(s, _)| s))? {
                    stream.set_nodelay(true)?;
                    let both = Interest::READABLE | Interest::WRITABLE;
                    registry.register(&mut stream, Token(made), both)?;
                    clients.insert(made, Client::new(stream));
                    made += 1;
                }
                continue;
            }
            let Some(client) = clients.get_mut(&event.token().0) else {
                continue;
            };
            if !client
                .flush()
                .and_then(|()| client.read(&mut ready))
                .unwrap_or(false)
            {
                clients.remove(&event.token().0);
            }
            for frame in ready.drain(..) {
                tell(&mut clients, &frame);
            }
        }
    }
}

fn tell(clients: &mut BTreeMap<usize, Client>, frame: &[u8]) {
    clients.retain(|_, client| {
        !matches!(client.what, What::Subscriber) || client.write(frame).is_ok()
    });
}

fn unless_blocked<T>(result: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            waiting: Vec::new(),
            what: What::Upgrading(Vec::new()),
        }
    }

    /// Whether it is still there. What a publisher said becomes frames that are ready to be written.
    fn read(&mut self, ready: &mut Vec<Vec<u8>>) -> anyhow::Result<bool> {
        let mut buffer = [0; 64 * 1024];
        while let Some(bytes) = unless_blocked(self.stream.read(&mut buffer))? {
            if bytes == 0 {
                return Ok(false);
            }
            match &mut self.what {
                What::Upgrading(request) => {
                    request.extend_from_slice(&buffer[..bytes]);
                    if request.ends_with(b"\r\n\r\n") {
                        self.what = if request.starts_with(b"GET /publish") {
                            What::Publisher(Frames::of_websocket())
                        } else {
                            What::Subscriber
                        };
                        self.write(SWITCHED)?;
                    }
                }
                What::Subscriber => {}
                What::Publisher(frames) => frames.feed(&buffer[..bytes], |frame: Frame<'_>| {
                    if frame.kind == TEXT {
                        ready.push(server_frame(&frame.unmasked()));
                    }
                    Ok(())
                })?,
            }
        }
        Ok(true)
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if self.waiting.is_empty() {
            let written = unless_blocked(self.stream.write(bytes))?.unwrap_or(0);
            self.waiting.extend_from_slice(&bytes[written..]);
        } else {
            self.waiting.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        while !self.waiting.is_empty() {
            let Some(written) = unless_blocked(self.stream.write(&self.waiting))? else {
                break;
            };
            self.waiting.drain(..written);
        }
        Ok(())
    }
}
