//! HTTP/1.1 chunks (RFC 9112, section 7.1).

use std::io::Write as _;

use crate::hub::Framing;

/// Each message in a chunk of its own, within which `F` frames it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunked<F>(pub(super) F);

/// What ends the last chunk, and with it the response.
pub(super) const LAST: &[u8] = b"0\r\n\r\n";

impl<F: Framing> Framing for Chunked<F> {
    fn framed_bytes(&self, own: &[u8], shared: &[u8]) -> usize {
        match self.0.framed_bytes(own, shared) {
            0 => 0,
            bytes => digits(bytes) + 4 + bytes,
        }
    }

    fn frame(&self, own: &[u8], shared: &[u8], out: &mut Vec<u8>) {
        let bytes = self.0.framed_bytes(own, shared);
        // An empty chunk would be the last.
        if bytes > 0 {
            // Writing to a Vec does not fail.
            let _ = write!(out, "{bytes:x}\r\n");
            self.0.frame(own, shared, out);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// In hexadecimal.
fn digits(bytes: usize) -> usize {
    usize::try_from(bytes.ilog2() / 4).map_or(1, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::super::events::EventFrames;
    use super::*;

    #[test]
    fn a_chunk_is_as_long_as_it_says() {
        for bytes in [0, 1, 9, 15, 16, 255, 256, 4_095, 4_096, 70_000] {
            let own = vec![b'x'; bytes];
            let mut out = Vec::new();
            Chunked(EventFrames).frame(&own, b"", &mut out);
            let framed = Chunked(EventFrames).framed_bytes(&own, b"");
            assert_eq!(out.len(), framed, "{bytes}");
            let expected = match bytes {
                0 => Vec::new(),
                _ => [format!("{bytes:x}\r\n").as_bytes(), &own, b"\r\n"].concat(),
            };
            assert_eq!(out, expected);
        }
    }
}
