//! Frames as the bench's client meets them: WebSocket (RFC 6455) and MQTT 3.1.1, parsed from whatever pieces a socket
//! yields, without an allocation for each message. Extensions and fragments are not expected and are errors.

use anyhow::bail;

/// Opcodes (RFC 6455, 5.2).
pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The bench masks with one key: what masking costs is the same with any, and so is what it does to the bytes' length.
const MASK: [u8; 4] = [0x5a, 0xa5, 0x3c, 0xc3];

/// A whole frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The opcode of a WebSocket frame, the packet type of an MQTT packet.
    pub kind: u8,
    mask: Option<[u8; 4]>,
    pub payload: &'a [u8],
    /// Its length on the wire, header included.
    pub wire_bytes: usize,
}

impl Frame<'_> {
    /// The payload without the client's mask.
    pub fn unmasked(&self) -> Vec<u8> {
        let mask = self.mask.unwrap_or_default();
        let bytes = self.payload.iter().zip(mask.iter().cycle());
        bytes.map(|(byte, mask)| byte ^ mask).collect()
    }
}

/// What the beginning of a frame says of it.
struct Head {
    kind: u8,
    mask: Option<[u8; 4]>,
    head_bytes: usize,
    payload_bytes: usize,
}

impl Head {
    const fn wire_bytes(&self) -> usize {
        self.head_bytes + self.payload_bytes
    }

    const fn frame<'a>(&self, payload: &'a [u8]) -> Frame<'a> {
        Frame {
            kind: self.kind,
            mask: self.mask,
            payload,
            wire_bytes: self.wire_bytes(),
        }
    }
}

/// The head at the beginning of the bytes, once all of it is there.
type Parse = fn(&[u8]) -> anyhow::Result<Option<Head>>;

/// Cuts a stream of bytes into frames.
pub struct Frames {
    parse: Parse,
    /// The beginning of a frame whose end has not come.
    begun: Vec<u8>,
}

impl Frames {
    pub const fn of_websocket() -> Self {
        Self {
            parse: websocket_head,
            begun: Vec::new(),
        }
    }

    pub const fn of_mqtt() -> Self {
        Self {
            parse: mqtt_head,
            begun: Vec::new(),
        }
    }

    /// Gives each frame that is whole with these bytes to `each`, in order.
    ///
    /// # Errors
    /// What is no frame that the bench expects; an error of `each`.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Frame<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        while !self.begun.is_empty() {
            let head = (self.parse)(&self.begun)?;
            let missing = head
                .as_ref()
                .map_or(1, |head| head.wire_bytes() - self.begun.len());
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            self.begun.extend_from_slice(now);
            bytes = later;
            if now.len() < missing {
                return Ok(());
            }
            if let Some(head) = (self.parse)(&self.begun)?
                && self.begun.len() == head.wire_bytes()
            {
                each(head.frame(&self.begun[head.head_bytes..]))?;
                self.begun.clear();
            }
        }
        while let Some(head) = (self.parse)(bytes)?
            && bytes.len() >= head.wire_bytes()
        {
            let (whole, later) = bytes.split_at(head.wire_bytes());
            each(head.frame(&whole[head.head_bytes..]))?;
            bytes = later;
        }
        self.begun.extend_from_slice(bytes);
        Ok(())
    }
}

fn websocket_head(bytes: &[u8]) -> anyhow::Result<Option<Head>> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    if first & 0xf0 != 0x80 {
        bail!("a fragment or an extension: first byte {first:#04x}");
    }
    let (payload_bytes, length_bytes) = match second & 0x7f {
        126 => (
            rest.first_chunk()
                .map(|b| u64::from(u16::from_be_bytes(*b))),
            2,
        ),
        127 => (rest.first_chunk().map(|b| u64::from_be_bytes(*b)), 8),
        short => (Some(u64::from(short)), 0),
    };
    let Some(payload_bytes) = payload_bytes else {
        return Ok(None);
    };
    let mask = if second & 0x80 == 0 {
        None
    } else if let Some(mask) = rest[length_bytes..].first_chunk() {
        Some(*mask)
    } else {
        return Ok(None);
    };
    Ok(Some(Head {
        kind: first & 0x0f,
        mask,
        head_bytes: 2 + length_bytes + mask.map_or(0, |mask| mask.len()),
        payload_bytes: payload_bytes.try_into()?,
    }))
}

fn mqtt_head(bytes: &[u8]) -> anyhow::Result<Option<Head>> {
    let Some((first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let mut payload_bytes = 0;
    for (n, byte) in rest.iter().take(4).enumerate() {
        payload_bytes |= usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Ok(Some(Head {
                kind: first >> 4,
                mask: None,
                head_bytes: 2 + n,
                payload_bytes,
            }));
        }
    }
    if rest.len() >= 4 {
        bail!("a remaining length of more than four bytes");
    }
    Ok(None)
}

/// Appends a masked frame, as clients must send them.
pub fn push_client_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    push_head(out, opcode, 0x80, payload.len());
    out.extend_from_slice(&MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    out.extend(masked.map(|(byte, mask)| byte ^ mask));
}

/// A text frame, as servers send them.
pub fn server_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    push_head(&mut frame, TEXT, 0, payload.len());
    frame.extend_from_slice(payload);
    frame
}

fn push_head(out: &mut Vec<u8>, opcode: u8, masked: u8, bytes: usize) {
    out.push(0x80 | opcode);
    match (u8::try_from(bytes), u16::try_from(bytes)) {
        (Ok(short @ 0..126), _) => out.push(masked | short),
        (_, Ok(medium)) => {
            out.push(masked | 126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(masked | 127);
            out.extend_from_slice(&(bytes as u64).to_be_bytes());
        }
    }
}

/// Appends an MQTT packet: its first byte, the length of the rest, the rest.
pub fn push_mqtt_packet(out: &mut Vec<u8>, first: u8, rest: &[&[u8]]) {
    out.push(first);
    let mut bytes: usize = rest.iter().map(|part| part.len()).sum();
    loop {
        let low = (bytes & 0x7f) as u8;
        bytes >>= 7;
        if bytes == 0 {
            out.push(low);
            break;
        }
        out.push(low | 0x80);
    }
    rest.iter().for_each(|part| out.extend_from_slice(part));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frames that come out of `bytes` when they arrive `piece` bytes at a time.
    fn cut(mut frames: Frames, bytes: &[u8], piece: usize) -> Vec<(u8, Vec<u8>, usize)> {
        let mut seen = Vec::new();
        for piece in bytes.chunks(piece) {
            let each = |frame: Frame<'_>| {
                seen.push((frame.kind, frame.unmasked(), frame.wire_bytes));
                Ok(())
            };
            frames.feed(piece, each).unwrap();
        }
        assert!(frames.begun.is_empty(), "bytes are left over");
        seen
    }

    #[test]
    fn frames_are_the_same_however_the_bytes_arrive() {
        let mut bytes = Vec::new();
        let mut sent = Vec::new();
        for length in [0, 1, 125, 126, 600, 65_535, 65_536] {
            let payload: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let from = bytes.len();
            bytes.extend(server_frame(&payload));
            sent.push((TEXT, payload.clone(), bytes.len() - from));
            let from = bytes.len();
            push_client_frame(&mut bytes, PING, &payload);
            sent.push((PING, payload, bytes.len() - from));
        }
        for piece in [1, 2, 3, 7, 599, 4096, bytes.len()] {
            let seen = cut(Frames::of_websocket(), &bytes, piece);
            assert!(seen == sent, "in pieces of {piece}");
        }
    }

    #[test]
    fn packets_are_the_same_however_the_bytes_arrive() {
        let mut bytes = Vec::new();
        let mut sent = Vec::new();
        for length in [0, 127, 128, 16_383, 16_384, 2_097_152] {
            let payload = vec![7; length];
            let from = bytes.len();
            push_mqtt_packet(&mut bytes, 0x30, &[&payload]);
            sent.push((3, payload, bytes.len() - from));
        }
        for piece in [1, 5, 4096, bytes.len()] {
            assert!(
                cut(Frames::of_mqtt(), &bytes, piece) == sent,
                "in pieces of {piece}"
            );
        }
    }

    #[test]
    fn headers_are_as_the_specifications_have_them() {
        assert_eq!(server_frame(b"Hi"), b"\x81\x02Hi");
        assert_eq!(server_frame(&[0; 126])[..4], [0x81, 126, 0, 126]);
        assert_eq!(server_frame(&[0; 65_536])[..4], [0x81, 127, 0, 0]);
        let mut masked = Vec::new();
        push_client_frame(&mut masked, TEXT, b"Hi");
        assert_eq!(
            masked,
            [0x81, 0x82, 0x5a, 0xa5, 0x3c, 0xc3, b'H' ^ 0x5a, b'i' ^ 0xa5]
        );
        let mut packet = Vec::new();
        push_mqtt_packet(&mut packet, 0x30, &[&[0; 321]]);
        assert_eq!(packet[..3], [0x30, 193, 2]);
    }

    #[test]
    fn what_the_bench_does_not_expect_is_an_error() {
        let refused = |mut frames: Frames, bytes: &[u8]| frames.feed(bytes, |_| Ok(())).is_err();
        assert!(refused(Frames::of_websocket(), b"\x01\x02Hi"), "a fragment");
        assert!(
            refused(Frames::of_websocket(), b"\xc1\x02Hi"),
            "a compressed frame"
        );
        assert!(
            refused(Frames::of_mqtt(), b"\x30\x80\x80\x80\x80\x01"),
            "too long"
        );
    }
}
