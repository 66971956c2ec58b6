//! Token to viewer: who is asking, and until when. Knows nothing of rooms.
//!
//! A token (RFC 7519) is trusted when the one key that it names has signed it with the one algorithm of that key; what
//! it says is then checked by a pure function over its claims and the time.

mod claims;
mod dev_key;
mod jwks;
mod key;
mod mint;
mod renewal;
mod revocations;
#[cfg(test)]
mod tests;
mod verified;

use std::path::PathBuf;
use std::sync::Arc;

pub use claims::Rules;
pub use dev_key::DevKeyError;
pub use key::{PublicKey, Secret};
pub use mint::Minter;
pub use renewal::Renewal;
pub use revocations::Revocations;

use crate::error::Error;
use crate::model::{Timestamp, User};
use claims::Claims;
use jwks::Jwks;
use key::Key;
use verified::{Edition, Verified};

/// Who is asking, for as long as its token holds.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// As the token shows it.
    pub user: Arc<User>,
    /// The token's `exp`. A socket is closed at this plus the leeway.
    pub expires_at: Timestamp,
    /// The token's `iat`; none where it does not say, or names a time to come.
    pub issued_at: Option<Timestamp>,
}

/// Whose tokens to trust.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Whoever knows the secret (HS256).
    Secret(Secret),
    /// The owner of a key.
    PublicKey(PublicKey),
    /// The owners of the keys at an address.
    Jwks(reqwest::Url),
    /// Whoever can read a key that is made on first use and kept in this file.
    Development {
        /// Beside the database.
        file: PathBuf,
    },
}

/// Checks tokens.
pub struct Authenticator {
    keys: Keys,
    rules: Rules,
    verified: Verified,
    revocations: Arc<Revocations>,
}

enum Keys {
    Symmetric(Key, Secret),
    Public(Key, Edition),
    Set(Jwks),
}

impl Authenticator {
    /// Clock difference that is forgiven.
    pub const LEEWAY_SECS: u64 = 30;
    /// Bytes of a token. Identity providers that list a user's groups come close to it.
    pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

    /// Trusts a source. In development mode the key is made where there is none yet.
    ///
    /// # Errors
    /// The development key cannot be read, made or trusted.
    pub fn new(source: KeySource, rules: Rules) -> Result<Self, DevKeyError> {
        let keys = match source {
            KeySource::Secret(secret) => Keys::symmetric(secret),
            KeySource::Development { file } => Keys::symmetric(dev_key::read_or_make(&file)?),
            KeySource::PublicKey(key) => Keys::Public(key.0, Edition::of(b"the only one")),
            KeySource::Jwks(url) => Keys::Set(Jwks::new(url)),
        };
        Ok(Self {
            keys,
            rules,
            verified: Verified::default(),
            revocations: Arc::default(),
        })
    }

    /// Fetches what is kept elsewhere, so that the first client need not wait for it. A failure is logged and put off:
    /// the keys are asked for again when a token comes.
    pub async fn warm(&self) {
        if let Keys::Set(jwks) = &self.keys {
            jwks.warm().await;
        }
    }

    /// The viewer that a bearer token (without `Bearer `) stands for.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` with a fixed phrase for why; `UNAVAILABLE` when keys are kept elsewhere and were never had.
    pub async fn authenticate(&self, token: &str) -> Result<Viewer, Error> {
        if token.len() > Self::TOKEN_BYTES_MAX {
            return Err(Error::BadToken { why: "too long" });
        }
        let viewer = match &self.keys {
            // A hash of it is all that there is to check.
            Keys::Symmetric(key, _) => self.judged(&key.verify(token)?)?,
            Keys::Public(key, edition) => self.verified(token, key, *edition)?,
            Keys::Set(jwks) => {
                let (key, edition) = jwks.key_of(token).await?;
                self.verified(token, &key, edition)?
            }
        };
        if self.revocations.cover(&viewer.user.id, viewer.issued_at) {
            return Err(Error::BadToken { why: "withdrawn" });
        }
        Ok(viewer)
    }

    /// The viewer of a token that one of these public keys has signed, or was found to have signed before.
    fn verified(&self, token: &str, key: &Key, edition: Edition) -> Result<Viewer, Error> {
        let hash = blake3::hash(token.as_bytes());
        if let Some(claims) = self.verified.get(edition, &hash) {
            let viewer = self.judged(&claims);
            // It has run out, and it will not come back.
            return viewer.inspect_err(|_| self.verified.forget(&hash));
        }
        let claims = key.verify(token)?;
        let viewer = self.judged(&claims)?;
        self.verified.put(edition, hash, claims);
        Ok(viewer)
    }

    fn judged(&self, claims: &Claims) -> Result<Viewer, Error> {
        claims.viewer(&self.rules, Timestamp::now())
    }

    /// Whose tokens are refused though they are good.
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Makes tokens, where the key is symmetric and so the server's own.
    pub fn minter(&self) -> Option<Minter> {
        match &self.keys {
            Keys::Symmetric(_, secret) => Some(Minter::new(secret, &self.rules)),
            _ => None,
        }
    }
}

impl Keys {
    fn symmetric(secret: Secret) -> Self {
        Self::Symmetric(Key::symmetric(&secret), secret)
    }
}

/// Whether a development key that is there already can be used; one that is not there can be made.
///
/// # Errors
/// It cannot be read or trusted.
pub fn check_dev_key(file: &std::path::Path) -> Result<(), DevKeyError> {
    dev_key::read(file).map(|_| ())
}
