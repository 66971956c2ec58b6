//! Text that users write, checked once at the border.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;

/// What a message says: at most 16 KiB of UTF-8, not blank unless there is `data` beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageBody(Arc<str>);

impl MessageBody {
    /// Chat, with room.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// Reads a body. It is kept byte for byte: nothing is trimmed or normalised.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` when it is over the limit, or blank with no `data` beside it.
    pub fn parse(text: &str, has_data: bool) -> Result<Self, Error> {
        if text.len() > Self::MAX_BYTES {
            return Err(Error::BodyTooLong { bytes: text.len() });
        }
        if !has_data && text.trim().is_empty() {
            return Err(Error::BodyBlank);
        }
        Ok(Self(text.into()))
    }

    /// The body as a store kept it.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A room's name: 1 to 200 characters, not blank, no control characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// Characters (Unicode scalar values). More than a phone shows on two lines.
    pub const MAX_CHARS: usize = 200;

    /// Reads a name.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` when it is blank, over the limit, or holds a control character.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let sound = !text.trim().is_empty()
            && text.chars().count() <= Self::MAX_CHARS
            && !text.chars().any(char::is_control);
        if sound {
            Ok(Self(text.into()))
        } else {
            Err(Error::BadRoomName)
        }
    }

    /// The name as a store kept it.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The app's own JSON beside a message or a room: at most 4 KiB as compact text. Never JSON `null`, which means absent.
#[derive(Clone, PartialEq, Eq)]
pub struct Data(Arc<serde_json::Value>);

impl Data {
    /// Enough for cards, mentions and an attachment's address; the attachment itself lives elsewhere.
    pub const MAX_BYTES: usize = 4 * 1024;

    /// Takes a JSON value; `null` is `None`.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` when its compact text is over the limit, or holds a number beyond the whole ones of 64 bits.
    pub fn parse(value: serde_json::Value) -> Result<Option<Self>, Error> {
        if value.is_null() {
            return Ok(None);
        }
        if holds_what_was_rounded(&value) {
            return Err(Error::BadInput {
                field: "data",
                why: "a number in it is beyond what 64 bits hold exactly; send it as a string"
                    .to_owned(),
            });
        }
        let bytes = value.to_string().len();
        if bytes > Self::MAX_BYTES {
            return Err(Error::DataTooLong { bytes });
        }
        Ok(Some(Self(Arc::new(value))))
    }

    /// The value as a store kept it.
    pub fn stored(value: serde_json::Value) -> Self {
        Self(Arc::new(value))
    }

    /// The value.
    pub fn value(&self) -> &serde_json::Value {
        &self.0
    }
}

/// Whether there is a number beyond the whole ones that 64 bits hold. JSON has them, and a reader has made the nearest of its
/// floating point numbers of it: where it was whole, another number, in silence. How it was written is not known any more, so
/// `1e300` goes with them.
fn holds_what_was_rounded(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    const BITS_64: f64 = 18_446_744_073_709_551_616.0;
    match value {
        Value::Number(number) => {
            // The least that is held exactly is read as no floating point number.
            let held = |it| -BITS_64 / 2.0 < it && it < BITS_64;
            number.is_f64() && !number.as_f64().is_some_and(held)
        }
        Value::Array(values) => values.iter().any(holds_what_was_rounded),
        Value::Object(fields) => fields.values().any(holds_what_was_rounded),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// Compact JSON, as it is stored and fingerprinted.
impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Does not show the value: it is a user's.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Data(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Of a few in a hundred a reader that is content with less gets the last bit wrong.
        #[test]
        fn a_number_with_a_fraction_comes_back_as_it_was(number in -1e15..1e15) {
            let text = serde_json::json!([number]).to_string();
            let kept = Data::parse(serde_json::from_str(&text).unwrap()).unwrap();
            assert_eq!(kept.unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_body_of_16_kib_is_taken_and_one_byte_more_refused() {
        assert!(MessageBody::parse(&"a".repeat(16 * 1024), false).is_ok());
        assert!(MessageBody::parse(&"a".repeat(16 * 1024 + 1), false).is_err());
    }

    #[test]
    fn a_blank_body_needs_data_beside_it() {
        assert!(MessageBody::parse(" \n\u{3000}", false).is_err());
        assert!(MessageBody::parse("", true).is_ok());
    }

    #[test]
    fn a_name_of_200_characters_is_taken_and_of_201_refused() {
        assert!(RoomName::parse(&"é".repeat(200)).is_ok());
        assert!(RoomName::parse(&"é".repeat(201)).is_err());
        assert!(RoomName::parse("  ").is_err());
        assert!(RoomName::parse("a\u{0}b").is_err());
    }

    #[test]
    fn data_of_4_kib_is_taken_and_one_byte_more_refused() {
        let text = |len: usize| serde_json::Value::String("a".repeat(len - 2));
        assert!(Data::parse(text(4096)).is_ok());
        assert!(Data::parse(text(4097)).is_err());
        assert!(Data::parse(serde_json::Value::Null).unwrap().is_none());
    }

    #[test]
    fn numbers_of_64_bits_come_back_as_they_were_and_greater_whole_ones_are_refused() {
        let parse = |text: &str| Data::parse(serde_json::from_str(text).unwrap());
        for exact in [
            "18446744073709551615",
            "-9223372036854775808",
            "[0.1,-2.5,9007199254740993]",
            "{\"a\":[1.5]}",
        ] {
            assert_eq!(parse(exact).unwrap().unwrap().to_string(), exact);
        }
        for rounded in [
            "18446744073709551616",
            "18446744073709551617",
            "-9223372036854775809",
            "-9223372036854777000",
            "[[{\"a\":100000000000000000000000}]]",
            "1e300",
        ] {
            let refused = parse(rounded).unwrap_err();
            assert!(
                refused.to_string().contains("64 bits"),
                "{rounded}: {refused}"
            );
        }
    }
}
