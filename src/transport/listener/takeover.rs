//! Responses whose bodies are written past hyper, by a task of their own.
//!
//! Hyper would copy each event of a stream, wake its task for each, and not say when a client takes nothing.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use axum::http::response::Parts;
use axum::http::{HeaderName, HeaderValue, Response};
use chrono::Utc;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::SharedConn;

type Begin = Box<dyn FnOnce(SharedConn, Vec<u8>) -> BoxFuture<'static, ()> + Send>;

/// Travels with a response whose connection is to be taken over.
#[derive(Clone)]
pub struct Takeover(Arc<Mutex<Option<Begin>>>);

impl Takeover {
    /// A response of which hyper writes nothing. When whatever lies around the handler has seen its head, `begin` is given
    /// the connection and the head's bytes, and does all that is left to do. What the client sends after the request is not
    /// answered: the connection ends with this response.
    pub fn response<F>(
        head: Response<()>,
        begin: impl FnOnce(SharedConn, Vec<u8>) -> F + Send + 'static,
    ) -> Response<Body>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let begin: Begin = Box::new(|conn, head| Box::pin(begin(conn, head)));
        let mut response = head.map(|()| Body::empty());
        let takeover = Self(Arc::new(Mutex::new(Some(begin))));
        response.extensions_mut().insert(takeover);
        response
    }
}

/// A connection that is to be taken over, and how.
pub(super) struct Taken {
    begin: Begin,
    head: Vec<u8>,
}

impl Taken {
    /// All that is left to do for the connection.
    pub(super) fn by(self, conn: SharedConn) -> BoxFuture<'static, ()> {
        (self.begin)(conn, self.head)
    }
}

/// Where a connection's requests say that it is taken over. Cheap to clone.
#[derive(Clone)]
pub(super) struct Desk(Arc<Mutex<Option<oneshot::Sender<Taken>>>>);

impl Desk {
    pub(super) fn new() -> (Self, oneshot::Receiver<Taken>) {
        let (tell, told) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(tell)))), told)
    }

    /// The response, for hyper to write; never, where its connection is taken over.
    pub(super) async fn pass(&self, mut response: Response<Body>) -> Response<Body> {
        let takeover = response.extensions_mut().remove::<Takeover>();
        let begin = takeover.and_then(|takeover| lock(&takeover.0).take());
        let Some(begin) = begin else {
            return response;
        };
        // Hyper asks for this only once it has written all of the answers before: nothing is lost with it.
        let head = head(response.into_parts().0);
        if let Some(tell) = lock(&self.0).take() {
            // Whoever would be told drops this future with the connection.
            let _ = tell.send(Taken { begin, head });
        }
        std::future::pending().await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// RFC 9112, sections 4 and 5.
fn head(mut parts: Parts) -> Vec<u8> {
    // Of the empty body that stood in for the stream.
    parts.headers.remove(CONTENT_LENGTH);
    // That the connection ends with this is said by `close` only where its end is the body's: undici, which is Node's fetch, then
    // takes every end for the right one, even where the last chunk has not come. Elsewhere it may be kept for no time.
    let (name, value) = match parts.headers.contains_key(TRANSFER_ENCODING) {
        true => (HeaderName::from_static("keep-alive"), "timeout=0"),
        false => (CONNECTION, "close"),
    };
    parts.headers.insert(name, HeaderValue::from_static(value));
    let date = Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::try_from(date) {
        parts.headers.insert(DATE, date);
    }
    let mut head = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
    for (name, value) in &parts.headers {
        head.extend_from_slice(name.as_ref());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}
