//! What a client does with what it hears.

use serde_json::Value;

use super::client::{Client, Word};
use super::stream::{Scope, Stream, millis};
use crate::support::{Wire, field};

impl Client {
    pub(super) async fn hear(&mut self, wire: &mut Wire, text: &str) {
        match field(text, "\"type\":\"").expect("each message has a type") {
            "next" => self.next(text),
            "error" => self.error(text),
            // Streams do not end by themselves.
            "complete" => assert!(field(text, "\"id\":\"m").is_some(), "{text}"),
            "ping" => {
                self.seen.counts.pings += 1;
                self.positions(text);
                wire.say(r#"{"type":"pong"}"#).await;
            }
            "pong" => {
                let pong: Value = serde_json::from_str(text).unwrap();
                let behind = pong["payload"]["behind"].as_u64().unwrap();
                // From now on nothing more of it may come.
                let stream = self.leaving.remove(&behind).expect("it was said once");
                self.free_ids.push(stream.id.clone());
                self.seen.streams.push(stream);
            }
            other => panic!("{other}: {text}"),
        }
    }

    fn stream(&mut self, id: &str) -> Option<&mut Stream> {
        let leaving = self.leaving.values_mut();
        let mut streams = self.streams.iter_mut().chain(leaving);
        streams.find(|stream| stream.id == id)
    }

    fn next(&mut self, text: &str) {
        let id = field(text, "\"id\":\"").expect("it has an id");
        if id.starts_with('m') {
            return self.answered(id, text);
        }
        let stream = self.stream(id);
        let stream = stream.unwrap_or_else(|| panic!("nothing of this is followed: {text}"));
        stream.next(text, millis());
    }

    fn error(&mut self, text: &str) {
        let id = field(text, "\"id\":\"").expect("it has an id");
        if id.starts_with('m') {
            return self.answered(id, text);
        }
        assert_eq!(field(text, "\"code\":\""), Some("NOT_FOUND"), "{text}");
        let stream = self.stream(id).expect("it is followed");
        assert!(matches!(stream.scope, Scope::Messages(_)), "{text}");
        stream.now().refused = Some(millis());
        if let Some(n) = self.streams.iter().position(|stream| stream.id == id) {
            let stream = self.streams.swap_remove(n);
            self.free_ids.push(stream.id.clone());
            self.seen.streams.push(stream);
        }
    }

    fn answered(&mut self, id: &str, text: &str) {
        let op: u64 = id[1..].parse().unwrap();
        // It may have been said twice, over two connections, but is answered on one.
        let at = self.pending.iter().position(|pending| pending.number == op);
        self.pending.swap_remove(at.expect("it was said"));
        let mut answer: Value = serde_json::from_str(text).unwrap();
        let code = field(text, "\"code\":\"").map(str::to_owned);
        let result = code.map_or_else(|| Ok(answer["payload"]["data"].take()), Err);
        self.tell(Word::Answer(op, result));
    }

    fn positions(&mut self, text: &str) {
        let ping: Value = serde_json::from_str(text).unwrap();
        let resume = ping["payload"]["resume"].as_object().unwrap();
        let at = millis();
        for stream in &mut self.streams {
            if let Some(cursor) = resume.get(&stream.id) {
                stream.position(cursor.as_str().unwrap(), at);
            }
        }
    }
}
