//! What cuts a stream: a token that runs out or is withdrawn, the server's stopping.

use serde_json::json;

use super::{Shared, body, completed, result};
use crate::streams::Scene;
use crate::streams::raw::End;
use crate::support::{now_secs, run};

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
    let (shared, mut stream) = Shared::opened(&scene);
    let waiting = Shared::new(&scene);
    shared.follow_live("a", &mut stream);
    let mut revoke = scene.server.command(&["revoke", "--user", "ada"]);
    assert!(run(&mut revoke).status.success());
    assert_eq!(stream.rest(), (vec![], End::Cut));
    // One that was reserved before carries nothing.
    let late = waiting.opening("").send_for_all(&scene.server);
    assert!(!late.contains("event:"), "{late}");
}

#[test]
fn when_the_server_stops_nothing_comes_but_a_cut() {
    let mut scene = Scene::new();
    let (shared, mut stream) = Shared::opened(&scene);
    shared.follow_live("a", &mut stream);
    scene.send("one");
    scene.send("two");
    for said in ["one", "two"] {
        let payload = result(&mut stream, "a");
        assert_eq!(payload["data"]["messageSent"]["body"], said, "{payload}");
    }
    // One that waits for its stream does not keep the server waiting.
    let _waiting = Shared::new(&scene);
    scene.server.terminate();
    let (events, end) = stream.rest();
    assert_eq!((events.len(), end), (0, End::Cut), "{events:?}");
    assert_eq!(scene.server.wait().code(), Some(0));
}
