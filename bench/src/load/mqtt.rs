//! As much of MQTT 3.1.1 as a client needs that publishes and listens with QoS 0.

use anyhow::{bail, ensure};

use super::frames::{Frame, push_mqtt_packet};
use super::talk::Heard;

/// CONNECT (3.1): MQTT level 4, a clean session, no keep-alive.
pub(super) fn connect(out: &mut Vec<u8>, client: &str) {
    let protocol = [0, 4, b'M', b'Q', b'T', b'T', 4, 0b10, 0, 0];
    push_mqtt_packet(out, 0x10, &[&protocol, &length(client), client.as_bytes()]);
}

/// SUBSCRIBE (3.8): one topic.
pub(super) fn subscribe(out: &mut Vec<u8>, topic: &str) {
    let packet_id = [0, 1];
    push_mqtt_packet(
        out,
        0x82,
        &[&packet_id, &length(topic), topic.as_bytes(), &[0]],
    );
}

/// PUBLISH (3.3).
pub(super) fn publish(out: &mut Vec<u8>, topic: &str, body: &str) {
    push_mqtt_packet(
        out,
        0x30,
        &[&length(topic), topic.as_bytes(), body.as_bytes()],
    );
}

/// What a packet means that is no message of the bench.
pub(super) fn hear(packet: Frame<'_>) -> anyhow::Result<Heard> {
    const CONNACK: u8 = 2;
    const SUBACK: u8 = 9;
    match packet.kind {
        CONNACK => {
            ensure!(
                packet.payload.get(1) == Some(&0),
                "refused: {:?}",
                packet.payload
            );
            Ok(Heard::Welcome)
        }
        SUBACK => {
            ensure!(
                packet.payload.get(2) == Some(&0),
                "not subscribed: {:?}",
                packet.payload
            );
            Ok(Heard::Nothing)
        }
        kind => bail!("a packet of type {kind}"),
    }
}

/// The two bytes before a text (1.5.3).
fn length(text: &str) -> [u8; 2] {
    (text.len() as u16).to_be_bytes()
}
