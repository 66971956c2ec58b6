//! The socket, spoken to by a client: over TCP for what the wire decides, over a pipe with a clock of its own for what
//! time decides.

mod client;
mod ends;
mod init;
mod legacy;
mod order;
mod raw;
mod rfc6455;
mod size;
pub(in crate::transport) mod stage;
mod time;
mod wire;
