//! A document's tokens and brackets, counted in one pass before the parser sees it.
//!
//! It judges only size. What is not GraphQL passes through here and is refused by the parser.

use super::{Limits, Rejection};

/// The number of tokens. Stops at the first limit.
pub(super) fn measure(text: &str, limits: &Limits) -> Result<usize, Rejection> {
    if text.len() > limits.chars && text.chars().count() > limits.chars {
        return Err(over("characters", limits.chars));
    }
    let mut rest = text.as_bytes();
    let (mut tokens, mut open) = (0, 0_usize);
    while let Some((token, after)) = next(rest) {
        rest = after;
        tokens += 1;
        match token {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if tokens > limits.tokens {
            return Err(over("tokens", limits.tokens));
        }
        if open > limits.nesting {
            return Err(over("brackets within one another", limits.nesting));
        }
    }
    Ok(tokens)
}

fn over(what: &str, limit: usize) -> Rejection {
    Rejection::invalid(
        format!("the document has too many {what}; the limit is {limit}"),
        None,
    )
}

/// The next token's first byte, and what follows the token.
fn next(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let bytes = skip_ignored(bytes);
    let &first = bytes.first()?;
    let len = match first {
        b'"' => string_len(bytes),
        b'.' if bytes.starts_with(b"...") => 3,
        _ if is_word(first) => span(bytes, is_word),
        b'-' => 1 + span(&bytes[1..], |byte| is_word(byte) || byte == b'.'),
        // Anything else is one token a character: a punctuator, or something the parser will refuse.
        _ => 1 + span(&bytes[1..], |byte| byte & 0xC0 == 0x80),
    };
    Some((first, &bytes[len..]))
}

/// White space, commas, byte order marks and comments.
fn skip_ignored(mut bytes: &[u8]) -> &[u8] {
    loop {
        bytes = match bytes {
            [b' ' | b'\t' | b'\n' | b'\r' | b',', rest @ ..] | [0xEF, 0xBB, 0xBF, rest @ ..] => {
                rest
            }
            [b'#', rest @ ..] => &rest[span(rest, |byte| byte != b'\n' && byte != b'\r')..],
            _ => return bytes,
        }
    }
}

fn span(bytes: &[u8], of: impl Fn(u8) -> bool) -> usize {
    bytes
        .iter()
        .position(|&byte| !of(byte))
        .unwrap_or(bytes.len())
}

/// Of names and of numbers; a fraction is counted apart, which errs on the safe side by a token or two.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A string or block string with its quotes; to the end where it is not closed.
fn string_len(bytes: &[u8]) -> usize {
    let (quotes, block) = if bytes.starts_with(b"\"\"\"") {
        (3, true)
    } else {
        (1, false)
    };
    let mut at = quotes;
    while at < bytes.len() {
        let rest = &bytes[at..];
        at += match rest {
            [b'\\', b'"', b'"', b'"', ..] if block => 4,
            [b'"', b'"', b'"', ..] if block => return at + 3,
            [b'\\', _, ..] if !block => 2,
            [b'"', ..] if !block => return at + 1,
            // The parser refuses a line end here; going on as if it closed keeps the count honest for the rest.
            [b'\n' | b'\r', ..] if !block => return at,
            _ => 1,
        };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> usize {
        let limits = Limits {
            tokens: usize::MAX,
            ..Limits::default()
        };
        measure(text, &limits).unwrap()
    }

    #[test]
    fn tokens_are_counted_as_the_specification_names_them() {
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens("{a}"), 3);
        assert_eq!(tokens("\u{feff}{ a, b # c d e\r\n c }"), 5);
        assert_eq!(tokens("query Q($a: [Int!]! = -1) { ...F @x(y: $a) }"), 26);
        assert_eq!(tokens(r#"{a(b: "c \" } d")}"#), 8);
        assert_eq!(tokens("{a(b: \"\"\"c \" \\\"\"\" } d\"\"\")}"), 8);
        assert_eq!(tokens(r#""" "" "#), 2);
    }

    #[test]
    fn what_is_not_graphql_is_counted_all_the_same() {
        for text in ["\"", "\"\"\"", "\"\\", "é🏃", "....", "{\"\n{", "-", "#"] {
            tokens(text);
        }
    }
}
