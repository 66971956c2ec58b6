//! Single connection mode: PROTOCOL.md of graphql-sse, each status and frame to the byte.

use serde_json::{Value, json};

use super::raw::{Answer, End, Request};
use super::{EVENTS, SEND, SENT, Scene, code};
use crate::support::{Plan, now_secs, run};

/// Several operations on one stream: the names of its requests.
pub(super) struct Shared<'a> {
    scene: &'a Scene,
    viewer: String,
    token: String,
}

/// What an event says: its type and its data.
pub(super) fn said(event: &str) -> (&str, Value) {
    let (kind, data) = event.split_once("\ndata: ").unwrap();
    let data = data.strip_suffix("\n\n").unwrap();
    assert_eq!(data.lines().count(), 1, "{event}");
    let kind = kind.strip_prefix("event: ").unwrap();
    (kind, serde_json::from_str(data).unwrap())
}

/// The next event of these, which is to be a result of `id`.
pub(super) fn result(stream: &mut Answer, id: &str) -> Value {
    let event = stream.event().unwrap();
    let (kind, data) = said(&event);
    assert_eq!((kind, &data["id"]), ("next", &id.into()), "{event}");
    data["payload"].clone()
}

pub(super) fn completed(stream: &mut Answer, id: &str) {
    assert_eq!(stream.event().unwrap(), end_of(id));
}

/// What tells that an operation has ended.
fn end_of(id: &str) -> String {
    format!("event: complete\ndata: {{\"id\":\"{id}\"}}\n\n")
}

pub(super) fn reserve(scene: &Scene, viewer: &str) -> Answer {
    let request = Request::new("PUT", "/graphql").token(viewer);
    request.send(&scene.server)
}

impl<'a> Shared<'a> {
    pub(super) fn new(scene: &'a Scene) -> Self {
        Self::of(scene, &scene.token)
    }

    pub(super) fn of(scene: &'a Scene, viewer: &str) -> Self {
        let mut reserved = reserve(scene, viewer);
        assert_eq!(reserved.status(), 201, "{}", reserved.head());
        Self {
            scene,
            viewer: viewer.to_owned(),
            token: reserved.whole(),
        }
    }

    fn request(&self, method: &'static str, search: &str) -> Request {
        let request = Request::new(method, &format!("/graphql{search}"));
        request.header("x-graphql-event-stream-token", &self.token)
    }

    /// As an `EventSource` does, which can send no header.
    pub(super) fn opening(&self, search: &str) -> Request {
        let path = format!("/graphql?token={}{search}", self.token);
        Request::new("GET", &path).accept(EVENTS)
    }

    pub(super) fn open(&self) -> Answer {
        self.open_with("")
    }

    pub(super) fn open_with(&self, search: &str) -> Answer {
        let mut stream = self.opening(search).send(&self.scene.server);
        assert_eq!(stream.status(), 200, "{}", stream.head());
        assert_eq!(stream.chunk().unwrap(), ":\n\n");
        stream
    }

    pub(super) fn ask(&self, id: &Value, query: &str, variables: &Value) -> Answer {
        let extensions = json!({ "operationId": id });
        let body = json!({ "query": query, "variables": variables, "extensions": extensions });
        let request = self.request("POST", "").token(&self.viewer);
        let request = request.header("content-type", "application/json");
        request.body(body).send(&self.scene.server)
    }

    pub(super) fn execute(&self, id: &str, query: &str, variables: &Value) {
        let answer = self.ask(&id.into(), query, variables);
        assert_eq!(answer.status(), 202, "{}", answer.head());
        assert_eq!(answer.header("content-length"), Some("0"));
    }

    pub(super) fn follow(&self, id: &str) {
        self.follow_after(id, &Value::Null);
    }

    pub(super) fn follow_after(&self, id: &str, after: &Value) {
        let variables = json!({ "roomId": self.scene.room, "after": after });
        self.execute(id, SENT, &variables);
    }

    pub(super) fn stop(&self, id: &str) -> Answer {
        let request = self.request("DELETE", &format!("?operationId={id}"));
        request.token(&self.viewer).send(&self.scene.server)
    }
}

/// Waits until a subscription is live, which a beat tells.
pub(super) fn live(stream: &mut Answer) {
    assert_eq!(stream.chunk().unwrap(), ":\n\n");
}

pub(super) fn body(result: &Value) -> &str {
    super::body(result)
}

/// The server's answer to a request that is refused: its status and its code.
pub(super) fn refusal(mut answer: Answer) -> (u16, String) {
    let text = answer.whole();
    let refusal: Value = serde_json::from_str(&text).unwrap();
    (answer.status(), code(&refusal).to_owned())
}

#[test]
fn a_stream_is_reserved_opened_and_carries_the_results_of_operations_by_their_ids() {
    let scene = Scene::new();
    let mut reserved = reserve(&scene, &scene.token);
    assert_eq!(reserved.status(), 201);
    let content_type = reserved.header("content-type");
    assert_eq!(content_type, Some("text/plain; charset=utf-8"));
    let token = reserved.whole();
    assert!(token.len() >= 32, "{token}");

    let shared = Shared::new(&scene);
    let mut stream = shared.open();
    let content_type = stream.header("content-type");
    assert_eq!(content_type, Some("text/event-stream; charset=utf-8"));
    shared.follow("a");
    live(&mut stream);
    scene.send("one\nline");
    let cursor = scene.head();
    let expected = format!(
        "event: next\ndata: {{\"id\":\"a\",\"payload\":{{\"data\":{{\"messageSent\":\
         {{\"body\":\"one\\nline\"}}}},\"extensions\":{{\"cursor\":\"{cursor}\"}}}}}}\n\n"
    );
    assert_eq!(stream.chunk().unwrap(), expected);
}

#[test]
fn queries_and_mutations_are_one_result_and_complete() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    let mut stream = shared.open();
    shared.execute("q", "{ viewer { id } }", &json!({}));
    let viewer = result(&mut stream, "q");
    assert_eq!(viewer, json!({ "data": { "viewer": { "id": "ada" } } }));
    completed(&mut stream, "q");

    let input = json!({ "input": { "roomId": scene.room, "body": "by POST" } });
    shared.execute("m", SEND, &input);
    let sent = result(&mut stream, "m");
    assert_eq!(sent["data"]["sendMessage"]["message"]["body"], "by POST");
    completed(&mut stream, "m");
    // An id is free again once its operation has ended, and may be a number.
    assert_eq!(shared.ask(&7.into(), "{ head }", &json!({})).status(), 202);
    assert!(result(&mut stream, "7")["data"]["head"].is_string());
    completed(&mut stream, "7");
    shared.execute("q", "{ head }", &json!({}));
    assert!(result(&mut stream, "q")["data"]["head"].is_string());
}

#[test]
fn a_query_may_be_asked_by_get_and_a_mutation_may_not() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    let mut stream = shared.open();
    let by_get = |query: &str, variables: &Value| {
        let request = Request::get(query, variables).search("extensions", r#"{"operationId":"g"}"#);
        let request = request.search("token", &shared.token);
        request.token(&scene.token).send(&scene.server).status()
    };
    assert_eq!(by_get("{ viewer { id } }", &json!({})), 202);
    assert_eq!(result(&mut stream, "g")["data"]["viewer"]["id"], "ada");
    completed(&mut stream, "g");
    let input = json!({ "input": { "roomId": scene.room, "body": "by GET" } });
    let before = scene.head();
    assert_eq!(by_get(SEND, &input), 405);
    assert_eq!(scene.head(), before);
}

#[test]
fn what_is_asked_before_the_stream_comes_is_told_when_it_does() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    shared.follow("a");
    shared.execute("q", "{ viewer { id } }", &json!({}));
    // It follows from when it was asked, and what has ended meanwhile has ended.
    scene.send("meanwhile");
    shared.follow("b");
    assert_eq!(shared.stop("b").status(), 200);
    let mut stream = shared.open();
    // Operations keep no order among each other.
    let told = [(); 3].map(|()| stream.event().unwrap());
    let of = |id: &str| {
        let mut told = told.iter().map(|event| said(event));
        told.find(|(kind, data)| *kind == "next" && data["id"] == id)
            .map(|(_, data)| data["payload"]["data"].clone())
    };
    assert_eq!(of("q"), Some(json!({ "viewer": { "id": "ada" } })));
    assert_eq!(
        of("a"),
        Some(json!({ "messageSent": { "body": "meanwhile" } }))
    );
    assert!(told.iter().any(|event| *event == end_of("q")), "{told:?}");
    scene.send("then");
    assert_eq!(body(&result(&mut stream, "a")), "then");
}

#[test]
fn a_reservation_is_its_users_alone() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    let bob = Shared {
        scene: &scene,
        viewer: scene.server.token("bob"),
        token: shared.token.clone(),
    };
    let unknown = (404, "NOT_FOUND".to_owned());
    let asked = bob.ask(&"x".into(), "{ head }", &json!({}));
    assert_eq!(refusal(asked), unknown);
    assert_eq!(refusal(bob.stop("x")), unknown);
    let opened = bob.opening("").token(&bob.viewer).send(&scene.server);
    assert_eq!(refusal(opened), unknown);
    // It is none the worse for that, and its user's token is not needed to open it.
    let mut stream = shared.open();
    shared.execute("q", "{ viewer { id } }", &json!({}));
    assert_eq!(result(&mut stream, "q")["data"]["viewer"]["id"], "ada");
}

#[test]
fn each_request_but_the_streams_own_says_who_asks() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    let expired = json!({ "sub": "ada", "exp": now_secs() - 3600 });
    let expired = scene.server.token_of(expired);
    for viewer in [None, Some("nonsense"), Some(&*expired)] {
        let as_viewer = |request: Request| match viewer {
            Some(viewer) => request.token(viewer),
            None => request,
        };
        let body = json!({ "query": "{ head }", "extensions": { "operationId": "q" } });
        let post = shared.request("POST", "").body(body);
        let post = post.header("content-type", "application/json");
        for request in [
            Request::new("PUT", "/graphql"),
            shared.request("DELETE", "?operationId=q"),
            post,
        ] {
            let answer = as_viewer(request).send(&scene.server);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert_eq!(refusal(answer), (401, "UNAUTHENTICATED".to_owned()));
        }
    }
    // What opens it and says who it is, says so truly.
    let answer = shared.opening("").token("nonsense").send(&scene.server);
    assert_eq!(refusal(answer).0, 401);
    shared.open();
}

#[test]
fn a_token_that_is_none_of_ours_is_not_found() {
    let scene = Scene::new();
    let unknown = (404, "NOT_FOUND".to_owned());
    let none = Shared {
        scene: &scene,
        viewer: scene.token.clone(),
        token: "0123456789abcdef0123456789abcdef".to_owned(),
    };
    assert_eq!(refusal(none.opening("").send(&scene.server)), unknown);
    assert_eq!(refusal(none.stop("x")), unknown);
    let asked = none.ask(&"x".into(), "{ head }", &json!({}));
    assert_eq!(refusal(asked), unknown);
    let stop = Request::new("DELETE", "/graphql?operationId=x").token(&scene.token);
    assert_eq!(refusal(stop.send(&scene.server)), unknown);
}

#[test]
fn a_stream_opens_once() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    let mut stream = shared.open();
    let again = shared.opening("").send(&scene.server);
    assert_eq!(refusal(again), (409, "CONFLICT".to_owned()));
    // The one that was there is undisturbed; with it goes the reservation.
    shared.execute("q", "{ head }", &json!({}));
    result(&mut stream, "q");
    drop(stream);
    while shared.opening("").send(&scene.server).status() != 404 {}
    let asked = shared.ask(&"x".into(), "{ head }", &json!({}));
    assert_eq!(asked.status(), 404);
}

#[test]
fn an_id_names_one_operation_at_a_time_and_has_to_be_there() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    let mut stream = shared.open();
    shared.follow("a");
    let again = shared.ask(&"a".into(), "{ head }", &json!({}));
    assert_eq!(refusal(again), (409, "CONFLICT".to_owned()));
    let bad = (400, "BAD_USER_INPUT".to_owned());
    for id in [
        Value::Null,
        json!(""),
        json!([]),
        json!({}),
        json!(true),
        json!("x".repeat(129)),
    ] {
        let asked = shared.ask(&id, "{ head }", &json!({}));
        assert_eq!(refusal(asked), bad, "{id}");
    }
    let longest = "x".repeat(128);
    shared.execute(&longest, "{ head }", &json!({}));
    result(&mut stream, &longest);
    for search in ["", "?operationId=", "?operation=a"] {
        let stop = shared.request("DELETE", search).token(&scene.token);
        assert_eq!(refusal(stop.send(&scene.server)), bad, "{search}");
    }
}

#[test]
fn a_request_that_is_none_is_refused_by_its_status() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    let mut stream = shared.open();
    for (query, variables) in [("", json!({})), ("{ head }", json!(7))] {
        let asked = shared.ask(&"x".into(), query, &variables);
        assert_eq!(refusal(asked), (400, "BAD_USER_INPUT".to_owned()));
    }
    let post = |content_type: &'static str, body: &str| {
        let request = shared.request("POST", "").token(&scene.token).body(body);
        request
            .header("content-type", content_type)
            .send(&scene.server)
            .status()
    };
    assert_eq!(post("application/json", "{"), 400);
    assert_eq!(post("text/plain", "{}"), 415);
    assert_eq!(post("application/json", &" ".repeat(70_000)), 413);
    // Nothing of all that has begun.
    shared.execute("x", "{ head }", &json!({}));
    result(&mut stream, "x");
}

#[test]
fn an_operation_that_is_refused_is_told_so_as_a_result_and_ends_nothing_else() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    let mut stream = shared.open();
    shared.follow("a");
    live(&mut stream);
    let nowhere = json!({ "roomId": "00000000-0000-7000-8000-00000000dead" });
    let blank = json!({ "input": { "roomId": scene.room, "body": " " } });
    let garbage = json!({ "roomId": scene.room, "after": "42" });
    for (query, variables, expected) in [
        (SENT, nowhere, "NOT_FOUND"),
        (SENT, garbage, "BAD_USER_INPUT"),
        (SEND, blank, "BAD_USER_INPUT"),
        ("subscription {", json!({}), "GRAPHQL_PARSE_FAILED"),
        ("{ head", json!({}), "GRAPHQL_PARSE_FAILED"),
        (
            "subscription { nothing }",
            json!({}),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("{ nothing }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
        (SENT, json!({}), "BAD_USER_INPUT"),
    ] {
        shared.execute("x", query, &variables);
        let refused = result(&mut stream, "x");
        let code = &refused["errors"][0]["extensions"]["code"];
        assert_eq!(code, expected, "{refused}");
        completed(&mut stream, "x");
    }
    scene.send("still here");
    assert_eq!(body(&result(&mut stream, "a")), "still here");
}

#[test]
fn who_deletes_an_operation_hears_no_more_of_it() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    let mut stream = shared.open();
    shared.follow("a");
    live(&mut stream);
    shared.follow("b");
    live(&mut stream);
    let stopped = shared.stop("a");
    assert_eq!(stopped.status(), 200);
    scene.send("for b");
    assert_eq!(body(&result(&mut stream, "b")), "for b");
    // It is none any more, which is no error; and its id is free.
    assert_eq!(shared.stop("a").status(), 200);
    shared.follow("a");
    live(&mut stream);
    scene.send("for both");
    let mut heard: Vec<_> = (0..2)
        .map(|_| said(&stream.event().unwrap()).1["id"].to_string())
        .collect();
    heard.sort();
    assert_eq!(heard, ["\"a\"", "\"b\""]);
}

#[test]
fn a_subscription_that_the_server_ends_is_completed_alone() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    let mut stream = shared.open();
    shared.follow("a");
    live(&mut stream);
    let delete = "mutation ($input: DeleteRoomInput!) { deleteRoom(input: $input) { roomId } }";
    scene.ask(delete, &json!({ "input": { "roomId": scene.room } }));
    assert_eq!(code(&result(&mut stream, "a")), "NOT_FOUND");
    completed(&mut stream, "a");
    shared.execute("a", "{ viewer { id } }", &json!({}));
    assert_eq!(result(&mut stream, "a")["data"]["viewer"]["id"], "ada");
}

#[test]
fn operations_go_on_from_their_own_places() {
    let scene = Scene::new();
    let first = scene.head();
    scene.send("one");
    let second = scene.head();
    scene.send("two");
    let shared = Shared::new(&scene);
    // What stands for one place stands for none here.
    let opening = shared.opening("").header("last-event-id", scene.head());
    let mut stream = opening.send(&scene.server);
    shared.follow_after("second", &second.into());
    assert_eq!(body(&result(&mut stream, "second")), "two");
    shared.follow_after("first", &first.into());
    assert_eq!(body(&result(&mut stream, "first")), "one");
    assert_eq!(body(&result(&mut stream, "first")), "two");
}

#[test]
fn who_asks_for_pings_is_told_the_place_of_each_subscription_and_others_only_that_the_line_lives() {
    let scene = Scene::on(Plan::default().env("TIDINGS_PING_INTERVAL_SECS", 1).start());
    let plain = Shared::new(&scene);
    let mut quiet = plain.open();
    plain.follow("a");
    let shared = Shared::new(&scene);
    let mut stream = shared.open_with("&pings=true");
    shared.follow("a");
    shared.follow("b");
    let elsewhere = json!({ "input": { "name": "elsewhere" } });
    scene.ask(
        "mutation ($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }",
        &elsewhere,
    );
    let head = scene.head();
    let both = json!({ "resume": { "a": head, "b": head } });
    let mut told = (0..20).map(|_| {
        let event = stream.event().unwrap();
        let (kind, mut data) = said(&event);
        assert_eq!(kind, "ping");
        let places = data["resume"].as_object_mut().unwrap();
        places.sort_keys();
        data
    });
    assert!(told.any(|data| data == both), "never told {both}");
    for _ in 0..3 {
        assert_eq!(quiet.chunk().unwrap(), ":\n\n");
    }
}

#[test]
fn http_1_0_gets_its_events_as_they_are() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    shared.execute("q", "{ viewer { id } }", &json!({}));
    let mut stream = shared.opening("").http_1_0().send(&scene.server);
    assert_eq!(stream.header("connection"), Some("close"));
    let answer = "event: next\ndata: {\"id\":\"q\",\"payload\":{\"data\":{\"viewer\":{\"id\":\"ada\"}}}}\n\n";
    let complete = "event: complete\ndata: {\"id\":\"q\"}\n\n";
    let text = stream.until(complete).unwrap();
    assert_eq!(text, format!(":\n\n{answer}{complete}"));
    let mut revoke = scene.server.command(&["revoke", "--user", "ada"]);
    assert!(run(&mut revoke).status.success());
    let rest = stream.until_its_end();
    assert_eq!(rest, ":\n\n".repeat(rest.len() / 3));
}

#[test]
fn the_token_comes_as_text_to_who_takes_text() {
    let scene = Scene::new();
    let asked = |accept: &str| {
        let request = Request::new("PUT", "/graphql").accept(accept);
        request.token(&scene.token).send(&scene.server).status()
    };
    for accept in [
        "*/*",
        "text/plain",
        "application/json, text/plain, */*",
        "text/*",
    ] {
        assert_eq!(asked(accept), 201, "{accept}");
    }
    for accept in ["application/json", "text/event-stream", "text/plain;q=0"] {
        assert_eq!(asked(accept), 406, "{accept}");
    }
}

#[test]
fn a_token_that_runs_out_cuts_the_stream_and_a_fresh_one_keeps_it() {
    let scene = Scene::new();
    let good_for = |secs: u64| {
        // The leeway counted.
        let claims = json!({ "sub": "ada", "exp": now_secs() - 30 + secs });
        scene.server.token_of(claims)
    };
    let short = Shared::of(&scene, &good_for(12));
    let mut stream = short.open();
    short.follow("a");
    let renewed = Shared::of(&scene, &good_for(12));
    let mut kept = renewed.open();
    renewed.follow("a");
    let reauthenticate =
        "mutation ($input: ReauthenticateInput!) { reauthenticate(input: $input) { expiresAt } }";
    let input = json!({ "input": { "token": scene.token } });
    renewed.execute("r", reauthenticate, &input);
    let answer = result(&mut kept, "r");
    assert!(answer["errors"].is_null(), "{answer}");
    completed(&mut kept, "r");
    // By its end, the other one is beyond its own.
    assert_eq!(stream.rest(), (vec![], End::Cut));
    scene.send("later");
    assert_eq!(body(&result(&mut kept, "a")), "later");
}

#[test]
fn a_token_that_is_withdrawn_cuts_the_stream() {
    let scene = Scene::new();
    let shared = Shared::new(&scene);
    let mut stream = shared.open();
    let waiting = Shared::new(&scene);
    shared.follow("a");
    live(&mut stream);
    let mut revoke = scene.server.command(&["revoke", "--user", "ada"]);
    assert!(run(&mut revoke).status.success());
    assert_eq!(stream.rest(), (vec![], End::Cut));
    // One that was reserved before carries nothing.
    let late = waiting.opening("").send_for_all(&scene.server);
    assert!(!late.contains("event:"), "{late}");
}

#[test]
fn when_the_server_stops_what_was_sent_comes_and_then_a_cut() {
    let mut scene = Scene::new();
    let shared = Shared::new(&scene);
    let mut stream = shared.open();
    shared.follow("a");
    live(&mut stream);
    scene.send("one");
    scene.send("two");
    // One that waits for its stream does not keep the server waiting.
    let _waiting = Shared::new(&scene);
    scene.server.terminate();
    let (events, end) = stream.rest();
    assert_eq!((events.len(), end), (2, End::Cut), "{events:?}");
    assert_eq!(scene.server.wait().code(), Some(0));
}

#[test]
fn a_token_in_the_search_that_is_no_streams_is_none_of_its_business() {
    let scene = Scene::new();
    let jwt = &*scene.token;
    let (short, long) = ("0".repeat(31), "0".repeat(33));
    let other = ["g".repeat(32), "A".repeat(32)];
    for token in [jwt, &*short, &*long, &*other[0], &*other[1]] {
        let asked = |request: Request| request.token(jwt).send(&scene.server).status();
        let post = Request::new("POST", &format!("/graphql?token={token}"));
        let post = post.header("content-type", "application/json");
        assert_eq!(
            asked(post.body(json!({ "query": "{ head }" }))),
            200,
            "{token}"
        );
        let get = || Request::get("{ head }", &json!({})).search("token", token);
        assert_eq!(asked(get()), 200, "{token}");
        assert_eq!(asked(get().accept(EVENTS)), 200, "{token}");
    }
    let get = Request::get("{ head }", &json!({})).search("token", &"0".repeat(32));
    assert_eq!(get.token(jwt).send(&scene.server).status(), 404);
}
