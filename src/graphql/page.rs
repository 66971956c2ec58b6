//! Which part of a list is asked for, and the cursors of lists that are not in log order.

use super::error::Result;
use crate::error::Error;
use crate::model::{RoomId, Seq, Timestamp, UserId};
use crate::store::{MemberKey, Page, PageArgs, RoomKey};

/// So many where nothing is said.
const DEFAULT: usize = 50;
/// More than a screen shows, and few enough that a page's rows stay in one batch of a connection's queue.
const MAX: usize = 100;

/// The arguments of a connection as they came.
pub(super) struct Asked {
    pub(super) first: Option<i32>,
    pub(super) last: Option<i32>,
}

/// A part of a list to be read.
pub(super) struct Wanted<K> {
    /// What the store is asked. At least one item, so that an empty page knows what it leaves out.
    pub(super) args: PageArgs<K>,
    nothing: bool,
}

impl Asked {
    /// Puts sizes and bounds together.
    ///
    /// # Errors
    /// `BAD_USER_INPUT`: both `first` and `last`, a negative one, or one over the limit.
    pub(super) fn between<K>(&self, after: Option<K>, before: Option<K>) -> Result<Wanted<K>> {
        let backwards = self.last.is_some();
        if self.first.is_some() && backwards {
            return Err(Error::BadInput {
                field: "last",
                why: "first and last exclude each other".to_owned(),
            }
            .into());
        }
        let limit = match self.last {
            Some(_) => size("last", self.last, DEFAULT, MAX)?,
            None => size("first", self.first, DEFAULT, MAX)?,
        };
        Ok(Wanted {
            args: PageArgs {
                after,
                before,
                limit: limit.max(1),
                backwards,
            },
            nothing: limit == 0,
        })
    }
}

impl<K> Wanted<K> {
    /// The page as it was asked for: of none, what was read to see whether there is any goes again.
    pub(super) fn cut<T: Clone>(&self, page: &Page<T>) -> Page<T> {
        let mut page = page.clone();
        if self.nothing && !page.items.is_empty() {
            page.items.clear();
            page.has_previous |= self.args.backwards;
            page.has_next |= !self.args.backwards;
        }
        page
    }
}

/// A page's size: `default` where nothing is said.
///
/// # Errors
/// `BAD_USER_INPUT` when it is negative or over `max`.
pub(super) fn size(
    field: &'static str,
    asked: Option<i32>,
    default: usize,
    max: usize,
) -> Result<usize, Error> {
    let Some(asked) = asked else {
        return Ok(default);
    };
    let size = usize::try_from(asked).ok().filter(|size| *size <= max);
    size.ok_or(Error::BadPageSize {
        field,
        asked,
        limit: max,
    })
}

/// A place in a list whose order is not the log's, as an opaque text.
pub(super) trait Place: Sized {
    /// Its text.
    fn text(&self) -> String;
    /// The place that a text names, if it is one of this list's.
    fn read(text: &str) -> Option<Self>;

    /// A bound of a connection.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` naming `field`.
    fn bound(field: &'static str, text: Option<String>) -> Result<Option<Self>, Error> {
        let read = |text: String| Self::read(&text).ok_or(Error::BadCursor { field });
        text.map(read).transpose()
    }
}

/// `r`, the instant and the room, in hexadecimal.
impl Place for RoomKey {
    fn text(&self) -> String {
        format!("r{:016x}{}", self.at.0, self.id.uuid().as_simple())
    }

    fn read(text: &str) -> Option<Self> {
        let (at, id) = text.strip_prefix('r')?.split_at_checked(16)?;
        let at = Timestamp(hex(at)?.cast_signed());
        let id = RoomId::from_uuid(uuid::Uuid::from_u128(hex_long(id)?));
        Some(Self { at, id })
    }
}

/// `m`, the place of joining and the user, in hexadecimal.
impl Place for MemberKey {
    fn text(&self) -> String {
        let mut text = format!("m{:016x}", self.joined_seq.0);
        for byte in self.user.as_str().bytes() {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }

    fn read(text: &str) -> Option<Self> {
        let (seq, user) = text.strip_prefix('m')?.split_at_checked(16)?;
        // The store's numbers are signed.
        let joined_seq = Seq(hex(seq).filter(|seq| i64::try_from(*seq).is_ok())?);
        let bytes: Option<Vec<u8>> = (0..user.len())
            .step_by(2)
            .map(|at| u8::try_from(hex(user.get(at..at + 2)?)?).ok())
            .collect();
        let user = String::from_utf8(bytes?).ok()?;
        let user = UserId::parse("after", &user).ok()?;
        Some(Self { joined_seq, user })
    }
}

/// One spelling only: no sign, no upper case.
fn is_hex(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

fn hex(text: &str) -> Option<u64> {
    is_hex(text)
        .then(|| u64::from_str_radix(text, 16).ok())
        .flatten()
}

fn hex_long(text: &str) -> Option<u128> {
    let sound = text.len() == 32 && is_hex(text);
    sound.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(first: Option<i32>, last: Option<i32>) -> Result<(usize, bool), Error> {
        let asked = Asked { first, last };
        let wanted = asked.between::<Seq>(None, None);
        wanted
            .map(|wanted| (wanted.args.limit, wanted.args.backwards))
            .map_err(|told| told.into_error())
    }

    #[test]
    fn fifty_unless_said() {
        assert_eq!(asked(None, None).unwrap(), (50, false));
        assert_eq!(asked(Some(100), None).unwrap(), (100, false));
        assert_eq!(asked(None, Some(7)).unwrap(), (7, true));
    }

    #[test]
    fn a_bad_size_names_its_argument_and_the_limit() {
        for (first, last, field) in [
            (Some(101), None, "first"),
            (Some(-1), None, "first"),
            (None, Some(101), "last"),
            (None, Some(i32::MIN), "last"),
        ] {
            let error = asked(first, last).unwrap_err();
            assert_eq!((error.field(), error.limit()), (Some(field), Some(100)));
        }
        assert_eq!(asked(Some(1), Some(1)).unwrap_err().field(), Some("last"));
    }

    #[test]
    fn a_page_of_none_knows_what_it_leaves_out() {
        let page = |items: Vec<u8>| Page {
            items,
            has_previous: false,
            has_next: false,
        };
        let none = |first, last| Asked { first, last }.between::<Seq>(None, None).unwrap();
        let forwards = none(Some(0), None);
        assert!(forwards.cut(&page(vec![1])).has_next);
        assert!(forwards.cut(&page(vec![1])).items.is_empty());
        assert!(!forwards.cut(&page(vec![])).has_next);
        let backwards = none(None, Some(0)).cut(&page(vec![1]));
        assert!(backwards.has_previous && !backwards.has_next);
    }

    #[test]
    fn places_survive_their_text() {
        let room = RoomKey {
            at: Timestamp(-5),
            id: RoomId::LOBBY,
        };
        assert_eq!(RoomKey::read(&room.text()), Some(room));
        let member = MemberKey {
            joined_seq: Seq(77),
            user: UserId::parse("id", "auth0|Ada é").unwrap(),
        };
        assert_eq!(MemberKey::read(&member.text()), Some(member));
    }

    #[test]
    fn garbage_is_no_place() {
        let room = RoomKey {
            at: Timestamp(1),
            id: RoomId::LOBBY,
        }
        .text();
        let upper = room.to_uppercase();
        for text in [
            "",
            "r",
            "é",
            "r0",
            &room[1..],
            &room[..48],
            &upper,
            "m+000000000000001aa",
        ] {
            assert!(RoomKey::read(text).is_none(), "{text}");
        }
        for text in [
            "m",
            "m0000000000000001",
            "m0000000000000001a",
            "m0000000000000001ff",
            "m000000000000000100",
            "mffffffffffffffff61",
            "m0000000000000001é",
            &room,
        ] {
            assert!(MemberKey::read(text).is_none(), "{text}");
        }
    }
}
