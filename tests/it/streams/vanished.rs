//! A client that vanishes, as a phone does that loses its network: nothing of it comes any more, not even a FIN, and nothing that is sent to
//! it is acknowledged.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::json;

use super::raw::Request;
use super::{EVENTS, SENT, Scene};
use crate::support::Plan;

/// Opens a stream, waits for its first bytes and then has its kernel drop whatever comes (SO_ATTACH_FILTER), so that nothing is
/// acknowledged; says so, and stays until it is killed.
const VANISH: &str = r#"
import ctypes, socket, struct, sys
host, port, request = sys.argv[1], int(sys.argv[2]), sys.stdin.read()
tcp = socket.create_connection((host, port))
tcp.sendall(request.encode())
assert tcp.recv(4096).startswith(b"HTTP/1.1 200")
drop_all = struct.pack("HBBI", 6, 0, 0, 0)
code = ctypes.create_string_buffer(drop_all)
SO_ATTACH_FILTER = 26
tcp.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(code)))
print("vanished", flush=True)
while True:
    try:
        tcp.recv(4096)
    except OSError:
        break
"#;

#[test]
fn a_client_that_vanishes_is_given_up_once_it_leaves_a_beat_unanswered_for_too_long() {
    let plan = Plan::default()
        .env("TIDINGS_PING_INTERVAL_SECS", 1)
        .env("TIDINGS_CONNECTIONS_PER_USER", 1)
        .env("TIDINGS_LOG", "info,tidings::transport::stream=debug");
    let scene = Scene::on(plan.start());
    let variables = json!({ "roomId": scene.room });
    let request = Request::post(SENT, &variables).accept(EVENTS);
    let request = request.token(&scene.token);
    let addr = scene.server.addr();
    let client = Command::new("python3")
        .args([
            "-c",
            VANISH,
            &addr.ip().to_string(),
            &addr.port().to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut client = Killed(client);
    request.write_to(client.0.stdin.take().unwrap());
    let mut said = String::new();
    let mut words = BufReader::new(client.0.stdout.take().unwrap());
    words.read_line(&mut said).unwrap();
    assert_eq!(said, "vanished\n");
    let begun = Instant::now();
    // It holds the one place of its user.
    assert_eq!(scene.follow().send(&scene.server).status(), 429);
    let ended = |line: &str| line.contains("stream ended").then(|| line.to_owned());
    let ended = scene.server.logs().wait_for("the stream's end", ended);
    assert!(ended.contains("Lost"), "{ended}");
    // A beat's interval and ten seconds for an answer, counted by a kernel that looks when it sends again.
    eprintln!("given up after {:?}", begun.elapsed());
    // By the time it is said its place is free.
    assert_eq!(scene.follow().send(&scene.server).status(), 200);
}

/// A process that does not outlive the test, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
