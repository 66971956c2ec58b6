//! Through a real socket: what goes in, and status, headers and body of what comes out.

use std::sync::Mutex;

use async_graphql::{Context, Data, EmptySubscription, Object, Schema};
use async_trait::async_trait;
use http_body_util::StreamBody;
use hyper::body::Frame;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN};
use reqwest::{Client, RequestBuilder, Response as Answer};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::document::{Limits, Shape};
use crate::error::Error;
use crate::graphql::executor::Allowance;
use crate::model::{Timestamp, User, UserId};

type Journal = Arc<Mutex<Vec<i32>>>;

struct Query;
struct Mutation;

#[Object]
impl Query {
    async fn viewer(&self, ctx: &Context<'_>) -> Option<String> {
        Some(ctx.data_opt::<Arc<Viewer>>()?.user.id.to_string())
    }
    async fn echo(&self, text: Option<String>) -> Option<String> {
        text
    }
    async fn never(&self) -> Option<i32> {
        std::future::pending().await
    }
    async fn bare(&self) -> async_graphql::Result<i32> {
        Err("SELECT secret".into())
    }
    async fn boom(&self) -> Option<i32> {
        let none: Vec<i32> = Vec::new();
        Some(none[std::hint::black_box(1)])
    }
}

#[Object]
impl Mutation {
    async fn note(&self, ctx: &Context<'_>, value: i32) -> Option<i32> {
        ctx.data_unchecked::<Journal>().lock().unwrap().push(value);
        Some(value)
    }
}

/// The token is the name; `bad` is none, and `busy` comes at a bad moment.
struct ByName;

#[async_trait]
impl Admit for ByName {
    async fn admit(&self, token: &str) -> Result<Arc<Viewer>, Error> {
        match token {
            "bad" => Err(Error::BadToken { why: "it is bad" }),
            "busy" => Err(Error::Busy),
            name => Ok(Arc::new(Viewer {
                user: Arc::new(User::unseen(UserId::parse("id", name).unwrap())),
                expires_at: Timestamp(0),
                issued_at: None,
            })),
        }
    }
}

struct Server {
    address: String,
    client: Client,
    journal: Journal,
}

impl Server {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Http)) -> Self {
        let journal = Journal::default();
        let schema = Schema::build(Query, Mutation, EmptySubscription)
            .data(journal.clone())
            .finish();
        let shape = Arc::new(Shape::read(&schema.sdl()).unwrap());
        let equip = |viewer: Option<&Arc<Viewer>>| {
            let mut data = Data::default();
            viewer
                .into_iter()
                .for_each(|viewer| data.insert(viewer.clone()));
            data
        };
        let mut http = Http {
            documents: Arc::new(Documents::new(Limits::default(), shape.clone())),
            executor: Executor::new(schema, shape, Allowance::new(1, 3), equip),
            admit: Arc::new(ByName),
            origins: Arc::new(Origins::parse("https://app.example.com").unwrap()),
            timeout: Http::TIMEOUT,
            playground: false,
            upgrade: None,
            streams: None,
        };
        change(&mut http);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, routes(http)).await });
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            address,
            client,
            journal,
        }
    }

    fn url(&self) -> String {
        format!("http://{}/graphql", self.address)
    }

    /// A POST as Apollo Client 4 and urql 5 send it.
    fn post(&self, body: Json) -> RequestBuilder {
        self.post_text(body.to_string()).header(
            "accept",
            "application/graphql-response+json,application/json;q=0.9",
        )
    }

    fn post_text(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.client
            .post(self.url())
            .header(CONTENT_TYPE, "application/json")
            .body(body)
    }

    fn ask(&self, query: &str) -> RequestBuilder {
        self.post(json!({ "query": query }))
    }

    fn get(&self, params: &[(&str, &str)]) -> RequestBuilder {
        self.client.get(self.url()).query(params)
    }
}

trait As {
    fn ada(self) -> Self;
    fn old(self) -> Self;
}

impl As for RequestBuilder {
    fn ada(self) -> Self {
        self.bearer_auth("ada")
    }

    /// A client that takes only `application/json`.
    fn old(self) -> Self {
        let (client, request) = self.build_split();
        let mut request = request.unwrap();
        let accept = "application/json".parse().unwrap();
        request.headers_mut().insert("accept", accept);
        RequestBuilder::from_parts(client, request)
    }
}

struct Seen {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Json,
}

impl Seen {
    fn code(&self) -> &str {
        assert!(self.body.get("data").is_none(), "{}", self.body);
        self.body["errors"][0]["extensions"]["code"]
            .as_str()
            .unwrap()
    }

    fn message(&self) -> &str {
        self.body["errors"][0]["message"].as_str().unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

async fn seen(request: RequestBuilder) -> Seen {
    let answer: Answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Json::String(text));
    Seen {
        status,
        headers,
        body,
    }
}

#[tokio::test]
async fn a_query_is_answered_by_post_and_by_get() {
    let server = Server::start().await;
    let post = seen(server.ask("{ viewer }").ada()).await;
    assert_eq!(
        (post.status, &post.body),
        (200, &json!({ "data": { "viewer": "ada" } }))
    );
    assert_eq!(
        post.header("content-type"),
        "application/graphql-response+json; charset=utf-8"
    );
    assert_eq!(post.header("cache-control"), "no-store");
    assert_eq!(post.header("x-content-type-options"), "nosniff");
    assert!(
        post.headers
            .get_all("vary")
            .iter()
            .any(|vary| vary == "accept")
    );

    let params = [
        (
            "query",
            "query A($text: String) { echo(text: $text) } query B { viewer }",
        ),
        ("operationName", "A"),
        ("variables", r#"{"text":"é🏃"}"#),
        ("extensions", ""),
    ];
    let get = seen(server.get(&params).ada()).await;
    assert_eq!(
        (get.status, &get.body),
        (200, &json!({ "data": { "echo": "é🏃" } }))
    );
    assert_eq!(
        get.header("content-type"),
        "application/json; charset=utf-8"
    );
}

#[tokio::test]
async fn a_query_by_get_is_not_sent_again_where_the_client_has_the_answer() {
    let server = Server::start().await;
    let query = [("query", "{ viewer }")];
    let first = seen(server.get(&query).ada()).await;
    let etag = first.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.len() == 34, "{etag}");
    let asked = |etag: &str| server.get(&query).header("if-none-match", etag.to_owned());
    let again = seen(asked(&etag).ada()).await;
    assert_eq!((again.status, &again.body), (304, &json!("")));
    assert_eq!(again.header("content-type"), "");
    for answer in [&first, &again] {
        assert_eq!(answer.header("etag"), etag);
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let mut varies = answer.headers.get_all("vary").iter();
        assert!(varies.any(|vary| vary == "authorization, accept"));
    }
    // Another viewer, another type, another tag: another answer.
    let ben = seen(asked(&etag).bearer_auth("ben")).await;
    assert_eq!(
        (ben.status, &ben.body["data"]["viewer"]),
        (200, &json!("ben"))
    );
    let accept = "application/graphql-response+json";
    let newer = seen(asked(&etag).ada().header("accept", accept)).await;
    assert_eq!(newer.status, 200);
    assert_ne!(newer.header("etag"), etag);
    assert_eq!(seen(asked("\"other\"").ada()).await.status, 200);
    // The token is looked at before anything.
    assert_eq!(
        seen(asked(&etag).bearer_auth("bad")).await.code(),
        "UNAUTHENTICATED"
    );
    // Scripts of other sites get to read the tag.
    let elsewhere = asked("").ada().header(ORIGIN, "https://app.example.com");
    let exposed = seen(elsewhere).await;
    let exposed = exposed.header("access-control-expose-headers");
    assert!(exposed.contains("etag"), "{exposed}");
}

#[tokio::test]
async fn what_failed_or_came_by_post_is_not_kept() {
    let server = Server::start().await;
    let failed = seen(server.get(&[("query", "{ viewer bare }")]).ada()).await;
    let refused = seen(server.get(&[("query", "{ nope }")]).ada()).await;
    let post = seen(server.ask("{ viewer }").header("if-none-match", "*").ada()).await;
    assert_eq!(post.body["data"]["viewer"], "ada");
    for answer in [failed, refused, post] {
        assert_eq!(answer.header("etag"), "", "{}", answer.body);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn the_token_is_asked_for_where_more_than_introspection_is() {
    let server = Server::start().await;
    assert_eq!(
        seen(server.ask("{ __typename }")).await.body["data"]["__typename"],
        "Query"
    );
    let refused = seen(server.ask("{ viewer }")).await;
    assert_eq!((refused.status, refused.code()), (401, "UNAUTHENTICATED"));
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    let bad = seen(server.ask("{ __typename }").bearer_auth("bad")).await;
    assert_eq!((bad.status, bad.code()), (401, "UNAUTHENTICATED"));
    let basic = seen(server.ask("{ viewer }").basic_auth("ada", Some("x"))).await;
    assert_eq!((basic.status, basic.code()), (401, "UNAUTHENTICATED"));
    let lower = seen(server.ask("{ viewer }").header(AUTHORIZATION, "bearer ada")).await;
    assert_eq!(lower.body["data"]["viewer"], "ada");
    let busy = seen(server.ask("{ viewer }").bearer_auth("busy")).await;
    assert_eq!((busy.status, busy.code()), (503, "UNAVAILABLE"));
}

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

#[tokio::test]
async fn a_persisted_query_goes_by_hash_once_its_text_was_sent() {
    let server = Server::start().await;
    let hash: String = Sha256::digest("{ viewer }")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let extensions = json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } });
    let by_hash = || server.get(&[("extensions", &extensions.to_string())]).ada();
    let miss = seen(by_hash()).await;
    assert_eq!(
        (miss.status, miss.code(), miss.message()),
        (200, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
    );
    let full = json!({ "query": "{ viewer }", "extensions": extensions });
    assert_eq!(seen(server.post(full).ada()).await.status, 200);
    assert_eq!(seen(by_hash()).await.body["data"]["viewer"], "ada");
}

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
