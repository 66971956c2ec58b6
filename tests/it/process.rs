//! The process: its settings, its tokens, its health.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::{Plan, TestServer, get, now_secs, refused, run};

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
fn it_lives_and_is_ready() {
    let server = TestServer::start();
    assert_eq!(get(&server, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(get(&server, "/readyz"), (200, "ready\n".to_owned()));
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
