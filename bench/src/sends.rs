//! Durable sends: closed-loop senders, each on a connection of its own, each a GraphQL mutation that waits for its answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Message, http::HeaderValue};

use crate::contenders::LOBBY;
use crate::http::Http;
use crate::machine::{Cores, cpu_of};
use crate::markdown::{Table, figure};
use crate::one_commit;
use crate::peers::Peer;
use crate::record::Record;
use crate::server::{Server, token};
use crate::stats::{Outcome, Spread, distinct};

#[derive(clap::Args)]
pub struct Options {
    /// Concurrent senders, one run for each.
    #[arg(long, value_delimiter = ',', default_value = "1,16,128")]
    senders: Vec<usize>,
    /// Seconds of each run.
    #[arg(long, default_value_t = 5)]
    secs: u64,
    /// Runs of each, interleaved; medians are printed.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Bytes of each message body.
    #[arg(long, default_value_t = 100)]
    body_bytes: usize,
    /// Where all single runs go.
    #[arg(long, default_value = "target/bench/sends.json")]
    json: PathBuf,
}

/// What one run came to.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Run {
    senders: usize,
    what: String,
    round: usize,
    acknowledged_per_sec: f64,
    p50_millis: f64,
    p99_millis: f64,
    /// CPU of the server process for each send, where it is a process of its own.
    cpu_micros: Option<f64>,
}

const SINGLE: &str = "one commit a send, SQLite alone";
const GROUPED: &str = "Tidings, GraphQL over WebSocket";
const HTTP: &str = "Tidings, GraphQL over HTTP";
const PEER: &str = "async-graphql-axum as it comes, keeping nothing";

const SEND: &str = "mutation Send($input: SendMessageInput!) { sendMessage(input: $input) { message { id cursor } duplicate } }";

pub async fn run(options: Options) -> anyhow::Result<()> {
    let length = Duration::from_secs(options.secs);
    let body: Arc<str> = "x".repeat(options.body_bytes).into();
    let mut record = Record::begin(Cores::ANY, Vec::new())?;
    for &senders in &options.senders {
        for round in 0..options.rounds {
            let folder = tempfile::tempdir()?;
            let single = one_commit::run(folder.path(), senders, length, body.clone()).await?;
            let tidings = || Server::tidings(Cores::ANY.server);
            let grouped = measure(tidings()?, Way::WebSocket, senders, length, &body).await?;
            let http = measure(tidings()?, Way::Http, senders, length, &body).await?;
            let bare = Server::peer(Peer::AsyncGraphql, Cores::ANY.server)?;
            let bare = measure(bare, Way::WebSocket, senders, length, &body).await?;
            let outcomes = [
                (SINGLE, single),
                (GROUPED, grouped),
                (HTTP, http),
                (PEER, bare),
            ];
            for (what, outcome) in outcomes {
                record.runs.push(Run::of(&outcome, senders, what, round));
            }
            record.write(&options.json)?;
        }
    }
    print!("{}", tables(&record));
    Ok(())
}

impl Run {
    fn of(outcome: &Outcome, senders: usize, what: &str, round: usize) -> Self {
        Self {
            senders,
            what: what.to_owned(),
            round,
            acknowledged_per_sec: outcome.per_second(),
            p50_millis: outcome.percentile_millis(0.5),
            p99_millis: outcome.percentile_millis(0.99),
            cpu_micros: outcome.cpu_micros_each(),
        }
    }
}

/// The table of a record, if there is one.
pub fn report(json: &Path) -> anyhow::Result<Option<String>> {
    Ok(Record::read(json)?.map(|record| tables(&record)))
}

fn tables(record: &Record<Run>) -> String {
    let mut table = Table::new([
        "",
        "senders",
        "acknowledged/s",
        "least-most",
        "p50 ms",
        "p99 ms",
        "server CPU, µs a send",
        "against one commit a send",
    ]);
    for (senders, what) in distinct(&record.runs, |run| (run.senders, run.what.clone())) {
        let of = |what: &str, value: fn(&Run) -> f64| {
            let own = record.runs.iter();
            let own = own.filter(|run| run.senders == senders && run.what == what);
            own.map(value).collect::<Spread>()
        };
        let rate = of(&what, |run| run.acknowledged_per_sec);
        let single = of(SINGLE, |run| run.acknowledged_per_sec);
        table.push([
            what.clone(),
            senders.to_string(),
            figure(rate.median),
            format!("{}-{}", figure(rate.least), figure(rate.most)),
            figure(of(&what, |run| run.p50_millis).median),
            figure(of(&what, |run| run.p99_millis).median),
            figure(of(&what, |run| run.cpu_micros.unwrap_or(f64::NAN)).median),
            figure(rate.median / single.median),
        ]);
    }
    format!("{}{table}\n", record.heading())
}

/// How a sender is connected.
#[derive(Clone, Copy)]
enum Way {
    WebSocket,
    Http,
}

enum Sender {
    WebSocket(Box<Socket>),
    Http(Http),
}

impl Sender {
    async fn connect(server: &Server, way: Way, user: &str) -> anyhow::Result<Self> {
        Ok(match way {
            Way::WebSocket => Self::WebSocket(Box::new(connect(server, user).await?)),
            Way::Http => Self::Http(Http::connect(&server.address, token(user)?).await?),
        })
    }

    /// Sends one message and waits until it is acknowledged.
    async fn send(&mut self, body: &str) -> anyhow::Result<()> {
        let id = uuid::Uuid::now_v7().to_string();
        let variables = json!({ "input": { "id": id, "roomId": LOBBY, "body": body } });
        let request = json!({ "query": SEND, "variables": variables });
        let response = match self {
            Self::WebSocket(socket) => execute(socket, request).await?,
            Self::Http(http) => http.post(&request.to_string()).await?,
        };
        anyhow::ensure!(
            response["data"]["sendMessage"]["duplicate"] == false,
            "not sent: {response}"
        );
        Ok(())
    }
}

async fn measure(
    server: Server,
    way: Way,
    senders: usize,
    length: Duration,
    body: &Arc<str>,
) -> anyhow::Result<Outcome> {
    let mut ready = Vec::new();
    for n in 0..senders {
        ready.push(Sender::connect(&server, way, &format!("sender-{n}")).await?);
    }
    // A first send of each joins the room; what follows is only sending.
    let mut tasks = JoinSet::new();
    for mut sender in ready {
        let body = body.clone();
        tasks.spawn(async move { sender.send(&body).await.map(|()| sender) });
    }
    let mut ready = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        ready.push(joined??);
    }
    let (began, cpu_before) = (Instant::now(), cpu_of(server.pid)?);
    let mut tasks = JoinSet::new();
    for mut sender in ready {
        let body = body.clone();
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while began.elapsed() < length {
                let sent = Instant::now();
                sender.send(&body).await?;
                latencies.push(sent.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(finished) = tasks.join_next().await {
        latencies.extend(finished??);
    }
    let (took, cpu) = (began.elapsed(), cpu_of(server.pid)? - cpu_before);
    latencies.sort_unstable();
    Ok(Outcome {
        sends: latencies.len() as u64,
        took,
        latencies,
        cpu: Some(cpu),
    })
}

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn connect(server: &Server, user: &str) -> anyhow::Result<Socket> {
    let mut request = format!("ws://{}/graphql", server.address).into_client_request()?;
    request.headers_mut().insert(
        "sec-websocket-protocol",
        HeaderValue::from_static("graphql-transport-ws"),
    );
    let (mut socket, _) = tokio_tungstenite::connect_async_with_config(request, None, true).await?;
    let init = json!({ "type": "connection_init", "payload": { "token": token(user)? } });
    socket.send(Message::text(init.to_string())).await?;
    let ack = answer(&mut socket).await?;
    anyhow::ensure!(ack["type"] == "connection_ack", "no ack: {ack}");
    Ok(socket)
}

/// Executes an operation: its one response.
async fn execute(socket: &mut Socket, request: Value) -> anyhow::Result<Value> {
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": request });
    socket.send(Message::text(subscribe.to_string())).await?;
    let mut next = answer(socket).await?;
    anyhow::ensure!(next["type"] == "next", "no answer: {next}");
    let complete = answer(socket).await?;
    anyhow::ensure!(complete["type"] == "complete", "not complete: {complete}");
    Ok(next["payload"].take())
}

/// The next message that is not a ping.
async fn answer(socket: &mut Socket) -> anyhow::Result<Value> {
    while let Some(message) = socket.next().await {
        if let Message::Text(text) = message? {
            let value: Value = serde_json::from_str(&text)?;
            if value["type"] != "ping" {
                return Ok(value);
            }
        }
    }
    anyhow::bail!("the server closed the socket")
}
