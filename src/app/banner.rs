//! What whoever starts the server is told: where everything is, and how to get a token.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, absolute};

use super::logs;
use crate::auth::KeySource;
use crate::config::Settings;
use crate::transport::http::Http;

/// Tells it: people by a banner where logs are text, programs by a log line with `listening`.
pub(super) fn show(settings: &Settings, addr: SocketAddr) {
    if logs::is_text(settings.log_format) {
        eprint!("{}", banner(settings, addr));
    }
    let database = settings.database.file.display();
    let mode = if settings.is_development() {
        "development"
    } else {
        "production"
    };
    if settings.is_development() && !logs::is_text(settings.log_format) {
        tracing::warn!(
            "DEVELOPMENT MODE: no key is configured, so the server signs tokens with its own"
        );
    }
    let (host, path) = (reachable(addr), Http::PATH);
    tracing::info!(
        listening = %addr,
        api = %format_args!("http://{host}{path}"),
        health = %format_args!("http://{host}/healthz"),
        %database,
        mode,
        playground = settings.playground,
        token = way_to_a_token(&settings.key),
        "serving"
    );
}

fn banner(settings: &Settings, addr: SocketAddr) -> String {
    let host = reachable(addr);
    let path = Http::PATH;
    let database = absolute(&settings.database.file);
    let database = database.as_deref().unwrap_or(&settings.database.file);
    let mut text = format!(
        "\n  Tidings {}\n\n  API         http://{host}{path}\n  WebSocket   ws://{host}{path}\n",
        env!("CARGO_PKG_VERSION")
    );
    if settings.playground {
        let _ = writeln!(text, "  Playground  http://{host}/");
    }
    let _ = writeln!(text, "  Health      http://{host}/healthz, /readyz");
    let _ = writeln!(text, "  Database    {}", database.display());
    let _ = writeln!(text, "  Token       {}", way_to_a_token(&settings.key));
    if let KeySource::Development { file } = &settings.key {
        text.push_str(&development(file));
    }
    text.push('\n');
    text
}

/// An address that a browser on this machine can open.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

fn way_to_a_token(key: &KeySource) -> String {
    match key {
        KeySource::Secret(_) | KeySource::Development { .. } => {
            let program = std::env::args().next();
            let program = program.as_deref().unwrap_or("tidings");
            format!("{program} token --user ada --name Ada")
        }
        KeySource::PublicKey(_) => {
            "from whoever owns the key of TIDINGS_JWT_PUBLIC_KEY_FILE".to_owned()
        }
        KeySource::Jwks(url) => format!("from whoever owns the keys at {url}"),
    }
}

fn development(file: &Path) -> String {
    format!(
        "\n  DEVELOPMENT MODE: no key is configured, so this server made its own, {}.\n  \
         Whoever can read that file, or open the playground, can be anyone. Set TIDINGS_JWT_SECRET,\n  \
         TIDINGS_JWT_PUBLIC_KEY_FILE or TIDINGS_JWKS_URL before you let others in.\n",
        file.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Invocation;

    fn shown(args: &[&str]) -> String {
        let args = ["tidings"].iter().chain(args);
        let texts = Invocation::parse(args).unwrap().texts;
        let settings = Settings::read(&texts).unwrap();
        banner(&settings, settings.bind)
    }

    #[test]
    fn it_names_what_one_needs_to_begin() {
        let banner = shown(&["--database-url=sqlite:///srv/chat.db"]);
        for needed in [
            "http://127.0.0.1:4000/graphql\n",
            "ws://127.0.0.1:4000/graphql\n",
            "http://127.0.0.1:4000/\n",
            "http://127.0.0.1:4000/healthz",
            "/srv/chat.db\n",
            "token --user ada",
            "DEVELOPMENT MODE",
            "/srv/chat.db.dev-key",
        ] {
            assert!(banner.contains(needed), "{needed} is not in {banner}");
        }
    }

    #[test]
    fn with_a_key_it_is_not_development_mode() {
        let secret = "--jwt-secret=a secret of thirty-two bytes or more";
        let banner = shown(&[secret, "--bind=0.0.0.0:80"]);
        assert!(banner.contains("http://127.0.0.1:80/graphql"), "{banner}");
        for absent in ["DEVELOPMENT", "Playground", "thirty-two"] {
            assert!(!banner.contains(absent), "{banner}");
        }
    }
}
