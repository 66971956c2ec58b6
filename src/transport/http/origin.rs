//! Which sites' scripts may call: those of the allow-list, and the server's own.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{ETAG, HOST, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::Origins;

/// The longest that Chromium keeps a preflight's answer.
const PREFLIGHT_AGE: Duration = Duration::from_secs(2 * 60 * 60);

/// Whether a request with these headers may come in, a WebSocket's upgrade above all: browsers let any site open one.
/// What names no origin is no browser.
pub fn origin_allowed(headers: &HeaderMap, allowed: &Origins) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => true,
        (Some(origin), None) => may_call(origin, headers, allowed),
        (Some(_), Some(_)) => false,
    }
}

/// Answers preflights and tells browsers which sites may read answers.
pub(super) fn cors(allowed: Arc<Origins>) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, request| {
            may_call(origin, &request.headers, &allowed)
        }))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        // Clients send headers of their own, for tracing say; those that matter are checked where they are read.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([ETAG, RETRY_AFTER, WWW_AUTHENTICATE])
        .max_age(PREFLIGHT_AGE)
}

fn may_call(origin: &HeaderValue, headers: &HeaderMap, allowed: &Origins) -> bool {
    origin
        .to_str()
        .is_ok_and(|origin| allowed.permits(origin) || is_own(origin, headers))
}

/// Whether an origin names the host that the request was sent to. Its scheme only says which port is the default: behind a
/// proxy that speaks TLS this server does not know its own.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let host = host.to_str().ok().and_then(|host| place(scheme, host));
    host.is_some() && host == place(scheme, authority)
}

/// Host and port, the port left out where it is the scheme's own.
fn place(scheme: &str, authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return None;
    }
    let host = authority.host().to_ascii_lowercase();
    let default = match scheme.to_ascii_lowercase().as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    match authority.port_u16() {
        Some(port) if Some(port) != default => Some(format!("{host}:{port}")),
        _ => Some(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(list: &str, host: &str, origin: &str) -> bool {
        let headers = [(HOST, host), (ORIGIN, origin)];
        let headers = headers.map(|(name, value)| (name, value.parse().unwrap()));
        origin_allowed(
            &HeaderMap::from_iter(headers),
            &Origins::parse(list).unwrap(),
        )
    }

    #[test]
    fn the_same_origin_may_always() {
        for (host, origin) in [
            ("127.0.0.1:4000", "http://127.0.0.1:4000"),
            ("[::1]:4000", "http://[::1]:4000"),
            ("chat.example.com", "https://chat.example.com"),
            ("Chat.Example.com:443", "https://chat.example.com"),
            ("chat.example.com", "HTTP://chat.example.com:80"),
        ] {
            assert!(allowed("", host, origin), "{host} {origin}");
        }
    }

    #[test]
    fn another_may_only_when_it_is_listed() {
        let host = "chat.example.com";
        let list = "https://app.example.com, http://localhost:5173";
        for origin in [
            "https://app.example.com",
            "https://APP.example.com",
            "http://localhost:5173",
        ] {
            assert!(allowed(list, host, origin), "{origin}");
            assert!(!allowed("", host, origin), "{origin}");
        }
        for origin in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.example",
            "https://evil.example",
            "https://chat.example.com:8443",
            "https://chat.example.com@evil.example",
            "http://localhost",
            "null",
            "",
        ] {
            assert!(!allowed(list, host, origin), "{origin}");
        }
    }

    #[test]
    fn a_star_lets_everyone_in() {
        assert!(allowed("*", "a", "https://evil.example"));
        assert!(allowed("*", "a", "null"));
    }

    #[test]
    fn no_origin_is_no_browser_and_two_are_none() {
        let origins = Origins::parse("").unwrap();
        assert!(origin_allowed(&HeaderMap::new(), &origins));
        let mut headers = HeaderMap::new();
        headers.append(HOST, "a".parse().unwrap());
        headers.append(ORIGIN, "http://a".parse().unwrap());
        assert!(origin_allowed(&headers, &origins));
        headers.append(ORIGIN, "http://a".parse().unwrap());
        assert!(!origin_allowed(&headers, &origins));
    }
}
