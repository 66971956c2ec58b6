//! Which media types a request is written in and may be answered in.

use axum::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};

use crate::transport::stream::Format;

/// What an answer is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Media {
    /// `application/graphql-response+json`: the status says what became of the request.
    GraphqlResponse,
    /// `application/json`: 200 for whatever GraphQL says, since older clients do not read the body of anything else.
    Json,
    /// Server-sent events, for who takes nothing else: errors are results there, and what passes is told by the status.
    Events,
}

impl Media {
    /// The header's value.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
            Self::Events => Format::Events.content_type(),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::GraphqlResponse => "application/graphql-response+json",
            Self::Json => "application/json",
            Self::Events => "text/event-stream",
        }
    }
}

/// What the client would rather have; `None` when it takes nothing that is here. Without an `Accept`, and for `*/*`, that is
/// JSON. Clients name streams beside JSON for requests that have one answer too: whoever takes JSON gets that.
pub(super) fn accepted(headers: &HeaderMap) -> Option<Media> {
    json(headers).or_else(|| match streaming(headers)? {
        Format::Events => Some(Media::Events),
        // For subscriptions alone; what else is asked for comes in no parts.
        Format::Multipart => Some(Media::Json),
    })
}

/// What a subscription is to come in, if the client takes a stream: the one that it would rather have, or names first.
pub(super) fn streaming(headers: &HeaderMap) -> Option<Format> {
    let mut best: Option<(u16, Format)> = None;
    for range in ranges(headers) {
        let Some(format) = range.stream() else {
            continue;
        };
        if range.weight > best.map_or(0, |(weight, _)| weight) {
            best = Some((range.weight, format));
        }
    }
    best.map(|(_, format)| format)
}

fn ranges(headers: &HeaderMap) -> impl Iterator<Item = Range> {
    listed(headers, ACCEPT)
}

fn listed(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Range> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(Range::parse)
}

fn json(headers: &HeaderMap) -> Option<Media> {
    let ranges: Vec<Range> = ranges(headers).collect();
    if ranges.is_empty() {
        return (!headers.contains_key(ACCEPT) || is_blank(headers)).then_some(Media::Json);
    }
    let weigh = |media: Media| {
        let best = ranges
            .iter()
            .filter_map(|range| Some((range.fits(media)?, range.weight)))
            // The most specific range decides (RFC 9110, 12.5.1).
            .max_by_key(|&(fit, _)| fit)?;
        (best.1 > 0).then_some((best.1, best.0))
    };
    match (weigh(Media::GraphqlResponse), weigh(Media::Json)) {
        (None, None) => None,
        (None, Some(_)) => Some(Media::Json),
        (Some(_), None) => Some(Media::GraphqlResponse),
        // Of two named alike the one that says more; of two that a wildcard takes in, the one everyone reads.
        (Some(graphql), Some(json)) if graphql.1 == Fit::Exact && graphql >= json => {
            Some(Media::GraphqlResponse)
        }
        (Some(graphql), Some(json)) if graphql.0 > json.0 => Some(Media::GraphqlResponse),
        (Some(_), Some(_)) => Some(Media::Json),
    }
}

/// Whether a person's browser asks for a page.
pub(in crate::transport) fn wants_html(headers: &HeaderMap) -> bool {
    ranges(headers).any(|range| range.name == "text/html" && range.weight > 0)
}

/// Whether the client names a coding that it takes: `gzip`. A wildcard is not enough, nobody sends one that cannot unpack it.
pub(in crate::transport) fn takes(headers: &HeaderMap, coding: &str) -> bool {
    listed(headers, ACCEPT_ENCODING).any(|range| range.name == coding && range.weight > 0)
}

/// Whether a word of plain text will do for an answer.
pub(super) fn takes_text(headers: &HeaderMap) -> bool {
    let is_text = |range: &Range| ["text/plain", "text/*", "*/*"].contains(&&*range.name);
    !headers.contains_key(ACCEPT)
        || is_blank(headers)
        || ranges(headers).any(|range| is_text(&range) && range.utf8 && range.weight > 0)
}

/// Whether the body is JSON in UTF-8. Nothing else will do: a form or plain text needs no preflight, so any site's script
/// could send it.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else {
        return false;
    };
    let Some(range) = content_type.to_str().ok().and_then(Range::parse) else {
        return false;
    };
    range.name == Media::Json.name() && range.utf8
}

fn is_blank(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .all(|value| value.as_bytes().trim_ascii().is_empty())
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fit {
    Any,
    Type,
    Exact,
}

/// One media range, with the parameters that matter here.
struct Range {
    name: String,
    /// In thousandths.
    weight: u16,
    /// No other charset is named.
    utf8: bool,
    /// Apollo's `subscriptionSpec` is named: without it, parts are those of `@defer`.
    subscriptions: bool,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self {
            name: parts.next()?.to_ascii_lowercase(),
            weight: 1_000,
            utf8: true,
            subscriptions: false,
        };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            if name.trim().eq_ignore_ascii_case("q") {
                range.weight = thousandths(value);
            } else if name.trim().eq_ignore_ascii_case("subscriptionSpec") {
                range.subscriptions = true;
            } else if name.trim().eq_ignore_ascii_case("charset") {
                range.utf8 = ["utf-8", "utf8"]
                    .iter()
                    .any(|charset| value.eq_ignore_ascii_case(charset));
            }
        }
        (!range.name.is_empty()).then_some(range)
    }

    /// Named to the letter: a wildcard is no wish for a response that does not end.
    fn stream(&self) -> Option<Format> {
        match self.name.as_str() {
            name if name == Media::Events.name() && self.utf8 => Some(Format::Events),
            "multipart/mixed" if self.subscriptions => Some(Format::Multipart),
            _ => None,
        }
    }

    fn fits(&self, media: Media) -> Option<Fit> {
        match self.name.as_str() {
            _ if !self.utf8 => None,
            name if name == media.name() => Some(Fit::Exact),
            "application/*" => Some(Fit::Type),
            "*/*" => Some(Fit::Any),
            _ => None,
        }
    }
}

/// A weight from 0 to 1; what is none counts as nought.
fn thousandths(weight: &str) -> u16 {
    let weight: f32 = weight.parse().unwrap_or(0.0);
    // In range by the clamp, and never NaN: that comparison is false.
    if weight > 0.0 {
        (weight.min(1.0) * 1_000.0) as u16
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(accept: &str) -> Option<Media> {
        accepted(&HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]))
    }

    #[test]
    fn the_best_type_that_the_client_takes_is_given() {
        use Media::{GraphqlResponse, Json};
        assert_eq!(accepted(&HeaderMap::new()), Some(Json));
        for (accept, media) in [
            ("", Some(Json)),
            ("*/*", Some(Json)),
            ("application/*", Some(Json)),
            ("application/json", Some(Json)),
            ("application/json; charset=utf-8", Some(Json)),
            ("application/graphql-response+json", Some(GraphqlResponse)),
            ("APPLICATION/GraphQL-Response+JSON", Some(GraphqlResponse)),
            // Apollo Client 4, urql 5, GraphiQL.
            (
                "application/graphql-response+json,application/json;q=0.9",
                Some(GraphqlResponse),
            ),
            (
                "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed",
                Some(GraphqlResponse),
            ),
            ("application/json, multipart/mixed", Some(Json)),
            (
                "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9",
                Some(GraphqlResponse),
            ),
            // Axios, browsers.
            ("application/json, text/plain, */*", Some(Json)),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Some(Json),
            ),
            (
                "application/json;q=0.9, application/graphql-response+json;q=0.1",
                Some(Json),
            ),
            ("application/json;q=0, */*", Some(GraphqlResponse)),
            (
                "application/graphql-response+json;q=0.5, application/*;q=0.4",
                Some(GraphqlResponse),
            ),
            ("application/json;q=0", None),
            ("application/json; charset=utf-16", None),
            ("text/html", None),
            ("text/event-stream", Some(Media::Events)),
            // urql's subscriptions.
            ("text/event-stream, multipart/mixed", Some(Media::Events)),
            ("text/event-stream;q=0", None),
            ("text/*", None),
            ("multipart/mixed", None),
            ("multipart/mixed;subscriptionSpec=1.0", Some(Json)),
            ("application/graphql-response+json;q=x", None),
        ] {
            assert_eq!(answer(accept), media, "{accept}");
        }
    }

    #[test]
    fn a_stream_is_given_to_who_names_it() {
        let stream = |accept: &'static str| {
            streaming(&HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]))
        };
        for accept in [
            "text/event-stream",
            "Text/Event-Stream; charset=utf-8",
            "text/event-stream, multipart/mixed",
            "application/json, text/event-stream;q=0.1",
        ] {
            assert_eq!(stream(accept), Some(Format::Events), "{accept}");
        }
        for accept in [
            // Apollo Client 4, Apollo iOS, Apollo Kotlin.
            "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9",
            "multipart/mixed;deferSpec=20220824;subscriptionSpec=1.0,application/json",
            "multipart/mixed; boundary=\"graphql\"; subscriptionSpec=\"1.0\"",
            "multipart/mixed;subscriptionSpec=1.0, text/event-stream",
            "text/event-stream;q=0.5, multipart/mixed;subscriptionSpec=1.0",
        ] {
            assert_eq!(stream(accept), Some(Format::Multipart), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/*",
            "multipart/mixed",
            "application/json",
            "text/event-stream;q=0",
            "text/event-stream; charset=latin1",
        ] {
            assert_eq!(stream(accept), None, "{accept}");
        }
    }

    #[test]
    fn only_json_in_utf_8_is_read() {
        let reads = |content_type: &str| {
            is_json(&HeaderMap::from_iter([(
                CONTENT_TYPE,
                content_type.parse().unwrap(),
            )]))
        };
        for good in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
        ] {
            assert!(reads(good), "{good}");
        }
        for bad in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/graphql",
            "application/json; charset=iso-8859-1",
            "application/json, text/plain",
            "",
        ] {
            assert!(!reads(bad), "{bad}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
