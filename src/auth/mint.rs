//! Makes tokens, for `tidings token` and the playground of development mode.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::{Rules, Secret};
use crate::model::{Timestamp, UserId};

/// Makes tokens that this server accepts.
#[derive(Clone)]
pub struct Minter {
    key: EncodingKey,
    issuer: Option<String>,
    audience: Option<String>,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

impl Minter {
    pub(super) fn new(secret: &Secret, rules: &Rules) -> Self {
        Self {
            key: EncodingKey::from_secret(secret.bytes()),
            issuer: rules.issuers.first().cloned(),
            audience: rules.audiences.first().cloned(),
        }
    }

    /// A token for a user. `None` when it cannot be signed, which a sound key rules out.
    pub fn mint(&self, user: &UserId, name: Option<&str>, ttl: Duration) -> Option<String> {
        let now = Timestamp::now().0 / 1000;
        let claims = Claims {
            sub: user.as_str(),
            name,
            iat: now,
            exp: now.saturating_add_unsigned(ttl.as_secs()),
            iss: self.issuer.as_deref(),
            aud: self.audience.as_deref(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.key).ok()
    }
}
