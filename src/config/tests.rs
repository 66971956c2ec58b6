use std::collections::HashSet;

use super::cli::declared;
use super::*;

/// What a command line gives, in an environment without settings.
fn read(args: &[&str]) -> Result<Settings, Bad> {
    let args = ["tidings"].iter().chain(args);
    Settings::read(&Invocation::parse(args).unwrap().texts)
}

const SECRET: &str = "--jwt-secret=a secret of thirty-two bytes or more";

#[test]
fn the_example_names_every_setting_with_its_default() {
    let example = include_str!("../../.env.example");
    let commented = |line: &str| line.strip_prefix('#').map(str::to_owned);
    let shown: Vec<(String, String)> = example
        .lines()
        .filter_map(|line| commented(line).filter(|line| line.starts_with("TIDINGS_")))
        .map(|line| {
            let (name, default) = line.split_once('=').unwrap();
            (name.to_owned(), default.to_owned())
        })
        .collect();
    let known: Vec<_> = declared().map(|s| (s.name, s.default)).collect();
    assert_eq!(shown, known);
}

#[test]
fn the_example_can_be_read_as_it_is_and_with_its_comments_taken_away() {
    let example = include_str!("../../.env.example");
    assert_eq!(dotenvy::from_read_iter(example.as_bytes()).count(), 0);
    let taken = example.replace("#TIDINGS_", "TIDINGS_");
    let names: HashSet<_> = dotenvy::from_read_iter(taken.as_bytes())
        .map(|line| line.unwrap().0)
        .collect();
    assert_eq!(names, declared().map(|s| s.name).collect());
}

#[test]
fn every_setting_is_a_flag_of_the_same_name() {
    use clap::CommandFactory;
    for arg in Cli::command().get_arguments() {
        let Some(name) = arg.get_env() else { continue };
        let flag = arg.get_long().unwrap().replace('-', "_").to_uppercase();
        assert_eq!(name.to_str().unwrap(), format!("TIDINGS_{flag}"));
        assert!(arg.get_help().is_some(), "{flag}");
    }
}

#[test]
fn the_defaults_are_those_of_the_design() {
    let settings = read(&[]).unwrap();
    assert_eq!(settings.bind, "127.0.0.1:4000".parse().unwrap());
    assert_eq!(
        settings.database.file,
        std::path::PathBuf::from("tidings.db")
    );
    assert!(settings.is_development() && settings.playground);
    assert_eq!(settings.mutations.unwrap().per_second.get(), 10);
    assert_eq!(settings.mutations.unwrap().burst.get(), 40);
    assert_eq!(settings.signals.unwrap().per_second.get(), 20);
    assert_eq!(settings.signals.unwrap().burst.get(), 40);
    assert_eq!(settings.subscriptions_per_connection.unwrap().get(), 50);
    assert_eq!(settings.retention_days, 30);
    assert_eq!(settings.init_timeout, Some(Duration::from_secs(10)));
    assert_eq!(settings.ping_every, Some(Duration::from_secs(25)));
    assert_eq!(settings.drain, Duration::from_secs(10));
}

#[test]
fn an_empty_setting_counts_as_none() {
    let settings = read(&["--bind=", "--jwt-secret=", "--retention-days="]).unwrap();
    assert_eq!(settings.bind, "127.0.0.1:4000".parse().unwrap());
    assert_eq!(settings.retention_days, 30);
    assert!(settings.is_development());
}

#[test]
fn zero_switches_a_limit_off() {
    let off = |flag: &str| read(&[&format!("--{flag}=0")]).unwrap();
    assert_eq!(off("mutations-per-second").mutations, None);
    assert_eq!(off("mutations-burst").mutations, None);
    assert_eq!(off("signals-per-second").signals, None);
    assert_eq!(off("signals-burst").signals, None);
    assert_eq!(off("connections-per-user").connections_per_user, None);
    assert_eq!(off("connections-per-ip").connections_per_ip, None);
    assert_eq!(off("sockets-per-second").sockets_per_second, None);
    let unlimited = off("subscriptions-per-connection");
    assert_eq!(unlimited.subscriptions_per_connection, None);
    assert_eq!(off("init-timeout-secs").init_timeout, None);
    assert_eq!(off("ping-interval-secs").ping_every, None);
    assert_eq!(off("drain-secs").drain, Duration::ZERO);
}

#[test]
fn what_cannot_be_used_is_said_in_one_line_that_names_it() {
    for (flag, value) in [
        ("bind", "nonsense"),
        ("bind", "127.0.0.1"),
        ("bind", "127.0.0.1:65536"),
        ("database-url", "postgres://db/tidings"),
        ("jwt-secret-file", "/does/not/exist"),
        ("jwt-public-key-file", "/does/not/exist"),
        ("jwks-url", "id.example/keys"),
        ("jwks-url", "file:///etc/passwd"),
        ("allowed-origins", "https://a.example/path"),
        ("mutations-per-second", "-1"),
        ("mutations-burst", "many"),
        ("signals-per-second", "1000001"),
        ("signals-burst", "1.5"),
        ("connections-per-user", "1000001"),
        ("connections-per-ip", "1.5"),
        ("sockets-per-second", "-1"),
        ("subscriptions-per-connection", "1\n2"),
        ("retention-days", "36501"),
        ("init-timeout-secs", "10s"),
        ("ping-interval-secs", "3601"),
        ("drain-secs", "99999999999999999999"),
        ("fanout-workers", "0"),
        ("playground", "perhaps"),
        ("log-format", "xml"),
        ("log", "info,=="),
    ] {
        let bad = read(&[&format!("--{flag}={value}")]).unwrap_err();
        let name = format!("TIDINGS_{}", flag.replace('-', "_").to_uppercase());
        let line = bad.to_string();
        assert!(line.starts_with(&format!("{name}={value:?}: ")), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn a_secret_is_never_shown() {
    let short = read(&["--jwt-secret=hunter2"]).unwrap_err().to_string();
    assert!(
        short.contains("7 bytes") && !short.contains("hunter2"),
        "{short}"
    );
    let two = [SECRET, "--jwks-url=https://id.example/keys"];
    let two = read(&two).unwrap_err().to_string();
    assert!(
        two.contains("one key is enough") && !two.contains("thirty-two"),
        "{two}"
    );
    let shown = Invocation::parse(["tidings", SECRET]).unwrap();
    assert!(
        shown
            .texts
            .to_string()
            .contains("TIDINGS_JWT_SECRET=(secret)\n")
    );
    assert!(!format!("{shown:?}").contains("thirty-two"));
    assert!(!format!("{:?}", read(&[SECRET]).unwrap()).contains("thirty-two"));
}

#[test]
fn the_help_does_not_show_the_environment() {
    let help = Invocation::parse(["tidings", "--help"])
        .unwrap_err()
        .to_string();
    assert!(help.contains("[env: TIDINGS_JWT_SECRET]"), "{help}");
}

#[test]
fn an_address_that_others_can_reach_needs_a_key() {
    for bind in [
        "--bind=0.0.0.0:4000",
        "--bind=[::]:4000",
        "--bind=192.0.2.1:4000",
    ] {
        let refused = read(&[bind]).unwrap_err();
        assert_eq!(refused.setting, "TIDINGS_BIND");
        let settings = read(&[bind, SECRET]).unwrap();
        assert!(!settings.is_development() && !settings.playground);
    }
    for bind in ["--bind=localhost:0", "--bind=[::1]:0", "--bind=127.9.9.9:0"] {
        assert!(read(&[bind]).unwrap().is_development(), "{bind}");
    }
}

#[test]
fn a_secret_can_be_in_a_file_and_its_last_line_break_is_not_part_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let text = "x".repeat(32);
    std::fs::write(&file, format!("{text}\r\n")).unwrap();
    let flag = format!("--jwt-secret-file={}", file.display());
    let KeySource::Secret(secret) = read(&[&flag]).unwrap().key else {
        panic!("not a secret")
    };
    assert_eq!(secret, crate::auth::Secret::parse(&text).unwrap());
}

#[test]
fn settings_may_stand_before_or_after_the_command() {
    for args in [
        ["tidings", "--drain-secs=3", "check-config"],
        ["tidings", "check-config", "--drain-secs=3"],
    ] {
        let invocation = Invocation::parse(args).unwrap();
        let settings = Settings::read(&invocation.texts).unwrap();
        assert_eq!(settings.drain, Duration::from_secs(3), "{args:?}");
        assert!(matches!(invocation.command, Command::CheckConfig));
    }
}
