//! From the `Authorization` header to a viewer.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::auth::{Authenticator, Viewer};
use crate::chat::Chat;
use crate::error::Error;

/// Lets in who has a good token.
#[async_trait]
pub trait Admit: Send + Sync + 'static {
    /// The viewer that a token stands for, signed in.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` for a token that is not accepted; `UNAVAILABLE` when signing in was not possible now.
    async fn admit(&self, token: &str) -> Result<Arc<Viewer>, Error>;
}

/// Checks the token, then notes who it is, so that others see the name.
pub struct Door {
    /// Checks tokens.
    pub authenticator: Arc<Authenticator>,
    /// Where users sign in.
    pub chat: Chat,
}

#[async_trait]
impl Admit for Door {
    async fn admit(&self, token: &str) -> Result<Arc<Viewer>, Error> {
        let viewer = Arc::new(self.authenticator.authenticate(token).await?);
        self.chat.sign_in(&viewer).await?;
        Ok(viewer)
    }
}

/// The token of `Authorization: Bearer <token>`, whatever the scheme's letter case (RFC 9110, 11.1).
///
/// # Errors
/// `UNAUTHENTICATED` for a header that says something else, or twice.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .filter(|_| values.next().is_none())
        .and_then(|value| value.trim().split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| Some(token.trim_start()))
        .ok_or(Error::BadToken {
            why: "the Authorization header is not `Bearer <token>`",
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, Error> {
        let values = values
            .iter()
            .map(|value| (AUTHORIZATION, value.parse().unwrap()));
        bearer(&HeaderMap::from_iter(values)).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn the_scheme_is_read_in_any_letter_case() {
        assert_eq!(read(&[]).unwrap(), None);
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c "] {
            assert_eq!(read(&[value]).unwrap().as_deref(), Some("a.b.c"));
        }
    }

    #[test]
    fn anything_else_is_no_token() {
        for value in ["a.b.c", "Bearer", "Basic YTpi", "", "Bearera b"] {
            read(&[value]).unwrap_err();
        }
    }
}
