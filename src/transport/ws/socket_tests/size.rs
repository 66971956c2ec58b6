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
async fn a_sockets_task_takes_1024_bytes_at_most() {
    let world = World::new();
    let outbox = Arc::new(Outbox::framed(Outbox::BUDGET_BYTES, &TextFrames));
    let endpoint = world.endpoint.clone();
    let protocol = Protocol::new(endpoint.settings.at_once, None);
    let waits = endpoint.waits.clone();
    let mut socket = Socket::new(endpoint, protocol, waits, outbox.clone());
    let (_near, far) = tokio::io::duplex(64);
    let mut wire = Wire::new(far, Bytes::new(), INIT_BYTES_MAX, outbox);
    let task = async move { socket.serve(&mut wire).await };
    let bytes = size_of_val(&task);
    // The allocator hands out 1,024 bytes or 1,280.
    assert!(bytes <= 1_024, "{bytes} bytes");
}
