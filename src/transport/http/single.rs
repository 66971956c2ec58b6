//! The requests of graphql-sse's single connection mode: a stream is reserved by `PUT`, opened by `GET`, told what to carry by
//! `POST`, and what no more by `DELETE`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, Request};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response, StatusCode, Uri};
use tokio::time::{Instant, timeout_at};

use super::media::{self, Media};
use super::reply::{Refusal, ready};
use super::{Http, admitted, only_reads, overdue};
use crate::document::Rejection;
use crate::error::Error;
use crate::transport::stream::{Format, Refused, Streams};
use crate::transport::ws::{ID_BYTES_MAX, from, rejected};

/// The header that carries a stream's token.
const TOKEN: &str = "x-graphql-event-stream-token";

/// What a request has to do with a stream that several operations share.
pub(super) enum Wish {
    /// It is to be reserved.
    Reserve,
    /// It is to be opened.
    Open(String),
    /// An operation is to be executed on it.
    Execute(String),
    /// An operation on it is to end.
    Stop(Option<String>),
}

/// `None`: the request is about no such stream.
pub(super) fn wish(request: &Request) -> Option<Wish> {
    let token = || {
        let header = request.headers().get(TOKEN);
        let header = header.and_then(|token| token.to_str().ok());
        header.map(str::to_owned)
    };
    let parameter = || parameter(request.uri(), "token");
    // Others call other things a token, above all the viewer's: only what looks like one of ours makes a request one about a stream.
    let token_of_ours = || token().or_else(|| parameter().filter(|token| is_ours(token)));
    match *request.method() {
        Method::PUT => Some(Wish::Reserve),
        Method::DELETE => Some(Wish::Stop(token().or_else(parameter))),
        Method::GET if media::streaming(request.headers()) == Some(Format::Events) => {
            token_of_ours().map(Wish::Open)
        }
        Method::GET | Method::POST => token_of_ours().map(Wish::Execute),
        _ => None,
    }
}

impl Http {
    pub(super) async fn shared_stream(
        &self,
        streams: &Arc<Streams>,
        wish: Wish,
        request: Request,
    ) -> Result<Response<Body>, Refusal> {
        let deadline = Instant::now() + self.timeout;
        let (parts, body) = request.into_parts();
        admitted(streams, &parts.headers)?;
        let answer = async {
            match wish {
                Wish::Reserve => self.reserve(streams, &parts).await,
                Wish::Open(token) => self.open(streams, &token, &parts).await,
                Wish::Execute(token) => {
                    self.execute_on(streams, &token, &parts, body, deadline)
                        .await
                }
                Wish::Stop(token) => self.stop(streams, token, &parts).await,
            }
        };
        timeout_at(deadline, answer).await.map_err(|_| overdue())?
    }

    async fn reserve(&self, streams: &Streams, parts: &Parts) -> Result<Response<Body>, Refusal> {
        if !media::takes_text(&parts.headers) {
            let refusal = Refusal::new(StatusCode::NOT_ACCEPTABLE, "the token is text/plain");
            return Err(refusal.with(ACCEPT, "text/plain"));
        }
        let viewer = self.known(&parts.headers).await?;
        let token = streams.single.reserve(viewer, from(&parts.extensions));
        let token = token.map_err(Refusal::passing)?;
        let mut answer = ready(StatusCode::CREATED, Media::Json, Body::from(token));
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        answer.headers_mut().insert(CONTENT_TYPE, text);
        Ok(answer)
    }

    /// The stream's token will do: an `EventSource` has no other. Where there is one of the viewer's, it is checked.
    async fn open(
        &self,
        streams: &Streams,
        token: &str,
        parts: &Parts,
    ) -> Result<Response<Body>, Refusal> {
        let viewer = self.viewer(&parts.headers).await;
        let viewer = viewer.map_err(Refusal::by_status)?;
        let user = viewer.as_ref().map(|viewer| &viewer.user.id);
        let pings = parameter(&parts.uri, "pings").is_some_and(|pings| pings == "true");
        streams
            .open_reserved(token, user, parts.version, pings)
            .map_err(refusal)
    }

    async fn execute_on(
        &self,
        streams: &Streams,
        token: &str,
        parts: &Parts,
        body: Body,
        deadline: Instant,
    ) -> Result<Response<Body>, Refusal> {
        let viewer = self.known(&parts.headers).await?;
        // Before anything is read: whoever has no stream learns nothing else.
        let single = &streams.single;
        single.check(token, &viewer.user.id).map_err(refusal)?;
        let mut params = self.params(parts, body, deadline).await?;
        let id = operation_id(params.operation_id.take())?;
        let prepared = self.documents.prepare_params(params);
        if let Ok(prepared) = &prepared {
            only_reads(&parts.method, prepared)?;
        }
        let prepared = prepared.map_err(rejected);
        let executed = single.execute(token, viewer, &id, prepared).await;
        executed.map_err(refusal)?;
        Ok(bare(StatusCode::ACCEPTED))
    }

    async fn stop(
        &self,
        streams: &Streams,
        token: Option<String>,
        parts: &Parts,
    ) -> Result<Response<Body>, Refusal> {
        let viewer = self.known(&parts.headers).await?;
        let user = &viewer.user.id;
        let token = token.ok_or(Refused::Unknown).map_err(refusal)?;
        streams.single.check(&token, user).map_err(refusal)?;
        let id = operation_id(parameter(&parts.uri, "operationId"))?;
        let stopped = streams.single.stop(&token, user, &id).await;
        stopped.map_err(refusal)?;
        Ok(bare(StatusCode::OK))
    }
}

/// Whether a stream's token looks like this: see `Reservations::reserve`.
fn is_ours(token: &str) -> bool {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    token.len() == 32 && token.bytes().all(is_digit)
}

fn operation_id(id: Option<String>) -> Result<String, Refusal> {
    id.filter(|id| (1..=ID_BYTES_MAX).contains(&id.len()))
        .ok_or_else(|| {
            Refusal::bad(format!(
                "operationId is missing, or not a string of 1 to {ID_BYTES_MAX} bytes"
            ))
        })
}

fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::Unknown => Refusal::new(
            StatusCode::NOT_FOUND,
            "there is no such stream, or it is not yours: reserve one by PUT",
        ),
        Refused::Open => Refusal::new(StatusCode::CONFLICT, "the stream is open already"),
        Refused::Running => Refusal::new(
            StatusCode::CONFLICT,
            "an operation of this operationId has not ended",
        ),
        Refused::Stopping => Refusal::passing(Rejection::from(Error::Stopping)),
    }
}

/// An answer that says all by its status.
fn bare(status: StatusCode) -> Response<Body> {
    let mut answer = ready(status, Media::Json, Body::empty());
    answer.headers_mut().remove(CONTENT_TYPE);
    answer
}

fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    let found = pairs.into_iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_about_a_stream(method: Method, token: &str) -> bool {
        let request = Request::builder()
            .method(method)
            .uri(format!("/graphql?token={token}"))
            .body(Body::empty());
        wish(&request.unwrap()).is_some()
    }

    #[test]
    fn what_others_call_a_token_is_no_streams() {
        let ours = "0123456789abcdef0123456789abcdef";
        let others = [
            "",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl",
            &ours[1..],
            &format!("{ours}0"),
            &ours.to_uppercase(),
            &ours.replace('f', "g"),
        ];
        for method in [Method::GET, Method::POST] {
            assert!(is_about_a_stream(method.clone(), ours), "{method}");
            for token in others {
                assert!(
                    !is_about_a_stream(method.clone(), token),
                    "{method} {token}"
                );
            }
        }
        // Nothing else is asked by it.
        assert!(is_about_a_stream(Method::DELETE, others[1]));
    }
}
