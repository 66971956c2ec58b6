//! The process: how it starts, what it says when it cannot, and how it ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::support::{Plan, TestServer, hs256, now_secs, run};

/// What the process says on standard error when it refuses to do what it was asked for.
fn refused(plan: &Plan, args: &[&str]) -> String {
    let ran = run(&mut plan.command(args));
    assert_eq!(ran.status.code(), Some(1), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    ran.stderr
}

/// A request over a connection of its own; status and body.
fn get(server: &TestServer, path: &str) -> (u16, String) {
    let mut tcp = TcpStream::connect(server.addr()).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[test]
fn a_port_in_use_is_one_line_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let plan = Plan::default().env("TIDINGS_BIND", addr);
    let line = refused(&plan, &["serve"]);
    assert!(
        line.starts_with(&format!("tidings: TIDINGS_BIND=\"{addr}\": ")),
        "{line}"
    );
    assert!(!plan.folder().join("tidings.db").exists());
}

#[test]
fn a_folder_that_is_not_there_is_one_line_that_names_it() {
    let url = "sqlite:///does/not/exist/chat.db";
    let plan = Plan::default().env("TIDINGS_DATABASE_URL", url);
    for command in ["serve", "check-config"] {
        let line = refused(&plan, &[command]);
        let named = format!("tidings: TIDINGS_DATABASE_URL=\"{url}\": ");
        assert!(line.starts_with(&named), "{line}");
    }
}

/// Root may write everywhere, so the folder is one that nobody can write into.
#[test]
fn a_folder_that_cannot_be_written_is_one_line_that_names_it() {
    let url = "sqlite:///proc/self/chat.db";
    let plan = Plan::default().env("TIDINGS_DATABASE_URL", url);
    let line = refused(&plan, &["serve"]);
    let named = format!("tidings: TIDINGS_DATABASE_URL=\"{url}\": ");
    assert!(line.starts_with(&named), "{line}");
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let plan = Plan::default();
    let file = plan.folder().join("tidings.db");
    std::fs::write(&file, "Dear diary,\n".repeat(1000)).unwrap();
    let line = refused(&plan, &["serve"]);
    assert!(line.starts_with("tidings: TIDINGS_DATABASE_URL="), "{line}");
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .starts_with("Dear diary")
    );
}

#[test]
fn a_second_server_on_the_same_database_is_refused() {
    let server = TestServer::start();
    let url = format!("sqlite://{}", server.database().display());
    let line = refused(
        &Plan::default().env("TIDINGS_DATABASE_URL", &url),
        &["serve"],
    );
    assert!(line.starts_with("tidings: TIDINGS_DATABASE_URL="), "{line}");
    assert!(line.contains("another server"), "{line}");
}

#[test]
fn a_bad_setting_is_one_line_wherever_it_comes_from() {
    let named = "tidings: TIDINGS_DRAIN_SECS=\"soon\": ";
    let plan = Plan::default().env("TIDINGS_DRAIN_SECS", "soon");
    for command in ["serve", "check-config", "token"] {
        let args = [command, "--user=ada"];
        let args = if command == "token" {
            &args[..]
        } else {
            &args[..1]
        };
        let line = refused(&plan, args);
        assert!(line.starts_with(named), "{line}");
    }
    let by_flag = refused(&Plan::default(), &["--drain-secs=soon"]);
    assert!(by_flag.starts_with(named), "{by_flag}");
    let plan = Plan::default().env("TIDINGS_DRAIN_SECS", "");
    std::fs::write(plan.folder().join(".env"), "TIDINGS_RETENTION_DAYS=soon\n").unwrap();
    let line = refused(&plan, &["check-config"]);
    assert!(
        line.starts_with("tidings: TIDINGS_RETENTION_DAYS=\"soon\""),
        "{line}"
    );
}

#[test]
fn a_broken_env_file_is_one_line_that_does_not_quote_it() {
    let plan = Plan::default();
    let text = "TIDINGS_DRAIN_SECS=3\nTIDINGS_JWT_SECRET=two words of a secret\n";
    std::fs::write(plan.folder().join(".env"), text).unwrap();
    let line = refused(&plan, &["serve"]);
    assert!(line.starts_with("tidings: .env: line 2 "), "{line}");
    assert!(!line.contains("words"), "{line}");
}

#[test]
fn the_environment_counts_more_than_the_env_file_and_a_flag_more_than_both() {
    let plan = Plan::default().env("TIDINGS_DRAIN_SECS", "2");
    let text = "TIDINGS_DRAIN_SECS=3\nTIDINGS_RETENTION_DAYS=3\nTIDINGS_INIT_TIMEOUT_SECS=3\n";
    std::fs::write(plan.folder().join(".env"), text).unwrap();
    let ran = run(plan
        .command(&["check-config", "--init-timeout-secs=1"])
        .env("TIDINGS_RETENTION_DAYS", "2"));
    assert!(ran.status.success(), "{}", ran.stderr);
    for line in [
        "TIDINGS_DRAIN_SECS=2\n",
        "TIDINGS_RETENTION_DAYS=2\n",
        "TIDINGS_INIT_TIMEOUT_SECS=1\n",
        "TIDINGS_JWT_SECRET=(secret)\n",
        "TIDINGS_PING_INTERVAL_SECS=25\n",
    ] {
        assert!(ran.stdout.contains(line), "{line} is not in {}", ran.stdout);
    }
}

#[test]
fn a_setting_that_there_is_not_is_pointed_out() {
    let plan = Plan::default().env("TIDINGS_JWT_SECERT", "x");
    let ran = run(&mut plan.command(&["check-config"]));
    assert!(ran.stderr.contains("TIDINGS_JWT_SECERT"), "{}", ran.stderr);
    assert!(ran.status.success());
}

#[test]
fn without_a_key_others_are_not_served() {
    let plan = Plan::default()
        .development()
        .env("TIDINGS_BIND", "0.0.0.0:0");
    for command in ["serve", "check-config"] {
        let line = refused(&plan, &[command]);
        assert!(
            line.starts_with("tidings: TIDINGS_BIND=\"0.0.0.0:0\": "),
            "{line}"
        );
        assert!(line.contains("TIDINGS_JWT_SECRET"), "{line}");
    }
    assert!(std::fs::read_dir(plan.folder()).unwrap().next().is_none());
}

#[cfg(unix)]
#[test]
fn the_development_key_is_made_once_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let plan = Plan::default().development();
    let key = plan.folder().join("tidings.db.dev-key");
    let before = run(&mut plan.command(&["token", "--user=ada"]));
    assert!(before.status.success(), "{}", before.stderr);
    let made = std::fs::read(&key).unwrap();
    assert_eq!(
        std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let server = plan.start();
    assert_eq!(std::fs::read(&key).unwrap(), made);
    assert!(server.logs().text().contains("DEVELOPMENT MODE"));
    let shown = String::from_utf8(made).unwrap();
    assert!(!server.logs().text().contains(shown.trim()));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let plan = Plan::default().development();
    let url = format!("sqlite://{}", server.database().display());
    let line = refused(&plan.env("TIDINGS_DATABASE_URL", url), &["check-config"]);
    assert!(line.contains("mode 640"), "{line}");
}

#[test]
fn a_token_stands_alone_on_standard_output() {
    let plan = Plan::default()
        .env("TIDINGS_JWT_ISSUER", "https://id.example")
        .env("TIDINGS_JWT_AUDIENCE", "chat,mail");
    let ran = run(&mut plan.command(&["token", "--user", "ada", "--name", "Ada", "--ttl", "1h"]));
    assert!(ran.status.success(), "{}", ran.stderr);
    assert_eq!(ran.stderr, "");
    let token = ran.stdout.strip_suffix('\n').unwrap();
    let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(token).unwrap();
    assert_eq!(claims["sub"], "ada");
    assert_eq!(claims["name"], "Ada");
    assert_eq!(claims["iss"], "https://id.example");
    assert_eq!(claims["aud"], "chat");
    let left = claims["exp"].as_u64().unwrap() - now_secs();
    assert!((3590..=3600).contains(&left), "{left}");
}

#[test]
fn a_token_that_cannot_be_made_is_one_line() {
    let plan = Plan::default();
    for (args, said) in [
        (["--user=", "--ttl=1h"], "--user"),
        (["--user=ada", "--ttl=soon"], "--ttl=\"soon\""),
        (["--user=ada", "--ttl=0s"], "--ttl=\"0s\""),
        (["--user=ada", "--ttl=4000d"], "--ttl=\"4000d\""),
    ] {
        let line = refused(&plan, &["token", args[0], args[1]]);
        assert!(line.contains(said), "{line}");
    }
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/rsa.public.pem");
    let plan = Plan::default()
        .development()
        .env("TIDINGS_JWT_PUBLIC_KEY_FILE", key);
    let line = refused(&plan, &["token", "--user=ada"]);
    assert!(line.contains("can only check"), "{line}");
}

#[test]
fn a_wrong_flag_is_told_with_how_it_is_used() {
    let ran = run(&mut Plan::default().command(&["serve", "--prot=4000"]));
    assert_eq!(ran.status.code(), Some(2));
    assert!(ran.stderr.contains("Usage"), "{}", ran.stderr);
}

#[test]
fn it_lives_and_is_ready() {
    let server = TestServer::start();
    assert_eq!(get(&server, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(get(&server, "/readyz"), (200, "ready\n".to_owned()));
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

#[test]
fn one_address_holds_as_many_connections_as_it_may() {
    let server = Plan::default().env("TIDINGS_CONNECTIONS_PER_IP", 2).start();
    // Until a connection is answered it may not be accepted yet.
    let mut answered = [0; 12];
    let mut held: Vec<_> = (0..2)
        .map(|_| {
            let mut tcp = TcpStream::connect(server.addr()).unwrap();
            tcp.write_all(b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n")
                .unwrap();
            tcp.read_exact(&mut answered).unwrap();
            assert_eq!(&answered, b"HTTP/1.1 200");
            tcp
        })
        .collect();
    let mut third = TcpStream::connect(server.addr()).unwrap();
    let mut answer = String::new();
    let _ = third.read_to_string(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 429"),
        "{answer}"
    );
    held.pop();
    // The server learns of the closed connection in its own time.
    while TcpStream::connect(server.addr())
        .and_then(|mut tcp| {
            tcp.write_all(b"GET /healthz HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")?;
            tcp.read_exact(&mut answered)
        })
        .is_err()
        || &answered != b"HTTP/1.1 200"
    {}
}

#[test]
fn tokens_are_never_logged() {
    let server = Plan::default().env("TIDINGS_LOG", "trace").start();
    let good = server.token("ada");
    let expired = server.token_of(json!({ "sub": "ada", "exp": 1 }));
    let forged = hs256(
        "the secret of somebody else, of thirty-two bytes",
        &json!({ "sub": "ada" }),
    );
    for token in [&good, &expired, &forged] {
        let mut tcp = TcpStream::connect(server.addr()).unwrap();
        let body = json!({ "query": "{ viewer { id } }" }).to_string();
        let request = format!(
            "POST /graphql HTTP/1.1\r\nhost: t\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        tcp.write_all(request.as_bytes()).unwrap();
        tcp.read_to_string(&mut String::new()).unwrap();
    }
    assert_eq!(get(&server, "/readyz").0, 200);
    let logs = server.logs().text();
    assert!(logs.contains("\"path\":\"/graphql\""), "{logs}");
    for token in [&good, &expired, &forged] {
        for part in token.split('.').skip(1) {
            assert!(!logs.contains(part), "{part} is logged");
        }
    }
}

#[test]
fn every_line_of_the_logs_is_an_object() {
    let mut server = Plan::default().env("TIDINGS_LOG", "debug").start();
    get(&server, "/healthz");
    server.terminate();
    server.wait();
    for line in server.logs().text().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string());
    }
}
