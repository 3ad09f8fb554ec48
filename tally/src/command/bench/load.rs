//! Load: connections that each send the next request as soon as the answer is here, all on one thread.

use anyhow::Context;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::super::demo::histogram::Histogram;
use super::http::{ChatRequest, Connection};
use super::machine::cpu_seconds;

/// Before each measurement: caches fill, the server's own work finds its rhythm.
pub(super) const WARM_UP: Duration = Duration::from_secs(1);

/// Requests of a whole run have numbers of their own: keys and texts never come twice.
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// A number that no request of this run has had.
pub(super) fn next_number() -> u64 {
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// What a measurement found.
pub(super) struct Load {
    pub(super) per_second: f64,
    pub(super) latency: Histogram,
    /// Processor time of the server for one request.
    pub(super) server_micros: f64,
}

/// Runs work on one thread of its own, so that the generator never takes more than one core.
pub(super) async fn on_one_thread<T, F>(work: impl FnOnce() -> F + Send + 'static) -> anyhow::Result<T>
where
    T: Send + 'static,
    F: Future<Output = anyhow::Result<T>>,
{
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, work())
    };
    tokio::task::spawn_blocking(run).await.context("the generator panicked")?
}

/// Keeps `requests.len()` connections busy for `length`, each with requests of its own persons in turn.
pub(super) async fn run(
    server: SocketAddr,
    process: u32,
    requests: Vec<Vec<ChatRequest>>,
    length: Duration,
) -> anyhow::Result<Load> {
    on_one_thread(move || generate(server, process, requests, length)).await
}

/// The same on the caller's thread, which must be a local set's.
pub(super) async fn generate(
    server: SocketAddr,
    process: u32,
    requests: Vec<Vec<ChatRequest>>,
    length: Duration,
) -> anyhow::Result<Load> {
    let latency = Rc::new(RefCell::new(Histogram::default()));
    let from = Instant::now() + WARM_UP;
    let until = from + length;
    let mut clients = tokio::task::JoinSet::new();
    for requests in requests {
        clients.spawn_local(client(server, requests, from, until, Rc::clone(&latency)));
    }
    tokio::time::sleep_until(from).await;
    let before = cpu_seconds(process)?;
    tokio::time::sleep_until(until).await;
    let cpu = cpu_seconds(process)? - before;
    while let Some(ended) = clients.join_next().await {
        ended.context("a client panicked")??;
    }
    let latency = latency.take();
    let count = latency.count() as f64;
    Ok(Load { per_second: count / length.as_secs_f64(), latency, server_micros: cpu * 1e6 / count.max(1.0) })
}

/// Has every person write once: keys are made and tokens known before anything is measured.
pub(super) async fn introduce(server: SocketAddr, requests: Vec<Vec<ChatRequest>>) -> anyhow::Result<()> {
    on_one_thread(move || async move {
        let mut clients = tokio::task::JoinSet::new();
        for mut requests in requests {
            clients.spawn_local(async move {
                let mut connection = Connection::open(server).await?;
                for request in &mut requests {
                    connection.exchange(request.bytes(next_number())).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = clients.join_next().await {
            ended.context("a client panicked")??;
        }
        Ok(())
    })
    .await
}

/// Counts what is answered within the time; what was begun in it and ends after it is left out, as what was begun
/// before it and ends in it is not.
async fn client(
    server: SocketAddr,
    mut requests: Vec<ChatRequest>,
    from: Instant,
    until: Instant,
    latency: Rc<RefCell<Histogram>>,
) -> anyhow::Result<()> {
    let mut connection = Connection::open(server).await?;
    let mut turn = 0;
    loop {
        let begun = Instant::now();
        if begun >= until {
            return Ok(());
        }
        let persons = requests.len();
        connection.exchange(requests[turn % persons].bytes(next_number())).await?;
        turn += 1;
        let ended = Instant::now();
        if ended >= from && ended < until {
            latency.borrow_mut().record(ended - begun);
        }
    }
}
