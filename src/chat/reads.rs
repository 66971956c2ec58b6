//! The rule of reading on: a member's mark moves forward only.
//!
//! A mark is any place in the log and no event of it. Sending moves no mark: one's own messages are not counted anyway.

use std::sync::Arc;

use super::{Answer, rooms};
use crate::error::Error;
use crate::log::Batch;
use crate::model::{Cursor, Member, RoomId, User};

const MUST_BE_IN: Error = Error::Forbidden {
    needs: "only a member of the room has read in it: join it first",
};

pub(super) fn mark(
    batch: &mut Batch,
    by: &Arc<User>,
    id: RoomId,
    up_to: Cursor,
) -> Result<Answer, Error> {
    let (room, member) = rooms::readable(batch, id, &by.id)?;
    let member = member.filter(|it| it.is_active()).ok_or(MUST_BE_IN)?;
    let read_up_to = Some(batch.place(up_to)?);
    if read_up_to > member.read_up_to {
        batch.put_read(Arc::new(Member {
            read_up_to,
            ..(*member).clone()
        }));
    }
    Ok(Answer::Room(room))
}
