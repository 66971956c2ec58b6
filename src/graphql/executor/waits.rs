//! Whether anything within a stream had to wait for an item: then its fields came in the order in which they were ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::stream::{BoxStream, Stream, StreamExt, poll_fn};
use futures_util::task::AtomicWaker;

/// The items, each with whether something had to wait for it.
pub(super) fn waits<T: 'static>(mut items: BoxStream<'static, T>) -> impl Stream<Item = (T, bool)> {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let mut waited = false;
    poll_fn(move |cx| {
        bell.outer.register(cx.waker());
        bell.rung.store(false, Ordering::Relaxed);
        let polled = items.poll_next_unpin(&mut Context::from_waker(&waker));
        // What wakes itself is polled again before the whole comes to rest.
        waited |= polled.is_pending() || bell.rung.load(Ordering::Relaxed);
        match polled {
            Poll::Ready(item) => {
                let waited = std::mem::take(&mut waited);
                Poll::Ready(item.map(|item| (item, waited)))
            }
            Poll::Pending => Poll::Pending,
        }
    })
}

/// Passes on a wake, and remembers it.
#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    outer: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Relaxed);
        self.outer.wake();
    }
}
