//! Command to socket: from the beginning of a POST to the last of a thousand sockets that can read its message, beside
//! a bare flush to disk and a bare fan-out.

use anyhow::Context;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::super::demo::histogram::Histogram;
use super::Run;
use super::child::Server;
use super::figure::Figure;
use super::load::on_one_thread;
use super::room::{self, SOCKETS, Source};

/// Messages a second: a calm chat, in which each message is alone.
const PER_SECOND: u32 = 20;

/// What a bare flush writes: about a message with its metadata.
const FLUSHED_BYTES: usize = 1_024;

/// The bare loop's frames: about a message's.
const FRAME_BYTES: u16 = 512;

/// The slowest of a hundred.
const SHARE: f64 = 0.99;

/// Measures the three, one after the other in each round.
pub(super) async fn measure(run: &Run<'_>) -> anyhow::Result<Vec<Figure>> {
    let real = run.tally("latency").await?;
    let loop_only = run.bare("bare-latency").await?;
    let mut figure =
        Figure::new("command-to-socket", "ms, p99", "p99 of a bare flush + p99 of a bare fan-out");
    for round in 0..run.rounds {
        let stage = run.stage(&real, SOCKETS).await?;
        let length = run.length;
        let commands = on_one_thread(move || async move {
            let audience = room::real_audience(&stage).await?;
            let mut source = Source::real(&stage).await?;
            room::steady(&mut source, &audience, PER_SECOND, length).await
        })
        .await?;
        let flushes = flushes(run.dir.join("flushed"), length).await?;
        let fan_out = bare_fan_out(&loop_only, length).await?;
        let baseline = flushes.quantile_ms(SHARE) + fan_out.quantile_ms(SHARE);
        figure.round(commands.quantile_ms(SHARE), baseline);
        figure.note("p50 ms", commands.quantile_ms(0.50));
        figure.note("p99 above the baseline, ms", commands.quantile_ms(SHARE) - baseline);
        figure.note("bare flush p50 ms", flushes.quantile_ms(0.50));
        figure.note("bare flush p99 ms", flushes.quantile_ms(SHARE));
        figure.note("bare fan-out p50 ms", fan_out.quantile_ms(0.50));
        figure.note("bare fan-out p99 ms", fan_out.quantile_ms(SHARE));
        run.say(&format!(
            "{} round {}: {:.2} ms beside {baseline:.2} ms",
            figure.name,
            round + 1,
            commands.quantile_ms(SHARE)
        ));
    }
    real.stop().await?;
    loop_only.stop().await?;
    Ok(vec![figure])
}

async fn bare_fan_out(server: &Server, length: Duration) -> anyhow::Result<Histogram> {
    let address = server.address;
    on_one_thread(move || async move {
        let audience = room::bare_audience(address).await?;
        let mut source = Source::bare(address, FRAME_BYTES).await?;
        room::steady(&mut source, &audience, PER_SECOND, length).await
    })
    .await
}

/// Appends to a file that grows and has each append flushed, at the same rate.
async fn flushes(path: PathBuf, length: Duration) -> anyhow::Result<Histogram> {
    let work = move || -> anyhow::Result<Histogram> {
        let mut file = File::create(&path)?;
        let mut histogram = Histogram::default();
        let begun = Instant::now();
        while begun.elapsed() < length {
            let before = Instant::now();
            file.write_all(&[0x5A; FLUSHED_BYTES])?;
            file.sync_data()?;
            let took = before.elapsed();
            histogram.record(took);
            std::thread::sleep((Duration::from_secs(1) / PER_SECOND).saturating_sub(took));
        }
        Ok(histogram)
    };
    tokio::task::spawn_blocking(work).await.context("the flushing thread panicked")?
}
