//! Pages of rooms, messages and members, in either direction.

/// Rooms between two places, in one direction. Binds of the list first, then `after` and `before` as (at, id) each,
/// then the limit. The list runs downwards, so what comes after a place is less than it.
macro_rules! room_page {
    ($from:literal, $direction:literal) => {
        concat!(
            "SELECT ", room!(), " FROM ", $from,
            " AND (room.last_activity_at, room.id) < (?, ?) AND (room.last_activity_at, room.id) > (?, ?) ",
            "ORDER BY room.last_activity_at ", $direction, ", room.id ", $direction, " LIMIT ?",
        )
    };
}

macro_rules! public_rooms {
    ($direction:literal) => {
        room_page!(
            "rooms AS room WHERE room.visibility = 1 AND room.deleted = 0",
            $direction
        )
    };
}

macro_rules! rooms_of {
    ($direction:literal) => {
        room_page!(
            "members AS member CROSS JOIN rooms AS room ON room.id = member.room \
             WHERE member.user = ? AND member.standing = 1 AND room.deleted = 0",
            $direction
        )
    };
}

/// For each pair of users a piece of the rooms that both are in. Binds: pairs of user ids; then as above.
macro_rules! rooms_shared {
    ($direction:literal) => {
        concat!(
            "SELECT list.key, ", room!(), " FROM json_each(?) AS list CROSS JOIN rooms AS room ON room.id IN (",
            "SELECT piece.id FROM members AS member CROSS JOIN members AS other ON other.room = member.room ",
            "CROSS JOIN rooms AS piece ON piece.id = member.room WHERE member.user = list.value ->> 0 AND member.standing = 1 ",
            "AND other.user = list.value ->> 1 AND other.standing = 1 AND piece.deleted = 0 ",
            "AND (piece.last_activity_at, piece.id) < (?, ?) AND (piece.last_activity_at, piece.id) > (?, ?) ",
            "ORDER BY piece.last_activity_at ", $direction, ", piece.id ", $direction, " LIMIT ?)",
        )
    };
}

pub(in super::super) const ROOMS_PUBLIC: [&str; 2] = [public_rooms!("DESC"), public_rooms!("ASC")];
pub(in super::super) const ROOMS_OF: [&str; 2] = [rooms_of!("DESC"), rooms_of!("ASC")];
pub(in super::super) const ROOMS_SHARED: [&str; 2] = [rooms_shared!("DESC"), rooms_shared!("ASC")];

/// For each room a piece of its messages. Binds: room ids; after; before; limit.
macro_rules! message_pages {
    ($direction:literal) => {
        concat!(
            "SELECT list.key, ", message!(), " FROM json_each(?) AS list CROSS JOIN messages AS message ",
            "ON message.seq IN (SELECT piece.seq FROM messages AS piece WHERE piece.room = unhex(list.value, '-') ",
            "AND piece.seq > ? AND piece.seq < ? ORDER BY piece.seq ", $direction, " LIMIT ?)",
            with_reply!(),
        )
    };
}

pub(in super::super) const MESSAGE_PAGES: [&str; 2] =
    [message_pages!("ASC"), message_pages!("DESC")];

/// For each room a piece of its active members. Binds: room ids; after as (seq, user); before as (seq, user); limit.
macro_rules! member_pages {
    ($direction:literal) => {
        concat!(
            "SELECT list.key, ", member!(), " FROM json_each(?) AS list CROSS JOIN members AS member ",
            "ON member.room = unhex(list.value, '-') AND member.user IN (SELECT piece.user FROM members AS piece ",
            "WHERE piece.room = unhex(list.value, '-') AND piece.standing = 1 ",
            "AND (piece.joined_seq, piece.user) > (?, ?) AND (piece.joined_seq, piece.user) < (?, ?) ",
            "ORDER BY piece.joined_seq ", $direction, ", piece.user ", $direction, " LIMIT ?) ",
            "CROSS JOIN users AS user ON user.id = member.user",
        )
    };
}

pub(in super::super) const MEMBER_PAGES: [&str; 2] = [member_pages!("ASC"), member_pages!("DESC")];
