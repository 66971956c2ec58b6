//! What the process says when it cannot do what it was asked for: one line, exit code 1, never a panic.

use std::net::TcpListener;

use crate::support::{Plan, TestServer, refused, run};

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
