//! Text to document, with errors that a client can read.

use async_graphql::Pos;
use async_graphql::parser::types::ExecutableDocument;
use async_graphql::parser::{self, Error as ParseError};

use super::Rejection;
use crate::error::Code;

/// How much of an unexpected word is repeated to the client.
const SHOWN_CHARS: usize = 24;

/// Parses a document that is known to be small.
pub(super) fn parse(text: &str) -> Result<ExecutableDocument, Rejection> {
    parser::parse_query(text).map_err(|error| refusal(&error, text))
}

fn refusal(error: &ParseError, text: &str) -> Rejection {
    let pos = error.positions().next();
    match error {
        // Its message is a drawing of the text over several lines, with the names of grammar rules.
        ParseError::Syntax { start, .. } => syntax(text, *start),
        ParseError::MultipleOperations { .. } => Rejection::invalid(
            "an operation without a name must be the only one of its document",
            pos,
        ),
        ParseError::OperationDuplicated { operation, .. } => Rejection::invalid(
            format!("there is more than one operation named \"{operation}\""),
            pos,
        ),
        ParseError::FragmentDuplicated { fragment, .. } => Rejection::invalid(
            format!("there is more than one fragment named \"{fragment}\""),
            pos,
        ),
        ParseError::MissingOperation => Rejection::invalid("the document holds no operation", pos),
        _ => Rejection::at(
            Code::GraphqlParseFailed,
            "the document is nested too deep",
            pos,
        ),
    }
}

fn syntax(text: &str, at: Pos) -> Rejection {
    let found = match word_at(text, at) {
        Some(word) => format!("unexpected \"{}\"", word.escape_debug()),
        None => "unexpected end of the document".to_owned(),
    };
    Rejection::at(
        Code::GraphqlParseFailed,
        format!(
            "syntax error: {found} at line {}, column {}",
            at.line, at.column
        ),
        Some(at),
    )
}

/// The word or character at a place. The parser counts lines at `\n` and columns in characters, both from 1.
fn word_at(text: &str, at: Pos) -> Option<String> {
    let line = text.split('\n').nth(at.line.checked_sub(1)?)?;
    let rest: String = line.chars().skip(at.column.checked_sub(1)?).collect();
    let rest = match rest.trim_start() {
        // The parser points at the white space before what it did not expect.
        "" => text
            .split('\n')
            .skip(at.line)
            .map(str::trim_start)
            .find(|line| !line.is_empty())?,
        rest => rest,
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let word: String = rest
        .chars()
        .take_while(|&c| is_word(c))
        .take(SHOWN_CHARS)
        .collect();
    if word.is_empty() {
        rest.chars().next().map(String::from)
    } else {
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let rejection = parse(text).unwrap_err();
        let error = &rejection.errors[0];
        let code = error.extensions.as_ref().unwrap().get("code").unwrap();
        assert!(!error.message.contains('\n'), "{}", error.message);
        assert!(!error.message.contains("-->"), "{}", error.message);
        format!("{code} {}", error.message)
    }

    #[test]
    fn a_syntax_error_is_one_line_that_says_what_and_where() {
        assert_eq!(
            said("{"),
            "\"GRAPHQL_PARSE_FAILED\" syntax error: unexpected end of the document at line 1, column 2"
        );
        assert_eq!(
            said("{ a\n  b( }"),
            "\"GRAPHQL_PARSE_FAILED\" syntax error: unexpected \"}\" at line 2, column 6"
        );
        assert!(said("{ 8f31403dfe }").contains("unexpected \"8f31403dfe\""));
        assert!(said("select 1").contains("unexpected \"select\""));
        assert!(said("{ a \u{7} }").contains("unexpected"));
        assert!(said("").contains("end of the document"));
    }

    #[test]
    fn what_parses_but_cannot_be_a_document_fails_validation() {
        for text in [
            "{a} {b}",
            "{a} query B {b}",
            "query A {a} query A {b}",
            "{...F} fragment F on Q {a} fragment F on Q {a}",
            "fragment F on Q {a}",
        ] {
            let said = said(text);
            assert!(said.starts_with("\"GRAPHQL_VALIDATION_FAILED\""), "{said}");
        }
    }
}
