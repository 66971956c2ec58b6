//! Who is there: from sockets, through restarts.

use serde_json::{Value, json};

use crate::support::{Socket, TestServer, message, now_secs};

const CREATE: &str = "mutation ($members: [ID!]) {
    createRoom(input: { name: \"a room\", memberIds: $members }) { room { id } } }";
const PRESENCE: &str = "query ($id: ID!) { user(id: $id) { presence { status lastSeenAt } } }";

/// How a user stands, as another sees it.
async fn presence(socket: &mut Socket, user: &str) -> (String, Value) {
    let answer = socket.ask(PRESENCE, json!({ "id": user })).await;
    let presence = &answer["data"]["user"]["presence"];
    let status = presence["status"].as_str();
    (
        status.expect("it may be seen").to_owned(),
        presence["lastSeenAt"].clone(),
    )
}

fn secs(at: &Value) -> u64 {
    let at = at.as_str().expect("there is a time");
    let at = chrono::DateTime::parse_from_rfc3339(at).expect("it is an instant");
    at.timestamp().cast_unsigned()
}

#[tokio::test]
async fn who_closes_the_last_socket_is_gone_at_once_and_was_seen_after_a_restart_too() {
    let began = now_secs();
    let mut server = TestServer::start();
    let mut bob = Socket::signed_in(&server, &server.token("bob")).await;
    let phone = Socket::signed_in(&server, &server.token("ada")).await;
    let desk = Socket::signed_in(&server, &server.token("ada")).await;
    bob.ask(CREATE, json!({ "members": ["ada"] })).await;
    let online = ("ONLINE".to_owned(), Value::Null);
    assert_eq!(presence(&mut bob, "ada").await, online);
    phone.close(1000).await;
    assert_eq!(presence(&mut bob, "ada").await, online);
    desk.close(1001).await;
    let (status, seen) = presence(&mut bob, "ada").await;
    assert_eq!(status, "OFFLINE");
    assert!((began..=now_secs()).contains(&secs(&seen)), "{seen}");
    // Someone who shares no room with her is told nothing: to be in the lobby is enough to be looked up.
    let mut eve = Socket::signed_in(&server, &server.token("eve")).await;
    let lobby = "mutation { joinRoom(input: { roomId: \"00000000-0000-7000-8000-000000000001\" }) { room { id } } }";
    bob.ask(lobby, json!(null)).await;
    let nothing = ("OFFLINE".to_owned(), Value::Null);
    assert_eq!(presence(&mut eve, "bob").await, nothing);

    server.terminate();
    server.wait();
    let stopped = now_secs();
    let server = server.start_again();
    let mut ada = Socket::signed_in(&server, &server.token("ada")).await;
    // Bob was there until the server was not.
    let (status, until) = presence(&mut ada, "bob").await;
    assert_eq!(status, "OFFLINE");
    assert!((began..=stopped).contains(&secs(&until)), "{until}");
    ada.close(1000).await;
    let mut bob = Socket::signed_in(&server, &server.token("bob")).await;
    let (status, again) = presence(&mut bob, "ada").await;
    assert_eq!(status, "OFFLINE");
    assert!(again.as_str() > seen.as_str(), "{again} after {seen}");
    drop(server);
}

#[tokio::test]
async fn away_is_said_by_the_client_and_holds_for_all_its_devices() {
    let server = TestServer::start();
    let mut bob = Socket::signed_in(&server, &server.token("bob")).await;
    let mut ada = Socket::signed_in(&server, &server.token("ada")).await;
    let desk = Socket::signed_in(&server, &server.token("ada")).await;
    bob.ask(CREATE, json!({ "members": ["ada"] })).await;
    let set = "mutation ($away: Boolean!) {
        setPresence(input: { away: $away }) { viewer { id presence { status lastSeenAt } } } }";
    for (away, status) in [(true, "AWAY"), (true, "AWAY"), (false, "ONLINE")] {
        let answer = ada.ask(set, json!({ "away": away })).await;
        let viewer = &answer["data"]["setPresence"]["viewer"];
        let shown = json!({ "id": "ada", "presence": { "status": status, "lastSeenAt": null } });
        assert_eq!(*viewer, shown);
        let seen = presence(&mut bob, "ada").await;
        assert_eq!(seen, (status.to_owned(), Value::Null));
    }
    drop(desk);
}

#[tokio::test]
async fn a_renewed_token_shows_its_name_to_who_listens() {
    let server = TestServer::start();
    let mut bob = Socket::signed_in(&server, &server.token("bob")).await;
    let mut ada = Socket::signed_in(&server, &server.token("ada")).await;
    let answer = bob.ask(CREATE, json!({ "members": ["ada"] })).await;
    let room = &answer["data"]["createRoom"]["room"]["id"];
    let signals = "subscription ($rooms: [ID!]!) { signals(roomIds: $rooms) {
        __typename ... on PresenceChanged { user { id name } status } } }";
    bob.say(&message("s", signals, json!({ "rooms": [room] })))
        .await;
    let first = bob.hear().await.unwrap();
    assert_eq!(
        first["payload"]["data"]["signals"]["__typename"],
        "RoomPresence"
    );
    let fresh =
        json!({ "sub": "ada", "name": "Countess", "exp": now_secs() + 600, "iat": now_secs() });
    let renew =
        "mutation ($token: String!) { reauthenticate(input: { token: $token }) { expiresAt } }";
    let token = server.token_of(fresh);
    ada.ask(renew, json!({ "token": token })).await;
    let told = bob.hear().await.unwrap();
    let shown = json!({ "__typename": "PresenceChanged", "status": "ONLINE", "user": { "id": "ada", "name": "Countess" } });
    assert_eq!(told["payload"]["data"]["signals"], shown);
}
