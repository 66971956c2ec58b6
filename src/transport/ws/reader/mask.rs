//! Masking: RFC 6455, section 5.3.

/// A frame's masking key, turned so that its first byte is for the next byte of the payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key(pub(super) [u8; 4]);

impl Key {
    /// Adds the next part of the payload, unmasked.
    pub(super) fn append(&mut self, part: &[u8], to: &mut Vec<u8>) {
        let start = to.len();
        to.extend_from_slice(part);
        self.apply(&mut to[start..]);
    }

    /// Eight bytes at a time, which the compiler widens to what the processor has.
    fn apply(&mut self, bytes: &mut [u8]) {
        let [a, b, c, d] = self.0;
        let twice = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (eights, rest) = bytes.as_chunks_mut::<8>();
        for eight in eights {
            *eight = (u64::from_ne_bytes(*eight) ^ twice).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(twice.to_ne_bytes()) {
            *byte ^= key;
        }
        self.0.rotate_left(rest.len() % 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_unmasks_like_byte_by_byte() {
        const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
        let masked: Vec<u8> = (0..=255).collect();
        let unmasked: Vec<u8> = (0..=255)
            .zip(KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect();
        for first in 0..=40 {
            for second in 0..=40 {
                let (mut key, mut got) = (Key(KEY), Vec::new());
                key.append(&masked[..first], &mut got);
                key.append(&masked[first..first + second], &mut got);
                key.append(&masked[first + second..], &mut got);
                assert_eq!(got, unmasked, "cut at {first} and {}", first + second);
            }
        }
    }
}
