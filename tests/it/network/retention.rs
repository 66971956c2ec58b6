//! The log is kept for so many days: who was there all along and heard nothing has lost nothing, who was away is told.

use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use uuid::Uuid;

use super::{ask, head, room};
use crate::support::{Plan, Socket, TestServer, message};

const FOLLOW: &str =
    "subscription($room:ID!,$after:Cursor){messageSent(roomId:$room,after:$after){body}}";
const EVENTS: &str = "subscription($after:Cursor){events(after:$after){__typename cursor \
     ...on ResyncRequired{reason} ...on MessageSent{message{body}}}}";
const SEND: &str = "mutation($input:SendMessageInput!){sendMessage(input:$input){message{cursor}}}";

/// Says something; where that is in the log.
async fn say(server: &TestServer, room: Uuid, body: &str) -> String {
    let input = json!({ "roomId": room, "body": body });
    let data = ask(server, "bob", SEND, json!({ "input": input })).await;
    let cursor = data["sendMessage"]["message"]["cursor"].as_str();
    cursor.unwrap().to_owned()
}

async fn signed_in(server: &TestServer, resume: Value) -> Socket {
    let mut socket = Socket::open(server).await.unwrap();
    let payload = json!({ "token": server.token("ada"), "resume": resume });
    let init = json!({ "type": "connection_init", "payload": payload });
    socket.say(&init).await;
    assert_eq!(socket.hear().await.unwrap()["type"], "connection_ack");
    socket
}

/// Makes everything that has happened three days older, as if so much time had gone by. No server is there.
pub(crate) async fn three_days_go_by(server: &TestServer) {
    let options = SqliteConnectOptions::new().filename(server.database());
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let older = "UPDATE events SET at = at - 3 * 86400000";
    sqlx::query(older).execute(&pool).await.unwrap();
    pool.close().await;
}

/// Waits until the log begins behind this place.
pub(crate) async fn pruned(server: &TestServer, place: &str) {
    let query = "query($after:Cursor){changes(after:$after){reset}}";
    loop {
        let data = ask(server, "ada", query, json!({ "after": place })).await;
        if data["changes"]["reset"] == true {
            return;
        }
    }
}

#[tokio::test]
async fn who_was_quiet_for_longer_than_the_log_is_kept_loses_nothing_and_is_told_nothing() {
    let plan = Plan::default().env("TIDINGS_PING_INTERVAL_SECS", 1);
    let mut server = plan.env("TIDINGS_RETENTION_DAYS", 2).start();
    let (quiet, busy) = (room(&server).await, room(&server).await);
    let variables = json!({ "room": quiet, "after": head(&server).await });
    let mut socket = signed_in(&server, json!({})).await;
    socket
        .say(&message("quiet", FOLLOW, variables.clone()))
        .await;
    let own = say(&server, quiet, "one").await;
    let next = socket.hear().await.unwrap();
    assert_eq!(next["payload"]["extensions"]["cursor"], own);
    // Where it is goes on with the log, though nothing of that is for it.
    let elsewhere = async {
        for _ in 0..20 {
            say(&server, busy, "not to be heard here").await;
        }
    };
    // On a busy machine that takes longer than the server waits for the answer to a ping.
    socket.stay_while(elsewhere).await;
    let end = head(&server).await;
    let place = loop {
        let ping = socket.hear_ping().await;
        let place = ping["payload"]["resume"]["quiet"].as_str().unwrap();
        assert!(*own <= *place && *place <= *end, "{own} {place} {end}");
        if place == end {
            break place.to_owned();
        }
    };

    server.kill();
    drop(socket);
    three_days_go_by(&server).await;
    let server = server.start_again();
    pruned(&server, &own).await;
    let resume = json!({ "quiet": place, "behind": own, "all": own });
    let mut socket = signed_in(&server, resume).await;
    // Its variables are what they were: `after` has long been forgotten.
    socket.say(&message("quiet", FOLLOW, variables)).await;
    say(&server, quiet, "two").await;
    let next = socket.hear().await.unwrap();
    assert_eq!(next["id"], "quiet", "{next}");
    assert_eq!(next["payload"]["data"]["messageSent"]["body"], "two");

    // Of what was pruned nobody can say whether it was missed.
    socket
        .say(&message("behind", FOLLOW, json!({ "room": quiet })))
        .await;
    let error = socket.hear().await.unwrap();
    assert_eq!(
        (&error["id"], &error["type"]),
        (&json!("behind"), &json!("error"))
    );
    let extensions = &error["payload"][0]["extensions"];
    assert_eq!(extensions["code"], "RESYNC_REQUIRED", "{error}");
    assert_eq!(extensions["reason"], "CURSOR_EXPIRED", "{error}");
    socket.say(&message("all", EVENTS, json!({}))).await;
    let told = socket.hear().await.unwrap()["payload"]["data"]["events"].take();
    assert_eq!(told["__typename"], "ResyncRequired", "{told}");
    assert_eq!(told["reason"], "CURSOR_EXPIRED", "{told}");
    assert_eq!(told["cursor"], head(&server).await, "where it goes on");
    let caught_up = socket.hear().await.unwrap();
    assert_eq!(
        caught_up["payload"]["data"]["events"]["__typename"],
        "CaughtUp"
    );
    say(&server, busy, "three").await;
    let next = socket.hear().await.unwrap()["payload"]["data"]["events"].take();
    assert_eq!(next["message"]["body"], "three", "{next}");
}
