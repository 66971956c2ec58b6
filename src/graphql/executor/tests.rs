//! A small schema whose fields fail in every way, run as transports run it.

mod mutations;
mod refused;

use std::sync::Mutex;

use async_graphql::{
    Context, EmptySubscription, Error as FieldError, ErrorExtensions, Interface, Object,
    SimpleObject, Variables,
};
use serde_json::{Value as Json, json};

use super::*;
use crate::document::{Documents, Limits};
use crate::model::{Timestamp, User, UserId};

struct Query;
struct Mutation;

#[derive(Clone)]
struct Thing;

#[derive(SimpleObject)]
struct Leaf {
    id: i32,
    name: Option<String>,
}

#[derive(Interface)]
#[graphql(field(name = "id", ty = "i32"))]
enum Node {
    Thing(Thing),
    Other(Other),
}

struct Other;

fn forbidden() -> FieldError {
    FieldError::new("no").extend_with(|_, e| {
        e.set("code", "FORBIDDEN");
        e.set("retryable", false);
    })
}

#[Object]
impl Other {
    async fn id(&self) -> i32 {
        9
    }
}

#[Object]
impl Thing {
    async fn id(&self) -> i32 {
        1
    }
    async fn late(&self) -> i32 {
        tokio::task::yield_now().await;
        2
    }
    async fn nullable(&self) -> Result<Option<i32>, FieldError> {
        Err(forbidden())
    }
    async fn inner(&self) -> Option<Result<i32, FieldError>> {
        Some(Err(forbidden()))
    }
    async fn required(&self) -> Result<i32, FieldError> {
        Err(forbidden())
    }
    async fn maybe(&self) -> Option<Thing> {
        Some(Thing)
    }
    async fn certain(&self) -> Thing {
        Thing
    }
    async fn list(&self) -> Vec<Thing> {
        vec![Thing, Thing]
    }
    async fn holes(&self) -> Vec<Option<Thing>> {
        vec![Some(Thing), None, Some(Thing)]
    }
    async fn maybe_list(&self) -> Option<Vec<Thing>> {
        Some(vec![Thing])
    }
    async fn json(&self) -> async_graphql::Json<Json> {
        async_graphql::Json(json!({ "z": 1, "a": { "b": [] } }))
    }
    async fn odd_json(&self) -> async_graphql::Json<Json> {
        async_graphql::Json(json!({ "__tidings_type": "x" }))
    }
}

#[Object]
impl Query {
    async fn thing(&self) -> Option<Thing> {
        Some(Thing)
    }
    async fn nothing(&self) -> Option<Thing> {
        None
    }
    async fn sure(&self) -> Thing {
        Thing
    }
    async fn node(&self) -> Option<Node> {
        Some(Node::Thing(Thing))
    }
    async fn nodes(&self) -> Vec<Node> {
        vec![Node::Other(Other), Node::Thing(Thing)]
    }
    async fn leaf(&self, id: i32) -> Leaf {
        Leaf { id, name: None }
    }
    async fn boom(&self) -> Option<i32> {
        let secrets: Vec<i32> = Vec::new();
        Some(secrets[std::hint::black_box(42)])
    }
    async fn bare(&self) -> Result<Option<i32>, FieldError> {
        Err(FieldError::new("SELECT secret FROM users"))
    }
    async fn missing_data(&self, ctx: &Context<'_>) -> Result<Option<i32>, FieldError> {
        Ok(Some(*ctx.data::<i32>()?))
    }
    async fn small(&self, byte: i8) -> Option<i8> {
        Some(byte)
    }
    async fn viewer(&self, ctx: &Context<'_>) -> Option<String> {
        let viewer = ctx.data_opt::<Arc<Viewer>>()?;
        Some(viewer.user.id.to_string())
    }
}

type Journal = Arc<Mutex<Vec<i32>>>;

#[Object]
impl Mutation {
    async fn note(&self, ctx: &Context<'_>, value: i32) -> Option<i32> {
        ctx.data_unchecked::<Journal>().lock().unwrap().push(value);
        tokio::task::yield_now().await;
        Some(value)
    }
}

struct Bench {
    documents: Documents,
    executor: Executor,
    journal: Journal,
}

impl Bench {
    fn new() -> Self {
        Self::with(Allowance::new(10, 40))
    }

    fn with(allowance: Allowance) -> Self {
        let journal = Journal::default();
        let schema = Schema::build(Query, Mutation, EmptySubscription)
            .data(journal.clone())
            .finish();
        let shape = Arc::new(Shape::read(&schema.sdl()).unwrap());
        let equip = |viewer: Option<&Arc<Viewer>>| {
            let mut data = Data::default();
            if let Some(viewer) = viewer {
                data.insert(viewer.clone());
            }
            data
        };
        Self {
            documents: Documents::new(Limits::default(), shape.clone()),
            executor: Executor::new(schema, shape, allowance, equip),
            journal,
        }
    }

    fn prepare(&self, text: &str) -> Prepared {
        self.documents
            .prepare(text, None, Variables::default())
            .unwrap()
    }

    async fn run(&self, text: &str) -> Result<Response, Rejection> {
        self.executor
            .execute(self.prepare(text), Some(viewer()))
            .await
    }

    /// The data as text, so that the order of fields counts, and the codes.
    async fn answer(&self, text: &str) -> (String, Vec<String>) {
        let response = self.run(text).await.unwrap();
        let codes = response.errors.iter().map(code).collect();
        (serde_json::to_string(&response.data).unwrap(), codes)
    }
}

fn viewer() -> Arc<Viewer> {
    Arc::new(Viewer {
        user: Arc::new(User::unseen(UserId::parse("id", "ada").unwrap())),
        expires_at: Timestamp(0),
        issued_at: None,
    })
}

fn code(error: &async_graphql::ServerError) -> String {
    let extensions = error.extensions.as_ref().unwrap();
    assert!(extensions.get("retryable").is_some());
    extensions.get("code").unwrap().to_string().replace('"', "")
}

#[tokio::test]
async fn a_nullable_field_that_fails_is_null_in_its_place() {
    let (data, codes) = Bench::new()
        .answer("{ thing { late nullable inner id } nothing { id } }")
        .await;
    assert_eq!(
        data,
        r#"{"thing":{"late":2,"nullable":null,"inner":null,"id":1},"nothing":null}"#
    );
    assert_eq!(codes, ["FORBIDDEN", "FORBIDDEN"]);
}

#[tokio::test]
async fn a_required_field_that_fails_takes_the_nearest_nullable_along() {
    let bench = Bench::new();
    for (text, data) in [
        (
            "{ thing { id required } nothing { id } }",
            r#"{"thing":null,"nothing":null}"#,
        ),
        ("{ thing { required } }", r#"{"thing":null}"#),
        (
            "{ thing { id maybe { certain { id required } } } }",
            r#"{"thing":{"id":1,"maybe":null}}"#,
        ),
        ("{ thing { list { required } id } }", r#"{"thing":null}"#),
        (
            "{ thing { holes { id required } id } }",
            r#"{"thing":{"holes":[null,null,null],"id":1}}"#,
        ),
        (
            "{ thing { maybeList { id required } id } }",
            r#"{"thing":{"maybeList":null,"id":1}}"#,
        ),
        ("{ sure { required } thing { id } }", "null"),
        (
            "{ thing { maybe { nullable } list { nullable } } }",
            r#"{"thing":{"maybe":{"nullable":null},"list":[{"nullable":null},{"nullable":null}]}}"#,
        ),
    ] {
        let (answered, codes) = bench.answer(text).await;
        assert_eq!(answered, data, "{text}");
        assert!(codes.iter().all(|code| code == "FORBIDDEN"), "{codes:?}");
    }
}

#[tokio::test]
async fn fragments_aliases_and_conditions_are_followed() {
    let text = "{ t: thing { ...A late @skip(if: true) ... on Node { b: id } json __typename } }
        fragment A on Thing { x: nullable @include(if: true) certain { id } }";
    let (data, _) = Bench::new().answer(text).await;
    assert_eq!(
        data,
        r#"{"t":{"x":null,"certain":{"id":1},"b":1,"json":{"z":1,"a":{"b":[]}},"__typename":"Thing"}}"#
    );
}

#[tokio::test]
async fn a_root_with_everything_skipped_is_empty_and_not_null() {
    let (data, _) = Bench::new()
        .answer("{ thing @skip(if: true) { id } }")
        .await;
    assert_eq!(data, "{}");
}

#[tokio::test]
async fn an_object_behind_an_interface_is_recognised() {
    let bench = Bench::new();
    let text = "{ nodes { ... on Thing { nullable late } ... on Other { id } } }";
    assert_eq!(
        bench.answer(text).await.0,
        r#"{"nodes":[{"id":9},{"nullable":null,"late":2}]}"#
    );
    let text = "{ node { __typename id ... on Thing { nullable } } }";
    assert_eq!(
        bench.answer(text).await.0,
        r#"{"node":{"__typename":"Thing","id":1,"nullable":null}}"#
    );
    let text = "{ node { ... on Thing { nullable } } }";
    assert_eq!(bench.answer(text).await.0, r#"{"node":{"nullable":null}}"#);
}

#[tokio::test]
async fn an_object_of_which_nothing_is_selected_is_empty_and_not_null() {
    let bench = Bench::new();
    for (text, data) in [
        ("{ node { ... on Other { id } } }", r#"{"node":{}}"#),
        (
            "{ nodes { ...O } } fragment O on Other { id }",
            r#"{"nodes":[{"id":9},{}]}"#,
        ),
        (
            "{ thing { id @skip(if: true) ... @include(if: false) { late } } nothing { id @skip(if: true) } }",
            r#"{"thing":{},"nothing":null}"#,
        ),
        (
            "{ thing { maybe { id @skip(if: true) } maybe { ...T } } } fragment T on Thing { id }",
            r#"{"thing":{"maybe":{"id":1}}}"#,
        ),
        (
            "{ node { ... on Thing { nullable @skip(if: true) maybe { required @skip(if: true) } } } }",
            r#"{"node":{"maybe":{}}}"#,
        ),
    ] {
        assert_eq!(bench.answer(text).await, (data.to_owned(), vec![]));
    }
}

#[tokio::test]
async fn what_is_asked_for_in_secret_is_taken_out_and_nothing_else() {
    let text =
        "{ node { ... on Thing { x: oddJson } ... on Other { x: id } oddJson: __typename } }";
    assert_eq!(
        Bench::new().answer(text).await.0,
        r#"{"node":{"x":{"__tidings_type":"x"},"oddJson":"Thing"}}"#
    );
}

/// What a chat opens with: its rooms with their newest message, and a page of the open one.
const OPENING: &str = "query($room: ID!) {
  head
  viewer { id name rooms(first: 20) { edges { cursor node { ...R } } pageInfo { hasNextPage endCursor } } }
  room(id: $room) {
    ...R viewerRole
    messages(last: 50) { edges { cursor node { ...M } } pageInfo { hasPreviousPage startCursor } }
    members(first: 100) { nodes { id role joinedAt user { ...U } } }
  }
}
fragment R on Room { id name visibility memberCount lastActivityAt lastMessage { ...M } }
fragment M on Message { id body data version createdAt editedAt deletedAt cursor author { ...U } replyTo { id body author { ...U } } }
fragment U on User { id name avatarUrl }";

#[tokio::test]
async fn the_real_schema_is_read_and_what_clients_ask_is_within_its_limits() {
    use crate::graphql as real;
    let roots = Schema::build(real::Query, real::Mutation, real::Subscription);
    let shape = Arc::new(Shape::read(&real::sdl()).unwrap());
    let documents = Documents::new(Limits::default(), shape.clone());
    let allowance = Allowance::new(0, 0);
    let executor = Executor::new(roots.finish(), shape, allowance, |_| Data::default());

    let introspection = include_str!("../../document/introspection.graphql");
    let prepared = documents.prepare(introspection, None, Variables::default());
    let response = executor.execute(prepared.unwrap(), None).await.unwrap();
    assert!(response.is_ok(), "{:?}", response.errors);

    let variables = |json| Variables::from_json(json);
    let room = variables(json!({ "room": "018f3c5e-7b1a-7c3d-9e2f-000000000001" }));
    let prepared = documents.prepare(OPENING, None, room).unwrap();
    // It passes validation: with nothing to resolve with, its fields fail, the required ones up to the root.
    let response = executor.execute(prepared, Some(viewer())).await.unwrap();
    assert_eq!(response.data, Value::Null);

    let missing =
        "mutation($input: SendMessageInput!) { sendMessage(input: $input) { duplicate } }";
    let input = variables(json!({ "input": { "roomId": "x" } }));
    let rejection = documents.prepare(missing, None, input).unwrap_err();
    assert_eq!(code(&rejection.errors[0]), "BAD_USER_INPUT");
    let greedy = "{ changes { events { ... on MessageSent { room { messages(last: 100) { nodes { id } } } } } } }";
    let rejection = documents.prepare(greedy, None, Variables::default());
    assert_eq!(
        code(&rejection.unwrap_err().errors[0]),
        "GRAPHQL_VALIDATION_FAILED"
    );
}
