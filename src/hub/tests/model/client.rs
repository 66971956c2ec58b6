//! A client: its connection, what it has asked for, and what came.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;

use super::owed::{Shown, Stream};
use super::render::{FRAME_BYTES, Read, Terse, read};
use super::script::{About, Act, From};
use super::socket::{Lengths, Socket, Wire};
use super::stage::Stage;
use crate::hub::line::{Line, Place, Sub};
use crate::hub::tests::world::viewer;
use crate::hub::{Connection, Intent, Notice, Outbox, Plan, Wish};
use crate::interleave::explored::digest;
use crate::model::{Cursor, Seq};
use crate::store::Store;

pub(super) struct Client {
    number: usize,
    name: &'static str,
    /// How much it has done.
    done: Cell<usize>,
    sockets: Cell<u64>,
    socket: RefCell<Option<Rc<Socket>>>,
    /// Frames of its socket that were looked at.
    looked: Cell<usize>,
    /// How often those who wait for room in its outbox were woken.
    drains: Cell<u64>,
    planned: Cell<Option<Seq>>,
    /// Where it would go on, from what it has taken.
    known: RefCell<BTreeMap<char, Cursor>>,
}

/// A subscription that was asked for on a socket.
#[derive(Clone)]
pub(super) struct Followed {
    id: char,
    sub: Arc<Sub>,
    stream: usize,
}

impl Client {
    pub(super) fn new(number: usize, name: &'static str) -> Self {
        Self {
            number,
            name,
            done: Cell::new(0),
            sockets: Cell::new(0),
            socket: RefCell::default(),
            looked: Cell::new(0),
            drains: Cell::new(0),
            planned: Cell::new(None),
            known: RefCell::default(),
        }
    }

    fn next(&self, stage: &Stage) -> Option<Act> {
        let (_, acts) = &stage.plot.script.clients[self.number];
        acts.get(self.done.get()).copied()
    }

    /// Whether some of what it does is not explored.
    pub(super) fn will_rest(&self, stage: &Stage) -> bool {
        let (_, acts) = &stage.plot.script.clients[self.number];
        acts.contains(&Act::Rest)
    }

    pub(super) fn is_at_rest(&self, stage: &Stage) -> bool {
        !self.will_rest(stage) || self.next(stage) == Some(Act::Rest)
    }

    /// Where exploration begins.
    pub(super) fn rest(&self, stage: &Stage) {
        if self.next(stage) == Some(Act::Rest) {
            self.done.set(self.done.get() + 1);
        }
    }

    pub(super) fn can_act(&self, stage: &Stage) -> bool {
        self.next(stage).is_some()
    }

    pub(super) fn can_take(&self) -> bool {
        let socket = self.socket.borrow();
        socket.as_ref().is_some_and(|socket| socket.can_take())
    }

    pub(super) fn can_flush(&self) -> bool {
        let socket = self.socket.borrow();
        socket.as_ref().is_some_and(|socket| socket.can_flush())
    }

    pub(super) fn drains(&self) -> u64 {
        self.drains.get()
    }

    /// Its socket's task writes.
    pub(super) fn flush(&self) {
        self.drains.set(self.drains.get() + 1);
        let socket = self.socket.borrow().clone();
        socket.unwrap().flush();
    }

    pub(super) fn act(&self, stage: &Stage) {
        // What came before is judged by what was before.
        self.look(stage);
        self.drains.set(self.drains.get() + 1);
        let act = self.next(stage).unwrap();
        self.done.set(self.done.get() + 1);
        match act {
            Act::Plan => self.planned.set(Some(stage.tail.end(&*stage.store).seq)),
            Act::Subscribe(id, about, from) => self.subscribe(stage, id, about, from),
            Act::Unsubscribe(id) => {
                let socket = self.socket(stage);
                socket.connection.unsubscribe(&id.to_string());
                if let Some(followed) = socket.subs.borrow().iter().rfind(|sub| sub.id == id) {
                    stage.streams.borrow_mut()[followed.stream].left = true;
                }
            }
            Act::Ping => self.socket(stage).connection.ping(),
            Act::Rest => {}
            Act::Cut => {
                let socket = self.socket.take();
                let Some(socket) = socket else { return };
                for followed in socket.subs.borrow().iter() {
                    stage.streams.borrow_mut()[followed.stream].left = true;
                }
                self.looked.set(0);
                socket.outbox.close();
            }
        }
    }

    fn socket(&self, stage: &Stage) -> Rc<Socket> {
        let mut socket = self.socket.borrow_mut();
        let socket = socket.get_or_insert_with(|| {
            let count = self.sockets.replace(self.sockets.get() + 1);
            let script = &stage.plot.script;
            let budget = script.budget * FRAME_BYTES;
            let wire = script.wire.map(|room| Arc::new(Wire::new(room)));
            let outbox = match &wire {
                Some(wire) => Outbox::written_through(budget, &Lengths, wire.clone()),
                None => Outbox::new(budget),
            };
            let (envelope, inbox) = (Arc::new(Terse), stage.inbox.clone());
            let id = 10 * self.number as u64 + count;
            let line = Line::new(id, viewer(self.name), Arc::new(outbox), envelope, inbox);
            let connection = Connection {
                core: stage.core.clone(),
                present: stage.core.signals.arrive(&line.viewer.user),
                line: Arc::new(line),
            };
            Rc::new(Socket::new(connection, wire))
        });
        socket.clone()
    }

    fn subscribe(&self, stage: &Stage, id: char, about: About, from: From) {
        let socket = self.socket(stage);
        let head = self.planned.take();
        let head = head.unwrap_or_else(|| stage.tail.end(&*stage.store).seq);
        let cursor = |seq| stage.store.epochs().cursor(seq);
        let (after, resume) = match from {
            From::Now => (None, None),
            From::After(place) => (Some(cursor(Seq(place))), None),
            From::Known => (None, self.known.borrow().get(&id).copied()),
        };
        if let Some(before) = socket.subs.borrow().iter().rfind(|sub| sub.id == id) {
            stage.streams.borrow_mut()[before.stream].left = true;
        }
        let start = after.or(resume).map_or(head, |cursor| cursor.seq);
        let due = stage.plot.due(self.name, about);
        let number = stage.streams.borrow().len();
        let name = format!("{}'s {id} ({number}) from {start}", self.name);
        let stream = Stream::new(name, self.number, due, start);
        stage.streams.borrow_mut().push(stream);
        let plan = Plan {
            operation: stage.operations[usize::from(about.messages_only())].clone(),
            wish: Wish::Log(Intent {
                scope: about.scope(),
                messages_only: about.messages_only(),
                after,
            }),
            head,
        };
        socket
            .connection
            .subscribe(id.to_string().into(), plan, resume);
        let sub = socket.connection.line.subs().pop().unwrap();
        stage
            .subs
            .borrow_mut()
            .push(digest(&(Arc::as_ptr(&sub) as usize)));
        socket.subs.borrow_mut().push(Followed {
            id,
            sub,
            stream: number,
        });
    }

    /// Reads from its socket.
    pub(super) fn take(&self, stage: &Stage) {
        self.look(stage);
        self.drains.set(self.drains.get() + 1);
        let socket = self.socket.borrow();
        let mut known = self.known.borrow_mut();
        for frame in socket.as_ref().unwrap().take() {
            match read(&frame) {
                Read::Shown(id, .., cursor)
                | Read::CaughtUp(id, cursor)
                | Read::Resync(id, cursor) => {
                    known.insert(id, cursor);
                }
                Read::Failed(_) => {}
                Read::Ping(positions) => known.extend(positions),
            }
        }
    }

    /// Looks at what was queued since the last time, and at what the hub has to tell.
    pub(super) fn look(&self, stage: &Stage) {
        let socket = self.socket.borrow();
        let Some(socket) = socket.as_ref() else {
            return;
        };
        self.check_bound(stage, socket);
        let queued = socket.queued();
        let looked = self.looked.replace(queued.len());
        for frame in &queued[looked..] {
            self.check(stage, socket, read(frame));
        }
        while let Some(notice) = socket.connection.notice().now_or_never() {
            match notice {
                Notice::Ended(_) => {}
                Notice::Close(_, reason) => {
                    assert!(reason.contains("store"), "{reason}");
                    assert!(stage.plot.script.failures > 4, "{reason}");
                    socket.is_closed.set(true);
                }
            }
        }
    }

    /// Each subscription may pass the budget by the one frame that ends its being live.
    fn check_bound(&self, stage: &Stage, socket: &Socket) {
        let most = stage.plot.script.budget + socket.subs.borrow().len();
        let waiting = socket.waiting();
        let shown = waiting.filter(|frame| matches!(read(frame), Read::Shown(..)));
        assert!(shown.count() <= most, "more than {most} frames wait");
    }

    fn check(&self, stage: &Stage, socket: &Socket, read: Read) {
        let (head, mut streams) = (stage.head(), stage.streams.borrow_mut());
        match read {
            Read::Shown(id, said, room, Cursor { seq, .. }) => {
                let shown = Shown { seq, said, room };
                streams[latest(socket, id)].show(shown, head);
            }
            Read::CaughtUp(id, cursor) => streams[latest(socket, id)].catch_up(cursor.seq, head),
            Read::Resync(id, cursor) => streams[latest(socket, id)].resync(cursor.seq, head),
            Read::Failed(id) => streams[latest(socket, id)].fail(head),
            Read::Ping(positions) => {
                for (id, cursor) in &positions {
                    streams[latest(socket, *id)].check_at(cursor.seq, head);
                }
                for Followed { id, stream, .. } in socket.subs.borrow().iter() {
                    let is_named = positions.iter().any(|(named, _)| named == id);
                    let stream = &streams[*stream];
                    assert!(
                        is_named || !stream.is_living(),
                        "{}: not in a ping",
                        stream.name
                    );
                }
            }
        }
    }

    /// All that what comes may depend on.
    pub(super) fn state(&self, stage: &Stage) -> u64 {
        let streams = stage.streams.borrow();
        let (_, acts) = &stage.plot.script.clients[self.number];
        let comes_back = acts[self.done.get()..]
            .iter()
            .any(|act| matches!(act, Act::Subscribe(_, _, From::Known)));
        let known = comes_back.then(|| self.known.borrow().clone());
        let socket = self.socket.borrow();
        let socket = socket.as_ref().map(|socket| {
            let subs = socket.subs.borrow();
            let subs = subs.iter().map(|followed| {
                let sub = &followed.sub;
                (digest(&streams[followed.stream].state()), state(sub))
            });
            let subs: Vec<_> = subs.collect();
            let line = &socket.connection.line;
            let is_stalled = line.stalled.load(std::sync::atomic::Ordering::Relaxed);
            digest(&(
                socket.state(comes_back),
                subs,
                digest(&line.stand()),
                is_stalled,
            ))
        });
        digest(&(
            self.done.get(),
            self.sockets.get(),
            self.planned.get(),
            known,
            socket,
        ))
    }

    /// Nothing is left to be done by anyone.
    pub(super) fn check_end(&self, stage: &Stage) {
        let socket = self.socket.borrow();
        let Some(socket) = socket.as_ref() else {
            return;
        };
        if socket.is_closed.get() {
            return;
        }
        assert_eq!(socket.outbox.queued_bytes(), 0, "something waits for ever");
        for Followed { sub, stream, .. } in socket.subs.borrow().iter() {
            let stream = &stage.streams.borrow()[*stream];
            if stream.is_living() {
                let place = sub.place();
                assert!(
                    matches!(place, Place::Live(_)),
                    "{}: is {place:?}",
                    stream.name
                );
                assert!(stage.is_seated(sub), "{}: has no seat", stream.name);
                stream.check_end(stage.head());
            } else {
                assert!(!stage.is_seated(sub), "{}: still has a seat", stream.name);
            }
        }
    }
}

/// The stream of the latest subscription of this name.
fn latest(socket: &Socket, id: char) -> usize {
    let subs = socket.subs.borrow();
    let followed = subs.iter().rfind(|followed| followed.id == id);
    followed.unwrap().stream
}

fn state(sub: &Sub) -> impl Hash {
    use std::sync::atomic::Ordering::Relaxed;
    let flags = [&sub.ended, &sub.greeted, &sub.was_live].map(|flag| flag.load(Relaxed));
    let place = match sub.place() {
        Place::Asked(cursor) => (0, cursor.seq),
        Place::At(place) => (1, place),
        Place::Live(place) => (2, place),
        Place::Nowhere => (3, Seq::ZERO),
    };
    (flags, place)
}
