//! Several operations on one stream: PROTOCOL.md of graphql-sse, "Single connection mode".
//!
//! A stream is reserved first, by a request that can carry a token; that is how a browser's `EventSource`, which can carry none, signs in.
//! Each reservation is a task of its own ([`reservation`]) that runs the operations, and has the stream once it comes. Here is who finds
//! which: a reservation is its user's alone.

mod events;
mod reservation;
mod results;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

pub(super) use events::SingleFrames;
pub(super) use reservation::Opened;

use self::reservation::{Order, Reservation};
use super::later;
use crate::auth::Viewer;
use crate::document::{Prepared, Rejection};
use crate::error::{Code, Error};
use crate::model::UserId;
use crate::transport::turnstile::Later;
use crate::transport::ws::{Api, Endpoint, Waits};

/// Reservations of one user that may wait for their streams: each lasts for a moment, and who comes back after a cut needs one.
const WAITING_PER_USER_MAX: usize = 16;
/// Of all users: as many as come in within two seconds by default.
const WAITING_MAX: usize = 4_096;
/// Requests that may wait for one reservation's task, which does not keep them waiting.
const ORDERS_MAX: usize = 16;

/// Why a request does not reach a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::transport) enum Refused {
    /// There is no such stream, or it is another user's.
    Unknown,
    /// It has been opened already.
    Open,
    /// An operation of this id has not ended.
    Running,
    /// The server stops.
    Stopping,
}

/// All reservations, and the streams that came of them, over connections of `S`.
pub(in crate::transport) struct Reservations<A: Api, S> {
    endpoint: Arc<Endpoint<A>>,
    waits: Arc<Waits>,
    book: Arc<Mutex<Book<S>>>,
}

/// Who waits and who is there.
struct Book<S> {
    entries: HashMap<String, Entry<S>>,
    waiting: usize,
    waiting_of: HashMap<UserId, usize>,
}

struct Entry<S> {
    user: UserId,
    orders: mpsc::Sender<Order>,
    /// Where the stream goes; taken by who opens it.
    ticket: Option<oneshot::Sender<Opened<S>>>,
}

impl<A: Api, S> Reservations<A, S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// None yet.
    pub(super) fn new(endpoint: Arc<Endpoint<A>>) -> Self {
        Self {
            waits: Arc::new(Reservation::<A>::waits(&endpoint.waits)),
            endpoint,
            book: Arc::new(Mutex::new(Book::default())),
        }
    }

    /// Reserves a stream for the viewer: the token that opens it. It counts as a connection from now on, and lapses if no stream
    /// comes.
    ///
    /// # Errors
    /// `RATE_LIMITED` for too many of this user; `UNAVAILABLE` while too many come in or the server stops.
    pub(in crate::transport) fn reserve(
        &self,
        viewer: Arc<Viewer>,
        from: Option<IpAddr>,
    ) -> Result<String, Rejection> {
        let Endpoint {
            drain,
            census,
            turnstile,
            settings,
            ..
        } = &*self.endpoint;
        if drain.has_begun() {
            return Err(later(&Error::Stopping, Later::random()));
        }
        let most = settings.connections_per_user;
        let counted = census.enter(&viewer.user.id, most);
        let counted = counted.ok_or(Error::TooManyConnections { limit: most })?;
        let (orders, taken) = mpsc::channel(ORDERS_MAX);
        let (ticket, stream) = oneshot::channel();
        // Nobody who does not know it finds it.
        let token = format!("{:032x}", rand::random::<u128>());
        let entry = Entry {
            user: viewer.user.id.clone(),
            orders,
            ticket: Some(ticket),
        };
        lock(&self.book).add(token.clone(), entry)?;
        let listed = Listed {
            book: self.book.clone(),
            token: token.clone(),
        };
        // Last: who is refused for something else has not come in.
        turnstile
            .enter(from)
            .map_err(|refused| later(&Error::Busy, refused))?;
        let mut reservation = Reservation::new(&self.endpoint, self.waits.clone(), viewer, counted);
        drain.spawn(async move {
            reservation.serve(taken, stream).await;
            drop(listed);
        });
        Ok(token)
    }

    /// The ticket of a reserved stream. `user` is who asks, where the request says so.
    ///
    /// # Errors
    /// There is none, or it was taken.
    pub(super) fn claim(
        &self,
        token: &str,
        user: Option<&UserId>,
    ) -> Result<oneshot::Sender<Opened<S>>, Refused> {
        if self.endpoint.drain.has_begun() {
            return Err(Refused::Stopping);
        }
        let mut book = lock(&self.book);
        let entry = book.entries.get_mut(token).ok_or(Refused::Unknown)?;
        if user.is_some_and(|user| *user != entry.user) {
            return Err(Refused::Unknown);
        }
        let ticket = entry.ticket.take().ok_or(Refused::Open)?;
        let user = entry.user.clone();
        book.waits_no_more(&user);
        Ok(ticket)
    }

    /// Executes an operation, whose results come by the stream under this id. What it is refused for comes there too: the library's own
    /// client repeats a request that is refused by its status, and without a pause.
    ///
    /// # Errors
    /// It has not begun.
    pub(in crate::transport) async fn execute(
        &self,
        token: &str,
        viewer: Arc<Viewer>,
        id: &str,
        prepared: Result<Prepared, String>,
    ) -> Result<(), Refused> {
        let orders = self.find(token, &viewer.user.id)?;
        let (answer, answered) = oneshot::channel();
        let order = Order::Execute {
            id: id.into(),
            prepared,
            viewer,
            answer,
        };
        orders.send(order).await.map_err(|_| Refused::Unknown)?;
        answered.await.unwrap_or(Err(Refused::Unknown))
    }

    /// Ends an operation: no event of it is queued once this returns. One that has ended, or never was, is no error.
    ///
    /// # Errors
    /// There is no such stream.
    pub(in crate::transport) async fn stop(
        &self,
        token: &str,
        user: &UserId,
        id: &str,
    ) -> Result<(), Refused> {
        let orders = self.find(token, user)?;
        let (done, is_done) = oneshot::channel();
        let order = Order::Stop {
            id: id.into(),
            done,
        };
        orders.send(order).await.map_err(|_| Refused::Unknown)?;
        is_done.await.map_err(|_| Refused::Unknown)
    }

    /// Whether the user has such a stream.
    ///
    /// # Errors
    /// There is none.
    pub(in crate::transport) fn check(&self, token: &str, user: &UserId) -> Result<(), Refused> {
        self.find(token, user).map(drop)
    }

    fn find(&self, token: &str, user: &UserId) -> Result<mpsc::Sender<Order>, Refused> {
        let book = lock(&self.book);
        let entry = book.entries.get(token).filter(|entry| entry.user == *user);
        match entry {
            Some(entry) => Ok(entry.orders.clone()),
            // Those that waited for their streams are gone by then.
            None if self.endpoint.drain.has_begun() => Err(Refused::Stopping),
            None => Err(Refused::Unknown),
        }
    }
}

impl<S> Default for Book<S> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            waiting: 0,
            waiting_of: HashMap::new(),
        }
    }
}

impl<S> Book<S> {
    fn add(&mut self, token: String, entry: Entry<S>) -> Result<(), Rejection> {
        let of_user = self.waiting_of.get(&entry.user).copied().unwrap_or(0);
        if of_user >= WAITING_PER_USER_MAX {
            let message = format!(
                "{WAITING_PER_USER_MAX} streams of yours are reserved and not open, which is the limit"
            );
            return Err(Rejection::new(Code::RateLimited, message));
        }
        if self.waiting >= WAITING_MAX {
            return Err(later(&Error::Busy, Later::random()));
        }
        self.waiting += 1;
        self.waiting_of.insert(entry.user.clone(), of_user + 1);
        self.entries.insert(token, entry);
        Ok(())
    }

    fn waits_no_more(&mut self, user: &UserId) {
        self.waiting -= 1;
        if let Some(of_user) = self.waiting_of.get_mut(user) {
            *of_user -= 1;
            if *of_user == 0 {
                self.waiting_of.remove(user);
            }
        }
    }
}

/// An entry, in the book until this is dropped.
struct Listed<S> {
    book: Arc<Mutex<Book<S>>>,
    token: String,
}

impl<S> Drop for Listed<S> {
    fn drop(&mut self) {
        let mut book = lock(&self.book);
        if let Some(entry) = book.entries.remove(&self.token)
            && entry.ticket.is_some()
        {
            book.waits_no_more(&entry.user);
        }
    }
}

fn lock<S>(book: &Mutex<Book<S>>) -> MutexGuard<'_, Book<S>> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}
