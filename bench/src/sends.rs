//! Durable sends: closed-loop senders, each on its own WebSocket, each a GraphQL mutation that waits for its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Message, http::HeaderValue};

use crate::machine::cpu_of;
use crate::one_commit;
use crate::peers::Peer;
use crate::server::{Server, token};
use crate::stats::{Outcome, median};

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
}

const SEND: &str = "mutation Send($input: SendMessageInput!) { sendMessage(input: $input) { message { id cursor } duplicate } }";
const LOBBY: &str = "00000000-0000-7000-8000-000000000001";

pub async fn run(options: Options) -> anyhow::Result<()> {
    let length = Duration::from_secs(options.secs);
    let body: Arc<str> = "x".repeat(options.body_bytes).into();
    println!("| senders | | acknowledged/s | p50 ms | p99 ms | server CPU µs each | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for senders in options.senders {
        let (mut grouped, mut single, mut peer) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            grouped.push(over_sockets(Server::tidings(None)?, senders, length, &body).await?);
            let bare = Server::peer(Peer::AsyncGraphql, None)?;
            peer.push(over_sockets(bare, senders, length, &body).await?);
            let folder = tempfile::tempdir()?;
            single.push(one_commit::run(folder.path(), senders, length, body.clone()).await?);
        }
        let ratio = rate(&grouped) / rate(&single);
        row(senders, "one commit a send, SQLite alone", &single, 1.0);
        row(senders, "Tidings, GraphQL over WebSocket", &grouped, ratio);
        let what = "async-graphql-axum as it comes, keeping nothing";
        row(senders, what, &peer, rate(&peer) / rate(&single));
    }
    Ok(())
}

fn rate(runs: &[Outcome]) -> f64 {
    median(runs.iter().map(Outcome::per_second).collect())
}

fn row(senders: usize, what: &str, runs: &[Outcome], ratio: f64) {
    let of = |figure: &dyn Fn(&Outcome) -> f64| median(runs.iter().map(figure).collect());
    let cpu = runs
        .iter()
        .filter_map(Outcome::cpu_micros_each)
        .collect::<Vec<_>>();
    let cpu = if cpu.is_empty() {
        "-".to_owned()
    } else {
        format!("{:.0}", median(cpu))
    };
    let (p50, p99) = (
        of(&|run| run.percentile_millis(0.5)),
        of(&|run| run.percentile_millis(0.99)),
    );
    println!(
        "| {senders} | {what} | {:.0} | {p50:.2} | {p99:.2} | {cpu} | {ratio:.1} |",
        rate(runs)
    );
}

async fn over_sockets(
    server: Server,
    senders: usize,
    length: Duration,
    body: &Arc<str>,
) -> anyhow::Result<Outcome> {
    let mut sockets = Vec::new();
    for n in 0..senders {
        sockets.push(connect(&server, &format!("sender-{n}")).await?);
    }
    // A first send of each joins the room; what follows is only sending.
    let mut tasks = JoinSet::new();
    for mut socket in sockets {
        let body = body.clone();
        tasks.spawn(async move { send(&mut socket, &body).await.map(|()| socket) });
    }
    let mut sockets = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        sockets.push(joined??);
    }
    let (began, cpu_before) = (Instant::now(), cpu_of(server.pid)?);
    let mut tasks = JoinSet::new();
    for mut socket in sockets {
        let body = body.clone();
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while began.elapsed() < length {
                let sent = Instant::now();
                send(&mut socket, &body).await?;
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

async fn send(socket: &mut Socket, body: &str) -> anyhow::Result<()> {
    let id = uuid::Uuid::now_v7().to_string();
    let variables = json!({ "input": { "id": id, "roomId": LOBBY, "body": body } });
    let payload = json!({ "query": SEND, "variables": variables });
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": payload });
    socket.send(Message::text(subscribe.to_string())).await?;
    let next = answer(socket).await?;
    anyhow::ensure!(
        next["payload"]["data"]["sendMessage"]["duplicate"] == false,
        "not sent: {next}"
    );
    let complete = answer(socket).await?;
    anyhow::ensure!(complete["type"] == "complete", "not complete: {complete}");
    Ok(())
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
