//! Through a real socket: what goes in, and status, headers and body of what comes out.

mod browsers;
mod refused;

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
