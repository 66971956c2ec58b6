//! Reactions.

use super::{Emoji, MessageId, Seq, UserId};

/// One emoji under one message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reaction {
    /// The emoji.
    pub emoji: Emoji,
    /// How many users react with it now: at least one.
    pub count: u32,
    /// The event by which it came under the message: the order there. One that nobody used any more and that comes back
    /// comes last.
    pub since: Seq,
}

impl Reaction {
    /// Different emoji under one message: more do not fit beside it on a screen, and every payload about it carries them.
    pub const EMOJI_MAX: usize = 20;
}

/// What one user's reaction is known by.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ReactionKey {
    /// Under which message.
    pub message: MessageId,
    /// The emoji.
    pub emoji: Emoji,
    /// Who reacts.
    pub user: UserId,
}
