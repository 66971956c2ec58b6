//! The `tidings` binary: parse, trace, run, exit code.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::error::ErrorKind;
use tidings::app::signals::{Signal, Signals};
use tidings::app::{self, logs};
use tidings::auth::{KeySource, check_dev_key};
use tidings::config::{
    Bad, Command, Database, Invocation, InvocationError, Settings, TokenFlags, UserFlag,
};
use tidings::model::{Timestamp, UserId};
use tidings::store::sqlite::{OpenError, Visit};
use tokio_util::sync::CancellationToken;

/// Parsing and executing GraphQL is a quarter allocation with the C library's allocator; see `docs/performance.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A token that holds for longer should be one that can be withdrawn.
const TTL_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

fn main() -> ExitCode {
    let invocation = match Invocation::of_this_process() {
        Ok(invocation) => invocation,
        Err(InvocationError::Clap(error)) => return explain(&error),
        Err(error) => return fail(&error.into()),
    };
    run(&invocation).unwrap_or_else(|error| fail(&error))
}

fn run(invocation: &Invocation) -> anyhow::Result<ExitCode> {
    match &invocation.command {
        Command::Serve => return serve(Settings::read(&invocation.texts)?),
        Command::Token(flags) => print(&token(&Settings::read(&invocation.texts)?, flags)?)?,
        Command::Revoke(flag) => print(&revoke(&Database::read(&invocation.texts)?, flag)?)?,
        Command::Allow(flag) => print(&allow(&Database::read(&invocation.texts)?, flag)?)?,
        Command::Schema => print(tidings::graphql::sdl().trim_end())?,
        Command::CheckConfig => {
            check(&Settings::read(&invocation.texts)?)?;
            print(invocation.texts.to_string().trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn serve(settings: Settings) -> anyhow::Result<ExitCode> {
    logs::init(settings.log_format, &settings.log_filter);
    for name in Invocation::strangers() {
        tracing::warn!(name, "the environment names a setting that there is not");
    }
    let runtime = tokio::runtime::Runtime::new().context("starting threads")?;
    runtime.block_on(async {
        let mut signals = Signals::catch().context("catching signals")?;
        let stop = CancellationToken::new();
        tokio::select! {
            served = app::serve(settings, stop.clone()) => Ok(served.map(|()| ExitCode::SUCCESS)?),
            // Not by returning: that would wait for what does not end by itself.
            signal = second(&mut signals, &stop) => std::process::exit(signal.exit_code().into()),
        }
    })
}

/// Stops the server at the first signal and returns at the second, which is to end the process at once.
async fn second(signals: &mut Signals, stop: &CancellationToken) -> Signal {
    let first = signals.next().await;
    tracing::info!(signal = ?first, "asked to stop; once more stops at once");
    stop.cancel();
    let second = signals.next().await;
    tracing::warn!(signal = ?second, "stopping at once");
    second
}

fn token(settings: &Settings, flags: &TokenFlags) -> anyhow::Result<String> {
    let user = UserId::parse("--user", &flags.user)?;
    let ttl = humantime::parse_duration(&flags.ttl).ok();
    let ttl = ttl.filter(|ttl| ttl.as_secs() >= 1 && *ttl <= TTL_MAX);
    let Some(ttl) = ttl else {
        let given = &flags.ttl;
        bail!("--ttl={given:?}: not a time from 1s to 3650d, such as 30s, 15m, 1h or 7d");
    };
    let Some(minter) = app::authenticator(settings)?.minter() else {
        bail!(
            "tokens are signed by whoever owns the key that is configured; this server can only check them"
        );
    };
    minter
        .mint(&user, flags.name.as_deref(), ttl)
        .context("the token could not be signed")
}

fn revoke(database: &Database, flag: &UserFlag) -> anyhow::Result<String> {
    let user = UserId::parse("--user", &flag.user)?;
    let now = Timestamp::now();
    visiting(async {
        let mut visit = Visit::open(&database.url).await?;
        visit.revoke(&user, now).await?;
        visit.close().await
    })?;
    Ok(format!(
        "tokens of {user} that were issued up to {now} are refused; tokens issued from the next second on are not"
    ))
}

fn allow(database: &Database, flag: &UserFlag) -> anyhow::Result<String> {
    let user = UserId::parse("--user", &flag.user)?;
    let lifted = visiting(async {
        let mut visit = Visit::open(&database.url).await?;
        let lifted = visit.allow(&user).await?;
        visit.close().await.map(|()| lifted)
    })?;
    Ok(match lifted {
        true => format!("tokens of {user} are accepted again"),
        false => format!("no tokens of {user} were withdrawn"),
    })
}

fn visiting<T>(visit: impl Future<Output = Result<T, OpenError>>) -> anyhow::Result<T> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    Ok(runtime.enable_all().build()?.block_on(visit)?)
}

/// What `serve` would trip over, without making anything.
fn check(settings: &Settings) -> anyhow::Result<()> {
    let database = &settings.database;
    if !database.folder().is_dir() {
        let why = format!("there is no folder {}", database.folder().display());
        return Err(Bad::new("TIDINGS_DATABASE_URL", &database.url, why).into());
    }
    if let KeySource::Development { file } = &settings.key {
        check_dev_key(file)?;
    }
    for name in Invocation::strangers() {
        eprintln!("tidings: {name} is in the environment and is no setting");
    }
    Ok(())
}

/// To standard output. A reader that has gone, as in `tidings schema | head`, wants no more.
fn print(text: &str) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Help and version are asked for; a wrong flag is told with how it is used. What is in the environment is not a matter
/// of usage.
fn explain(error: &clap::Error) -> ExitCode {
    if error.kind() == ErrorKind::InvalidUtf8 {
        return fail(&anyhow::anyhow!("a setting or an argument is not UTF-8"));
    }
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("tidings: {error:#}");
    ExitCode::FAILURE
}
