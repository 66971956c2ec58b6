//! Who is there: one state for each user, however many devices. Pure: told of sockets and of the time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Timestamp, User, UserId};

/// How someone stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Has a live socket.
    Online,
    /// Has one, and said that nobody is there.
    Away,
    /// Has none.
    Offline,
}

/// What others are told about a user.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// Who, as its newest token showed it.
    pub user: Arc<User>,
    /// How it stands now.
    pub status: Status,
    /// When its last socket ended; `None` while there is one.
    pub last_seen_at: Option<Timestamp>,
}

impl Change {
    /// How someone stands who has not come or gone just now.
    pub(super) fn now(user: &Arc<User>, status: Status) -> Self {
        Self {
            user: user.clone(),
            status,
            last_seen_at: None,
        }
    }
}

/// Everyone who has a socket, or had one a moment ago.
#[derive(Default)]
pub(super) struct People {
    there: HashMap<UserId, Being>,
    /// Those whose last socket was cut off, by when they count as gone.
    lapses: BTreeSet<(Instant, UserId)>,
}

struct Being {
    user: Arc<User>,
    sockets: u32,
    away: bool,
    cut: Option<Cut>,
}

/// The last socket ended without a word.
#[derive(Clone, Copy)]
struct Cut {
    at: Timestamp,
    lapses_at: Instant,
}

impl Being {
    fn status(&self) -> Status {
        if self.away {
            Status::Away
        } else {
            Status::Online
        }
    }
}

impl People {
    /// After a cut: a lift ride, or one mast to the next, is not worth telling everyone twice.
    pub(super) const GRACE: Duration = Duration::from_secs(15);

    /// One more socket of a user.
    pub(super) fn arrive(&mut self, user: &Arc<User>) -> Option<Change> {
        let Some(being) = self.there.get_mut(&user.id) else {
            let being = Being {
                user: user.clone(),
                sockets: 1,
                away: false,
                cut: None,
            };
            self.there.insert(user.id.clone(), being);
            return Some(Change::now(user, Status::Online));
        };
        being.sockets += 1;
        if let Some(cut) = being.cut.take() {
            self.lapses.remove(&(cut.lapses_at, user.id.clone()));
        }
        self.renew(user)
    }

    /// What a newer token shows of a user; told where others would see it.
    pub(super) fn renew(&mut self, user: &Arc<User>) -> Option<Change> {
        let being = self.there.get_mut(&user.id)?;
        if being.user.profile_at > user.profile_at {
            return None;
        }
        let shown = |user: &User| (user.name.clone(), user.avatar_url.clone());
        let is_other = shown(&being.user) != shown(user);
        being.user = user.clone();
        is_other.then(|| Change::now(user, being.status()))
    }

    /// One socket less. `cleanly`: its client closed it. Then the last one is the end at once, else after [`Self::GRACE`].
    pub(super) fn leave(
        &mut self,
        user: &UserId,
        cleanly: bool,
        now: Instant,
        at: Timestamp,
    ) -> Option<Change> {
        let being = self.there.get_mut(user)?;
        being.sockets = being.sockets.saturating_sub(1);
        if being.sockets > 0 {
            return None;
        }
        if cleanly {
            return self.gone(user, at);
        }
        let lapses_at = now + Self::GRACE;
        being.cut = Some(Cut { at, lapses_at });
        self.lapses.insert((lapses_at, user.clone()));
        None
    }

    /// What a user says of itself. Nothing where it has no socket: then there is nobody to be away.
    pub(super) fn set_away(&mut self, user: &UserId, away: bool) -> Option<Change> {
        let being = self.there.get_mut(user)?;
        if being.away == away {
            return None;
        }
        being.away = away;
        Some(Change::now(&being.user, being.status()))
    }

    /// One whose grace is over.
    pub(super) fn lapse(&mut self, now: Instant) -> Option<Change> {
        while let Some((_, user)) = self.lapses.first().filter(|(at, _)| *at <= now).cloned() {
            let cut = self.there.get(&user).and_then(|being| being.cut);
            self.lapses.pop_first();
            let gone = cut.and_then(|cut| self.gone(&user, cut.at));
            if gone.is_some() {
                return gone;
            }
        }
        None
    }

    /// When the next grace is over.
    pub(super) fn next_lapse(&self) -> Option<Instant> {
        self.lapses.first().map(|(at, _)| *at)
    }

    /// How a user stands, and as who.
    pub(super) fn get(&self, user: &UserId) -> Option<(&Arc<User>, Status)> {
        let being = self.there.get(user)?;
        Some((&being.user, being.status()))
    }

    /// When each was last seen who is there, if this is the end.
    pub(super) fn last_seen(&self, now: Timestamp) -> impl Iterator<Item = (UserId, Timestamp)> {
        let seen = self.there.iter();
        seen.map(move |(id, being)| (id.clone(), being.cut.map_or(now, |cut| cut.at)))
    }

    fn gone(&mut self, user: &UserId, at: Timestamp) -> Option<Change> {
        let being = self.there.remove(user)?;
        Some(Change {
            user: being.user,
            status: Status::Offline,
            last_seen_at: Some(at),
        })
    }
}
