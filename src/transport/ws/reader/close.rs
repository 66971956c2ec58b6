//! What a close frame says: RFC 6455, sections 5.5.1 and 7.4.

use super::Fault;

/// The code and the reason, or neither.
pub(super) fn parse(payload: &[u8]) -> Result<Option<(u16, String)>, Fault> {
    let [high, low, reason @ ..] = payload else {
        return if payload.is_empty() {
            Ok(None)
        } else {
            Err(Fault::HalfCloseCode)
        };
    };
    let code = u16::from_be_bytes([*high, *low]);
    if !may_be_sent(code) {
        return Err(Fault::CloseCode(code));
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok(Some((code, reason.to_owned()))),
        Err(_) => Err(Fault::NotUtf8),
    }
}

/// 1004 to 1006 and 1015 are reserved and never sent; 1012 to 1014 were registered with IANA after the RFC; what else is
/// below 3000 is not defined, below 1000 and from 5000 on it is not used.
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
