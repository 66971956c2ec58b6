//! What counts as one emoji, and its one spelling.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

use unicode_properties::UnicodeEmoji;
use unicode_properties::emoji::{
    EmojiStatus, is_emoji_presentation_selector, is_regional_indicator, is_tag_character, is_zwj,
};
use unicode_segmentation::UnicodeSegmentation;

use crate::error::Error;

/// Exactly one emoji: one grapheme cluster that has the form of an emoji of UTS #51. A skin tone makes another one.
///
/// Keyboards differ in whether they say that a character is to be shown as an emoji (variation selector 16). It is kept
/// with the selector where it needs one and without where it does not, so that a heart is a heart.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Emoji(Arc<str>);

const PRESENTED_AS_EMOJI: char = '\u{FE0F}';
const KEYCAP: char = '\u{20E3}';
const END_OF_TAGS: char = '\u{E007F}';

impl Emoji {
    /// The longest that are in use, families with skin tones, have 41.
    pub const MAX_BYTES: usize = 64;

    /// Reads an emoji.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` for anything else, also for two of them or text beside one.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let short = Some(text).filter(|text| text.len() <= Self::MAX_BYTES);
        let spelled = short.and_then(spelled);
        let one = spelled.filter(|text| text.graphemes(true).count() == 1);
        one.map(|text| Self(text.into())).ok_or(Error::BadEmoji)
    }

    /// The emoji as a store kept it.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Emoji {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Elements with joiners between them (UTS #51, 1.4.9: a regular expression for what may be an emoji), each in its one
/// spelling. Where two clusters would have that form, the caller counts.
fn spelled(text: &str) -> Option<String> {
    let mut chars = text.chars().peekable();
    let mut out = String::with_capacity(text.len());
    loop {
        element(&mut chars, &mut out)?;
        match chars.next() {
            None => return Some(out),
            Some(joiner) if is_zwj(joiner) => out.push(joiner),
            Some(_) => return None,
        }
    }
}

fn element(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Option<()> {
    let base = chars.next().filter(|it| it.is_emoji_char())?;
    out.push(base);
    if is_regional_indicator(base) {
        out.push(chars.next().filter(|it| is_regional_indicator(*it))?);
        return Some(());
    }
    chars.next_if(|it| is_emoji_presentation_selector(*it));
    if base.is_ascii() {
        // A digit, # or * is itself text.
        chars.next_if_eq(&KEYCAP)?;
        out.extend([PRESENTED_AS_EMOJI, KEYCAP]);
    } else if let Some(tone) = chars.next_if(|it| is_tone(*it)) {
        takes_tones(base).then(|| out.push(tone))?;
    } else if !is_presented_as_emoji(base) {
        out.push(PRESENTED_AS_EMOJI);
    }
    tags(chars, out)
}

/// What makes a black flag that of a part of a country.
fn tags(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Option<()> {
    while let Some(tag) = chars.next_if(|it| is_tag_character(*it)) {
        out.push(tag);
        let last = chars.peek().is_none_or(|next| !is_tag_character(*next));
        if last && tag != END_OF_TAGS {
            return None;
        }
    }
    Some(())
}

fn is_tone(of: char) -> bool {
    of.emoji_status() == EmojiStatus::EmojiPresentationAndModifierAndEmojiComponent
}

fn takes_tones(base: char) -> bool {
    matches!(
        base.emoji_status(),
        EmojiStatus::EmojiModifierBase | EmojiStatus::EmojiPresentationAndModifierBase
    )
}

fn is_presented_as_emoji(of: char) -> bool {
    matches!(
        of.emoji_status(),
        EmojiStatus::EmojiPresentation
            | EmojiStatus::EmojiPresentationAndModifierBase
            | EmojiStatus::EmojiPresentationAndEmojiComponent
            | EmojiStatus::EmojiPresentationAndModifierAndEmojiComponent
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILY: &str = "👩🏽‍❤️‍💋‍👨🏻";

    #[test]
    fn one_emoji_of_any_kind_is_taken_as_it_is() {
        for text in [
            "👍",
            "👍🏽",
            "👨‍👩‍👧‍👦",
            FAMILY,
            "🏳️‍🌈",
            "🏴‍☠️",
            "🇳🇱",
            "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
            "1️⃣",
            "#️⃣",
            "❤️",
            "❤️‍🔥",
            "👁️‍🗨️",
            "⛹🏽‍♀️",
            "🧑🏽‍🚀",
            "©️",
            "🏽",
            "🫩",
        ] {
            assert_eq!(Emoji::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn an_emoji_has_one_spelling() {
        for (text, spelled) in [
            ("\u{2764}", "\u{2764}\u{fe0f}"),
            (
                "\u{2764}\u{200d}\u{1f525}",
                "\u{2764}\u{fe0f}\u{200d}\u{1f525}",
            ),
            ("\u{1f44d}\u{fe0f}", "\u{1f44d}"),
            ("\u{261d}\u{fe0f}\u{1f3fd}", "\u{261d}\u{1f3fd}"),
            ("1\u{20e3}", "1\u{fe0f}\u{20e3}"),
        ] {
            assert_eq!(Emoji::parse(text).unwrap().as_str(), spelled);
        }
    }

    #[test]
    fn what_is_no_emoji_or_more_than_one_is_refused() {
        for text in [
            "",
            " ",
            "a",
            "é",
            "字",
            "1",
            "#",
            ":thumbsup:",
            "\n",
            "\0",
            "\u{200d}",
            "\u{fe0f}",
            "\u{20e3}",
            "👍👍",
            "👍 ",
            " 👍",
            "👍a",
            "👍\u{301}",
            "👍\u{200d}",
            "\u{200d}👍",
            "👍\u{fe0e}",
            "\u{2764}\u{fe0e}",
            "🇳",
            "🇳🇱🇩🇪",
            "🇳👍",
            "🇳🇱\u{200d}👍",
            "1️⃣\u{200d}👍",
            "👍\u{20e3}",
            "🍕🏽",
            "🏴\u{e0067}\u{e0062}",
            "a\u{200d}👍",
            "z̸̡͓̪͎̱",
        ] {
            let error = Emoji::parse(text).unwrap_err();
            assert_eq!(error.field(), Some("emoji"), "{text:?}");
        }
    }

    #[test]
    fn an_emoji_of_64_bytes_is_taken_and_a_longer_one_refused() {
        let joined = |bytes: usize| vec!["👩"; (bytes + 3) / 7].join("\u{200d}");
        assert_eq!((joined(60).len(), joined(67).len()), (60, 67));
        assert!(Emoji::parse(&joined(60)).is_ok());
        let error = Emoji::parse(&joined(67)).unwrap_err();
        assert_eq!(error.limit(), Some(Emoji::MAX_BYTES));
        let exact = format!("{}{}", joined(60), "\u{1f3fd}");
        assert_eq!(exact.len(), 64);
        assert!(Emoji::parse(&exact).is_ok());
    }
}
