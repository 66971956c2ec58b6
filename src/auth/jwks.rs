//! Keys at an address (RFC 7517): cached, and asked for again when a token names one that is not known.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::key::Key;
use super::verified::Edition;
use crate::error::Error;

/// Between two fetches, so that tokens with made-up keys cannot make this server a burden to another.
const FETCH_PAUSE: Duration = Duration::from_secs(10);
/// A server that takes longer is as good as down.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// A key that its owner has withdrawn is trusted for no longer than this, while the address answers.
const AGE_MAX: Duration = Duration::from_secs(15 * 60);
/// Bytes of a set. Large providers' sets have a few kilobytes.
const BYTES_MAX: usize = 256 * 1024;

/// The keys at an address. The last good set is kept while a newer one cannot be had.
pub(super) struct Jwks {
    url: reqwest::Url,
    client: reqwest::Client,
    known: RwLock<Option<Known>>,
    /// When the last fetch began. Held while one is under way.
    fetched: Mutex<Option<Instant>>,
    pause: Duration,
}

#[derive(Clone)]
struct Known {
    keys: Arc<KeySet>,
    edition: Edition,
    since: Instant,
}

/// By `kid`; keys without one are under `None`.
#[derive(Default, Debug)]
struct KeySet(HashMap<Option<String>, Arc<Key>>);

/// Why a fetch failed. Logged, never shown to a client.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("the answer is {0}")]
    Status(reqwest::StatusCode),
    #[error("the answer is over {BYTES_MAX} bytes")]
    TooLarge,
    #[error("the answer is not a key set")]
    NotASet,
    #[error("there is no usable key in the set")]
    Empty,
}

impl Jwks {
    /// Nothing is fetched yet.
    pub(super) fn new(url: reqwest::Url) -> Self {
        let client = reqwest::Client::builder()
            // Keys come from the address that the operator named, and from nowhere that it points at.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(FETCH_TIMEOUT)
            .user_agent(concat!("tidings/", env!("CARGO_PKG_VERSION")))
            .build()
            .unwrap_or_default();
        Self {
            url,
            client,
            known: RwLock::default(),
            fetched: Mutex::default(),
            pause: FETCH_PAUSE,
        }
    }

    /// Fetches the first set.
    pub(super) async fn warm(&self) {
        self.refresh(self.fetched.lock().await, |_| true).await;
    }

    /// The key that a token names, and the set that it is of.
    pub(super) async fn key_of(&self, token: &str) -> Result<(Arc<Key>, Edition), Error> {
        let header = jsonwebtoken::decode_header(token);
        let kid = header
            .map_err(|_| Error::BadToken { why: "malformed" })?
            .kid;
        let find = |known: &Known| known.keys.find(kid.as_deref()).cloned();
        match self.known() {
            Some(known) if find(&known).is_some() => {
                // One caller at a time waits for the newer set; the others go by the one that is there.
                if known.is_old()
                    && let Ok(turn) = self.fetched.try_lock()
                {
                    self.refresh(turn, Known::is_old).await;
                }
            }
            _ => {
                let turn = self.fetched.lock().await;
                self.refresh(turn, |known| find(known).is_none()).await;
            }
        }
        // Never had a set: the token may be as good as any, there is only no telling.
        let known = self.known().ok_or(Error::Busy)?;
        let key = find(&known).ok_or(Error::BadToken { why: "unknown key" })?;
        Ok((key, known.edition))
    }

    fn known(&self) -> Option<Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// Fetches, if that is still needed now that it is this caller's turn, and if the last fetch is long enough ago.
    async fn refresh(
        &self,
        mut turn: MutexGuard<'_, Option<Instant>>,
        needed: impl Fn(&Known) -> bool,
    ) {
        let too_soon = turn.is_some_and(|at| at.elapsed() < self.pause);
        if too_soon || self.known().is_some_and(|known| !needed(&known)) {
            return;
        }
        let since = Instant::now();
        *turn = Some(since);
        match self.fetch().await {
            Ok((keys, edition)) => {
                tracing::info!(url = %self.url, keys = keys.0.len(), "keys fetched");
                let keys = Arc::new(keys);
                let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                *known = Some(Known {
                    keys,
                    edition,
                    since,
                });
            }
            Err(error) => {
                tracing::warn!(url = %self.url, %error, "keys could not be fetched; the last ones stay in force");
            }
        }
    }

    async fn fetch(&self) -> Result<(KeySet, Edition), FetchError> {
        let request = self.client.get(self.url.clone());
        let mut response = request.header("accept", "application/json").send().await?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > BYTES_MAX {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok((KeySet::parse(&body)?, Edition::of(&body)))
    }
}

impl Known {
    fn is_old(&self) -> bool {
        self.since.elapsed() > AGE_MAX
    }
}

impl KeySet {
    /// Takes the keys that can be used; of two with the same `kid` the first.
    fn parse(json: &[u8]) -> Result<Self, FetchError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let set: Set = serde_json::from_slice(json).map_err(|_| FetchError::NotASet)?;
        let mut keys = HashMap::new();
        for value in set.keys {
            // RFC 7517, section 5: a key that is not understood is passed over.
            let Ok(jwk) = serde_json::from_value::<Jwk>(value) else {
                continue;
            };
            if let Some(key) = Key::from_jwk(&jwk) {
                keys.entry(jwk.common.key_id).or_insert(Arc::new(key));
            }
        }
        if keys.is_empty() {
            return Err(FetchError::Empty);
        }
        Ok(Self(keys))
    }

    /// The key of this name. A token that names none has the only key, where there is only one.
    fn find(&self, kid: Option<&str>) -> Option<&Arc<Key>> {
        match kid {
            Some(kid) => self.0.get(&Some(kid.to_owned())),
            None if self.0.len() == 1 => self.0.values().next(),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests;
