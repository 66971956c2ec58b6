//! What a browser, a terminal and a stranger get.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG};
use tower::ServiceExt;

use super::*;

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const LOCAL: (&str, &str) = ("host", "127.0.0.1:4000");

fn development() -> Router {
    routes(PlaygroundConfig {
        graphql_path: "/graphql".into(),
        dev_token: Some(Arc::new(|user| Some(format!("token of {user}")))),
    })
}

async fn ask(method: &str, path: &str, headers: &[(&str, &str)]) -> (Response, String) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let mut response = development().oneshot(request).await.unwrap();
    let body = std::mem::take(response.body_mut());
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    (response, String::from_utf8_lossy(&bytes).into_owned())
}

async fn config(query: &str, headers: &[(&str, &str)]) -> serde_json::Value {
    let path = format!("/playground/config.json{query}");
    let (response, body) = ask("GET", &path, headers).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    serde_json::from_str(&body).unwrap()
}

fn header(response: &Response, name: impl axum::http::header::AsHeaderName) -> &str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

/// The page's scripts and styles that lie under `/playground/`.
fn linked(page: &str) -> Vec<String> {
    let quoted = page.split('"').skip(1).step_by(2);
    quoted
        .filter(|text| text.starts_with("/playground/"))
        .map(Into::into)
        .collect()
}

#[tokio::test]
async fn a_browser_gets_a_page_under_a_strict_policy() {
    for path in ["/", "/playground/small"] {
        let (response, page) = ask("GET", path, &[BROWSER]).await;
        assert_eq!(response.status(), 200);
        assert!(page.contains("<title>Tidings</title>"), "{page}");
        assert!(
            !page.contains("<script>") && !page.contains("://"),
            "{page}"
        );
        let policy = header(&response, CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-eval"));
        assert_eq!(header(&response, X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(header(&response, REFERRER_POLICY), "no-referrer");
        assert_eq!(
            header(&response, "cross-origin-resource-policy"),
            "same-origin"
        );
    }
}

#[tokio::test]
async fn all_that_a_page_links_to_is_there() {
    for path in ["/", "/playground/small"] {
        let (_, page) = ask("GET", path, &[BROWSER]).await;
        let links = linked(&page);
        assert!(links.len() >= 3, "{page}");
        for link in links {
            let (response, _) = ask("GET", &link, &[]).await;
            assert_eq!(response.status(), 200, "{link}");
            assert_ne!(
                header(&response, CONTENT_TYPE),
                "application/octet-stream",
                "{link}"
            );
        }
    }
}

#[tokio::test]
async fn the_licences_of_what_is_bundled_come_with_it() {
    let (response, text) = ask("GET", "/playground/licenses.md", &[]).await;
    let there = response.status() == 200 && text.contains("graphiql");
    assert_eq!(there, Page::BUILT == Page::Graphiql, "{text}");
}

#[tokio::test]
async fn a_terminal_gets_a_few_words() {
    for accept in [
        "*/*",
        "application/json",
        "text/html;q=0, */*",
        "text/html; q=0.000",
    ] {
        let (response, body) = ask("GET", "/", &[("accept", accept)]).await;
        assert_eq!(response.status(), 200);
        assert!(
            header(&response, CONTENT_TYPE).starts_with("text/plain"),
            "{accept}"
        );
        assert!(body.contains("/graphql") && body.contains("/healthz"));
    }
}

#[tokio::test]
async fn a_file_comes_with_and_without_gzip() {
    let (_, page) = ask("GET", "/", &[BROWSER]).await;
    let script = linked(&page)
        .into_iter()
        .find(|link| link.ends_with(".js"))
        .unwrap();
    let (plain, text) = ask("GET", &script, &[("accept-encoding", "br, gzip;q=0")]).await;
    assert_eq!(header(&plain, CONTENT_ENCODING), "");
    assert!(text.contains("import"));
    assert_eq!(header(&plain, VARY), "accept-encoding");
    if Page::BUILT == Page::Graphiql {
        let (packed, bytes) = ask("GET", &script, &[("accept-encoding", "br, gzip")]).await;
        assert_eq!(header(&packed, CONTENT_ENCODING), "gzip");
        assert!(bytes.len() < text.len());
        assert_ne!(header(&packed, ETAG), header(&plain, ETAG));
        assert!(header(&packed, CACHE_CONTROL).contains("immutable"));
    }
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again() {
    let (first, _) = ask("GET", "/playground/small.css", &[]).await;
    let etag = header(&first, ETAG);
    for known in [etag.to_owned(), format!("\"other\", W/{etag}"), "*".into()] {
        let (again, body) = ask("GET", "/playground/small.css", &[("if-none-match", &known)]).await;
        assert_eq!(again.status(), 304, "{known}");
        assert_eq!((header(&again, ETAG), body.as_str()), (etag, ""));
    }
    let (other, _) = ask(
        "GET",
        "/playground/small.css",
        &[("if-none-match", "\"other\"")],
    )
    .await;
    assert_eq!(other.status(), 200);
}

#[tokio::test]
async fn head_is_answered_and_the_rest_refused() {
    let (head, body) = ask("HEAD", "/", &[BROWSER]).await;
    assert_eq!((head.status().as_u16(), body.as_str()), (200, ""));
    assert_eq!(
        ask("POST", "/playground/config.json", &[LOCAL])
            .await
            .0
            .status(),
        405
    );
    for path in [
        "nothing",
        "../Cargo.toml",
        "%2e%2e/Cargo.toml",
        "assets/",
        "index.html.gz",
    ] {
        let (response, _) = ask("GET", &format!("/playground/{path}"), &[]).await;
        assert_eq!(response.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn the_page_is_given_a_token_for_whom_it_names() {
    let given = config("", &[LOCAL]).await;
    assert_eq!(given["token"], "token of ada");
    assert_eq!(
        (&given["user"], &given["graphqlPath"]),
        (&"ada".into(), &"/graphql".into())
    );
    assert_eq!(config("?user=bob", &[LOCAL]).await["token"], "token of bob");
    for user in ["", "%00", &"x".repeat(256)] {
        let path = format!("/playground/config.json?user={user}");
        assert_eq!(ask("GET", &path, &[LOCAL]).await.0.status(), 400, "{user}");
    }
}

#[tokio::test]
async fn a_stranger_is_given_none() {
    let refused = config("", &[("host", "evil.example")]).await;
    assert!(refused["token"].is_null() && refused["notice"].is_string());
    let (response, _) = ask(
        "GET",
        "/playground/config.json",
        &[LOCAL, ("origin", "http://evil.example")],
    )
    .await;
    assert_eq!(header(&response, "access-control-allow-origin"), "");
    let production = routes(PlaygroundConfig {
        graphql_path: "/graphql".into(),
        dev_token: None,
    });
    let request = Request::get("/playground/config.json").header("host", "127.0.0.1");
    let response = production
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("\"token\":null"));
}

#[test]
fn the_examples_name_the_lobby() {
    let lobby = format!("'{}'", crate::model::RoomId::LOBBY);
    assert!(include_str!("../../../web/src/examples.js").contains(&lobby));
    assert!(include_str!("../../../web/small/examples.js").contains(&lobby));
}
