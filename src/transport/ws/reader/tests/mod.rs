//! The rules of RFC 6455 for what a client sends, one sentence a test, on bytes alone.

mod any_bytes;
mod closing;
mod control;
mod fragments;
mod framing;
mod lengths;
mod memory;
mod text;

use super::{Fault, Incoming, Reader};
use crate::transport::ws::{Close, MESSAGE_BYTES_MAX};

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A masked frame: its first byte as it is, its length as short as can be.
fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = header(first, payload.len());
    bytes.extend(
        payload
            .iter()
            .zip(KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

fn header(first: u8, payload_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload_bytes {
        0..126 => bytes.push(MASKED | payload_bytes as u8),
        126..65_536 => {
            bytes.push(MASKED | 126);
            bytes.extend((payload_bytes as u16).to_be_bytes());
        }
        _ => {
            bytes.push(MASKED | 127);
            bytes.extend((payload_bytes as u64).to_be_bytes());
        }
    }
    bytes.extend(KEY);
    bytes
}

/// Everything that is said in these bytes, and the fault that ends it.
fn read_with(reader: &mut Reader, mut bytes: &[u8]) -> (Vec<Incoming>, Option<Fault>) {
    let mut said = Vec::new();
    loop {
        match reader.next(&mut bytes) {
            Ok(Some(incoming)) => said.push(incoming),
            Ok(None) => return (said, None),
            Err(fault) => return (said, Some(fault)),
        }
    }
}

fn read(bytes: &[u8]) -> (Vec<Incoming>, Option<Fault>) {
    read_with(&mut Reader::new(MESSAGE_BYTES_MAX), bytes)
}

fn text(text: &str) -> Incoming {
    Incoming::Text(text.to_owned())
}

#[track_caller]
fn assert_says(bytes: &[u8], said: &[Incoming]) {
    assert_eq!(read(bytes), (said.to_vec(), None));
}

/// The bytes are refused with this fault, which closes with this code, and not before the last of them.
#[track_caller]
fn assert_refused(bytes: &[u8], fault: Fault, code: u16) {
    assert_eq!(read(bytes), (Vec::new(), Some(fault)));
    assert_eq!(
        read(&bytes[..bytes.len() - 1]),
        (Vec::new(), None),
        "refused too early"
    );
    assert_eq!(fault.close_code(), code);
    assert_eq!(Close::from(fault).code, code);
}
