//! A connection over which GraphQL requests are posted one after the other: as little of HTTP/1.1 as that takes.

use anyhow::Context;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A connection that is kept open.
pub struct Http {
    stream: BufReader<TcpStream>,
    token: String,
    line: String,
}

impl Http {
    /// Connects. `token` goes with each request.
    pub async fn connect(address: &str, token: String) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            token,
            line: String::new(),
        })
    }

    /// Posts a request and reads the answer.
    pub async fn post(&mut self, body: &str) -> anyhow::Result<Value> {
        let request = format!(
            "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             accept: application/graphql-response+json\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let mut answer = vec![0; self.head().await?];
        self.stream.read_exact(&mut answer).await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Reads to the end of the header lines: the length of what follows.
    async fn head(&mut self) -> anyhow::Result<usize> {
        let mut bytes = None;
        loop {
            self.line.clear();
            anyhow::ensure!(
                self.stream.read_line(&mut self.line).await? > 0,
                "the server closed the connection"
            );
            let line = self.line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                return bytes.context("an answer without a content-length");
            }
            if let Some(length) = line.strip_prefix("content-length:") {
                bytes = Some(length.trim().parse()?);
            }
        }
    }
}
