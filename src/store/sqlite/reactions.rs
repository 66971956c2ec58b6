//! Who reacts with what: each one statement, however many messages it is for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::SqliteStore;
use super::batch::array;
use super::pages::lists;
use super::rows::{Columns, Result};
use super::sql;
use crate::model::{Emoji, MessageId, ReactionKey, Seq, User, UserId};

impl SqliteStore {
    pub(super) async fn read_reacted(
        &self,
        viewer: &UserId,
        messages: &[MessageId],
    ) -> Result<HashSet<(MessageId, Emoji)>> {
        let statement = sqlx::query(sql::REACTED)
            .bind(array(messages.iter().map(|id| id.uuid()))?)
            .bind(viewer.as_str().to_owned());
        let read = |mut row: Columns<'_>| Ok((MessageId::from_uuid(row.uuid()?), row.emoji()?));
        Ok(self.read(statement, read).await?.into_iter().collect())
    }

    pub(super) async fn read_reactors(
        &self,
        under: &[(MessageId, Emoji)],
        limit: usize,
    ) -> Result<Vec<Vec<Arc<User>>>> {
        let pairs = under.iter().map(|(id, emoji)| (id.uuid(), emoji.as_str()));
        let statement = sqlx::query(sql::REACTORS)
            .bind(array(pairs)?)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let read = |mut row: Columns<'_>| Ok((row.int()?, (row.seq()?, row.user()?)));
        let mut lists = lists(under.len(), self.read(statement, read).await?)?;
        let users = |list: &mut Vec<(Seq, Arc<User>)>| {
            // SQLite looks them up by a set of keys.
            list.sort_unstable_by_key(|(seq, _)| *seq);
            list.drain(..).map(|(_, user)| user).collect()
        };
        Ok(lists.iter_mut().map(users).collect())
    }
}

impl Columns<'_> {
    /// Reactions in a JSON array, each with its place.
    pub(super) fn reactor_list(&mut self) -> Result<HashMap<ReactionKey, Seq>> {
        let rows: Vec<(uuid::Uuid, String, String, u64)> = self.json()?;
        let keyed = |(id, emoji, user, seq): (uuid::Uuid, String, String, u64)| {
            let key = ReactionKey {
                message: MessageId::from_uuid(id),
                emoji: Emoji::stored(&emoji),
                user: UserId::stored(&user),
            };
            (key, Seq(seq))
        };
        Ok(rows.into_iter().map(keyed).collect())
    }
}
