//! One stream's task: the outbox written, the timers kept.

use std::pin::pin;

use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::{Event, Wire};
use crate::hub::Notice;
use crate::transport::census::Counted;
use crate::transport::drain::Drain;
use crate::transport::ws::{
    Due, Subscriptions, Timers, alarm, bring_forward, next_notice, now, set_again,
};

/// How a stream ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The subscription is over, and the client told so: it does not come back.
    Complete,
    /// The server stops. What waits is written, but no end: the client comes back.
    Stopping,
    /// Cut off where it stands: the client comes back.
    Cut,
    /// The client is gone.
    Lost,
}

/// A stream and all that belongs to it.
pub(super) struct Feed<C> {
    pub(super) connection: C,
    pub(super) timers: Timers,
    pub(super) drain: Drain,
    pub(super) last_words: Vec<u8>,
    pub(super) counted: Counted,
}

impl<C: Subscriptions> Feed<C> {
    /// Serves the stream to its end.
    pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut self, mut wire: Wire<S>) {
        let end = self.run(&mut wire).await;
        // The subscription first: nothing more is queued for a stream that is closing. A client that is told the end may open
        // its next one at once, without waiting for this one's farewell.
        drop(self.connection);
        drop(self.counted);
        tracing::debug!(?end, "stream ended");
        match end {
            End::Complete => wire.end(&self.last_words).await,
            End::Stopping => wire.end(b"").await,
            End::Cut | End::Lost => {}
        }
    }

    async fn run<S: AsyncRead + AsyncWrite + Unpin>(&mut self, wire: &mut Wire<S>) -> End {
        let drain = self.drain.clone();
        let mut begun = pin!(drain.begun());
        let mut leaving = false;
        let mut alarm = pin!(alarm(&self.timers));
        loop {
            bring_forward(alarm.as_mut(), &self.timers);
            tokio::select! {
                event = wire.event() => match event {
                    Event::Wrote => self.timers.wrote(now(), wire.outbox().queued_bytes() > 0),
                    Event::Blocked => self.timers.waiting(now()),
                    Event::Lost => return End::Lost,
                },
                notice = next_notice(Some(&self.connection)) => match notice {
                    Notice::Ended(_) => return End::Complete,
                    Notice::Close(..) => return End::Cut,
                },
                () = &mut alarm => {
                    if let Some(end) = self.alarm() {
                        return end;
                    }
                    set_again(alarm.as_mut(), &self.timers);
                }
                () = &mut begun, if !leaving => {
                    leaving = true;
                    self.timers.leave(now() + drain.delay());
                }
            }
        }
    }

    fn alarm(&mut self) -> Option<End> {
        while let Some(due) = self.timers.due(now()) {
            match due {
                Due::Ping => self.connection.ping(),
                Due::Leave => return Some(End::Stopping),
                Due::Close(_) => return Some(End::Cut),
            }
        }
        None
    }
}
