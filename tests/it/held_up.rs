//! A server whose machine falls asleep, or has other things to do, does not take its own silence for its clients'.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Plan, Socket};

/// Each would be given up with an even chance.
const SOCKETS: usize = 16;
/// Longer than the 10 s for which the server waits for the answer to a ping, and late enough for it to see why.
const ASLEEP: Duration = Duration::from_secs(13);

#[tokio::test]
async fn a_server_that_was_held_up_keeps_those_who_have_answered_meanwhile() {
    let server = Plan::default().env("TIDINGS_PING_INTERVAL_SECS", 2);
    let server = server.start();
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        let mut socket = Socket::open(&server).await.unwrap();
        let payload = json!({ "token": server.token("ada") });
        let init = json!({ "type": "connection_init", "payload": payload });
        socket.say(&init).await;
        assert_eq!(socket.hear().await.unwrap()["type"], "connection_ack");
        sockets.push(socket);
    }
    // A ping has left for each when the server is held up, and the answer waits to be read.
    for socket in &mut sockets {
        socket.hear_ping().await;
    }
    for socket in &mut sockets {
        socket.hear_ping_unanswered().await;
    }
    server.hold_up();
    let asleep = Instant::now();
    for socket in &mut sockets {
        socket.say(&json!({ "type": "pong" })).await;
    }
    // Time is what this is about, and the server's clock is its machine's.
    tokio::time::sleep_until((asleep + ASLEEP).into()).await;
    server.go_on();
    for socket in &mut sockets {
        socket.hear_ping().await;
        socket.hear_ping().await;
    }
}
