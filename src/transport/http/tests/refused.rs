//! What is refused, by which status, and how clients that only know JSON are told.

use super::*;

#[tokio::test]
async fn clients_that_only_know_json_are_told_by_the_body() {
    let server = Server::start().await;
    for (query, code) in [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("query($x: Int!) { echo(text: $x) }", "BAD_USER_INPUT"),
    ] {
        let new = seen(server.ask(query).ada()).await;
        assert_eq!((new.status, new.code()), (400, code));
        let old = seen(server.ask(query).ada().old()).await;
        assert_eq!((old.status, old.code()), (200, code));
        assert_eq!(
            old.header("content-type"),
            "application/json; charset=utf-8"
        );
    }
    let refused = seen(server.ask("{ viewer }").old()).await;
    assert_eq!((refused.status, refused.code()), (200, "UNAUTHENTICATED"));
}

#[tokio::test]
async fn mutations_come_by_post_in_json_and_no_other_way() {
    let server = Server::start().await;
    let get = seen(
        server
            .get(&[("query", "mutation { note(value: 1) }")])
            .ada(),
    )
    .await;
    assert_eq!(
        (get.status, get.code(), get.header("allow")),
        (405, "BAD_USER_INPUT", "POST")
    );
    let body = r#"{"query":"mutation { note(value: 2) }"}"#;
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json; charset=utf-16",
    ] {
        let request = server
            .client
            .post(server.url())
            .header(CONTENT_TYPE, content_type);
        let refused = seen(request.body(body).ada()).await;
        assert_eq!(
            (refused.status, refused.code()),
            (415, "BAD_USER_INPUT"),
            "{content_type}"
        );
        assert_eq!(refused.header("accept-post"), "application/json");
    }
    let none = seen(server.client.post(server.url()).body(body).ada()).await;
    assert_eq!(none.status, 415);
    assert!(server.journal.lock().unwrap().is_empty());
    let post = seen(server.post_text(body).ada()).await;
    assert_eq!(post.body, json!({ "data": { "note": 2 } }));
}

#[tokio::test]
async fn other_methods_are_told_which_are_served() {
    let server = Server::start().await;
    for method in ["PUT", "DELETE", "PATCH", "HEAD"] {
        let method = method.parse().unwrap();
        let refused = seen(server.client.request(method, server.url())).await;
        assert_eq!(
            (refused.status, refused.header("allow")),
            (405, "GET, POST")
        );
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_400_and_says_why() {
    let server = Server::start().await;
    for (body, why) in [
        ("", "the body is empty"),
        (
            "{ \"not a JSON",
            "the body is not JSON: see line 1, column 13",
        ),
        (
            "[{\"query\":\"{viewer}\"}]",
            "send one operation a request: batches are not served",
        ),
        ("\"{ viewer }\"", "the request is not a JSON object"),
        ("{}", "query is missing"),
        ("{\"query\":[]}", "query is not a string"),
        (
            "{\"query\":\"{viewer}\",\"variables\":\"{}\"}",
            "variables is not an object",
        ),
    ] {
        let refused = seen(server.post_text(body).ada()).await;
        assert_eq!(
            (refused.status, refused.code(), refused.message()),
            (400, "BAD_USER_INPUT", why)
        );
    }
    let deep = format!(
        "{{\"query\":\"{{viewer}}\",\"variables\":{}",
        "[".repeat(10_000)
    );
    assert_eq!(seen(server.post_text(deep)).await.status, 400);
    let latin = seen(
        server
            .post_text(b"{\"query\":\"{ echo(text: \\\"\xe9\\\") }\"}".to_vec())
            .ada(),
    )
    .await;
    assert_eq!(
        (latin.status, latin.message()),
        (
            400,
            "the body is not UTF-8: byte 25 belongs to no character"
        )
    );

    for (params, why) in [
        (vec![], "query is missing"),
        (
            vec![("query", "{a}"), ("variables", "[")],
            "variables is not JSON: see line 1, column 1",
        ),
        (
            vec![("query", "{a}"), ("variables", "[]")],
            "variables is not an object",
        ),
        (
            vec![("query", "{a}"), ("query", "{b}")],
            "query is given twice",
        ),
    ] {
        let refused = seen(server.get(&params).ada()).await;
        assert_eq!((refused.status, refused.message()), (400, why));
    }
    let latin = server
        .client
        .get(server.url() + "?query=%7Becho(text%3A%22%E9%22)%7D");
    assert_eq!(
        seen(latin.ada()).await.message(),
        "the address is not UTF-8"
    );
}

#[tokio::test]
async fn a_body_of_64_kib_passes_and_one_byte_more_is_413() {
    let server = Server::start().await;
    let body = |bytes: usize| {
        let text = json!({ "query": "{ viewer }", "extensions": { "x": "" } }).to_string();
        text.replace(
            r#""x":"""#,
            &format!(r#""x":"{}""#, "x".repeat(bytes - text.len())),
        )
    };
    assert_eq!(body(64 * 1024).len(), 64 * 1024);
    assert_eq!(
        seen(server.post_text(body(64 * 1024)).ada()).await.status,
        200
    );
    let refused = seen(server.post_text(body(64 * 1024 + 1)).ada()).await;
    assert_eq!((refused.status, refused.code()), (413, "TOO_LARGE"));
    // Where the length is not told before.
    let chunks = body(64 * 1024 + 1).into_bytes();
    let frame =
        |chunk: &[u8]| Ok::<_, std::io::Error>(Frame::data(bytes::Bytes::copy_from_slice(chunk)));
    let frames: Vec<_> = chunks.chunks(1_000).map(frame).collect();
    let stream = StreamBody::new(futures_util::stream::iter(frames));
    let refused = seen(server.post_text(reqwest::Body::wrap(stream)).ada()).await;
    assert_eq!(refused.status, 413);
}

#[tokio::test]
async fn what_the_client_does_not_take_is_406() {
    let server = Server::start().await;
    for accept in [
        "text/html",
        "text/event-stream;q=0",
        "application/json;q=0",
        "image/png",
    ] {
        let request = server.post_text(r#"{"query":"mutation { note(value: 1) }"}"#);
        let refused = seen(request.header("accept", accept).ada()).await;
        assert_eq!(
            (refused.status, refused.code()),
            (406, "BAD_USER_INPUT"),
            "{accept}"
        );
    }
    assert!(server.journal.lock().unwrap().is_empty());
}

#[tokio::test]
async fn too_many_mutations_are_429_with_when_to_try_again() {
    let server = Server::start().await;
    let many = "mutation { a: note(value: 1) b: note(value: 2) c: note(value: 3) }";
    assert_eq!(seen(server.ask(many).ada()).await.status, 200);
    let refused = seen(server.ask(many).ada()).await;
    assert_eq!((refused.status, refused.code()), (429, "RATE_LIMITED"));
    assert_eq!(refused.header("retry-after"), "3");
    let ms = &refused.body["errors"][0]["extensions"]["retryAfterMs"];
    assert!((2_000..=3_001).contains(&ms.as_u64().unwrap()), "{ms}");
    assert_eq!(refused.body["errors"][0]["extensions"]["retryable"], true);
    assert_eq!(server.journal.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn what_goes_wrong_inside_stays_inside() {
    let server = Server::start().await;
    let bare = seen(server.ask("{ viewer bare }").ada()).await;
    assert_eq!((bare.status, &bare.body["data"]), (200, &Json::Null));
    assert_eq!(bare.message(), "internal error");
    let boom = seen(server.ask("{ boom }").ada()).await;
    assert_eq!((boom.status, boom.code()), (500, "INTERNAL_SERVER_ERROR"));
    assert_eq!(seen(server.ask("{ viewer }").ada()).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_too_long_is_503() {
    let server = Server::start().await;
    let overdue = seen(server.get(&[("query", "{ never }")]).ada()).await;
    assert_eq!((overdue.status, overdue.code()), (503, "UNAVAILABLE"));
    assert_eq!(overdue.body["errors"][0]["extensions"]["retryable"], true);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_408() {
    let server = Server::start().await;
    let mut socket = TcpStream::connect(&server.address).await.unwrap();
    let head = "POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\"UNAVAILABLE\""), "{answer}");
}
