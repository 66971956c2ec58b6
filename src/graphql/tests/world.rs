//! A schema over a fresh database, with its writer and tail.

use std::sync::Arc;

use async_graphql::{Request, Variables};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::{Deps, Schema, equip, schema};
use crate::auth::{Authenticator, KeySource, Rules, Secret, Viewer};
use crate::bus::{Bus, LocalBus};
use crate::chat::{Chat, Command};
use crate::log::{Tail, TailLimits, Writer};
use crate::model::{Cursor, Timestamp, User, UserId};
use crate::signal::Signals;
use crate::store::Store;
use crate::store::sqlite::SqliteStore;

pub(super) struct World {
    pub(super) schema: Schema,
    pub(super) deps: Deps,
    pub(super) bus: Arc<LocalBus>,
    stop: CancellationToken,
    following: Option<JoinHandle<()>>,
    pub(super) writer: Writer<Command>,
    _folder: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(super) fn viewer(sub: &str) -> Arc<Viewer> {
    let user = User {
        id: UserId::parse("sub", sub).unwrap(),
        name: format!("{sub}'s name").into(),
        avatar_url: None,
        profile_at: Timestamp(1),
    };
    Arc::new(Viewer {
        user: Arc::new(user),
        expires_at: Timestamp(i64::MAX),
        issued_at: None,
    })
}

impl World {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("tidings.db").display());
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&url).await.unwrap());
        let (bus, stop) = (Arc::new(LocalBus::new()), CancellationToken::new());
        let writer = Writer::start(store.clone(), bus.clone(), stop.clone());
        let (writer, writing) = writer.await.unwrap();
        tokio::spawn(writing);
        let tail = Tail::start(store.clone(), &*bus, TailLimits::default(), stop.clone());
        let (tail, following) = tail.await.unwrap();
        let following = Some(tokio::spawn(following));
        let chat = Chat::new(writer.clone(), *store.fingerprint_key());
        let secret = Secret::parse(&"a secret ".repeat(4)).unwrap();
        let authenticator = Authenticator::new(KeySource::Secret(secret), Rules::default());
        let signals = Signals::new(store.clone(), tail.clone());
        let run = signals
            .clone()
            .run(writer.clone(), bus.listen_reads(), stop.clone());
        tokio::spawn(run);
        let deps = Deps {
            store,
            chat,
            tail,
            authenticator: Arc::new(authenticator.unwrap()),
            signals,
        };
        Self {
            schema: schema(deps.clone()),
            deps,
            bus,
            stop,
            following,
            writer,
            _folder: folder,
        }
    }

    /// Ends the tail, which reads the store of its own accord now and then, so that reads can be counted.
    pub(super) async fn hush(&mut self) {
        if let Some(following) = self.following.take() {
            following.abort();
            let _ = following.await;
        }
    }

    /// The end of the log by the store, which the tail may be a moment behind.
    pub(super) async fn head(&self) -> Cursor {
        let head = self.deps.store.bounds().await.unwrap().head;
        self.deps.store.epochs().cursor(head)
    }

    pub(super) async fn run(
        &self,
        who: Option<&str>,
        query: &str,
        variables: Value,
    ) -> async_graphql::Response {
        let mut request = Request::new(query).variables(Variables::from_json(variables));
        request.data = equip(who.map(viewer).as_ref(), self.head().await);
        // In a task of its own, as a server does.
        let schema = self.schema.clone();
        let answer = tokio::spawn(async move { schema.execute(request).await });
        answer.await.unwrap()
    }

    /// The answer of a request that succeeds.
    pub(super) async fn ask(&self, who: &str, query: &str, variables: Value) -> Value {
        let answer = self.run(Some(who), query, variables).await;
        assert!(answer.errors.is_empty(), "{query}: {:?}", answer.errors);
        answer.data.into_json().unwrap()
    }

    /// The extensions of the one error of a request that fails.
    pub(super) async fn refused(&self, who: &str, query: &str, variables: Value) -> Value {
        self.refused_of(Some(who), query, variables).await
    }

    pub(super) async fn refused_of(
        &self,
        who: Option<&str>,
        query: &str,
        variables: Value,
    ) -> Value {
        let answer = self.run(who, query, variables).await;
        assert_eq!(answer.errors.len(), 1, "{query}: {answer:?}");
        let error = serde_json::to_value(&answer.errors[0]).unwrap();
        error["extensions"].clone()
    }

    /// A new room's id.
    pub(super) async fn room(&self, owner: &str, visibility: &str, members: &[&str]) -> String {
        let query =
            "mutation($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }";
        let input = json!({"name": "a room", "visibility": visibility, "memberIds": members});
        let answer = self.ask(owner, query, json!({"input": input})).await;
        text(&answer["createRoom"]["room"]["id"])
    }

    /// A new message's id.
    pub(super) async fn send(
        &self,
        who: &str,
        room: &str,
        body: &str,
        reply_to: Option<&str>,
    ) -> String {
        let query =
            "mutation($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }";
        let input = json!({"roomId": room, "body": body, "replyToId": reply_to});
        let answer = self.ask(who, query, json!({"input": input})).await;
        text(&answer["sendMessage"]["message"]["id"])
    }
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The values under a key of each item of a list.
pub(super) fn each(list: &Value, key: &str) -> Vec<String> {
    let items = list.as_array().unwrap().iter();
    items.map(|item| text(&item[key])).collect()
}
