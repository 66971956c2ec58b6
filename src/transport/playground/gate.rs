//! Who is given a development token: this page, in a browser on this machine, and no other site.
//!
//! A token signs in as anyone, so three roads are closed. Another site's script that asks for it (the browser says
//! so in `Sec-Fetch-Site` or `Origin`; and no CORS header lets it read the answer). A site whose name is made to
//! resolve to 127.0.0.1 (its name stands in `Host`). A proxy that puts a server in development mode before strangers
//! (it says whom it forwards for). A proxy that says nothing looks like a browser here: give such a server a key.

use axum::http::header::{FORWARDED, HOST, ORIGIN, VIA};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName};

/// Any of these says that someone else's request is being passed on.
const PROXY_HEADERS: [HeaderName; 10] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("cf-connecting-ip"),
    HeaderName::from_static("true-client-ip"),
];

/// Why a request with these headers gets no development token; `None` when it may have one.
pub(super) fn refusal(headers: &HeaderMap) -> Option<&'static str> {
    if PROXY_HEADERS.iter().any(|name| headers.contains_key(name)) {
        Some("no development token through a proxy")
    } else if !host(headers).is_some_and(|host| is_loopback(host.host())) {
        Some("a development token is for localhost only")
    } else if !is_from_here(headers) {
        Some("no development token for another site")
    } else {
        None
    }
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(HOST).iter();
    let authority = hosts.next()?.to_str().ok()?.parse::<Authority>().ok()?;
    let plain = hosts.next().is_none() && !authority.as_str().contains('@');
    plain.then_some(authority)
}

/// `localhost` and the names under it never leave the machine (RFC 6761, 6.3).
fn is_loopback(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let by_address = address.parse::<std::net::IpAddr>();
    host == "localhost"
        || host.ends_with(".localhost")
        || by_address.is_ok_and(|ip| ip.is_loopback())
}

/// What a browser says of who asks. What says nothing is no browser, and no other site can make it ask.
fn is_from_here(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    matches!(site, None | Some(b"same-origin" | b"none")) && origin_is_host(headers)
}

fn origin_is_host(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let authority = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
        .and_then(|(_, authority)| authority.parse::<Authority>().ok());
    authority.is_some() && authority == host(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(headers: &[(&'static str, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, value.parse().unwrap())
        });
        refusal(&HeaderMap::from_iter(headers)).is_some()
    }

    #[test]
    fn the_page_itself_gets_a_token() {
        for host in [
            "127.0.0.1:4000",
            "127.8.9.10",
            "localhost:4000",
            "LOCALHOST",
            "tidings.localhost:80",
            "[::1]:4000",
        ] {
            assert!(!refused(&[("host", host)]), "{host}");
            assert!(!refused(&[
                ("host", host),
                ("sec-fetch-site", "same-origin")
            ]));
        }
        assert!(!refused(&[
            ("host", "localhost"),
            ("sec-fetch-site", "none")
        ]));
        assert!(!refused(&[
            ("host", "[::1]:4000"),
            ("origin", "http://[::1]:4000")
        ]));
    }

    #[test]
    fn a_name_that_only_resolves_to_this_machine_gets_none() {
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:4000",
            "notlocalhost",
            "evil.example@127.0.0.1",
            "192.168.1.4:4000",
            "0.0.0.0:4000",
            "[::]:4000",
            "",
        ] {
            assert!(refused(&[("host", host)]), "{host}");
        }
        assert!(refused(&[]));
    }

    #[test]
    fn another_site_gets_none() {
        let host = ("host", "127.0.0.1:4000");
        for site in ["cross-site", "same-site", "", "anything"] {
            assert!(refused(&[host, ("sec-fetch-site", site)]), "{site}");
        }
        for origin in [
            "https://evil.example",
            "http://127.0.0.1:5173",
            "http://localhost:4000",
            "null",
            "http://127.0.0.1:4000@evil.example",
        ] {
            assert!(refused(&[host, ("origin", origin)]), "{origin}");
        }
    }

    #[test]
    fn a_proxy_gets_none() {
        for name in [
            "forwarded",
            "via",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-real-ip",
        ] {
            assert!(
                refused(&[("host", "127.0.0.1:4000"), (name, "for=203.0.113.9")]),
                "{name}"
            );
        }
    }
}
