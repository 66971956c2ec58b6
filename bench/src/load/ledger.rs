//! What was sent and what has come: numbers, times, lengths.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::stamp::Stamp;

pub struct Ledger {
    /// Messages that reached a client.
    pub deliveries: u64,
    /// Deliveries that are still due, once everyone hears.
    pub outstanding: i64,
    /// Messages that the server said it took.
    pub accepted: u64,
    /// Bytes of the latest message's frame.
    pub wire_bytes: usize,
    /// What every frame must be; nothing while that is being found out.
    pub frame_bytes: Option<usize>,
    /// When each message of each room was sent.
    sent: Vec<Vec<Instant>>,
    now: Instant,
    /// In microseconds, of every delivery while measuring.
    latencies: Option<Vec<u32>>,
}

impl Ledger {
    pub fn new(rooms: usize) -> Self {
        Self {
            deliveries: 0,
            outstanding: 0,
            accepted: 0,
            wire_bytes: 0,
            frame_bytes: None,
            sent: vec![Vec::new(); rooms],
            now: Instant::now(),
            latencies: None,
        }
    }

    /// What is received from now on is received now: one look at the clock for each read.
    pub fn tick(&mut self) {
        self.now = Instant::now();
    }

    /// The stamp of a room's next message, which is being sent.
    pub fn send(&mut self, room: usize) -> Stamp {
        let number = self.sent[room].len();
        self.sent[room].push(Instant::now());
        Stamp { room, number }
    }

    /// Messages sent to a room.
    pub fn sent(&self, room: usize) -> usize {
        self.sent[room].len()
    }

    /// Messages sent to all rooms.
    pub fn sent_to_all(&self) -> usize {
        self.sent.iter().map(Vec::len).sum()
    }

    /// # Errors
    /// A message that was never sent, or a frame of another length than everyone's.
    pub fn received(&mut self, stamp: Stamp, wire_bytes: usize) -> anyhow::Result<()> {
        if self
            .frame_bytes
            .is_some_and(|expected| expected != wire_bytes)
        {
            bail!(
                "{stamp:?} came in {wire_bytes} bytes, not {:?}",
                self.frame_bytes
            );
        }
        let Some(sent) = self
            .sent
            .get(stamp.room)
            .and_then(|room| room.get(stamp.number))
        else {
            bail!("{stamp:?} was never sent");
        };
        if let Some(latencies) = &mut self.latencies {
            let micros = self.now.saturating_duration_since(*sent).as_micros();
            latencies.push(micros.try_into().unwrap_or(u32::MAX));
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
        let mut ledger = Ledger::new(2);
        let stamp = ledger.send(1);
        ledger.frame_bytes = Some(610);
        assert!(ledger.received(stamp, 610).is_ok());
        assert!(ledger.received(stamp, 611).is_err());
        let (room, number) = (0, 0);
        assert!(ledger.received(Stamp { room, number }, 610).is_err());
        assert_eq!(ledger.deliveries, 1);
    }
}
