//! Where in a payload something stands that every payload has: looked for once, then where it was the last time.

use memchr::memmem;

pub struct Mark {
    text: &'static [u8],
    was_at: usize,
}

impl Mark {
    pub const fn new(text: &'static str) -> Self {
        Self {
            text: text.as_bytes(),
            was_at: 0,
        }
    }

    /// What follows the mark; nothing where it is not in the payload.
    pub fn find<'a>(&mut self, payload: &'a [u8]) -> Option<&'a [u8]> {
        let is_there = |rest: &&[u8]| rest.starts_with(self.text);
        let at = match payload.get(self.was_at..).filter(is_there) {
            Some(_) => self.was_at,
            None => memmem::find(payload, self.text)?,
        };
        self.was_at = at;
        Some(&payload[at + self.text.len()..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_also_where_it_was_not_the_last_time() {
        let mut mark = Mark::new("id=");
        for (payload, rest) in [
            ("id=1", Some("1")),
            ("an id=2", Some("2")),
            ("an id=3", Some("3")),
            ("no", None),
            ("the id=4", Some("4")),
            ("id=5 id=6", Some("5 id=6")),
        ] {
            let found = mark.find(payload.as_bytes());
            assert_eq!(found, rest.map(str::as_bytes), "{payload}");
        }
    }
}
