//! Token to viewer.

use std::sync::Arc;

use crate::error::Error;
use crate::model::{Timestamp, User};

/// Who is asking, for as long as its token holds.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// As the token shows it.
    pub user: Arc<User>,
    /// The token's `exp`. A socket is closed at this plus the leeway.
    pub expires_at: Timestamp,
}

/// Checks tokens.
pub struct Authenticator {}

impl Authenticator {
    /// Clock difference that is forgiven.
    pub const LEEWAY_SECS: u64 = 30;

    /// The viewer that a bearer token (without `Bearer `) stands for.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` with a fixed phrase for why.
    pub async fn authenticate(&self, _token: &str) -> Result<Viewer, Error> {
        unimplemented!()
    }
}
