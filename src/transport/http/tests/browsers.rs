//! Browsers: who may call, and what is shown to whom.

use super::*;

#[tokio::test]
async fn listed_sites_and_its_own_may_call_and_no_others() {
    let server = Server::start().await;
    let preflight = |origin: String| {
        server
            .client
            .request(Method::OPTIONS, server.url())
            .header(ORIGIN, origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,content-type",
            )
    };
    let own = format!("http://{}", server.address);
    for origin in ["https://app.example.com".to_owned(), own] {
        let allowed = seen(preflight(origin.clone())).await;
        assert_eq!(
            (
                allowed.status,
                allowed.header("access-control-allow-origin")
            ),
            (200, origin.as_str())
        );
        assert_eq!(
            allowed.header("access-control-allow-methods"),
            "GET,POST,PUT,DELETE"
        );
        assert_eq!(
            allowed.header("access-control-allow-headers"),
            "authorization,content-type"
        );
        let answer = seen(server.ask("{ viewer }").ada().header(ORIGIN, &origin)).await;
        assert_eq!(answer.header("access-control-allow-origin"), origin);
        assert!(
            answer
                .header("access-control-expose-headers")
                .contains("retry-after")
        );
    }
    for origin in ["https://evil.example", "null"] {
        let refused = seen(preflight(origin.to_owned())).await;
        assert_eq!(refused.header("access-control-allow-origin"), "");
    }
    // An error, too, can be read by those who may call.
    let app = "https://app.example.com";
    let refused = seen(server.ask("{").header(ORIGIN, app)).await;
    assert_eq!(refused.header("access-control-allow-origin"), app);
}

#[tokio::test]
async fn a_browser_that_opens_the_address_is_shown_the_playground() {
    let html = "text/html,application/xhtml+xml,*/*;q=0.8";
    let server = Server::with(|http| http.playground = true).await;
    let visit = seen(server.client.get(server.url()).header("accept", html)).await;
    assert_eq!((visit.status, visit.header("location")), (303, "/"));
    let query = seen(
        server
            .get(&[("query", "{ __typename }")])
            .header("accept", html),
    )
    .await;
    assert_eq!(
        (query.status, query.header("content-type")),
        (200, "application/json; charset=utf-8")
    );
    let off = Server::start().await;
    assert_eq!(
        seen(off.client.get(off.url()).header("accept", html))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn what_wants_to_be_a_websocket_is_handed_on() {
    let upgrade: Upgrade =
        Arc::new(|_| Box::pin(async { StatusCode::IM_A_TEAPOT.into_response() }));
    let server = Server::with(|http| http.upgrade = Some(upgrade)).await;
    let upgrading = |protocol| server.client.get(server.url()).header("upgrade", protocol);
    assert_eq!(seen(upgrading("websocket")).await.status, 418);
    assert_eq!(seen(upgrading("h2c, WebSocket")).await.status, 418);
    assert_eq!(seen(upgrading("h2c")).await.status, 400);
    let post = server.ask("{ __typename }").header("upgrade", "websocket");
    assert_eq!(seen(post).await.status, 200);
}

#[tokio::test]
async fn streaming_types_on_an_ordinary_query_do_no_harm() {
    let server = Server::start().await;
    let accept =
        "application/graphql-response+json, application/json, text/event-stream, multipart/mixed";
    let request = server
        .post_text(r#"{"query":"{ viewer }"}"#)
        .header("accept", accept);
    let answer = seen(request.ada()).await;
    assert_eq!(
        answer.header("content-type"),
        "application/graphql-response+json; charset=utf-8"
    );
}
