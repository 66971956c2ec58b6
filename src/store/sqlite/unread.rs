//! Unread messages, counted by blocks: see `docs/architecture.md`, Unread counts.

use super::SqliteStore;
use super::batch::array;
use super::rows::{Columns, Result, number};
use crate::model::{RoomId, UserId};

/// Binds: room ids; the viewer four times.
///
/// `edge` ends the block that the mark lies in: blocks after it are unread as a whole. It is 0, before all blocks, where
/// nothing has been read, and NULL, after all of them, where the mark is. Of the messages themselves only those are
/// looked at that lie between the mark and the edge, and those that are in no block yet.
pub(super) const UNREAD: &str = "\
WITH asked (room, mark, edge, newest) AS MATERIALIZED (
    SELECT member.room, coalesce(member.read_up_to, 0),
           CASE WHEN member.read_up_to IS NULL THEN 0 ELSE
               (SELECT min(block.upto) FROM blocks AS block WHERE block.room = member.room AND block.upto >= member.read_up_to)
           END,
           coalesce((SELECT max(block.upto) FROM blocks AS block WHERE block.room = member.room), 0)
    FROM json_each(?) AS list
    CROSS JOIN members AS member ON member.room = unhex(list.value, '-') AND member.user = ? AND member.standing = 1
)
SELECT room,
    (SELECT coalesce(sum(block.live - coalesce(own.live, 0)), 0) FROM blocks AS block
     LEFT JOIN block_authors AS own ON own.room = block.room AND own.upto = block.upto AND own.author = ?
     WHERE block.room = asked.room AND block.upto > asked.edge)
    +
    (SELECT count(*) FROM messages AS message
     WHERE message.room = asked.room AND message.seq > asked.mark AND message.seq <= asked.edge
       AND message.author <> ? AND message.deleted_at IS NULL)
    +
    (SELECT count(*) FROM messages AS message
     WHERE message.room = asked.room AND message.seq > max(asked.mark, asked.newest)
       AND message.author <> ? AND message.deleted_at IS NULL)
FROM asked";

impl SqliteStore {
    pub(super) async fn read_unread(
        &self,
        viewer: &UserId,
        rooms: &[RoomId],
    ) -> Result<Vec<(RoomId, u32)>> {
        let viewer = viewer.as_str();
        let statement = sqlx::query(UNREAD)
            .bind(array(rooms.iter().map(|id| id.uuid()))?)
            .bind(viewer.to_owned())
            .bind(viewer.to_owned())
            .bind(viewer.to_owned())
            .bind(viewer.to_owned());
        let count = |mut row: Columns<'_>| Ok((row.room_id()?, number(row.int()?)?));
        self.read(statement, count).await
    }
}
