//! What appends, look-ups and reads cost in logs of ever more events: it should not grow. Each cost stands beside
//! the same in the smallest log. Cold means that the files' pages were given back to the system and the store
//! was opened anew, so that nothing is in memory; other reads find what they need there.

use anyhow::Context;
use embedded::event_log::{Expected, Store, StoreConfig, StreamCursor};
use futures::{StreamExt, TryStreamExt};
use rustix::fs::{Advice, fadvise};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Run;
use super::big_log::{self, append, name, scattered, streams};
use super::figure::Figure;

/// The smallest log; each further one is ten times larger.
const EVENTS_FIRST: u64 = 10_000;
const GROWTH: u64 = 10;
/// Streams that are looked at in a round, each once cold and once again.
const SAMPLES: u64 = 200;
/// Appends of a round, and how many of them are in flight.
const APPENDS: u64 = 50_000;
const IN_FLIGHT: usize = 256;
/// Bytes of one read of everything, and how much is read.
const READ_BYTES: usize = 256 * 1024;
const READ_EVENTS_MAX: u64 = 2_000_000;

/// Names of the costs, in the order of [`Costs`].
const NAMES: [&str; 7] =
    ["append", "head-cold", "head-warm", "stream-read-cold", "stream-read-warm", "read-all", "open-cold"];
/// Microseconds of each thing.
type Costs = [f64; 7];

/// Measures with logs of up to `events_max`.
pub(super) async fn measure(run: &Run<'_>, events_max: u64) -> anyhow::Result<Vec<Figure>> {
    let directory = run.dir.join("log-size");
    let mut figures = Vec::new();
    let (mut first, mut filled) = (Vec::new(), 0);
    let sizes = std::iter::successors(Some(EVENTS_FIRST), |events| Some(events * GROWTH));
    for events in sizes.take_while(|events| *events <= events_max) {
        let store = open(&directory).await?;
        big_log::fill(&store, filled..events, events).await?;
        close(store).await?;
        // what the rounds append comes on top, and is little beside the next size
        filled = events;
        let mut rounds = Vec::new();
        for round in 0..run.rounds {
            rounds.push(costs(&directory, events, u64::from(round)).await?);
        }
        if first.is_empty() {
            first.clone_from(&rounds);
        }
        for (at, what) in NAMES.iter().enumerate() {
            let mut figure = Figure::new(format!("log-size/{what}/{events}"), "µs", "the smallest log");
            for (costs, baseline) in rounds.iter().zip(&first) {
                figure.round(costs[at], baseline[at]);
            }
            figures.push(figure);
        }
        let shown: Vec<String> =
            NAMES.iter().zip(&rounds[0]).map(|(what, micros)| format!("{what} {micros:.2}")).collect();
        run.say(&format!("log-size/{events}, first round, µs: {}", shown.join(", ")));
    }
    fs::remove_dir_all(&directory)?;
    Ok(figures)
}

async fn open(directory: &Path) -> anyhow::Result<Arc<Store>> {
    let config = StoreConfig::new(directory);
    Ok(Arc::new(tokio::task::spawn_blocking(|| Store::open(config)).await??))
}

async fn close(store: Arc<Store>) -> anyhow::Result<()> {
    Ok(tokio::task::spawn_blocking(move || store.close()).await??)
}

async fn costs(directory: &Path, events: u64, round: u64) -> anyhow::Result<Costs> {
    forget_pages(directory)?;
    let begun = Instant::now();
    let store = open(directory).await?;
    let opened = micros(begun.elapsed());
    let sample = move |at: u64| name(events, scattered(round * SAMPLES + at) % streams(events));
    let samples: Vec<String> = (0..SAMPLES).map(sample).collect();
    let reading = Arc::clone(&store);
    let (heads, reads, all) = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
        let heads = [look(&reading, &samples, head)?, look(&reading, &samples, head)?];
        let others: Vec<String> = (SAMPLES..2 * SAMPLES).map(sample).collect();
        let reads = [look(&reading, &others, read_stream)?, look(&reading, &others, read_stream)?];
        Ok((heads, reads, read_all(&reading)?))
    })
    .await??;
    let append = appends(&store, events, round).await?;
    close(store).await?;
    Ok([append, heads[0], heads[1], reads[0], reads[1], all, opened])
}

/// Gives the pages of all files back, so that the next read comes from the disk. What is not written back stays.
fn forget_pages(directory: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            forget_pages(&path)?;
        } else {
            let file = File::open(&path)?;
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

fn head(store: &Store, stream: &str) -> anyhow::Result<usize> {
    store.head(stream)?.last_revision().context("the stream is not there")?;
    Ok(1)
}

/// The first events of a stream, as a command reads them that loads its state; their cost is told for each.
fn read_stream(store: &Store, stream: &str) -> anyhow::Result<usize> {
    let head = store.head(stream)?;
    let records = store.read_stream_forwards(stream, &head, &mut StreamCursor::at(0))?;
    anyhow::ensure!(!records.is_empty(), "the stream is empty");
    Ok(records.len())
}

/// Microseconds of each thing found, on average.
fn look(
    store: &Store,
    streams: &[String],
    look: impl Fn(&Store, &str) -> anyhow::Result<usize>,
) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let mut found = 0;
    for stream in streams {
        found += look(store, stream)?;
    }
    Ok(micros(begun.elapsed()) / found.max(1) as f64)
}

/// Microseconds of one event when all are read in order.
fn read_all(store: &Store) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let (mut position, mut count) = (0, 0);
    while count < READ_EVENTS_MAX {
        let chunk = store.read_forwards(position, READ_BYTES)?;
        if chunk.records.is_empty() {
            break;
        }
        count += chunk.records.len() as u64;
        position = chunk.next;
    }
    Ok(micros(begun.elapsed()) / count.max(1) as f64)
}

/// Microseconds of one append of one event, with others in flight.
async fn appends(store: &Arc<Store>, events: u64, round: u64) -> anyhow::Result<f64> {
    // numbers that the filling never uses
    let first = u64::MAX / 2 + round * APPENDS;
    let begun = Instant::now();
    futures::stream::iter(first..first + APPENDS)
        .map(|number| {
            let store = Arc::clone(store);
            let stream = name(events, scattered(number) % streams(events));
            async move { store.write(append(stream, Expected::Any, number, 1)).await }
        })
        .buffered(IN_FLIGHT)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await?;
    Ok(micros(begun.elapsed()) / APPENDS as f64)
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}
