//! Answers as bytes: status, media type, headers and body.

use async_graphql::ServerError;
use axum::body::Body;
use axum::http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::media::Media;
use crate::document::Rejection;
use crate::error::Code;
use crate::transport::stream::Format;

/// A request that is refused.
pub(super) struct Refusal {
    rejection: Rejection,
    /// What HTTP has to say, whatever the media type; `None` where only GraphQL refuses.
    status: Option<StatusCode>,
    headers: Vec<(HeaderName, &'static str)>,
}

impl Refusal {
    /// HTTP refuses: the request never got as far as GraphQL.
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let code = match status {
            StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
            StatusCode::REQUEST_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::CONFLICT => Code::Conflict,
            _ => Code::BadUserInput,
        };
        Self {
            rejection: Rejection::new(code, message),
            status: Some(status),
            headers: Vec::new(),
        }
    }

    /// The parameters cannot be read.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The method is not served, or not for this operation.
    pub(super) fn method(message: &str, allow: &'static str) -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, message);
        refusal.with(ALLOW, allow)
    }

    /// And says this in a header.
    pub(super) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// GraphQL refuses: `application/json` says so with 200.
    pub(super) fn graphql(rejection: Rejection) -> Self {
        Self {
            rejection,
            status: None,
            headers: Vec::new(),
        }
    }

    /// A stream cannot be opened now: told by the status, whatever the media type.
    pub(super) fn passing(rejection: Rejection) -> Self {
        Self::graphql(rejection).by_status()
    }

    /// The same, told by the status, whatever the media type.
    pub(super) fn by_status(self) -> Self {
        Self {
            status: StatusCode::from_u16(self.rejection.status).ok(),
            ..self
        }
    }

    /// As bytes.
    pub(super) fn respond(self, media: Media) -> Response<Body> {
        let graphql = StatusCode::from_u16(self.rejection.status);
        let graphql = graphql.unwrap_or(StatusCode::BAD_REQUEST);
        let (status, media) = match (self.status, media) {
            // Not a result, so not an event.
            (Some(status), Media::Events) => (status, Media::Json),
            (None, Media::Events) if passes(graphql) => (graphql, Media::Json),
            (Some(status), _) => (status, media),
            (None, Media::Json | Media::Events) => (StatusCode::OK, media),
            (None, Media::GraphqlResponse) => (graphql, media),
        };
        let errors = &self.rejection.errors;
        let mut response = write(status, media, &Refused { errors });
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(ms) = self.rejection.retry_after_ms {
            headers.insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
        }
        if status == StatusCode::UNAUTHORIZED {
            // RFC 6750, 3.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Whether the client is to come back: with a fresh token, or later. A result would be the end for it.
fn passes(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED
        || status == StatusCode::TOO_MANY_REQUESTS
        || status.is_server_error()
}

/// Parameters of the wrong type are 400 for every media type (GraphQL over HTTP).
impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self {
            rejection,
            status: Some(StatusCode::BAD_REQUEST),
            headers: Vec::new(),
        }
    }
}

/// A request error has no `data`, not even null.
#[derive(Serialize)]
struct Refused<'a> {
    errors: &'a [ServerError],
}

/// What was executed, its errors included, is 200.
pub(super) fn executed(media: Media, response: &async_graphql::Response) -> Response<Body> {
    write(StatusCode::OK, media, response)
}

fn write(status: StatusCode, media: Media, body: &impl Serialize) -> Response<Body> {
    let (status, body) = match serde_json::to_string(body) {
        Ok(body) if media == Media::Events => (status, Body::from(Format::Events.body(&body))),
        Ok(body) => (status, Body::from(body)),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            (StatusCode::INTERNAL_SERVER_ERROR, Body::empty())
        }
    };
    ready(status, media, body)
}

/// With the headers of every answer.
pub(super) fn ready(status: StatusCode, media: Media, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let fixed = [
        (CONTENT_TYPE, media.as_str()),
        // Answers are for one viewer, and true for a moment.
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(VARY, HeaderValue::from(ACCEPT));
    response
}
