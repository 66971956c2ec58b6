//! The command line, the environment and `.env`, before anything is checked.

use std::ffi::OsString;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::texts::Texts;

/// Where settings may be kept beside the environment.
const DOTENV: &str = ".env";

/// Self-hosted, real-time message server: one binary, one SQLite file, one GraphQL API.
#[derive(Parser, Clone, Debug)]
#[command(name = "tidings", version, max_term_width = 100)]
pub struct Cli {
    /// What to do; `serve` where nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings.
    #[command(flatten)]
    pub flags: Flags,
}

/// What to do.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Serve the API (also where no command is given).
    Serve,
    /// Print a token for a user, where the server signs with a secret of its own.
    Token(TokenFlags),
    /// Withdraw a user's tokens, all that were issued until now, and end its connections. The server may be running.
    Revoke(UserFlag),
    /// Let a user's withdrawn tokens in again, as far as they have not run out.
    Allow(UserFlag),
    /// Print the GraphQL schema.
    Schema,
    /// Print the settings in force, secrets masked, or say what is wrong with them.
    CheckConfig,
}

/// Whose token, and for how long.
#[derive(Args, Clone, Debug)]
pub struct TokenFlags {
    /// The user's id: the token's `sub`.
    #[arg(long, value_name = "ID")]
    pub user: String,
    /// The user's name; its id where nothing is said.
    #[arg(long)]
    pub name: Option<String>,
    /// How long the token holds: 30s, 15m, 1h, 7d.
    #[arg(long, default_value = "1d")]
    pub ttl: String,
}

/// Which user.
#[derive(Args, Clone, Debug)]
pub struct UserFlag {
    /// The user's id: the tokens' `sub`.
    #[arg(long, value_name = "ID")]
    pub user: String,
}

/// The settings as text. Each is also an environment variable; an empty one counts as not given.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Settings")]
pub struct Flags {
    /// Address and port to listen on. Port 0 takes a free one.
    #[arg(
        long,
        env = "TIDINGS_BIND",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:4000"
    )]
    pub bind: Option<String>,
    /// The database. It is made where there is none.
    #[arg(
        long,
        env = "TIDINGS_DATABASE_URL",
        value_name = "URL",
        default_value = "sqlite://tidings.db"
    )]
    pub database_url: Option<String>,
    /// Whether a send is answered before it is on the disk: full for after, normal for before. With normal a power cut loses
    /// the newest messages, acknowledged or not.
    #[arg(
        long,
        env = "TIDINGS_SYNCHRONOUS",
        value_name = "full|normal",
        default_value = "full"
    )]
    pub synchronous: Option<String>,
    /// Tokens are signed by HS256 with this secret of at least 32 bytes. Without any key, and on a loopback address
    /// only, the server makes one of its own and keeps it beside the database: development mode.
    #[arg(long, env = "TIDINGS_JWT_SECRET", value_name = "SECRET")]
    pub jwt_secret: Option<String>,
    /// A file that holds the secret, in place of TIDINGS_JWT_SECRET.
    #[arg(long, env = "TIDINGS_JWT_SECRET_FILE", value_name = "FILE")]
    pub jwt_secret_file: Option<String>,
    /// Tokens are signed by the owner of this public key: a PEM file; RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.
    #[arg(long, env = "TIDINGS_JWT_PUBLIC_KEY_FILE", value_name = "FILE")]
    pub jwt_public_key_file: Option<String>,
    /// Tokens are signed with one of the keys at this address (RFC 7517), which is read again when a new key turns up.
    #[arg(long, env = "TIDINGS_JWKS_URL", value_name = "URL")]
    pub jwks_url: Option<String>,
    /// Tokens must have one of these `iss`; commas between.
    #[arg(long, env = "TIDINGS_JWT_ISSUER", value_name = "ISSUER")]
    pub jwt_issuer: Option<String>,
    /// Tokens must have one of these `aud`; commas between.
    #[arg(long, env = "TIDINGS_JWT_AUDIENCE", value_name = "AUDIENCE")]
    pub jwt_audience: Option<String>,
    /// Web pages of these origins may use the API, besides the server's own; commas between, or * for all.
    #[arg(long, env = "TIDINGS_ALLOWED_ORIGINS", value_name = "ORIGINS")]
    pub allowed_origins: Option<String>,
    /// Mutations that one user may make each second, over time. 0: no limit. At most 1000000.
    #[arg(
        long,
        env = "TIDINGS_MUTATIONS_PER_SECOND",
        value_name = "N",
        default_value = "10"
    )]
    pub mutations_per_second: Option<String>,
    /// Mutations that one user may make at once after a pause. 0: no limit. At most 1000000.
    #[arg(
        long,
        env = "TIDINGS_MUTATIONS_BURST",
        value_name = "N",
        default_value = "40"
    )]
    pub mutations_burst: Option<String>,
    /// Signals (typing, presence, an app's own) that one user may send each second, over time. 0: no limit. At most 1000000.
    #[arg(
        long,
        env = "TIDINGS_SIGNALS_PER_SECOND",
        value_name = "N",
        default_value = "20"
    )]
    pub signals_per_second: Option<String>,
    /// Signals that one user may send at once after a pause. 0: no limit. At most 1000000.
    #[arg(
        long,
        env = "TIDINGS_SIGNALS_BURST",
        value_name = "N",
        default_value = "40"
    )]
    pub signals_burst: Option<String>,
    /// WebSockets and streams that one user may hold. 0: no limit. At most 1000000.
    #[arg(
        long,
        env = "TIDINGS_CONNECTIONS_PER_USER",
        value_name = "N",
        default_value = "50"
    )]
    pub connections_per_user: Option<String>,
    /// Connections that one address may hold; an IPv6 /64 counts as one. Set it to 0, no limit, behind a reverse proxy: all
    /// connections come from the proxy's address there. Who asks /healthz or /readyz is answered however many there are. At most
    /// 1000000.
    #[arg(
        long,
        env = "TIDINGS_CONNECTIONS_PER_IP",
        value_name = "N",
        default_value = "1000"
    )]
    pub connections_per_ip: Option<String>,
    /// WebSockets and streams that open each second, over time; twice as many after a pause. Others are told to come back in some
    /// seconds. One address has a quarter of it, unless TIDINGS_CONNECTIONS_PER_IP is 0. 0: no limit. At most 1000000.
    #[arg(
        long,
        env = "TIDINGS_SOCKETS_PER_SECOND",
        value_name = "N",
        default_value = "2000"
    )]
    pub sockets_per_second: Option<String>,
    /// Subscriptions that one WebSocket may carry. 0: no limit. At most 1000000.
    #[arg(
        long,
        env = "TIDINGS_SUBSCRIPTIONS_PER_CONNECTION",
        value_name = "N",
        default_value = "50"
    )]
    pub subscriptions_per_connection: Option<String>,
    /// Days that the log is kept, for clients to resume from. Messages stay. 0: for ever. At most 36500.
    #[arg(
        long,
        env = "TIDINGS_RETENTION_DAYS",
        value_name = "DAYS",
        default_value = "30"
    )]
    pub retention_days: Option<String>,
    /// Seconds that a WebSocket may take to sign in. 0: no limit. At most 3600.
    #[arg(
        long,
        env = "TIDINGS_INIT_TIMEOUT_SECS",
        value_name = "SECS",
        default_value = "10"
    )]
    pub init_timeout_secs: Option<String>,
    /// Seconds between the server's pings on a WebSocket or stream. 0: no pings. At most 3600.
    #[arg(
        long,
        env = "TIDINGS_PING_INTERVAL_SECS",
        value_name = "SECS",
        default_value = "25"
    )]
    pub ping_interval_secs: Option<String>,
    /// Seconds over which WebSockets are closed when the server stops. 0: at once. At most 3600.
    #[arg(
        long,
        env = "TIDINGS_DRAIN_SECS",
        value_name = "SECS",
        default_value = "10"
    )]
    pub drain_secs: Option<String>,
    /// Threads that deliver events: auto for one a core, or 1 to 256.
    #[arg(
        long,
        env = "TIDINGS_FANOUT_WORKERS",
        value_name = "N",
        default_value = "auto"
    )]
    pub fanout_workers: Option<String>,
    /// Whether / shows the playground: on, off, or auto for in development mode only.
    #[arg(
        long,
        env = "TIDINGS_PLAYGROUND",
        value_name = "WHEN",
        default_value = "auto"
    )]
    pub playground: Option<String>,
    /// How logs look: text, json, or auto for text on a terminal and JSON otherwise.
    #[arg(
        long,
        env = "TIDINGS_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "auto"
    )]
    pub log_format: Option<String>,
    /// Which logs are written: off, error, warn, info, debug, trace, or by module: info,tidings::hub=debug. RUST_LOG counts where
    /// this is not given.
    #[arg(
        long,
        env = "TIDINGS_LOG",
        value_name = "FILTER",
        default_value = "info"
    )]
    pub log: Option<String>,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The command.
    pub command: Command,
    /// The settings as text.
    pub texts: Texts,
}

impl Invocation {
    /// Reads `.env` of the working directory into the environment, then the command line of this process.
    ///
    /// # Errors
    /// A `.env` that cannot be read, as one line; or what clap says, help and version among it.
    pub fn of_this_process() -> Result<Self, InvocationError> {
        load_dotenv(Path::new(DOTENV))?;
        Ok(Self::parse(std::env::args_os())?)
    }

    /// Reads a command line and the environment.
    ///
    /// # Errors
    /// What clap says.
    pub fn parse(
        args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let mut matches = command().try_get_matches_from(args)?;
        let texts = declared().map(|setting| {
            let given = matches.get_one::<String>(&setting.id).cloned();
            let defaulted = matches.value_source(&setting.id) == Some(ValueSource::DefaultValue);
            let fallback = (defaulted && setting.name == "TIDINGS_LOG").then(rust_log);
            let text = fallback.flatten().or(given).filter(|text| !text.is_empty());
            (setting.name, text.unwrap_or(setting.default))
        });
        let texts = Texts(texts.collect());
        let command = Cli::from_arg_matches_mut(&mut matches)?.command;
        Ok(Self {
            command: command.unwrap_or(Command::Serve),
            texts,
        })
    }

    /// Variables that begin with `TIDINGS_` and are no setting: a typing error, most likely.
    pub fn strangers() -> Vec<String> {
        let known: Vec<_> = declared().map(|setting| setting.name).collect();
        std::env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .filter(|name| name.starts_with("TIDINGS_") && !known.contains(name))
            .collect()
    }
}

/// Why there is nothing to do.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// `.env` cannot be read.
    #[error("{DOTENV}: {0}")]
    Dotenv(String),
    /// Help, version, or a command line that is none.
    #[error(transparent)]
    Clap(#[from] clap::Error),
}

/// A setting as clap knows it.
pub(super) struct Declared {
    id: String,
    pub(super) name: String,
    pub(super) default: String,
}

/// All settings, in the order of [`Flags`].
pub(super) fn declared() -> impl Iterator<Item = Declared> {
    let settings: Vec<_> = Cli::command()
        .get_arguments()
        .filter_map(|arg| {
            let default = arg.get_default_values().first();
            Some(Declared {
                id: arg.get_id().to_string(),
                name: arg.get_env()?.to_str()?.to_owned(),
                default: default.map_or(String::new(), |d| d.to_string_lossy().into_owned()),
            })
        })
        .collect();
    settings.into_iter()
}

/// Settings may stand before or after the command. Their values are not printed by `--help`: some are secrets.
fn command() -> clap::Command {
    Cli::command().mut_args(|arg| {
        if arg.get_env().is_some() {
            arg.global(true).hide_env_values(true)
        } else {
            arg
        }
    })
}

/// What other Rust programs go by.
fn rust_log() -> Option<String> {
    std::env::var("RUST_LOG")
        .ok()
        .filter(|text| !text.is_empty())
}

/// No text of the line is shown: it may hold a secret.
fn load_dotenv(path: &Path) -> Result<(), InvocationError> {
    match dotenvy::from_path(path) {
        Ok(()) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        Err(dotenvy::Error::LineParse(line, _)) => {
            let number = line_number(path, &line);
            Err(InvocationError::Dotenv(format!(
                "line {number} is not NAME=value (quote values with spaces)"
            )))
        }
        Err(dotenvy::Error::Io(error)) => Err(InvocationError::Dotenv(error.to_string())),
        Err(_) => Err(InvocationError::Dotenv("cannot be read".to_owned())),
    }
}

/// `part` is what dotenvy stumbled over: a line, several (a quote is not closed), or only a value.
fn line_number(path: &Path, part: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let part = part.trim().lines().next().unwrap_or_default();
    let number = text.lines().position(|line| line.contains(part));
    number.map_or("?".to_owned(), |n| (n + 1).to_string())
}
