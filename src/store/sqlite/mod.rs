//! SQLite: one file, one writer, a few readers.
//!
//! Knows how things lie in tables and nothing of what they mean. The statements are in `sql`, the tables in
//! `migrations/`, how a batch is written in `writer` and `batch`, and what readers get in `pages` and `replay`.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::{
    Access, Emoji, Epoch, Epochs, Event, Member, MemberId, Message, MessageId, Room, RoomId, Scope,
    Seq, Timestamp, User, UserId,
};

use super::{
    Attendance, Bounds, Changes, Facts, MemberKey, Needs, Page, PageArgs, PageLimit, ReplayPage,
    RoomKey, RoomList, RoomView, Store, StoreError,
};

mod batch;
mod open;
mod pages;
mod reactions;
mod reader;
mod replay;
mod revocations;
mod rows;
mod sql;
mod sweep;
#[cfg(test)]
mod tests;
mod unread;
mod writer;

pub use open::OpenError;
pub use revocations::{Denylist, Visit};

/// When a commit has reached the disk.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Synchronous {
    /// Before it is answered: what was acknowledged survives a power cut.
    #[default]
    Full,
    /// Some time later. For tests that show the difference; acknowledged messages are lost in a power cut.
    Normal,
}

/// How to open a database.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// When a commit has reached the disk.
    pub synchronous: Synchronous,
    /// Connections for reading, each with a thread: as many as there are cores, 2 to 4.
    pub readers: usize,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            synchronous: Synchronous::Full,
            readers: cores.clamp(2, 4),
        }
    }
}

/// A database file, open and locked.
pub struct SqliteStore {
    path: PathBuf,
    writer: writer::Writer,
    readers: reader::Readers,
    /// Of its own: whose tokens were withdrawn is seen in time whatever the others are asked.
    guard: reader::Readers,
    sweeper: sweep::Sweeper,
    epochs: Arc<Epochs>,
    fingerprint_key: [u8; 32],
    /// Last, so that it is let go of after the connections.
    _lock: File,
}

impl SqliteStore {
    /// Opens `sqlite://tidings.db`, or the like; makes the file if it is not there.
    ///
    /// # Errors
    /// See [`OpenError`]. Each is one line for whoever starts the server.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        Self::open_with(url, &SqliteOptions::default()).await
    }

    /// Opens it in another way than usual.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub async fn open_with(url: &str, options: &SqliteOptions) -> Result<Self, OpenError> {
        let opened = open::open(url, options).await?;
        let sweeper = sweep::Sweeper::start(&opened.writing).await;
        let sweeper = sweeper.map_err(|source| OpenError::Other {
            path: opened.path.clone(),
            source: source.into(),
        })?;
        Ok(Self {
            path: opened.path,
            writer: writer::Writer::new(opened.writing, opened.writer),
            guard: reader::Readers::new(opened.reading.clone(), 1),
            readers: reader::Readers::new(opened.reading, options.readers.max(1)),
            sweeper,
            epochs: opened.epochs.into(),
            fingerprint_key: opened.fingerprint_key,
            _lock: opened.lock,
        })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it can be read, by the cheapest statement there is.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let rows = self.readers.fetch(sqlx::query(sql::READY)).await;
        rows.map(drop)
            .map_err(failed("asking whether the store is ready"))
    }

    /// Waits until all that was deleted before the call is gone from the database file and its write-ahead log.
    pub async fn swept(&self) {
        self.sweeper.swept().await;
    }
}

/// Says what was being done.
fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| StoreError {
        doing,
        source: Arc::new(source),
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn lead(&self) -> Result<Bounds, StoreError> {
        let epoch = Epoch::generate();
        let led = self.writer.lead(epoch.bits().cast_signed()).await;
        let bounds = led.map_err(failed("beginning an epoch"))?;
        self.epochs.push(epoch, bounds.head.next());
        Ok(bounds)
    }

    async fn begin(&self, needs: &Needs) -> Result<Facts, StoreError> {
        let facts = self.writer.begin(needs, &self.epochs).await;
        facts.map_err(failed("beginning a batch"))
    }

    async fn commit(&self, changes: &Changes) -> Result<(), StoreError> {
        let rows = match batch::Rows::of(changes) {
            Ok(rows) => rows,
            Err(error) => {
                self.rollback().await?;
                return Err(failed("preparing a batch")(error));
            }
        };
        let wipes = rows.wipes;
        self.writer
            .commit(rows)
            .await
            .map_err(failed("committing a batch"))?;
        if wipes {
            self.sweeper.want();
        }
        Ok(())
    }

    async fn rollback(&self) -> Result<(), StoreError> {
        self.writer
            .rollback()
            .await
            .map_err(failed("rolling a batch back"))
    }

    fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    fn fingerprint_key(&self) -> &[u8; 32] {
        &self.fingerprint_key
    }

    fn readers(&self) -> usize {
        self.readers.count()
    }

    fn head(&self) -> Seq {
        self.writer.head()
    }

    async fn bounds(&self) -> Result<Bounds, StoreError> {
        let rows = self.readers.fetch(sqlx::query(sql::BOUNDS)).await;
        (rows.and_then(|rows| writer::bounds(&rows))).map_err(failed("reading the log's ends"))
    }

    async fn place_before(&self, at: Timestamp) -> Result<Seq, StoreError> {
        let statement = sqlx::query(sql::PLACE_BEFORE).bind(at.0);
        let places = self.read(statement, |mut row| row.seq()).await;
        let place =
            places.and_then(|places| places.first().copied().ok_or(sqlx::Error::RowNotFound));
        place.map_err(failed("looking for what may be pruned"))
    }

    async fn events(&self, after: Seq, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        self.read_events(after, limit)
            .await
            .map_err(failed("reading events"))
    }

    async fn access(&self, viewer: &UserId, scope: &Scope) -> Result<(Bounds, Access), StoreError> {
        self.read_access(viewer, scope)
            .await
            .map_err(failed("reading a viewer's rooms"))
    }

    async fn attendance(&self, room: RoomId) -> Result<Option<Attendance>, StoreError> {
        self.read_attendance(room)
            .await
            .map_err(failed("reading who is in a room"))
    }

    async fn replay(
        &self,
        viewer: &UserId,
        scope: &Scope,
        after: Seq,
        limit: PageLimit,
        opening: bool,
    ) -> Result<ReplayPage, StoreError> {
        let page = self.read_replay(viewer, scope, after, limit, opening).await;
        page.map_err(failed("reading a replay"))
    }

    async fn rooms(&self, viewer: &UserId, ids: &[RoomId]) -> Result<Vec<RoomView>, StoreError> {
        self.read_rooms(viewer, ids)
            .await
            .map_err(failed("reading rooms"))
    }

    async fn unread(
        &self,
        viewer: &UserId,
        rooms: &[RoomId],
    ) -> Result<Vec<(RoomId, u32)>, StoreError> {
        let counts = self.read_unread(viewer, rooms).await;
        counts.map_err(failed("counting what is unread"))
    }

    async fn messages(&self, ids: &[MessageId]) -> Result<Vec<Arc<Message>>, StoreError> {
        self.read_messages(ids)
            .await
            .map_err(failed("reading messages"))
    }

    async fn reacted(
        &self,
        viewer: &UserId,
        messages: &[MessageId],
    ) -> Result<HashSet<(MessageId, Emoji)>, StoreError> {
        let read = self.read_reacted(viewer, messages).await;
        read.map_err(failed("reading a viewer's reactions"))
    }

    async fn reactors(
        &self,
        under: &[(MessageId, Emoji)],
        limit: usize,
    ) -> Result<Vec<Vec<Arc<User>>>, StoreError> {
        let read = self.read_reactors(under, limit).await;
        read.map_err(failed("reading who reacts"))
    }

    async fn members(&self, ids: &[MemberId]) -> Result<Vec<Arc<Member>>, StoreError> {
        self.read_members(ids)
            .await
            .map_err(failed("reading members"))
    }

    async fn users(&self, viewer: &UserId, ids: &[UserId]) -> Result<Vec<Arc<User>>, StoreError> {
        self.read_users(viewer, ids)
            .await
            .map_err(failed("reading users"))
    }

    async fn last_seen(
        &self,
        viewer: &UserId,
        ids: &[UserId],
    ) -> Result<Vec<(UserId, Option<Timestamp>)>, StoreError> {
        self.read_last_seen(viewer, ids)
            .await
            .map_err(failed("reading when users were last seen"))
    }

    async fn profile(&self, id: &UserId) -> Result<Option<Arc<User>>, StoreError> {
        self.read_profile(id)
            .await
            .map_err(failed("reading a profile"))
    }

    async fn room_pages(
        &self,
        lists: &[RoomList],
        args: &PageArgs<RoomKey>,
    ) -> Result<Vec<Page<Arc<Room>>>, StoreError> {
        let pages = self.read_room_pages(lists, args).await;
        pages.map_err(failed("reading pages of rooms"))
    }

    async fn message_pages(
        &self,
        rooms: &[RoomId],
        args: &PageArgs<Seq>,
    ) -> Result<Vec<Page<Arc<Message>>>, StoreError> {
        let pages = self.read_message_pages(rooms, args).await;
        pages.map_err(failed("reading pages of messages"))
    }

    async fn member_pages(
        &self,
        rooms: &[RoomId],
        args: &PageArgs<MemberKey>,
    ) -> Result<Vec<Page<Arc<Member>>>, StoreError> {
        let pages = self.read_member_pages(rooms, args).await;
        pages.map_err(failed("reading pages of members"))
    }

    fn reads(&self) -> u64 {
        self.readers.statements()
    }

    async fn close(&self) {
        self.sweeper.close().await;
        self.readers.close().await;
        self.guard.close().await;
        if let Err(error) = self.writer.close().await {
            tracing::warn!(%error, "the database was not closed cleanly; its log is read again at the next start");
        }
    }
}
