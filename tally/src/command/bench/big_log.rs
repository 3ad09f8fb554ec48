//! Big logs, made directly through the store: small events in many streams, each stream appended to again and again.

use embedded::event_log::{Command, Expected, NewEvent, Store};
use futures::{StreamExt, TryStreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use std::ops::Range;
use std::sync::Arc;
use uuid::Uuid;

/// Events of one append.
const APPEND_EVENTS: u64 = 20;
/// Events of one stream: a hundred million events are a million streams.
const STREAM_EVENTS: u64 = 100;
/// Appends in flight.
const IN_FLIGHT: usize = 512;
/// Odd, so that multiplying by it visits every number once.
const SCATTER: u64 = 0x9E37_79B9_7F4A_7C15;

/// Streams of a log with so many events.
pub(super) fn streams(events: u64) -> u64 {
    (events / STREAM_EVENTS).max(1)
}

/// A stream's name in a log that has so many events in the end: logs that grow get streams of their own each time.
pub(super) fn name(events: u64, stream: u64) -> String {
    format!("{}-{stream}", events.ilog10())
}

/// A number that looks random, and is the same in every run.
pub(super) fn scattered(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(SCATTER);
    (mixed ^ (mixed >> 29)).wrapping_mul(SCATTER)
}

/// An append of so many events with numbers from `number` on.
pub(super) fn append(stream: String, expected: Expected, number: u64, events: u64) -> Command {
    let event = |at: u64| NewEvent {
        id: Uuid::from_u64_pair(scattered(number + at), scattered(!(number + at))),
        event_type: "e".to_owned(),
        content_type: "b".to_owned(),
        metadata: bytes::Bytes::new(),
        data: bytes::Bytes::copy_from_slice(&number.to_le_bytes()),
    };
    Command::Append { stream, expected, events: (0..events).map(event).collect() }
}

/// Appends the events with these numbers, for a log that shall have `total` of them in the end.
pub(super) async fn fill(store: &Arc<Store>, numbers: Range<u64>, total: u64) -> anyhow::Result<()> {
    let bar = ProgressBar::new(numbers.end).with_message("filling the log");
    if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:40}] {pos} of {len} events, {eta} left") {
        bar.set_style(style);
    }
    let (streams, start) = (streams(total), numbers.start);
    // a stream's next append waits for its last one
    let in_flight = IN_FLIGHT.min(usize::try_from(streams)?);
    let appends = numbers.step_by(usize::try_from(APPEND_EVENTS)?);
    futures::stream::iter(appends)
        .map(|number| {
            // one stream after the other, and after a round the same ones again
            let (round, stream) =
                ((number - start) / APPEND_EVENTS / streams, (number - start) / APPEND_EVENTS % streams);
            let expected = (round * APPEND_EVENTS).checked_sub(1).map_or(Expected::NoStream, Expected::Exact);
            let command = append(name(total, stream), expected, number, APPEND_EVENTS);
            let store = Arc::clone(store);
            async move { store.write(command).await.map(|_| number) }
        })
        .buffered(in_flight)
        .try_for_each(|number| {
            bar.set_position(number);
            std::future::ready(Ok(()))
        })
        .await?;
    bar.finish_and_clear();
    Ok(())
}
