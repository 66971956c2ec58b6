//! An HTTP client that sees every byte, and the requests that it makes.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::{DEADLINE, TestServer};

/// A request.
pub(crate) struct Request {
    method: &'static str,
    path: String,
    version: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Request {
    /// A GraphQL request by POST.
    pub(crate) fn post(query: &str, variables: &Value) -> Self {
        let body = json!({ "query": query, "variables": variables }).to_string();
        Self::new("POST", "/graphql")
            .header("content-type", "application/json")
            .body(body)
    }

    pub(crate) fn new(method: &'static str, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            version: "1.1",
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// A GraphQL request by GET, as an `EventSource` makes it.
    pub(crate) fn get(query: &str, variables: &Value) -> Self {
        let mut url = reqwest::Url::parse("http://t/graphql").unwrap();
        url.query_pairs_mut()
            .append_pair("query", query)
            .append_pair("variables", &variables.to_string());
        Self::new("GET", &url.as_str()["http://t".len()..])
    }

    /// One more search parameter.
    pub(crate) fn search(mut self, name: &str, value: &str) -> Self {
        let mut url = reqwest::Url::parse(&format!("http://t{}", self.path)).unwrap();
        url.query_pairs_mut().append_pair(name, value);
        url.as_str()["http://t".len()..].clone_into(&mut self.path);
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(crate) fn accept(self, accept: &str) -> Self {
        self.header("accept", accept)
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, body: impl ToString) -> Self {
        self.body = body.to_string();
        self
    }

    pub(crate) fn http_1_0(mut self) -> Self {
        self.version = "1.0";
        self
    }

    fn text(&self) -> String {
        let (method, path, version) = (self.method, &self.path, self.version);
        let mut text = format!("{method} {path} HTTP/{version}\r\nhost: t\r\n");
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            text += &format!("content-length: {}\r\n", self.body.len());
        }
        text + "\r\n" + &self.body
    }

    /// Sends it over a connection of its own, and reads the head of the answer.
    pub(crate) fn send(&self, server: &TestServer) -> Answer {
        self.send_over(TcpStream::connect(server.addr()).unwrap())
    }

    /// As [`Self::send`]; the client's kernel takes little that the client does not read.
    pub(crate) fn send_narrow(&self, server: &TestServer) -> Answer {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        socket.connect(&server.addr().into()).unwrap();
        self.send_over(socket.into())
    }

    /// As it is on the wire, for whoever sends it.
    pub(crate) fn write_to(&self, mut out: impl Write) {
        out.write_all(self.text().as_bytes()).unwrap();
    }

    /// Sends it, and reads all that comes until the connection ends.
    pub(crate) fn send_for_all(&self, server: &TestServer) -> String {
        let mut tcp = TcpStream::connect(server.addr()).unwrap();
        tcp.set_read_timeout(Some(DEADLINE)).unwrap();
        tcp.write_all(self.text().as_bytes()).unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).unwrap();
        answer
    }

    fn send_over(&self, mut tcp: TcpStream) -> Answer {
        tcp.set_read_timeout(Some(DEADLINE)).unwrap();
        tcp.write_all(self.text().as_bytes()).unwrap();
        let mut answer = Answer {
            tcp,
            read: Vec::new(),
            head: String::new(),
        };
        answer.head = answer.until("\r\n\r\n").expect("a head comes");
        answer
    }

    /// The whole answer as JSON.
    pub(crate) fn json(&self, server: &TestServer) -> Value {
        let mut answer = self.send(server);
        serde_json::from_str(&answer.whole()).unwrap()
    }
}

/// An answer that is being read.
pub(crate) struct Answer {
    tcp: TcpStream,
    read: Vec<u8>,
    head: String,
}

/// How a body in chunks ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// By the last chunk.
    Whole,
    /// Without it.
    Cut,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head["HTTP/1.1 ".len()..][..3].parse().unwrap()
    }

    pub(crate) fn head(&self) -> &str {
        &self.head
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The next chunk's text.
    pub(crate) fn chunk(&mut self) -> Result<String, End> {
        let length = self.until("\r\n").ok_or(End::Cut)?;
        let length = usize::from_str_radix(length.trim_end(), 16).unwrap();
        let chunk = self.bytes(length + 2).ok_or(End::Cut)?;
        let text = chunk
            .strip_suffix("\r\n")
            .expect("a chunk ends with a line");
        match length {
            0 => Err(End::Whole),
            _ => Ok(text.to_owned()),
        }
    }

    /// The next chunk that is no comment and not merely an id.
    pub(crate) fn event(&mut self) -> Result<String, End> {
        loop {
            let chunk = self.chunk()?;
            if !chunk.starts_with(':') {
                return Ok(chunk);
            }
        }
    }

    /// The result that the next event holds.
    pub(crate) fn next(&mut self) -> Value {
        let event = self.event().unwrap();
        let (kind, rest) = event.split_once('\n').unwrap();
        assert_eq!(kind, "event: next", "{event}");
        let data = rest.lines().next().unwrap().strip_prefix("data: ").unwrap();
        serde_json::from_str(data).unwrap()
    }

    /// The events that are still to come, and how they end.
    pub(crate) fn rest(&mut self) -> (Vec<String>, End) {
        let mut events = Vec::new();
        loop {
            match self.event() {
                Ok(event) => events.push(event),
                Err(end) => return (events, end),
            }
        }
    }

    /// A body whose length was told.
    pub(crate) fn whole(&mut self) -> String {
        let length = self.header("content-length").expect("a length is told");
        let length = length.parse().unwrap();
        self.bytes(length).expect("the whole body comes")
    }

    /// All until the connection ends.
    pub(crate) fn until_its_end(&mut self) -> String {
        while self.more() {}
        String::from_utf8(std::mem::take(&mut self.read)).unwrap()
    }

    /// Says something that nobody asked for.
    pub(crate) fn say(&mut self, text: &str) {
        self.tcp.write_all(text.as_bytes()).unwrap();
    }

    /// All up to this, and this; `None` where it does not come.
    pub(crate) fn until(&mut self, end: &str) -> Option<String> {
        let end = end.as_bytes();
        loop {
            let at = self.read.windows(end.len()).position(|bytes| bytes == end);
            if let Some(at) = at {
                return self.bytes(at + end.len());
            }
            if !self.more() {
                return None;
            }
        }
    }

    fn bytes(&mut self, count: usize) -> Option<String> {
        while self.read.len() < count {
            if !self.more() {
                return None;
            }
        }
        let bytes = self.read.drain(..count).collect();
        Some(String::from_utf8(bytes).unwrap())
    }

    /// Reads; false when no more comes.
    fn more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.tcp.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.read.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("nothing comes: {error}"),
        }
    }
}
