//! Reactions, command by command.

use super::*;
use crate::model::{Emoji, Reaction};

/// A hundred of them, one cluster each.
fn emoji(n: u32) -> Emoji {
    let face = char::from_u32(0x1f400 + n).unwrap();
    Emoji::parse(&face.to_string()).unwrap()
}

fn named(text: &str) -> Emoji {
    Emoji::parse(text).unwrap()
}

impl World {
    fn react(&mut self, by: &str, message: MessageId, emoji: Emoji) -> Result<Arc<Message>, Code> {
        message_of(self.act(by, Act::AddReaction { message, emoji })?)
    }

    fn unreact(
        &mut self,
        by: &str,
        message: MessageId,
        emoji: Emoji,
    ) -> Result<Arc<Message>, Code> {
        message_of(self.act(by, Act::RemoveReaction { message, emoji })?)
    }

    /// A public room of ada's with one message in it.
    fn said(&mut self) -> (RoomId, MessageId) {
        let (room, id) = (self.room("ada", Visibility::Public), MessageId::generate());
        self.send("ada", room, id, "hello").unwrap();
        (room, id)
    }
}

fn under(message: &Message) -> Vec<(&str, u32)> {
    let reactions = message.reactions.iter();
    reactions.map(|it| (it.emoji.as_str(), it.count)).collect()
}

#[test]
fn a_reaction_is_one_for_each_user_emoji_and_message() {
    let mut world = World::new();
    let (room, id) = world.said();
    world.act("bob", Act::JoinRoom(room)).unwrap();
    let thumb = named("👍");
    let first = world.react("ada", id, thumb.clone()).unwrap();
    assert_eq!(under(&first), [("👍", 1)]);
    let again = world.react("ada", id, thumb.clone()).unwrap();
    assert_eq!(again, first);
    world.react("bob", id, named("👍🏽")).unwrap();
    let both = world.react("bob", id, thumb.clone()).unwrap();
    assert_eq!(under(&both), [("👍", 2), ("👍🏽", 1)]);
    assert_eq!(both.version, 1);
    let less = world.unreact("ada", id, thumb.clone()).unwrap();
    assert_eq!(under(&less), [("👍", 1), ("👍🏽", 1)]);
    assert_eq!(world.unreact("ada", id, thumb.clone()).unwrap(), less);
    let kinds: Vec<_> = world.events()[3..]
        .iter()
        .map(|what| match what {
            What::ReactionAdded(message, emoji) => (emoji.clone(), message.reactions.len()),
            What::ReactionRemoved(message, emoji) => {
                assert_eq!(under(message), under(&less));
                (emoji.clone(), 0)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let tone = named("👍🏽");
    assert_eq!(
        kinds,
        [
            (thumb.clone(), 1),
            (tone, 2),
            (thumb.clone(), 2),
            (thumb, 0)
        ]
    );
}

#[test]
fn an_emoji_that_comes_back_comes_last() {
    let mut world = World::new();
    let (_, id) = world.said();
    for emoji in ["👍", "🎉"] {
        world.react("ada", id, named(emoji)).unwrap();
    }
    let gone = world.unreact("ada", id, named("👍")).unwrap();
    assert_eq!(under(&gone), [("🎉", 1)]);
    let back = world.react("ada", id, named("👍")).unwrap();
    assert_eq!(under(&back), [("🎉", 1), ("👍", 1)]);
}

#[test]
fn a_message_takes_20_different_emoji_and_no_more() {
    let mut world = World::new();
    let (room, id) = world.said();
    world.act("bob", Act::JoinRoom(room)).unwrap();
    for n in 0..Reaction::EMOJI_MAX as u32 {
        world.react("ada", id, emoji(n)).unwrap();
    }
    assert_eq!(
        world.react("ada", id, emoji(20)).unwrap_err(),
        Code::BadUserInput
    );
    // One that is there is no other one.
    let more = world.react("bob", id, emoji(19)).unwrap();
    assert_eq!(more.reactions[19].count, 2);
    world.unreact("ada", id, emoji(3)).unwrap();
    world.react("bob", id, emoji(20)).unwrap();
}

#[test]
fn members_react_and_readers_and_strangers_do_not() {
    let mut world = World::new();
    let (room, id) = world.said();
    let thumb = named("👍");
    let react = |world: &mut World, by| world.react(by, id, thumb.clone()).map(drop);
    assert_eq!(react(&mut world, "bob"), Err(Code::Forbidden));
    world.add("ada", room, "bob", None).unwrap();
    assert_eq!(react(&mut world, "bob"), Ok(()));
    world.add("ada", room, "bob", Some(Role::Reader)).unwrap();
    assert_eq!(react(&mut world, "bob"), Err(Code::Forbidden));
    // What one has said oneself may be taken back.
    let left = world.unreact("bob", id, thumb.clone()).unwrap();
    assert_eq!(under(&left), []);

    let private = world.room("ada", Visibility::Private);
    let hidden = MessageId::generate();
    world.send("ada", private, hidden, "hello").unwrap();
    for message in [hidden, MessageId::generate()] {
        let refused = world.react("bob", message, thumb.clone());
        assert_eq!(refused.unwrap_err(), Code::NotFound);
        let refused = world.unreact("bob", message, thumb.clone());
        assert_eq!(refused.unwrap_err(), Code::NotFound);
    }
}

#[test]
fn a_deleted_message_has_no_reactions_and_takes_none() {
    let mut world = World::new();
    let (_, id) = world.said();
    let thumb = named("👍");
    world.react("ada", id, thumb.clone()).unwrap();
    let deleted = world.delete("ada", id).unwrap();
    assert_eq!(under(&deleted), []);
    let refused = world.react("ada", id, thumb.clone());
    assert_eq!(refused.unwrap_err(), Code::Conflict);
    assert_eq!(world.unreact("ada", id, thumb).unwrap(), deleted);
    let changes = world.changes();
    assert!(changes.reactors.is_empty() && changes.reactions.is_empty());
    let kinds = changes.events.iter().map(|event| event.message().is_some());
    assert_eq!(kinds.filter(|is_there| *is_there).count(), 3);
}

#[test]
fn a_batch_writes_how_each_reaction_ends() {
    let mut world = World::new();
    let (_, id) = world.said();
    for emoji in ["👍", "🎉"] {
        world.react("ada", id, named(emoji)).unwrap();
    }
    world.unreact("ada", id, named("👍")).unwrap();
    world.edit("ada", id, "better", None).unwrap();
    let reply = MessageId::generate();
    let room = world.0.message(id).unwrap().room;
    let sent = world.reply("ada", room, reply, "so?", Some(id)).unwrap();
    let quoted = sent.message.reply_to.as_ref().unwrap();
    assert_eq!(under(quoted.message.as_ref().unwrap()), [("🎉", 1)]);
    let changes = world.changes();
    let there: Vec<_> = changes.reactors.iter().map(|it| it.1.is_some()).collect();
    assert_eq!(there, [false, true]);
    let counts: Vec<_> = changes.reactions.iter().map(|it| it.2.is_some()).collect();
    assert_eq!(counts, [false, true]);
    assert_eq!(under(&changes.sent[0]), [("🎉", 1)]);
}
