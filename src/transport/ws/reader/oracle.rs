//! The same bytes read by us, cut in several ways, and by tungstenite's server side: what must hold of them all.
//!
//! Both read alike, except that
//! - we refuse a frame as soon as its bytes show what is wrong, tungstenite once it is whole, so that the rule which is
//!   named may be another one where several are broken;
//! - a length that is not minimal is a fault here and nothing there; one with the top bit set is broken here and too large
//!   there;
//! - a close frame with a code that must not be sent is a fault here; tungstenite hands on a close frame of its own
//!   making. It does so for 1014 too, which IANA has registered since.

use std::io::{self, Read, Write};

use tungstenite::Error;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use super::header::CONTROL_BYTES_MAX;
use super::message::Message;
use super::{Fault, Incoming, Reader};

/// How long messages may be: at first, and after the first text message, as the socket does it. Not below what control
/// frames may be, which tungstenite limits too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// At first.
    pub(crate) first: usize,
    /// After the first text message.
    pub(crate) later: usize,
}

/// What was read, and what ended it.
#[derive(PartialEq, Eq, Debug)]
struct Heard<F> {
    said: Vec<Incoming>,
    fault: Option<F>,
}

/// Reads the bytes in every way; `cuts` are sizes of pieces, taken in turn.
///
/// # Panics
/// Where two do not agree, and where more memory is held than there may be.
pub(crate) fn check(bytes: &[u8], limits: Limits, cuts: &[usize]) {
    let (ours, taken) = heard_by_us(bytes, limits, &[1]);
    for cuts in [&[bytes.len()], cuts] {
        let (other, _) = heard_by_us(bytes, limits, cuts);
        assert_eq!(ours, other, "cut into {cuts:?}");
    }
    let theirs = match ours.fault {
        Some(_) => heard_by_them(&with_its_last_frame_whole(&bytes[..taken], limits), limits),
        None => heard_by_them(bytes, limits),
    };
    assert!(agree(&ours, &theirs), "we {ours:?}, they {theirs:?}");
}

/// What we make of it, and after how many bytes a fault came.
fn heard_by_us(bytes: &[u8], limits: Limits, cuts: &[usize]) -> (Heard<Fault>, usize) {
    let mut reader = Reader::new(limits.first);
    let mut limit = limits.first;
    let mut said = Vec::new();
    let mut taken = 0;
    let mut cuts = cuts.iter().cycle();
    while taken < bytes.len() {
        let cut = cuts.next().map_or(1, |cut| *cut.max(&1));
        let mut piece = &bytes[taken..bytes.len().min(taken + cut)];
        taken += piece.len();
        loop {
            let next = reader.next(&mut piece);
            assert!(held(&reader) <= limit + 2 * usize::from(CONTROL_BYTES_MAX));
            match next {
                Ok(Some(incoming)) => {
                    if matches!(incoming, Incoming::Text(_)) {
                        limit = limits.later;
                        reader.limit(limit);
                    }
                    said.push(incoming);
                }
                Ok(None) => break,
                Err(fault) => {
                    assert_eq!(
                        held(&reader),
                        0,
                        "nothing is kept for a client that is done"
                    );
                    let fault = Some(fault);
                    return (Heard { said, fault }, taken);
                }
            }
        }
        assert!(piece.is_empty(), "all is taken");
    }
    (Heard { said, fault: None }, taken)
}

/// The bytes that a reader has on the heap for payloads.
pub(super) fn held(reader: &Reader) -> usize {
    let Some(begun) = &reader.begun else { return 0 };
    assert!(!begun.is_blank(), "a box for nothing");
    let message = match &begun.message {
        Some(Message::Text { bytes, .. }) => bytes.capacity(),
        Some(Message::Binary { .. }) | None => 0,
    };
    message + begun.control.capacity()
}

/// What tungstenite makes of it; a fault is its close code.
fn heard_by_them(bytes: &[u8], limits: Limits) -> Heard<u16> {
    let config = WebSocketConfig::default()
        // It clears as much on each read, and the fuzzer does nothing else then.
        .read_buffer_size(4096)
        .max_message_size(Some(limits.first))
        .max_frame_size(Some(limits.first));
    let mut context = WebSocketContext::new(Role::Server, Some(config));
    let mut pipe = Pipe(bytes);
    let mut said = Vec::new();
    loop {
        let incoming = match context.read(&mut pipe) {
            Ok(tungstenite::Message::Text(text)) => {
                context.set_config(|config| {
                    config.max_message_size = Some(limits.later);
                    config.max_frame_size = Some(limits.later);
                });
                Incoming::Text(text.to_string())
            }
            Ok(tungstenite::Message::Binary(_)) => Incoming::Binary,
            Ok(tungstenite::Message::Ping(payload)) => Incoming::Ping(payload.to_vec()),
            Ok(tungstenite::Message::Pong(_)) => Incoming::Pong,
            Ok(tungstenite::Message::Close(close)) => {
                let close = close.map(|close| (close.code.into(), close.reason.to_string()));
                said.push(Incoming::Close(close));
                return Heard { said, fault: None };
            }
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return Heard { said, fault: None };
            }
            Err(Error::Capacity(_)) => {
                return Heard {
                    said,
                    fault: Some(1009),
                };
            }
            Err(Error::Utf8(_)) => {
                return Heard {
                    said,
                    fault: Some(1007),
                };
            }
            Err(Error::Protocol(_)) => {
                return Heard {
                    said,
                    fault: Some(1002),
                };
            }
            other => unreachable!("{other:?}"),
        };
        said.push(incoming);
    }
}

/// Bytes to read, and nowhere to write to.
struct Pipe<'a>(&'a [u8]);

impl Read for Pipe<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            bytes => Ok(bytes),
        }
    }
}

impl Write for Pipe<'_> {
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bytes with more behind them until their last frame is whole, or too large: only then does tungstenite judge it.
fn with_its_last_frame_whole(bytes: &[u8], limits: Limits) -> Vec<u8> {
    // As a length it is minimal in each form: nothing that we refuse must become right by it.
    const FILLING: u8 = 1;
    let mut whole = bytes.to_vec();
    let mut frame_at = 0;
    loop {
        let mut header = whole[frame_at..].iter().copied().chain([FILLING; 10]);
        let second = header.nth(1).unwrap_or(FILLING);
        let length_bytes = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask_bytes = if second & 0x80 == 0 { 0 } else { 4 };
        let length = match length_bytes {
            0 => u64::from(second & 0x7F),
            some => header
                .take(some)
                .fold(0, |sum, byte| sum << 8 | u64::from(byte)),
        };
        let fits = length <= limits.first.max(limits.later) as u64;
        let payload_bytes = if fits { length as usize } else { 0 };
        let end = frame_at + 2 + length_bytes + mask_bytes + payload_bytes;
        if end >= bytes.len() || !fits {
            whole.resize(end.max(whole.len()), FILLING);
            return whole;
        }
        frame_at = end;
    }
}

fn agree(ours: &Heard<Fault>, theirs: &Heard<u16>) -> bool {
    // What tungstenite says in the place of a close frame that it does not like.
    let disliked = || Incoming::Close(Some((1002, "Protocol violation".to_owned())));
    let mut said = ours.said.clone();
    if let Some(last @ Incoming::Close(Some((1014, _)))) = said.last_mut() {
        *last = disliked();
    }
    match ours.fault {
        None => said == theirs.said && theirs.fault.is_none(),
        Some(Fault::LengthNotMinimal) => theirs.said.starts_with(&said),
        Some(Fault::CloseCode(_)) if theirs.fault.is_none() => {
            said.push(disliked());
            said == theirs.said
        }
        Some(fault) => {
            let codes: &[u16] = match fault {
                Fault::LengthTopBit => &[1009],
                Fault::CloseCode(_) => &[1007],
                Fault::NotUtf8 => &[1007],
                Fault::TooLarge { .. } => &[1009],
                _ => &[1002, 1009],
            };
            said == theirs.said && theirs.fault.is_some_and(|code| codes.contains(&code))
        }
    }
}
