//! What a crowd's publisher does: make rooms, send, and wait until everyone has everything.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::json;
use uuid::Uuid;

use super::client::Client;
use super::crowd::{Crowd, SILENCE};

/// Bytes of messages that wait for the publisher's socket to take them, in a burst.
const AHEAD_BYTES: usize = 64 * 1024;
/// Messages that are not answered yet, where they are answered. Tidings refuses more than 100.
const UNANSWERED_MAX: usize = 64;

const CREATE_ROOM: &str =
    "mutation Create($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }";

impl Crowd {
    /// Makes so many public rooms, in place of those that there were. Before any message is sent.
    pub fn make_rooms(&mut self, count: usize) -> anyhow::Result<Vec<String>> {
        let room_ids = (0..count)
            .map(|_| Uuid::now_v7().to_string())
            .collect::<Vec<_>>();
        for (n, id) in room_ids.iter().enumerate() {
            let name = format!("Room {n:04}");
            let input = json!({ "id": id, "name": name, "visibility": "PUBLIC" });
            self.publisher()?
                .execute(n, CREATE_ROOM, &json!({ "input": input }))?;
            self.wait("making rooms", |crowd| crowd.ledger.accepted > n)?;
        }
        self.ledger.accepted = 0;
        self.open_rooms(room_ids.clone());
        Ok(room_ids)
    }

    fn publisher(&mut self) -> anyhow::Result<&mut Client> {
        self.publisher.as_mut().context("nobody publishes here")
    }

    /// Sends messages until each subscriber has got one.
    pub fn warm_up(&mut self) -> anyhow::Result<()> {
        const PATIENCE: Duration = Duration::from_millis(500);
        let began = Instant::now();
        while self.subscribers.iter().any(|client| client.next.is_none()) {
            ensure!(
                began.elapsed() < 4 * SILENCE,
                "not everyone hears the publisher"
            );
            for room in 0..self.room_ids.len() {
                self.publish(room)?;
                self.wait("publishing", Self::may_publish)?;
            }
            let patience = Instant::now() + PATIENCE;
            while Instant::now() < patience && !self.all_have_all() {
                self.turn(Some(patience))?;
            }
        }
        self.wait("warming up", Self::all_have_all)?;
        self.ledger.outstanding = 0;
        Ok(())
    }

    /// Pads the bodies so that each frame has exactly so many bytes. There must be a subscriber.
    pub fn pad(&mut self, frame_bytes: usize) -> anyhow::Result<()> {
        self.warm_up()?;
        let others = self.ledger.wire_bytes.saturating_sub(self.body_bytes);
        self.body_bytes = frame_bytes.saturating_sub(others);
        self.ledger.frame_bytes = Some(frame_bytes);
        for room in 0..self.room_ids.len() {
            self.publish(room)?;
            self.wait("publishing", Self::may_publish)?;
        }
        self.drain().context("making all frames equally long")
    }

    /// Sends a room's next message.
    pub fn publish(&mut self, room: usize) -> anyhow::Result<()> {
        let body = self.ledger.send(room).body(self.body_bytes);
        self.ledger.outstanding += self.listeners[room];
        let (operation, room_id) = (self.ledger.sent_to_all(), self.room_ids[room].clone());
        self.publisher()?.publish(&room_id, &body, operation)
    }

    /// Sends one message each `interval`, to each of the rooms in turn, until `is_over` says so of how many were sent.
    pub fn pace(
        &mut self,
        rooms: &[usize],
        interval: Duration,
        is_over: impl Fn(usize) -> bool,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        for (n, room) in rooms.iter().cycle().enumerate() {
            if is_over(n) {
                break;
            }
            self.serve_until(began + interval * u32::try_from(n)?)?;
            self.wait("publishing", Self::may_publish)?;
            self.publish(*room)?;
            self.turn(Some(Instant::now()))?;
        }
        Ok(())
    }

    /// Sends `count` messages as fast as the server takes them, to each of the rooms in turn.
    pub fn burst(&mut self, rooms: &[usize], count: usize) -> anyhow::Result<()> {
        for room in rooms.iter().cycle().take(count) {
            self.publish(*room)?;
            self.wait("publishing", Self::may_publish)?;
        }
        Ok(())
    }

    /// Waits until all have all.
    pub fn drain(&mut self) -> anyhow::Result<()> {
        // Counting is for speed; what counts is that each client has what it must.
        self.wait("delivering", |crowd| {
            crowd.ledger.outstanding <= 0 && crowd.all_have_all()
        })
    }

    fn unanswered(&self) -> usize {
        if self.talk.answers() {
            self.ledger.sent_to_all() - self.ledger.accepted
        } else {
            0
        }
    }

    fn may_publish(&self) -> bool {
        let waiting = self.publisher.as_ref().map_or(0, Client::waiting_bytes);
        waiting < AHEAD_BYTES && self.unanswered() < UNANSWERED_MAX
    }

    fn all_have_all(&self) -> bool {
        let has_all = |client: &Client| client.next == Some(self.ledger.sent(client.room()));
        self.unanswered() == 0 && self.subscribers.iter().all(has_all)
    }
}
