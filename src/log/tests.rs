//! Writer and tail over a real database file, with a bus that does not keep its word.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::bus::{Announcement, Bus, LocalBus, Newest, Reads};
use crate::error::{Code, Error};
use crate::model::{
    Event, MemberId, Role, Room, RoomId, RoomName, Seq, Standing, User, UserId, Visibility, What,
};
use crate::model::{Member, Timestamp};
use crate::store::sqlite::SqliteStore;
use crate::store::{Needs, Store};

/// Makes a room of its own: one event.
struct MakeRoom {
    refuse: bool,
}

impl Command for MakeRoom {
    type Answer = Seq;

    fn needs(&self, _: &mut Needs) {}

    fn decide(self, batch: &mut Batch) -> Result<Seq, Error> {
        if self.refuse {
            return Err(Error::Conflict { why: "refused" });
        }
        let seq = batch.next().seq;
        let user = Arc::new(User::unseen(UserId::stored("ada")));
        let room = Arc::new(Room {
            id: RoomId::generate(),
            name: RoomName::stored("a room"),
            visibility: Visibility::Private,
            data: None,
            created_at: batch.now(),
            last_activity_at: batch.now(),
            last_message: None,
            member_count: 1,
            owner_count: 1,
            direct: false,
            fingerprint: None,
            deleted: false,
        });
        batch.put_user(user.clone());
        batch.put_room(room.clone());
        batch.put_member(Arc::new(Member {
            id: MemberId::generate(),
            room: room.id,
            user: user.clone(),
            role: Role::Owner,
            joined_at: Timestamp(0),
            joined_seq: seq,
            standing: Standing::Active,
            read_up_to: None,
        }));
        let members = Arc::new([user.id.clone()]);
        batch.append(room, user, What::RoomCreated { members });
        Ok(seq)
    }
}

/// Carries each announcement as `carry` does.
struct FaultyBus<F> {
    inner: LocalBus,
    carry: F,
}

impl<F: Fn(&LocalBus, Announcement)> FaultyBus<F> {
    fn new(carry: F) -> Self {
        let inner = LocalBus::new();
        Self { inner, carry }
    }
}

impl<F: Fn(&LocalBus, Announcement) + Send + Sync + 'static> Bus for FaultyBus<F> {
    fn announce(&self, announcement: Announcement) {
        (self.carry)(&self.inner, announcement);
    }

    fn newest(&self) -> Newest {
        self.inner.newest()
    }

    fn listen(&self) -> broadcast::Receiver<Announcement> {
        self.inner.listen()
    }

    fn announce_reads(&self, reads: Reads) {
        self.inner.announce_reads(reads);
    }

    fn listen_reads(&self) -> broadcast::Receiver<Reads> {
        self.inner.listen_reads()
    }
}

/// Loses every third announcement, repeats every fourth, and tells every fifth one late.
fn unreliable() -> impl Bus {
    let (told, late) = (AtomicUsize::new(0), Mutex::new(None::<Announcement>));
    FaultyBus::new(move |bus: &LocalBus, announcement: Announcement| {
        let nth = told.fetch_add(1, Ordering::SeqCst) + 1;
        let was_late = late.lock().unwrap().take();
        match nth {
            _ if nth.is_multiple_of(3) => {}
            _ if nth.is_multiple_of(4) => {
                bus.announce(announcement.clone());
                bus.announce(announcement);
            }
            _ if nth.is_multiple_of(5) => *late.lock().unwrap() = Some(announcement),
            _ => bus.announce(announcement),
        }
        if let Some(late) = was_late {
            bus.announce(late);
        }
    })
}

/// Announces only while it is told to.
fn muted(announced: &Arc<AtomicBool>) -> impl Bus {
    let announced = announced.clone();
    FaultyBus::new(move |bus: &LocalBus, announcement| {
        if announced.load(Ordering::SeqCst) {
            bus.announce(announcement);
        }
    })
}

struct Rig {
    folder: TempDir,
    store: Arc<dyn Store>,
    writer: Writer<MakeRoom>,
    tail: Arc<Tail>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Rig {
    async fn start(bus: impl Bus) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), bus).await
    }

    async fn start_in(folder: TempDir, bus: impl Bus) -> Self {
        let url = format!("sqlite://{}", folder.path().join("log.db").display());
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&url).await.unwrap());
        let (bus, stop, mut tasks) = (Arc::new(bus), CancellationToken::new(), JoinSet::new());
        let (writer, task) = Writer::start(store.clone(), bus.clone(), stop.clone())
            .await
            .unwrap();
        tasks.spawn(task);
        let (tail, task) = Tail::start(store.clone(), &*bus, TailLimits::default(), stop.clone())
            .await
            .unwrap();
        tasks.spawn(task);
        Self {
            folder,
            store,
            writer,
            tail,
            stop,
            tasks,
        }
    }

    async fn end(self) -> TempDir {
        self.stop.cancel();
        self.tasks.join_all().await;
        self.store.close().await;
        self.folder
    }

    async fn tail_reaches(&self, head: Seq) {
        self.tail
            .watch()
            .wait_for(|reached| *reached >= head)
            .await
            .unwrap();
    }
}

fn places(events: &[Arc<Event>]) -> Vec<u64> {
    events.iter().map(|event| event.cursor.seq.0).collect()
}

/// As whoever is live does it: from the tail, and from the store where the tail does not reach back.
async fn follow(tail: Arc<Tail>, store: Arc<dyn Store>, end: Seq) -> Vec<Arc<Event>> {
    let (mut growth, mut all) = (tail.watch(), Vec::new());
    let mut place = Seq(0);
    while place < end {
        growth.mark_unchanged();
        let events = match tail.since(place, 100) {
            Some(events) => events,
            None => store.events(place, 100).await.unwrap(),
        };
        match events.last() {
            Some(last) => place = last.cursor.seq,
            None => growth.changed().await.unwrap(),
        }
        all.extend(events);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_commands_get_gapless_places_whatever_the_bus_does() {
    let rig = Rig::start(unreliable()).await;
    let followed = tokio::spawn(follow(rig.tail.clone(), rig.store.clone(), Seq(450)));
    let mut senders = JoinSet::new();
    for n in 0..500 {
        let writer = rig.writer.clone();
        senders.spawn(async move {
            writer
                .submit(MakeRoom {
                    refuse: n % 10 == 0,
                })
                .await
        });
    }
    let outcomes = senders.join_all().await;
    let mut given: Vec<u64> = outcomes
        .iter()
        .filter_map(|outcome| outcome.as_ref().ok())
        .map(|seq| seq.0)
        .collect();
    given.sort_unstable();
    assert_eq!(given, (1..=450).collect::<Vec<_>>());
    let refused = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(error) if error.code() == Code::Conflict));
    assert_eq!(refused.count(), 50);

    let followed = tokio::time::timeout(Duration::from_secs(60), followed);
    assert_eq!(places(&followed.await.unwrap().unwrap()), given);
    rig.end().await;
}

#[tokio::test]
async fn what_was_not_announced_is_left_to_the_store() {
    let announced = Arc::new(AtomicBool::new(true));
    let rig = Rig::start(muted(&announced)).await;
    let make = async || rig.writer.submit(MakeRoom { refuse: false }).await.unwrap();
    make().await;
    rig.tail_reaches(Seq(1)).await;
    assert_eq!(places(&rig.tail.since(Seq(0), 9).unwrap()), [1]);
    announced.store(false, Ordering::SeqCst);
    make().await;
    announced.store(true, Ordering::SeqCst);
    make().await;
    rig.tail_reaches(Seq(3)).await;
    // Rooms and members have gone on: whoever is behind has to ask the store what a viewer may see.
    for behind in 0..3 {
        assert!(rig.tail.since(Seq(behind), 9).is_none(), "{behind}");
    }
    make().await;
    rig.tail_reaches(Seq(4)).await;
    assert_eq!(places(&rig.tail.since(Seq(3), 9).unwrap()), [4]);
    // A last one that was lost is missed by itself.
    announced.store(false, Ordering::SeqCst);
    make().await;
    rig.tail_reaches(Seq(5)).await;
    assert!(rig.tail.since(Seq(4), 9).is_none());
    rig.end().await;
}

#[tokio::test]
async fn a_tail_that_has_everything_asks_the_store_for_nothing() {
    let rig = Rig::start(LocalBus::new()).await;
    rig.writer.submit(MakeRoom { refuse: false }).await.unwrap();
    rig.tail_reaches(Seq(1)).await;
    let before = rig.store.reads();
    tokio::time::pause();
    for _ in 0..20 {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    tokio::time::resume();
    assert_eq!(rig.store.reads(), before);
    rig.end().await;
}

#[tokio::test]
async fn a_full_queue_is_told_at_once_and_what_was_taken_is_done() {
    let rig = Rig::start(LocalBus::new()).await;
    // The writer runs on this thread, so nothing is taken off the queue until the first await.
    let mut pending: Vec<_> = (0..Writer::<MakeRoom>::QUEUE_COMMANDS)
        .map(|_| Box::pin(rig.writer.submit(MakeRoom { refuse: false })))
        .collect();
    for future in &mut pending {
        assert!(futures_util::poll!(future).is_pending());
    }
    let mut over = Box::pin(rig.writer.submit(MakeRoom { refuse: false }));
    assert!(matches!(
        futures_util::poll!(&mut over),
        std::task::Poll::Ready(Err(Error::Busy))
    ));
    drop(over);
    // Callers that are gone do not take their commands back.
    drop(pending);
    rig.tail_reaches(Seq(Writer::<MakeRoom>::QUEUE_COMMANDS as u64))
        .await;
    rig.end().await;
}

#[tokio::test]
async fn stopping_answers_what_was_queued_and_refuses_what_comes_later() {
    let rig = Rig::start(LocalBus::new()).await;
    let mut queued = Box::pin(rig.writer.submit(MakeRoom { refuse: false }));
    assert!(futures_util::poll!(&mut queued).is_pending());
    rig.stop.cancel();
    assert_eq!(queued.await.unwrap(), Seq(1));
    let writer = rig.writer.clone();
    rig.end().await;
    assert!(matches!(
        writer.submit(MakeRoom { refuse: false }).await,
        Err(Error::Stopping)
    ));
}

#[tokio::test]
async fn a_restart_goes_on_and_honours_older_cursors() {
    let rig = Rig::start(LocalBus::new()).await;
    for _ in 0..3 {
        rig.writer.submit(MakeRoom { refuse: false }).await.unwrap();
    }
    let before = rig.store.epochs().cursor(Seq(2));
    let folder = rig.end().await;
    let rig = Rig::start_in(folder, LocalBus::new()).await;
    assert_eq!(rig.tail.head(), Seq(3));
    assert_eq!(
        rig.writer.submit(MakeRoom { refuse: false }).await.unwrap(),
        Seq(4)
    );
    assert_eq!(
        rig.store.epochs().honour(before, Seq(0), Seq(4)),
        Ok(Seq(2))
    );
    rig.tail_reaches(Seq(4)).await;
    assert_eq!(places(&rig.tail.since(Seq(0), 9).unwrap()), [1, 2, 3, 4]);
    rig.end().await;
}

#[tokio::test]
async fn retention_forgets_events_and_keeps_the_head() {
    let rig = Rig::start(LocalBus::new()).await;
    for _ in 0..5 {
        rig.writer.submit(MakeRoom { refuse: false }).await.unwrap();
    }
    rig.writer.prune(Seq(5)).await.unwrap();
    let bounds = rig.store.bounds().await.unwrap();
    assert_eq!((bounds.floor, bounds.head), (Seq(5), Seq(5)));
    assert_eq!(
        rig.writer.submit(MakeRoom { refuse: false }).await.unwrap(),
        Seq(6)
    );
    rig.end().await;
}
