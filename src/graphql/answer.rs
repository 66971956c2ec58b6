//! How large an answer may grow, counted while it is made: before what is counted takes memory.
//!
//! The document's limits say how much is asked for, which is not how long it is: the same text may be asked for under many names,
//! and of a byte JSON may make six. So each list counts what its items come to, and each text that users wrote counts
//! itself, as JSON, whenever it is shown. What an operation is sent once for all its subscribers counts nothing: it is about one event.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use async_graphql::parser::types::{Selection, SelectionSet};
use async_graphql::{Context, Data};
use serde_json::Value as Json;

use crate::document::included;
use crate::error::Error;
use crate::model::{Data as AppData, Message, Room};

/// What a value is counted as, whatever it is, beside its name and its text: about an id as JSON, and what the least takes in memory.
const VALUE_BYTES: usize = 24;
/// Lists, which count their items themselves.
const LISTS: [&str; 5] = ["nodes", "edges", "events", "reactions", "users"];
/// Conditions that hold for whatever is listed beside its own type.
const INTERFACES: [&str; 3] = ["Event", "RoomEvent", "Node"];

/// What has been counted of one answer.
#[derive(Clone, Default)]
pub(super) struct AnswerSize(Arc<Counts>);

/// In bytes.
#[derive(Default)]
struct Counts {
    /// Of the answer.
    shown: AtomicUsize,
    /// Of what was read for it, whether it is shown or not.
    read: AtomicUsize,
}

impl AnswerSize {
    /// Of the request that has this data.
    pub(super) fn of(data: &mut Data) -> Self {
        let size = Self::default();
        data.insert(size.clone());
        size
    }

    /// Makes the answer, unless it grows too large. Then whatever is being made is dropped at once: an error for each thing
    /// that has no room would take room as well.
    ///
    /// # Errors
    /// `TOO_LARGE`.
    pub(super) async fn bounding<T>(&self, making: impl Future<Output = T>) -> Result<T, Error> {
        let mut making = pin!(making);
        poll_fn(|cx| match making.as_mut().poll(cx) {
            Poll::Ready(made) => Poll::Ready(Ok(made)),
            Poll::Pending if self.is_over() => Poll::Ready(Err(Error::AnswerTooLarge)),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    fn is_over(&self) -> bool {
        let Counts { shown, read } = &*self.0;
        let is_over = |count: &AtomicUsize| count.load(Ordering::Relaxed) > Error::ANSWER_BYTES_MAX;
        is_over(shown) || is_over(read)
    }
}

/// Counts what is shown.
async fn count(ctx: &Context<'_>, bytes: impl FnOnce() -> usize) {
    count_as(ctx, |counts| &counts.shown, bytes).await;
}

/// Counts messages that were read.
pub(super) async fn messages_read(ctx: &Context<'_>, messages: impl Iterator<Item = &Message>) {
    let bytes = || messages.map(message_bytes).sum();
    count_as(ctx, |counts| &counts.read, bytes).await;
}

/// Counts rooms that were read.
pub(super) async fn rooms_read(ctx: &Context<'_>, rooms: impl Iterator<Item = &Room>) {
    let bytes = || rooms.map(|room| data_bytes(room.data.as_ref())).sum();
    count_as(ctx, |counts| &counts.read, bytes).await;
}

/// Counts; does not come back where there is too much by that.
async fn count_as(
    ctx: &Context<'_>,
    which: impl FnOnce(&Counts) -> &AtomicUsize,
    bytes: impl FnOnce() -> usize,
) {
    let Some(size) = ctx.data_opt::<AnswerSize>() else {
        return;
    };
    which(&size.0).fetch_add(bytes(), Ordering::Relaxed);
    if size.is_over() {
        // Whoever polls this looks at the size next.
        pending::<()>().await;
    }
}

/// Counts a text that is shown.
pub(super) async fn text(ctx: &Context<'_>, text: &str) {
    count(ctx, || text_bytes(text)).await;
}

/// Counts an app's own data that is shown.
pub(super) async fn data(ctx: &Context<'_>, data: &AppData) {
    count(ctx, || json_bytes(data.value())).await;
}

/// Counts what is selected of each of so many items of the list that is being resolved, but for what counts itself.
pub(super) async fn items(ctx: &Context<'_>, items: usize) {
    if items > 0 {
        count(ctx, || items * selected(ctx, None)).await;
    }
}

/// As [`items`], for things of these types, one for each thing.
pub(super) async fn items_of(ctx: &Context<'_>, types: impl Iterator<Item = &str> + Send) {
    let mut known: Vec<(&str, usize)> = Vec::new();
    for ty in types {
        let bytes = match known.iter().find(|(known, _)| *known == ty) {
            Some((_, bytes)) => *bytes,
            None => {
                known.push((ty, selected(ctx, Some(ty))));
                known[known.len() - 1].1
            }
        };
        count(ctx, || bytes).await;
    }
}

/// What one item of the field that is being resolved comes to.
fn selected(ctx: &Context<'_>, ty: Option<&str>) -> usize {
    VALUE_BYTES + set_bytes(ctx, &ctx.item.node.selection_set.node, ty)
}

/// A document's limits keep this short: it is spread out already when they are judged.
fn set_bytes(ctx: &Context<'_>, set: &SelectionSet, ty: Option<&str>) -> usize {
    let variables = &ctx.query_env.variables;
    let selections = set.items.iter().map(|selection| &selection.node);
    selections
        .filter(|selection| included(selection.directives(), variables))
        .map(|selection| selection_bytes(ctx, selection, ty))
        .sum()
}

fn selection_bytes(ctx: &Context<'_>, selection: &Selection, ty: Option<&str>) -> usize {
    let (condition, set) = match selection {
        Selection::Field(field) => {
            let field = &field.node;
            let own = VALUE_BYTES + field.response_key().node.len();
            let below = match LISTS.contains(&field.name.node.as_str()) {
                true => 0,
                false => set_bytes(ctx, &field.selection_set.node, None),
            };
            return own + below;
        }
        Selection::InlineFragment(inline) => {
            let inline = &inline.node;
            (inline.type_condition.as_ref(), &inline.selection_set)
        }
        Selection::FragmentSpread(spread) => {
            let fragments = &ctx.query_env.fragments;
            let Some(fragment) = fragments.get(&spread.node.fragment_name.node) else {
                return 0;
            };
            let fragment = &fragment.node;
            (Some(&fragment.type_condition), &fragment.selection_set)
        }
    };
    let condition = condition.map(|condition| condition.node.on.node.as_str());
    let applies = match (ty, condition) {
        (Some(ty), Some(condition)) => condition == ty || INTERFACES.contains(&condition),
        _ => true,
    };
    match applies {
        true => set_bytes(ctx, &set.node, ty),
        false => 0,
    }
}

/// With what it replies to, which comes along.
fn message_bytes(message: &Message) -> usize {
    let body = message.body.as_ref().map_or(0, |body| body.as_str().len());
    let reply = message.reply_to.as_ref();
    let reply = reply.and_then(|reply| reply.message.as_deref());
    body + data_bytes(message.data.as_ref()) + reply.map_or(0, message_bytes)
}

fn data_bytes(data: Option<&AppData>) -> usize {
    data.map_or(0, |data| json_bytes(data.value()))
}

/// As a JSON string: RFC 8259, 7.
fn text_bytes(text: &str) -> usize {
    // Without a branch, for this runs over whole bodies.
    let escaped = |&byte: &u8| {
        let is_short = (8..=13).contains(&byte) & (byte != 11);
        let is_marked = (byte == b'"') | (byte == b'\\');
        u32::from(byte < 0x20) * 5 + u32::from(is_marked) - u32::from(is_short) * 4
    };
    let escapes: u32 = text.as_bytes().iter().map(escaped).sum();
    2 + text.len() + escapes as usize
}

/// With what takes memory however short it is as text: `[0,0]` is three values.
fn json_bytes(value: &Json) -> usize {
    let below = match value {
        Json::String(text) => text_bytes(text),
        Json::Array(values) => values.iter().map(json_bytes).sum(),
        Json::Object(fields) => {
            let field = |(name, value): (&String, &Json)| text_bytes(name) + json_bytes(value);
            fields.iter().map(field).sum()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
    };
    VALUE_BYTES + below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_long_as_it_is_in_json() {
        let every: String = (0..=0x2ff).filter_map(char::from_u32).collect();
        let texts = every.chars().map(String::from);
        for text in texts.chain([every.clone(), String::new(), "💖é\u{2028}".repeat(9)]) {
            let json = Json::from(text.as_str()).to_string();
            assert_eq!(text_bytes(&text), json.len(), "{json}");
        }
    }

    #[test]
    fn data_is_no_shorter_than_its_json_and_no_value_is_free() {
        let long = "\u{0}".repeat(600);
        let values = [
            serde_json::json!({"a": [1, -2.5, null, true], "": {"b\n": "c\""}, "d": long}),
            serde_json::json!([[], {}, i64::MIN]),
        ];
        for value in values {
            assert!(json_bytes(&value) >= value.to_string().len(), "{value}");
        }
        let noughts = Json::Array(vec![Json::from(0); 2_000]);
        assert_eq!(json_bytes(&noughts), 2_001 * VALUE_BYTES);
    }
}
