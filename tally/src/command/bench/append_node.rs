//! The event-log node alone: single appends beside an echo of the same server and beside UmaDB, appends streamed over
//! one request beside a bare loop that writes and flushes, and reading everything beside the rate that the real server
//! publishes. Every append is flushed before it is answered.

use anyhow::Context;
use bytes::Bytes;
use embedded::event_log::measure::PlainClient;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::demo::histogram::Histogram;
use super::Run;
use super::bare_commit;
use super::figure::Figure;
use super::load::on_one_thread;
use super::machine::cpu_seconds;
use super::node_process::NodeProcess;
use super::peers::{self, UMADB};

/// Appends in flight, each over a request of its own.
const SINGLE_IN_FLIGHT: usize = 64;
/// Appends in flight over one request.
const STREAMED_IN_FLIGHT: usize = 256;
/// The events' payload.
const EVENT_BYTES: usize = 300;
/// Published for a catch-up of everything over gRPC by the real server (its pull request 4117).
const PUBLISHED_READS_PER_SECOND: f64 = 77_000.0;
/// Events that are read: some seconds' worth.
const READ_EVENTS: u64 = 1_000_000;
/// Appends in flight while the events that are read are written.
const FILL_IN_FLIGHT: usize = 1_024;
/// Caches fill, connections grow their windows.
const WARM_UP: Duration = Duration::from_millis(500);

/// Measures all of it.
pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    run.say("starting the event-log node and the echo");
    let node = NodeProcess::node(&run.dir.join("append-node")).await?;
    let echo = NodeProcess::echo(&run.dir.join("echo")).await?;
    let mut single = Figure::new("append-node/single", "appends/s", "an echo by the same server");
    let umadb = match &run.peers.umadb {
        Some(program) => Some(peers::umadb(run, program).await?),
        None => None,
    };
    let mut beside_umadb = Figure::new("append-node/umadb", "appends/s", "UmaDB as it comes");
    let mut streamed =
        Figure::new("append-node/streamed", "appends/s", "a loop that only writes and flushes");
    let mut read = Figure::new("append-node/read-all", "events/s", "what the real server publishes");
    fill(&node).await?;
    for round in 0..run.rounds {
        let beside = calls(echo.address, run.length, Call::Echo).await?;
        let before = cpu_seconds(node.process)?;
        let appends = calls(node.address, run.length, Call::Append).await?;
        let cpu = cpu_seconds(node.process)? - before;
        single.round(appends.per_second, beside.per_second);
        single.note("p50 ms", appends.latency.quantile_ms(0.5));
        single.note("p99 ms", appends.latency.quantile_ms(0.99));
        single.note("node µs/append", cpu * 1e6 / appends.latency.count().max(1) as f64);

        if let Some(umadb) = &umadb {
            let theirs = calls(umadb.address, run.length, Call::AppendToUmaDb).await?;
            beside_umadb.round(appends.per_second, theirs.per_second);
            beside_umadb.note("baseline p50 ms", theirs.latency.quantile_ms(0.5));
            beside_umadb.note("baseline p99 ms", theirs.latency.quantile_ms(0.99));
            run.say(&format!("append-node round {}: UmaDB {:.0}/s", round + 1, theirs.per_second));
        }

        let bare = bare_commit::run(run.dir, STREAMED_IN_FLIGHT, EVENT_BYTES, run.length).await?;
        let rate = stream(node.address, format!("streamed-{round}"), STREAMED_IN_FLIGHT, run.length).await?;
        streamed.round(rate, bare);

        read.round(read_all(node.address).await?, PUBLISHED_READS_PER_SECOND);
        run.say(&format!(
            "append-node round {}: {:.0}/s beside {:.0}/s, streamed {rate:.0}/s beside {bare:.0}/s",
            round + 1,
            appends.per_second,
            beside.per_second
        ));
    }
    node.kill().await?;
    let Some(umadb) = umadb else {
        single.not_beside(UMADB);
        return Ok(vec![single, streamed, read]);
    };
    umadb.stop().await?;
    Ok(vec![single, beside_umadb, streamed, read])
}

/// What the calls of a measurement do.
#[derive(Clone, Copy)]
enum Call {
    Echo,
    Append,
    AppendToUmaDb,
}

/// What a measurement of calls found.
struct Calls {
    per_second: f64,
    latency: Histogram,
}

/// Keeps calls in flight over one connection.
async fn calls(server: SocketAddr, length: Duration, call: Call) -> anyhow::Result<Calls> {
    on_one_thread(move || async move {
        let client = PlainClient::connect(server).await.context("cannot connect")?;
        let start = Instant::now() + WARM_UP;
        let mut lanes = JoinSet::new();
        for lane in 0..SINGLE_IN_FLIGHT {
            lanes.spawn_local(keep_calling(client.clone(), lane, call, start, start + length));
        }
        let mut latency = Histogram::default();
        while let Some(lane) = lanes.join_next().await {
            latency.add(&lane??);
        }
        let per_second = latency.count() as f64 / length.as_secs_f64();
        Ok(Calls { per_second, latency })
    })
    .await
}

async fn keep_calling(
    mut client: PlainClient,
    lane: usize,
    call: Call,
    start: Instant,
    end: Instant,
) -> anyhow::Result<Histogram> {
    let (stream, data) = (format!("single-{lane}"), payload());
    let mut latency = Histogram::default();
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok(latency);
        }
        match call {
            Call::Echo => client.echo(data.clone()).await?,
            Call::Append => client.append(&stream, data.clone()).await?,
            Call::AppendToUmaDb => client.append_to_umadb(&stream, data.clone()).await?,
        }
        if sent >= start {
            latency.record(sent.elapsed());
        }
    }
}

async fn stream(server: SocketAddr, name: String, in_flight: usize, length: Duration) -> anyhow::Result<f64> {
    on_one_thread(move || async move {
        let mut client = PlainClient::connect(server).await.context("cannot connect")?;
        client.append_streamed(&name, in_flight, payload(), WARM_UP).await?;
        let begun = Instant::now();
        let count = client.append_streamed(&name, in_flight, payload(), length).await?;
        Ok(count as f64 / begun.elapsed().as_secs_f64())
    })
    .await
}

/// Writes the events that are read.
async fn fill(node: &NodeProcess) -> anyhow::Result<()> {
    let address = node.address;
    on_one_thread(move || async move {
        let mut client = PlainClient::connect(address).await.context("cannot connect")?;
        let mut written = 0;
        while written < READ_EVENTS {
            let second = Duration::from_secs(1);
            written += client.append_streamed("fill", FILL_IN_FLIGHT, payload(), second).await?;
        }
        Ok(())
    })
    .await
}

async fn read_all(server: SocketAddr) -> anyhow::Result<f64> {
    on_one_thread(move || async move {
        let mut client = PlainClient::connect(server).await.context("cannot connect")?;
        let begun = Instant::now();
        let count = client.read_all(READ_EVENTS).await?;
        Ok(count as f64 / begun.elapsed().as_secs_f64())
    })
    .await
}

fn payload() -> Bytes {
    Bytes::from_static(&[b'x'; EVENT_BYTES])
}
