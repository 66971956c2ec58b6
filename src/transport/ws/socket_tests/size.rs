//! What an idle socket holds: there are thousands of them.

use std::sync::Arc;

use bytes::Bytes;

use super::client::World;
use crate::hub::Outbox;
use crate::transport::ws::INIT_BYTES_MAX;
use crate::transport::ws::protocol::Protocol;
use crate::transport::ws::socket::Socket;
use crate::transport::ws::wire::{TextFrames, Wire};

#[tokio::test]
async fn a_sockets_task_takes_768_bytes_at_most() {
    let world = World::new();
    let outbox = Arc::new(Outbox::framed(Outbox::BUDGET_BYTES, &TextFrames));
    let endpoint = world.endpoint.clone();
    let protocol = Protocol::new(endpoint.settings.at_once, None);
    let waits = endpoint.waits.clone();
    let socket = Socket::new(endpoint, protocol, waits, outbox.clone());
    let (_near, far) = tokio::io::duplex(64);
    let wire = Wire::new(far, Bytes::new(), INIT_BYTES_MAX, outbox);
    let bytes = size_of_val(&socket.serve(wire));
    // The allocator hands out 768 bytes or 896.
    assert!(bytes <= 768, "{bytes} bytes");
}
