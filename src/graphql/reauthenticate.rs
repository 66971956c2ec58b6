//! `Mutation.reauthenticate`: a fresh token for a socket, in place of the one that runs out.

use std::sync::Arc;

use async_graphql::{Context, InputObject, SimpleObject};

use super::asking::{deps, viewer};
use super::error::Result;
use super::scalars::DateTime;
use super::user::User;
use crate::auth::Renewal;
use crate::error::Error;

/// A fresh token.
#[derive(InputObject)]
pub(super) struct ReauthenticateInput {
    /// With or without `Bearer `.
    token: String,
}

/// How long the socket may stay now.
#[derive(SimpleObject)]
pub(super) struct ReauthenticatePayload {
    /// As the token shows it.
    viewer: User,
    /// The token's `exp`. The socket is closed half a minute later, unless it is given another one.
    expires_at: DateTime,
}

pub(super) async fn reauthenticate(
    ctx: &Context<'_>,
    input: ReauthenticateInput,
) -> Result<ReauthenticatePayload> {
    let (by, deps) = (viewer(ctx)?, deps(ctx)?);
    let socket = ctx.data_opt::<Renewal>().ok_or(Error::NoSocket)?;
    let token = without_scheme(&input.token);
    let fresh = Arc::new(deps.authenticator.authenticate(token).await?);
    if fresh.user.id != by.user.id {
        return Err(Error::OtherViewer.into());
    }
    deps.chat.sign_in(&fresh).await?;
    socket.leave(fresh.clone());
    Ok(ReauthenticatePayload {
        viewer: User(fresh.user.clone()),
        expires_at: DateTime(fresh.expires_at),
    })
}

/// As `connection_init` takes it.
fn without_scheme(token: &str) -> &str {
    let token = token.trim();
    match token.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim_start(),
        _ => token,
    }
}
