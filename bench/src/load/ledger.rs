//! What was sent and what has come: numbers, times, lengths.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::stamp::Stamp;

pub struct Ledger {
    /// Clients that have asked for whatever they wanted.
    pub ready: usize,
    /// Clients that have been cut off, as they may be.
    pub lost: usize,
    /// Messages that reached a client.
    pub deliveries: u64,
    /// Deliveries that are still due, once everyone hears.
    pub outstanding: i64,
    /// Operations of the publisher that the server said it executed.
    pub accepted: usize,
    /// Bytes of the latest message's frame.
    pub wire_bytes: usize,
    /// What every frame must be; nothing while that is being found out.
    pub frame_bytes: Option<usize>,
    /// When each message of each room was sent; nothing where another publishes.
    sent: Option<Vec<Vec<Instant>>>,
    now: Instant,
    /// In microseconds, of every delivery while measuring.
    latencies: Option<Vec<u32>>,
}

impl Ledger {
    pub fn of_listeners() -> Self {
        Self {
            ready: 0,
            lost: 0,
            deliveries: 0,
            outstanding: 0,
            accepted: 0,
            wire_bytes: 0,
            frame_bytes: None,
            sent: None,
            now: Instant::now(),
            latencies: None,
        }
    }

    pub fn of_publisher() -> Self {
        Self {
            sent: Some(Vec::new()),
            ..Self::of_listeners()
        }
    }

    /// There are so many rooms from now on, with nothing sent.
    pub fn open_rooms(&mut self, rooms: usize) {
        self.sent = Some(vec![Vec::new(); rooms]);
    }

    /// What is received from now on is received now: one look at the clock for each read.
    pub fn tick(&mut self) {
        self.now = Instant::now();
    }

    /// The stamp of a room's next message, which is being sent.
    pub fn send(&mut self, room: usize) -> Stamp {
        let number = self.sent(room);
        if let Some(sent) = &mut self.sent {
            sent[room].push(Instant::now());
        }
        Stamp { room, number }
    }

    /// Messages sent to a room from here.
    pub fn sent(&self, room: usize) -> usize {
        self.sent.as_ref().map_or(0, |sent| sent[room].len())
    }

    /// Messages sent to all rooms from here.
    pub fn sent_to_all(&self) -> usize {
        let sent = self.sent.iter().flatten();
        sent.map(Vec::len).sum()
    }

    /// # Errors
    /// A message that was never sent, or a frame of another length than everyone's.
    pub fn received(&mut self, stamp: Stamp, wire_bytes: usize) -> anyhow::Result<()> {
        let expected = self.frame_bytes.unwrap_or(wire_bytes);
        ensure!(
            expected == wire_bytes,
            "{stamp:?} came in {wire_bytes} bytes, not {expected}"
        );
        if let Some(sent) = &self.sent {
            let sent = sent.get(stamp.room).and_then(|room| room.get(stamp.number));
            let sent = sent.with_context(|| format!("{stamp:?} was never sent"))?;
            if let Some(latencies) = &mut self.latencies {
                let micros = self.now.saturating_duration_since(*sent).as_micros();
                latencies.push(micros.try_into().unwrap_or(u32::MAX));
            }
        }
        self.wire_bytes = wire_bytes;
        self.deliveries += 1;
        self.outstanding -= 1;
        Ok(())
    }

    /// Latencies are kept from now on.
    pub fn measure(&mut self) {
        self.latencies = Some(Vec::new());
    }

    /// Those kept since, sorted.
    pub fn measured(&mut self) -> Vec<Duration> {
        let mut latencies = self.latencies.take().unwrap_or_default();
        latencies.sort_unstable();
        latencies
            .into_iter()
            .map(|micros| Duration::from_micros(micros.into()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_sent_or_has_another_length_is_an_error() {
        let mut ledger = Ledger::of_publisher();
        ledger.open_rooms(2);
        let stamp = ledger.send(1);
        ledger.frame_bytes = Some(610);
        assert!(ledger.received(stamp, 610).is_ok());
        assert!(ledger.received(stamp, 611).is_err());
        let (room, number) = (0, 0);
        assert!(ledger.received(Stamp { room, number }, 610).is_err());
        assert_eq!(ledger.deliveries, 1);
    }
}
