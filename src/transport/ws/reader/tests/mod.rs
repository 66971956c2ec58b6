//! The rules of RFC 6455 for what a client sends, one sentence a test, on bytes alone.

mod any_bytes;
mod closing;
mod control;
mod fragments;
mod framing;
mod lengths;
mod memory;
mod text;

use super::frames::*;
use super::{Fault, Incoming, Reader};
use crate::transport::ws::MESSAGE_BYTES_MAX;

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
}
