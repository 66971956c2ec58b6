//! How the process ends: sockets in turns, requests answered, and at once when it is told twice.

use std::io::Write;
use std::net::TcpStream;

use futures_util::future::join_all;
use serde_json::json;
use tokio_tungstenite::tungstenite::Error;

use crate::support::{Plan, Socket, TestServer, get, message};

const LOBBY: &str = "00000000-0000-7000-8000-000000000001";
const SEND: &str =
    "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id body } } }";

async fn sockets(server: &TestServer, count: usize) -> Vec<Socket> {
    let token = server.token("ada");
    join_all((0..count).map(|_| Socket::signed_in(server, &token))).await
}

fn stopping(server: &TestServer) {
    server.logs().wait_for("the end to begin", |line| {
        line.contains("\"stopping\"").then_some(())
    });
}

#[tokio::test]
async fn sockets_are_told_to_come_back_later_and_the_end_is_in_order() {
    // A tenth of it is left for those whose turn comes last: three seconds, also on a busy machine.
    let mut server = Plan::default().env("TIDINGS_DRAIN_SECS", 30).start();
    let sockets = sockets(&server, 20).await;
    server.terminate();
    // Each is let go of once it has been told, as clients do.
    let told = |mut socket: Socket| async move { socket.hear().await };
    for code in join_all(sockets.into_iter().map(told)).await {
        assert_eq!(code, Err(1012));
    }
    assert_eq!(server.wait().code(), Some(0), "{}", server.logs().text());
    let cut = server.logs().wait_for("the end", |line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line["sockets_cut"].as_u64()
    });
    assert_eq!(cut, 0);
}

#[tokio::test]
async fn while_it_stops_nothing_new_is_begun_and_everyone_is_told_to_come_back() {
    // Of so many sockets some stay for long enough, whichever turns they draw of the minutes there are.
    let mut server = Plan::default().env("TIDINGS_DRAIN_SECS", 600).start();
    let mut sockets = sockets(&server, 20).await;
    server.terminate();
    stopping(&server);
    assert_eq!(get(&server, "/readyz"), (503, "stopping\n".to_owned()));
    assert_eq!(get(&server, "/healthz").0, 200);
    match Socket::open(&server).await {
        Err(Error::Http(refused)) => assert_eq!(refused.status(), 503),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was opened"),
    }
    let mut refused = 0;
    for socket in &mut sockets {
        let input = json!({ "roomId": LOBBY, "body": "late" });
        socket
            .say(&message("1", SEND, json!({ "input": input })))
            .await;
        match socket.hear().await {
            Ok(answer) => {
                let error = &answer["payload"][0]["extensions"];
                assert_eq!(error["retryable"], true, "{answer}");
                refused += 1;
            }
            Err(code) => assert_eq!(code, 1012),
        }
    }
    assert!(refused > 10, "{refused} of 20");
    server.interrupt();
    assert_eq!(server.wait().code(), Some(130), "{}", server.logs().text());
}

#[test]
fn sigterm_and_ctrl_c_end_it_in_order() {
    for signal in [TestServer::terminate, TestServer::interrupt] {
        let mut server = TestServer::start();
        let idle = TcpStream::connect(server.addr()).unwrap();
        signal(&server);
        assert_eq!(server.wait().code(), Some(0), "{}", server.logs().text());
        assert!(server.logs().text().contains("\"stopped\""));
        drop(idle);
    }
}

#[test]
fn a_request_under_way_is_answered_before_the_end_and_a_second_signal_does_not_wait_for_it() {
    let mut server = TestServer::start();
    // A head that is not whole yet: the connection is neither idle nor answered.
    let mut slow = TcpStream::connect(server.addr()).unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: t\r\n")
        .unwrap();
    assert_eq!(get(&server, "/healthz").0, 200);
    server.terminate();
    server.logs().wait_for("the end to begin", |line| {
        line.contains("\"stopping\"").then_some(())
    });
    server.terminate();
    assert_eq!(server.wait().code(), Some(143), "{}", server.logs().text());
}

#[test]
fn it_comes_back_on_the_same_port_with_the_same_database() {
    let server = TestServer::start();
    let addr = server.addr();
    let mut server = server.restart();
    assert_eq!(server.addr(), addr);
    assert_eq!(get(&server, "/readyz").0, 200);
    server.terminate();
    server.wait();
    let server = server.start_again();
    assert_eq!(get(&server, "/readyz").0, 200);
}
