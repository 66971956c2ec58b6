//! From text to checked [`Settings`]: one clear line for what cannot be.

use std::fs;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Duration;

use super::texts::{SECRET, Texts};
use super::{Bad, Database, LogFormat, Rate, Settings};
use crate::auth::{KeySource, PublicKey, Rules, Secret};
use crate::store::sqlite::Synchronous;
use crate::transport::http::Origins;

const SECRET_FILE: &str = "TIDINGS_JWT_SECRET_FILE";
const PUBLIC_KEY_FILE: &str = "TIDINGS_JWT_PUBLIC_KEY_FILE";
const JWKS_URL: &str = "TIDINGS_JWKS_URL";
/// Above any sensible limit, and far from overflow.
const COUNT: RangeInclusive<u32> = 0..=1_000_000;
/// An hour: beyond it a number is a mistake.
const SECS: RangeInclusive<u32> = 0..=3600;
/// A century.
const DAYS: RangeInclusive<u32> = 0..=36_500;

impl Settings {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub fn read(texts: &Texts) -> Result<Self, Bad> {
        let given = |name| Given::of(texts, name);
        let bind = given("TIDINGS_BIND").parsed(bind)?;
        let database = Database::read(texts)?;
        let key = key(texts, bind, &database)?;
        let playground = given("TIDINGS_PLAYGROUND").parsed(on_off_auto)?;
        Ok(Self {
            bind,
            database,
            synchronous: given("TIDINGS_SYNCHRONOUS").parsed(synchronous)?,
            rules: Rules {
                issuers: given("TIDINGS_JWT_ISSUER").list(),
                audiences: given("TIDINGS_JWT_AUDIENCE").list(),
            },
            allowed_origins: given("TIDINGS_ALLOWED_ORIGINS").parsed(Origins::parse)?,
            mutations: rate(
                given("TIDINGS_MUTATIONS_PER_SECOND").limit()?,
                given("TIDINGS_MUTATIONS_BURST").limit()?,
            ),
            signals: rate(
                given("TIDINGS_SIGNALS_PER_SECOND").limit()?,
                given("TIDINGS_SIGNALS_BURST").limit()?,
            ),
            connections_per_user: given("TIDINGS_CONNECTIONS_PER_USER").limit()?,
            connections_per_ip: given("TIDINGS_CONNECTIONS_PER_IP").limit()?,
            sockets_per_second: given("TIDINGS_SOCKETS_PER_SECOND").limit()?,
            subscriptions_per_connection: given("TIDINGS_SUBSCRIPTIONS_PER_CONNECTION").limit()?,
            retention_days: given("TIDINGS_RETENTION_DAYS").number(DAYS)?,
            init_timeout: given("TIDINGS_INIT_TIMEOUT_SECS").limit_secs()?,
            ping_every: given("TIDINGS_PING_INTERVAL_SECS").limit_secs()?,
            drain: Duration::from_secs(given("TIDINGS_DRAIN_SECS").number(SECS)?.into()),
            fanout_workers: given("TIDINGS_FANOUT_WORKERS").parsed(workers)?,
            playground: playground.unwrap_or(matches!(key, KeySource::Development { .. })),
            key,
            log_format: given("TIDINGS_LOG_FORMAT").parsed(log_format)?,
            log_filter: given("TIDINGS_LOG").parsed(log_filter)?,
        })
    }
}

impl Database {
    /// Which one is meant, whatever else may be wrong with the settings.
    ///
    /// # Errors
    /// Its address cannot be used.
    pub fn read(texts: &Texts) -> Result<Self, Bad> {
        Given::of(texts, "TIDINGS_DATABASE_URL").parsed(Self::parse)
    }
}

/// One setting, and its name for what there is to say about it.
struct Given<'a> {
    name: &'static str,
    text: &'a str,
}

impl<'a> Given<'a> {
    fn of(texts: &'a Texts, name: &'static str) -> Self {
        let text = texts.get(name).unwrap_or_default();
        Self { name, text }
    }

    fn parsed<T, W: Into<String>>(self, parse: impl Fn(&str) -> Result<T, W>) -> Result<T, Bad> {
        parse(self.text).map_err(|why| Bad::new(self.name, self.text, why))
    }

    fn number(self, range: RangeInclusive<u32>) -> Result<u32, Bad> {
        self.parsed(|text| {
            let number = text.parse().ok().filter(|number| range.contains(number));
            number.ok_or_else(|| {
                format!(
                    "not a whole number from {} to {}",
                    range.start(),
                    range.end()
                )
            })
        })
    }

    /// 0 switches it off.
    fn limit(self) -> Result<Option<NonZeroU32>, Bad> {
        self.number(COUNT).map(NonZeroU32::new)
    }

    /// 0 switches it off.
    fn limit_secs(self) -> Result<Option<Duration>, Bad> {
        let secs = self.number(SECS)?;
        Ok((secs > 0).then(|| Duration::from_secs(secs.into())))
    }

    fn list(self) -> Vec<String> {
        let entries = self.text.split(',').map(str::trim);
        entries
            .filter(|e| !e.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

fn bind(text: &str) -> Result<SocketAddr, &'static str> {
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numeric
        .parse()
        .map_err(|_| "not an IP address and a port, such as 127.0.0.1:4000 or [::]:4000")
}

fn rate(per_second: Option<NonZeroU32>, burst: Option<NonZeroU32>) -> Option<Rate> {
    Some(Rate {
        per_second: per_second?,
        burst: burst?,
    })
}

fn workers(text: &str) -> Result<NonZeroUsize, &'static str> {
    match text {
        "auto" => Ok(available_parallelism().unwrap_or(NonZeroUsize::MIN)),
        _ => text
            .parse()
            .ok()
            .filter(|n: &NonZeroUsize| n.get() <= 256)
            .ok_or("neither auto nor a whole number from 1 to 256"),
    }
}

fn synchronous(text: &str) -> Result<Synchronous, &'static str> {
    match text {
        "full" => Ok(Synchronous::Full),
        "normal" => Ok(Synchronous::Normal),
        _ => Err("full or normal"),
    }
}

fn on_off_auto(text: &str) -> Result<Option<bool>, &'static str> {
    match text {
        "on" | "true" | "1" => Ok(Some(true)),
        "off" | "false" | "0" => Ok(Some(false)),
        "auto" => Ok(None),
        _ => Err("neither on nor off nor auto"),
    }
}

fn log_format(text: &str) -> Result<LogFormat, &'static str> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("neither auto nor text nor json"),
    }
}

fn log_filter(text: &str) -> Result<String, &'static str> {
    tracing_subscriber::EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|_| "not a level (off, error, warn, info, debug, trace) or a list such as info,tidings::hub=debug")
}

/// Whose tokens to trust. Exactly one source, or development mode where nobody else can reach the server.
fn key(texts: &Texts, bind: SocketAddr, database: &Database) -> Result<KeySource, Bad> {
    let sources = [SECRET, SECRET_FILE, PUBLIC_KEY_FILE, JWKS_URL];
    let mut given = sources.into_iter().filter(|name| texts.get(name).is_some());
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        let text = Given::of(texts, second).text;
        let shown = if second == SECRET { "(secret)" } else { text };
        return Err(Bad::new(
            second,
            shown,
            format!("{first} is set too; one key is enough"),
        ));
    }
    if let Some(text) = texts.get(SECRET) {
        secret(SECRET, "(secret)", text)
    } else if let Some(file) = texts.get(SECRET_FILE) {
        let text = read_file(SECRET_FILE, file)?;
        secret(SECRET_FILE, file, text.trim_end_matches(['\r', '\n']))
    } else if let Some(file) = texts.get(PUBLIC_KEY_FILE) {
        let pem = read_file(PUBLIC_KEY_FILE, file)?;
        let key = PublicKey::from_pem(&pem).map_err(|why| Bad::new(PUBLIC_KEY_FILE, file, why))?;
        Ok(KeySource::PublicKey(key))
    } else if let Some(text) = texts.get(JWKS_URL) {
        jwks(text)
    } else {
        development(bind, database)
    }
}

fn secret(name: &'static str, shown: &str, text: &str) -> Result<KeySource, Bad> {
    Secret::parse(text)
        .map(KeySource::Secret)
        .map_err(|why| Bad::new(name, shown, why))
}

fn read_file(name: &'static str, file: &str) -> Result<String, Bad> {
    fs::read_to_string(Path::new(file))
        .map_err(|error| Bad::new(name, file, format!("cannot be read: {error}")))
}

fn jwks(text: &str) -> Result<KeySource, Bad> {
    let url = reqwest::Url::parse(text).ok();
    url.filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
        .map(KeySource::Jwks)
        .ok_or_else(|| Bad::new(JWKS_URL, text, "not an https or http address"))
}

fn development(bind: SocketAddr, database: &Database) -> Result<KeySource, Bad> {
    if bind.ip().to_canonical().is_loopback() {
        return Ok(KeySource::Development {
            file: database.dev_key_file(),
        });
    }
    Err(Bad::new(
        "TIDINGS_BIND",
        bind.to_string(),
        "others can reach this address, and nothing says whose tokens to trust: set TIDINGS_JWT_SECRET, \
         TIDINGS_JWT_PUBLIC_KEY_FILE or TIDINGS_JWKS_URL (or bind to 127.0.0.1 to try things out)",
    ))
}
