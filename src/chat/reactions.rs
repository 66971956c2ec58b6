//! Rules of reactions: one for each user, emoji and message; what is so already is no event.

use std::sync::Arc;

use super::Answer;
use super::messages::{Seen, seen};
use crate::error::Error;
use crate::log::Batch;
use crate::model::{
    Emoji, Member, Message, MessageId, Reaction, ReactionKey, Role, Seq, User, What,
};

pub(super) fn add(
    batch: &mut Batch,
    by: &Arc<User>,
    id: MessageId,
    emoji: Emoji,
) -> Result<Answer, Error> {
    let Seen {
        message: before,
        room,
        member,
    } = seen(batch, id, &by.id)?;
    may_react(member.as_deref())?;
    if before.deleted_at.is_some() {
        return Err(Error::Conflict {
            why: "the message was deleted",
        });
    }
    let key = key(id, &emoji, by);
    if batch.has_reaction(&key) {
        return Ok(Answer::Message(before));
    }
    let reactions = with(&before.reactions, &emoji, batch.next().seq)?;
    let message = react(batch, &before, key, reactions, true);
    let what = What::ReactionAdded(message.clone(), emoji);
    batch.append(room, by.clone(), what);
    Ok(Answer::Message(message))
}

/// What one has said oneself may be taken back by anyone who sees it, as a message may be deleted: also by one who left a
/// public room or became a reader.
pub(super) fn remove(
    batch: &mut Batch,
    by: &Arc<User>,
    id: MessageId,
    emoji: Emoji,
) -> Result<Answer, Error> {
    let Seen {
        message: before,
        room,
        ..
    } = seen(batch, id, &by.id)?;
    let key = key(id, &emoji, by);
    // A deleted message has none left.
    if before.deleted_at.is_some() || !batch.has_reaction(&key) {
        return Ok(Answer::Message(before));
    }
    let reactions = without(&before.reactions, &emoji);
    let message = react(batch, &before, key, reactions, false);
    let what = What::ReactionRemoved(message.clone(), emoji);
    batch.append(room, by.clone(), what);
    Ok(Answer::Message(message))
}

fn may_react(member: Option<&Member>) -> Result<(), Error> {
    let needs = match member {
        None => "join the room before you react in it",
        Some(member) if member.role == Role::Reader => {
            "a reader may not react: ask an owner for the role MEMBER"
        }
        Some(_) => return Ok(()),
    };
    Err(Error::Forbidden { needs })
}

fn key(message: MessageId, emoji: &Emoji, by: &User) -> ReactionKey {
    ReactionKey {
        message,
        emoji: emoji.clone(),
        user: by.id.clone(),
    }
}

/// One more of an emoji: behind the others if it is new under the message.
fn with(before: &[Reaction], emoji: &Emoji, since: Seq) -> Result<Vec<Reaction>, Error> {
    let mut reactions = before.to_vec();
    match reactions.iter().position(|it| it.emoji == *emoji) {
        Some(at) => reactions[at].count += 1,
        None if reactions.len() >= Reaction::EMOJI_MAX => return Err(Error::TooManyEmoji),
        None => reactions.push(Reaction {
            emoji: emoji.clone(),
            count: 1,
            since,
        }),
    }
    Ok(reactions)
}

/// One less of an emoji, which goes with its last.
fn without(before: &[Reaction], emoji: &Emoji) -> Vec<Reaction> {
    let less = |it: &Reaction| Reaction {
        count: it.count - u32::from(it.emoji == *emoji),
        ..it.clone()
    };
    let reactions = before.iter().map(less);
    reactions.filter(|it| it.count > 0).collect()
}

/// The version stays: it is that of what the author says.
fn react(
    batch: &mut Batch,
    before: &Message,
    key: ReactionKey,
    reactions: Vec<Reaction>,
    is_there: bool,
) -> Arc<Message> {
    let message = Arc::new(Message {
        reactions: reactions.into(),
        ..before.clone()
    });
    batch.put_reaction(message.clone(), key, is_there);
    message
}
