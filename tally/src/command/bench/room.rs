//! A room of sockets with something that makes messages for it: the real server, the bare loop, or a peer.

use anyhow::ensure;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};

use super::super::demo::histogram::Histogram;
use super::super::demo::socket;
use super::audience::Audience;
use super::bare;
use super::http::{ChatRequest, Connection};
use super::load::next_number;
use super::machine::{cpu_seconds, until_quiet};

/// Sockets of the room.
pub(super) const SOCKETS: usize = 1_000;

/// Connections for the messages: more than are ever under way at the rates that are measured.
const POSTING_CONNECTIONS: usize = 32;

/// About 200 bytes of text as people write it, digits included.
const WORDS: &str = "what a wonderful evening, I have been listening since the first song and would love to hear that \
                     last one again, please, the one with the long quiet beginning and the wild end";

/// After the sockets are open: joins and counts settle.
pub(super) const SETTLE: Duration = Duration::from_secs(2);

/// A message that takes longer did not arrive.
const ARRIVAL_WITHIN: Duration = Duration::from_secs(10);

const JOIN: &str = r#"{"type":"JOIN_STREAM","data":{"deviceType":"DESKTOP"}}"#;

/// Where the messages are made.
pub(super) enum Source {
    Real {
        pool: Rc<RefCell<Pool>>,
        requests: Vec<ChatRequest>,
        turn: usize,
    },
    /// A message for each byte, at the bare loop and at peers.
    Orders(TcpStream),
}

/// Connections that wait for a message to send, and what went wrong on one of them.
pub(super) struct Pool {
    free: Vec<Connection>,
    failure: Option<anyhow::Error>,
}

/// The real server, as the generator needs to know it.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) address: SocketAddr,
    pub(super) process: u32,
    pub(super) show: String,
    /// One for each socket; the same persons write.
    pub(super) tokens: Vec<String>,
}

/// What a time of messages cost and brought.
#[derive(Clone, Copy, Default)]
pub(super) struct Traffic {
    pub(super) seconds: f64,
    pub(super) cpu_seconds: f64,
    pub(super) sent: f64,
    pub(super) delivered: f64,
    pub(super) bytes: f64,
}

impl Source {
    pub(super) async fn real(stage: &Stage) -> anyhow::Result<Self> {
        let mut free = Vec::with_capacity(POSTING_CONNECTIONS);
        for _ in 0..POSTING_CONNECTIONS {
            free.push(Connection::open(stage.address).await?);
        }
        let pool = Rc::new(RefCell::new(Pool { free, failure: None }));
        let request = |token: &String| ChatRequest::new(&stage.show, token, WORDS);
        Ok(Self::Real { pool, requests: stage.tokens.iter().map(request).collect(), turn: 0 })
    }

    pub(super) async fn bare(address: SocketAddr, frame_bytes: u16) -> anyhow::Result<Self> {
        let mut control = TcpStream::connect(address).await?;
        control.set_nodelay(true)?;
        control.write_u8(bare::CONTROL).await?;
        control.write_u16(frame_bytes).await?;
        Ok(Self::Orders(control))
    }

    /// Has a message made, without waiting for the answer. `false`: all connections still wait for theirs.
    pub(super) async fn send(&mut self) -> anyhow::Result<bool> {
        let (pool, request) = match self {
            Self::Orders(control) => {
                control.write_u8(bare::MESSAGE).await?;
                return Ok(true);
            }
            Self::Real { pool, requests, turn } => {
                *turn += 1;
                let at = *turn % requests.len();
                (Rc::clone(pool), requests[at].bytes(next_number()).to_vec())
            }
        };
        if let Some(failure) = pool.borrow_mut().failure.take() {
            return Err(failure.context("a message failed"));
        }
        let Some(mut connection) = pool.borrow_mut().free.pop() else { return Ok(false) };
        drop(tokio::task::spawn_local(async move {
            match connection.exchange(&request).await {
                Ok(()) => pool.borrow_mut().free.push(connection),
                Err(error) => pool.borrow_mut().failure = Some(error),
            }
        }));
        Ok(true)
    }
}

/// Opens a socket at the real server for each of some tokens.
pub(super) async fn watch(stage: &Stage, tokens: &[String]) -> anyhow::Result<Vec<(TcpStream, Vec<u8>)>> {
    let server = socket::Server { authority: stage.address.to_string() };
    let mut connections = Vec::with_capacity(tokens.len());
    for token in tokens {
        connections.push(server.open(&stage.show, Some(token)).await?);
    }
    Ok(connections)
}

/// Everybody joins.
pub(super) async fn join(connections: &mut [(TcpStream, Vec<u8>)]) -> anyhow::Result<()> {
    for (stream, _) in connections {
        stream.write_all(&socket::text(JOIN.as_bytes(), rand::random())).await?;
    }
    Ok(())
}

/// Opens the room's sockets at the real server; everybody joins.
pub(super) async fn real_audience(stage: &Stage) -> anyhow::Result<Audience> {
    let mut connections = watch(stage, &stage.tokens).await?;
    join(&mut connections).await?;
    let audience = Audience::of(connections);
    sleep(SETTLE).await;
    until_quiet(stage.process).await;
    ensure!(audience.counts.closed() == 0, "{} sockets were closed at once", audience.counts.closed());
    Ok(audience)
}

/// The same at the bare loop.
pub(super) async fn bare_audience(address: SocketAddr) -> anyhow::Result<Audience> {
    let mut connections = Vec::with_capacity(SOCKETS);
    for _ in 0..SOCKETS {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_u8(bare::SOCKET).await?;
        connections.push((stream, Vec::new()));
    }
    sleep(SETTLE).await;
    Ok(Audience::of(connections))
}

/// Sends at a steady rate and takes the time from the beginning of each to its arrival at the last socket.
pub(super) async fn steady(
    source: &mut Source,
    audience: &Audience,
    per_second: u32,
    length: Duration,
) -> anyhow::Result<Histogram> {
    let mut histogram = Histogram::default();
    let pause = Duration::from_secs(1) / per_second;
    let (begun, before) = (Instant::now(), audience.counts.complete());
    let mut number = 0;
    while begun.elapsed() < length {
        sleep_until(begun + pause * number).await;
        number += 1;
        let sent = Instant::now();
        ensure!(source.send().await?, "the server is too slow for this rate");
        let arrived = audience.counts.wait_for(before + u64::from(number), ARRIVAL_WITHIN).await?;
        histogram.record(arrived.saturating_duration_since(sent));
    }
    Ok(histogram)
}

/// Sends at a rate for a time, and measures the server's processor time and what the sockets got meanwhile.
pub(super) async fn traffic(
    mut source: Option<&mut Source>,
    audience: Option<&Audience>,
    process: u32,
    per_second: u32,
    length: Duration,
) -> anyhow::Result<Traffic> {
    let counted =
        |what: fn(&super::audience::Counts) -> u64| audience.map_or(0, |audience| what(&audience.counts));
    let state = || (counted(|counts| counts.messages.get()), counted(|counts| counts.message_bytes.get()));
    let (messages, bytes) = state();
    let (begun, cpu) = (Instant::now(), cpu_seconds(process)?);
    let (mut ordered, mut sent) = (0_u32, 0_u32);
    while begun.elapsed() < length {
        match &mut source {
            None => sleep(length).await,
            Some(source) => {
                // timers tick each millisecond: faster rates send a few at once
                let due = begun.elapsed().as_secs_f64() * f64::from(per_second);
                while f64::from(ordered) <= due {
                    // what finds no free connection is left out: the server takes no more
                    sent += u32::from(source.send().await?);
                    ordered += 1;
                }
                sleep_until(begun + Duration::from_secs_f64(f64::from(ordered) / f64::from(per_second)))
                    .await;
            }
        }
    }
    let cpu_seconds = cpu_seconds(process)? - cpu;
    let (messages_now, bytes_now) = state();
    let traffic = Traffic {
        seconds: begun.elapsed().as_secs_f64(),
        cpu_seconds,
        sent: f64::from(sent),
        delivered: (messages_now - messages) as f64,
        bytes: (bytes_now - bytes) as f64,
    };
    // what is still under way belongs to nobody
    sleep(SETTLE).await;
    Ok(traffic)
}
