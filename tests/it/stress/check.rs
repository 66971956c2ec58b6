//! Each stream against the log: what its viewer was always allowed to see is there once and in order, nothing else is,
//! and `AccessRevoked` stands in its place.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::director::Record;
use super::log::Log;
use super::stream::{Item, Kind, Millis, Run, Seq, Shown, Stream, What};

/// What was found.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) violations: Vec<String>,
    /// Events that were shown.
    pub(super) shown: u64,
    /// Places that were held to the log alone.
    pub(super) exact: u64,
    /// Places where a replay may differ from it, and did.
    pub(super) replayed: u64,
    pub(super) revoked: u64,
    pub(super) refused: u64,
    /// Bodies that were gone when they were shown.
    pub(super) blanked: u64,
}

/// When each deletion of a message was first seen by anyone.
pub(super) type Deletions = HashMap<Uuid, Millis>;

pub(super) fn deletions<'a>(streams: impl Iterator<Item = &'a Stream>) -> Deletions {
    let mut first = Deletions::new();
    for item in streams
        .flat_map(|stream| &stream.runs)
        .flat_map(|run| &run.items)
    {
        if let What::Event {
            kind: Kind::MessageDeleted,
            shown: Some(shown),
            ..
        } = &item.what
        {
            let at = first.entry(shown.message).or_insert(item.at);
            *at = item.at.min(*at);
        }
    }
    first
}

/// Holds streams against the log.
pub(super) struct Checker<'a> {
    pub(super) log: &'a Log,
    pub(super) record: &'a Record,
    pub(super) deletions: &'a Deletions,
    /// The tail missed something after this place, and from there on anyone may have been served from the store.
    pub(super) missed: Seq,
    pub(super) found: Findings,
}

/// A run as it is checked.
pub(super) struct Case<'a> {
    pub(super) stream: &'a Stream,
    pub(super) run: &'a Run,
    /// It shows what follows this place.
    pub(super) from: Seq,
    /// It is known to be whole up to here.
    pub(super) reached: Seq,
    /// When it was known to be live.
    pub(super) live: Millis,
    /// What it shows, in order.
    pub(super) shown: Vec<(Seq, &'a Item)>,
}

impl Checker<'_> {
    pub(super) fn stream(&mut self, stream: &Stream) {
        for (n, run) in stream.runs.iter().enumerate() {
            let before = self.found.violations.len();
            if let Some(case) = self.order(stream, run) {
                self.contents(&case);
                self.rooms(&case);
            }
            let named = |what: String| {
                format!(
                    "u{} {} {:?} {:?} run {n}: {what}",
                    stream.viewer, stream.id, stream.scope, stream.shape
                )
            };
            let new = self.found.violations.split_off(before);
            self.found.violations.extend(new.into_iter().map(named));
        }
    }

    pub(super) fn blame(&mut self, what: impl Into<String>) {
        self.found.violations.push(what.into());
    }

    /// Each event once and in order, and nothing after a place that was said to be reached.
    fn order<'a>(&mut self, stream: &'a Stream, run: &'a Run) -> Option<Case<'a>> {
        let from = run.from.or_else(|| first_place(run))?;
        let (mut last, mut revoked, mut caught_up) = (from, from, 0);
        let mut shown = Vec::new();
        for item in &run.items {
            let (is_event, may_repeat) = match &item.what {
                What::Position => (false, true),
                What::CaughtUp => {
                    caught_up += 1;
                    (false, true)
                }
                // Several rooms that cannot be seen are told at the place where it begins.
                What::Revoked(_) => (true, item.seq == from && revoked == from),
                What::Event { .. } => (true, false),
            };
            if item.seq < last || (item.seq == last && !may_repeat) {
                self.blame(format!("{item:?} after {last}"));
            }
            if is_event {
                shown.push((item.seq, item));
            }
            revoked = if is_event { item.seq } else { revoked };
            last = item.seq;
        }
        if caught_up > 1 {
            self.blame(format!("CaughtUp {caught_up} times"));
        }
        let live = live_since(run).unwrap_or(Millis::MAX);
        let case = Case {
            stream,
            run,
            from,
            reached: last,
            live,
            shown,
        };
        self.beginning(&case);
        Some(case)
    }

    /// What is sent on a socket behind the subscription is in it.
    fn beginning(&mut self, case: &Case<'_>) {
        let (viewer, scope) = (case.stream.viewer, &case.stream.scope);
        let own = case.run.first_own.filter(|_| case.run.from.is_none());
        let history = own.and_then(|own| self.log.history(own));
        let Some(seq) = history.map(|history| history.versions[0]) else {
            return;
        };
        let room = self.log.entry(seq).room;
        let known = case.known(seq);
        let is_followed = scope.covers(room)
            && self.log.may_follow(viewer, scope, room, seq)
            && self
                .log
                .turn(viewer, scope, room, seq, known, false)
                .is_none();
        if is_followed && case.from >= seq {
            let from = case.from;
            self.blame(format!(
                "it began at {from}; what was sent behind it is at {seq}"
            ));
        }
    }

    /// What is shown is what happened.
    fn contents(&mut self, case: &Case<'_>) {
        let mut deleted: BTreeSet<Uuid> = BTreeSet::new();
        for (seq, item) in &case.shown {
            let What::Event {
                kind,
                room,
                shown,
                user,
            } = &item.what
            else {
                self.found.revoked += 1;
                continue;
            };
            self.found.shown += 1;
            let entry = self.log.entry(*seq);
            let has_user = matches!(kind, Kind::MemberJoined | Kind::MemberLeft);
            let same = entry.kind == Some(*kind)
                && entry.room == *room
                && entry.message == shown.as_ref().map(|shown| shown.message)
                && (entry.user == *user || !has_user);
            if !same {
                self.blame(format!("{item:?} is not what happened"));
            }
            if let Some(shown) = shown {
                self.message(case, *seq, item.at, shown, &deleted);
                if *kind == Kind::MessageDeleted {
                    deleted.insert(shown.message);
                }
            }
        }
    }

    /// The event's version of a message or a newer one, and nothing that was deleted.
    fn message(
        &mut self,
        case: &Case<'_>,
        seq: Seq,
        at: Millis,
        shown: &Shown,
        deleted: &BTreeSet<Uuid>,
    ) {
        let history = self.log.history(shown.message).expect("it was sent");
        let event = history.versions.partition_point(|version| *version <= seq);
        let version = history.versions.get(shown.version as usize - 1);
        let room = self.log.entry(seq).room;
        let room_gone = self
            .log
            .deletion_of(room)
            .is_some_and(|gone| self.log.entry(gone).at <= at);
        match (shown.body, version) {
            // What went with its room has no version of its own any more.
            (None, _) if room_gone => {}
            (_, Some(version))
                if (shown.version as usize) >= event && self.log.entry(*version).at <= at => {}
            _ => self.blame(format!(
                "version {} of {} at {seq}",
                shown.version, shown.message
            )),
        }
        let gone = history
            .deleted
            .is_some_and(|deleted| self.log.entry(deleted).at <= at);
        match (shown.body, version) {
            (None, _) if gone || room_gone => self.found.blanked += 1,
            (Some(body), Some(version)) => {
                let said = self.log.entry(*version).said.unwrap_or(body);
                let is_deletion = history.deleted == Some(*version);
                if said != body
                    || is_deletion
                    || self.record.bodies.get(&body) != Some(&shown.message)
                {
                    self.blame(format!(
                        "{} at {seq} says what it never said",
                        shown.message
                    ));
                }
                self.is_not_deleted(case, seq, shown.message, history.deleted);
            }
            _ => self.blame(format!("{} at {seq} says nothing", shown.message)),
        }
        if let Some((quoted, body)) = shown.quoted {
            let gone = self.log.history(quoted).expect("it was sent").deleted;
            match body {
                Some(body) if self.record.bodies.get(&body) != Some(&quoted) => {
                    self.blame(format!("{quoted}, quoted at {seq}, never said that"));
                }
                Some(_) => self.is_not_deleted(case, seq, quoted, gone),
                None if room_gone || gone.is_some_and(|gone| self.log.entry(gone).at <= at) => {
                    self.found.blanked += 1;
                }
                None => self.blame(format!("{quoted}, quoted at {seq}, says nothing")),
            }
            if body.is_some() && deleted.contains(&quoted) {
                self.blame(format!("{quoted} is quoted at {seq}, behind its deletion"));
            }
        }
    }

    /// A body is not shown by an event behind its deletion, nor by a run that began when someone had seen it deleted.
    fn is_not_deleted(&mut self, case: &Case<'_>, seq: Seq, message: Uuid, deleted: Option<Seq>) {
        let is_behind = deleted.is_some_and(|deleted| deleted <= seq);
        let is_late = self
            .deletions
            .get(&message)
            .is_some_and(|seen| *seen < case.run.began);
        if is_behind || is_late {
            self.blame(format!(
                "{message} is shown at {seq} though it was deleted at {deleted:?}"
            ));
        }
    }
}

impl<'a> Case<'a> {
    pub(super) fn at(&self, seq: Seq) -> Option<&'a Item> {
        let at = self.shown.partition_point(|(other, _)| *other < seq);
        self.shown
            .get(at)
            .filter(|(other, _)| *other == seq)
            .map(|(_, item)| *item)
    }

    /// When the client knew that the stream had passed this place: nothing later can have been read for it.
    pub(super) fn known(&self, seq: Seq) -> Millis {
        let at = self.run.items.partition_point(|item| item.seq < seq);
        self.run
            .items
            .get(at)
            .map_or_else(|| self.run.refused.unwrap_or(0), |item| item.at)
    }
}

/// When a run was known to be live. A stream of messages does not say.
fn live_since(run: &Run) -> Option<Millis> {
    let told = run
        .items
        .iter()
        .find(|item| matches!(item.what, What::CaughtUp));
    told.map(|item| item.at)
}

/// Where a run began that was not told where to.
fn first_place(run: &Run) -> Option<Seq> {
    let first = run.items.first()?;
    Some(match first.what {
        What::Event { .. } => first.seq - 1,
        _ => first.seq,
    })
}
