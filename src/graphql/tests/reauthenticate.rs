//! `reauthenticate`: whose token extends what.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Request, Response, Variables};
use serde_json::{Value, json};

use super::super::equip;
use super::world::{World, text, viewer};
use crate::auth::{Renewal, Viewer};
use crate::model::{Timestamp, UserId};

const REAUTHENTICATE: &str =
    "mutation($token: String!) { reauthenticate(input: { token: $token }) {
    viewer { id name } expiresAt } }";

fn token(world: &World, sub: &str, name: &str, ttl_secs: u64) -> String {
    let user = UserId::parse("sub", sub).unwrap();
    let minter = world.deps.authenticator.minter().unwrap();
    minter
        .mint(&user, Some(name), Duration::from_secs(ttl_secs))
        .unwrap()
}

/// What ada is answered, and the viewer that her socket is left with.
async fn reauthenticate(world: &World, token: &str) -> (Response, Option<Arc<Viewer>>) {
    let socket = Renewal::default();
    let variables = Variables::from_json(json!({ "token": token }));
    let mut request = Request::new(REAUTHENTICATE).variables(variables);
    request.data = equip(Some(&viewer("ada")), world.head().await);
    request.data.insert(socket.clone());
    (world.schema.execute(request).await, socket.take())
}

fn refusal((answer, left): (Response, Option<Arc<Viewer>>)) -> Value {
    assert!(left.is_none());
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer["errors"].as_array().unwrap().len(), 1);
    answer["errors"][0].clone()
}

#[tokio::test]
async fn a_fresh_token_is_left_for_the_socket_and_its_profile_is_seen() {
    let world = World::new().await;
    let now = Timestamp::now().0;
    for bearer in ["", "Bearer ", "bearer  "] {
        let token = bearer.to_owned() + &token(&world, "ada", "Ada Lovelace", 7200);
        let (answer, left) = reauthenticate(&world, &token).await;
        let answer = answer.into_result().unwrap().data.into_json().unwrap();
        let payload = &answer["reauthenticate"];
        let shown = json!({ "id": "ada", "name": "Ada Lovelace" });
        assert_eq!(payload["viewer"], shown);
        let expires_at = left.unwrap().expires_at;
        assert_eq!(text(&payload["expiresAt"]), expires_at.to_string());
        // Two hours from when it was made, in whole seconds.
        let made = now - 1_000..=Timestamp::now().0;
        assert!(made.contains(&(expires_at.0 - 7_200_000)));
    }
    let ada = UserId::parse("id", "ada").unwrap();
    let kept = world.deps.store.profile(&ada).await.unwrap().unwrap();
    assert_eq!(&*kept.name, "Ada Lovelace");
}

#[tokio::test]
async fn another_users_token_is_forbidden() {
    let world = World::new().await;
    let token = token(&world, "eve", "Eve", 7200);
    let refusal = refusal(reauthenticate(&world, &token).await);
    assert_eq!(refusal["extensions"]["code"], "FORBIDDEN");
    assert_eq!(refusal["extensions"]["retryable"], false);
    assert!(text(&refusal["message"]).contains("another user's"));
    let eve = UserId::parse("id", "eve").unwrap();
    assert!(world.deps.store.profile(&eve).await.unwrap().is_none());
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_not_left() {
    let world = World::new().await;
    let good = token(&world, "ada", "Ada", 7200);
    let (head, _) = good.rsplit_once('.').unwrap();
    for bad in ["", "Bearer", "nonsense", &format!("{head}.AAAA")] {
        let refusal = refusal(reauthenticate(&world, bad).await);
        assert_eq!(refusal["extensions"]["code"], "UNAUTHENTICATED", "{bad}");
        assert_eq!(refusal["extensions"]["retryable"], false);
    }
}

#[tokio::test]
async fn without_a_socket_there_is_nothing_to_extend() {
    let world = World::new().await;
    let token = token(&world, "ada", "Ada", 7200);
    let answer = world
        .run(Some("ada"), REAUTHENTICATE, json!({ "token": token }))
        .await;
    let refusal = refusal((answer, None));
    assert_eq!(refusal["extensions"]["code"], "BAD_USER_INPUT");
    assert!(text(&refusal["message"]).contains("Authorization header"));
}
