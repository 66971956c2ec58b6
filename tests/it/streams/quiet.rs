//! Who hears nothing for longer than the log is kept: over a stream that carries places nothing is lost and nothing is told; over one that
//! cannot, the client is told, rather than left with a gap.

use serde_json::json;
use tokio::task::block_in_place;

use super::multipart;
use super::raw::{Answer, Request};
use super::single::{Shared, body, completed, result, said};
use super::{COMPLETE, Scene, code};
use crate::network::retention::{pruned, three_days_go_by};
use crate::support::Plan;

/// A server whose log is kept for two days, and who has heard one message of a quiet room.
struct Quiet {
    scene: Scene,
    /// Where that message is.
    own: String,
}

impl Quiet {
    fn new() -> Self {
        let plan = Plan::default().env("TIDINGS_PING_INTERVAL_SECS", 1);
        let scene = Scene::on(plan.env("TIDINGS_RETENTION_DAYS", 2).start());
        scene.send("one");
        let own = scene.head();
        Self { scene, own }
    }

    /// Much happens elsewhere; where that ends.
    fn others_speak(&self) -> String {
        let create =
            "mutation ($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }";
        for _ in 0..20 {
            let input = json!({ "input": { "name": "elsewhere" } });
            self.scene.ask(create, &input);
        }
        self.scene.head()
    }

    /// The server is killed, comes back after three days, and has forgotten what was; then a second message comes.
    async fn forget(&mut self) {
        self.scene.server.kill();
        three_days_go_by(&self.scene.server).await;
        block_in_place(|| self.scene.start_again());
        pruned(&self.scene.server, &self.own).await;
        block_in_place(|| self.scene.send("two"));
    }
}

/// The place that an `EventSource` has noted once it is this: of the last event with an id, were it nothing but that.
fn noted(stream: &mut Answer, place: &str) {
    let expected = format!(":\nid: {place}\n\n");
    while stream.chunk().unwrap() != expected {}
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_source_that_was_quiet_comes_back_as_if_nothing_had_been() {
    let mut quiet = Quiet::new();
    let mut stream = quiet.scene.live(&quiet.scene.follow());
    let place = quiet.others_speak();
    noted(&mut stream, &place);
    quiet.forget().await;
    // What it was asked with says no place, or one that has long been forgotten.
    for asked in [
        quiet.scene.follow(),
        quiet.scene.follow_after(&quiet.own.as_str().into()),
    ] {
        let again = asked.header("last-event-id", &place);
        let mut stream = again.send(&quiet.scene.server);
        assert_eq!(super::body(&stream.next()), "two");
    }
    // Of what was pruned nobody can say whether it was missed.
    let again = quiet.scene.follow().header("last-event-id", &quiet.own);
    let mut stream = again.send(&quiet.scene.server);
    assert_eq!(code(&stream.next()), "RESYNC_REQUIRED");
    assert_eq!(stream.event().unwrap(), COMPLETE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_among_several_that_was_quiet_goes_on_from_where_the_pings_said() {
    let mut quiet = Quiet::new();
    let shared = Shared::new(&quiet.scene);
    let mut stream = shared.open_with("&pings=true");
    shared.follow("quiet");
    let head = quiet.others_speak();
    let mut told = (0..20).map(|_| said(&stream.event().unwrap()).1);
    assert!(told.any(|ping| ping["resume"]["quiet"] == head));
    let place = head;
    drop(shared);
    quiet.forget().await;
    let shared = Shared::new(&quiet.scene);
    let mut stream = shared.open();
    shared.follow_after("quiet", &place.into());
    assert_eq!(body(&result(&mut stream, "quiet")), "two");
    shared.follow_after("behind", &quiet.own.as_str().into());
    assert_eq!(code(&result(&mut stream, "behind")), "RESYNC_REQUIRED");
    completed(&mut stream, "behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_quiet_in_parts_is_told_to_read_afresh_and_from_where_to_go_on() {
    let mut quiet = Quiet::new();
    let stream = multipart::live(&quiet.scene, &multipart::follow(&quiet.scene));
    quiet.others_speak();
    quiet.forget().await;
    drop(stream);
    let variables = json!({ "roomId": quiet.scene.room, "after": quiet.own });
    let again = Request::post(super::SENT, &variables).accept(multipart::ACCEPT);
    let mut stream = again.token(&quiet.scene.token).send(&quiet.scene.server);
    assert_eq!(stream.chunk().unwrap(), "--graphql");
    let told = multipart::next_payload(&mut stream);
    assert_eq!(code(&told), "RESYNC_REQUIRED");
    let place = told["errors"][0]["extensions"]["cursor"].clone();
    quiet.scene.send("three");
    let variables = json!({ "roomId": quiet.scene.room, "after": place });
    let on = Request::post(super::SENT, &variables).accept(multipart::ACCEPT);
    let mut stream = on.token(&quiet.scene.token).send(&quiet.scene.server);
    assert_eq!(stream.chunk().unwrap(), "--graphql");
    let next = multipart::next_payload(&mut stream);
    assert_eq!(super::body(&next), "three");
}
