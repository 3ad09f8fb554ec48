//! Writing one show, with its payments, as far as it is not in the log yet.

use anyhow::{Context, bail, ensure};
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt};
use generator::sealing::plain_fields;
use generator::{Edge, Happening, History, PaymentStep};
use platform::event_log::{AppendError, EventLog, Expected, NewEvent, StoredEvent, codec};
use platform::vault::{Vault, VaultError};
use schemas::{Envelope, Event, streams};
use std::sync::Arc;
use std::time::Duration;

use super::meter::Meter;

/// Events of one append: some 200 kB, so that it still shares a request with others. Where an append ends follows from the
/// history alone, so that an interrupted run ends where the next one would begin.
const BATCH_EVENTS: usize = 250;

/// Payments of one batch that are written at the same time.
const PAYMENTS_AT_ONCE: usize = 32;

/// Streams that are looked at together when a run begins.
const LOOKS_AT_ONCE: usize = 64;

/// Tries at an append of which nobody knows what became of it, and the pause between two.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// Writes shows.
pub(super) struct Writer {
    pub(super) history: Arc<History>,
    pub(super) edge: Arc<dyn Edge>,
    pub(super) log: Arc<dyn EventLog>,
    pub(super) vault: Vault,
    pub(super) meter: Arc<Meter>,
}

impl Writer {
    /// The shows that may not be complete, by their places. An earlier run began a show only when the one `at_once` places
    /// before it was complete, so nothing is missing that far before the last show that is there, and nothing comes after so many
    /// that are not: looking for what is not there costs the client more than what is.
    pub(super) async fn unwritten(&self, at_once: usize) -> anyhow::Result<Vec<usize>> {
        let shows = self.history.shows();
        let mut there: Vec<bool> = Vec::with_capacity(shows.len());
        for shows in shows.chunks(LOOKS_AT_ONCE.max(at_once)) {
            let looks = shows.iter().map(|show| self.last(streams::show(show.id)));
            let found = try_join_all(looks).await?;
            there.extend(found.iter().map(Option::is_some));
            if found.iter().all(Option::is_none) {
                break;
            }
        }
        there.resize(shows.len(), false);
        let last = there.iter().rposition(|there| *there).unwrap_or(0);
        let is_complete = |place: usize| there[place] && place + at_once <= last;
        for place in (0..shows.len()).filter(|place| is_complete(*place)) {
            self.meter.knew(shows[place].events);
        }
        Ok((0..shows.len()).filter(|place| !is_complete(*place)).collect())
    }

    async fn last(&self, stream: String) -> anyhow::Result<Option<StoredEvent>> {
        let last = self.log.read_stream_back(&stream, None, 1).await.context("cannot read the log")?;
        Ok(last.into_iter().next())
    }

    /// Writes the show at this place.
    pub(super) async fn write(&self, place: usize) -> anyhow::Result<()> {
        let mut performance = self.history.play(place, &self.edge);
        let stream = streams::show(performance.plan().id);
        let last = self.last(stream.clone()).await?;
        let mut expected = None;
        loop {
            let mut batch: Vec<Happening> = performance.by_ref().take(BATCH_EVENTS).collect();
            let Some(end) = batch.last().map(|happening| happening.event.revision) else { break };
            match &last {
                Some(last) if last.revision >= end => self.recognise(&batch, last).await?,
                Some(_) | None => {
                    self.append_batch(&stream, &mut batch, expected, last.as_ref()).await?;
                }
            }
            expected = Some(end);
        }
        if let (Some(last), Some(end)) = (&last, expected) {
            ensure!(last.revision <= end, "{stream} has events that are not of this history: {OTHERS}");
        }
        Ok(())
    }

    /// A batch that is in the log. If it is the last one there, what comes after it in payments may be missing.
    async fn recognise(&self, batch: &[Happening], last: &StoredEvent) -> anyhow::Result<()> {
        if let Some(same) = batch.iter().find(|happening| happening.event.revision == last.revision) {
            ensure!(same.event.event_id == last.id, "{} goes on otherwise than here: {OTHERS}", last.stream);
            self.append_steps(batch.iter().filter_map(|happening| happening.after.as_ref())).await?;
        }
        self.meter.knew(events_of(batch));
        Ok(())
    }

    async fn append_batch(
        &self,
        stream: &str,
        batch: &mut [Happening],
        before: Option<u64>,
        last: Option<&StoredEvent>,
    ) -> anyhow::Result<()> {
        let known =
            last.filter(|last| batch.iter().any(|happening| happening.event.revision == last.revision));
        if let Some(last) = known {
            bail!("{stream} ends within a batch, at revision {}: {OTHERS}", last.revision);
        }
        self.seal(batch).await.context("personal data cannot be sealed")?;
        let events =
            batch.iter().map(|happening| encode(&happening.event)).collect::<anyhow::Result<Vec<_>>>()?;
        // promised payments first, with how they end: whoever finds a promise must not ask for the money again
        self.append_steps(batch.iter().filter_map(|happening| happening.before.as_ref())).await?;
        self.append(stream, Expected::after(before), events).await?;
        self.append_steps(batch.iter().filter_map(|happening| happening.after.as_ref())).await?;
        self.meter.wrote(events_of(batch));
        Ok(())
    }

    /// Seals what is plain. The vault gets the keys of all who have none at hand together.
    async fn seal(&self, batch: &mut [Happening]) -> Result<(), VaultError> {
        let fields = batch.iter_mut().flat_map(|happening| {
            let event = happening.event.event_id;
            plain_fields(&mut happening.event.event).into_iter().map(move |field| (event, field))
        });
        let sealing = fields.map(|(event, field)| async move {
            let plain = &field.value.ciphertext.0;
            let sealed = self.vault.seal(field.person, event, field.field, plain).await?;
            *field.value = sealed;
            Ok(())
        });
        try_join_all(sealing).await.map(drop)
    }

    async fn append_steps<'a>(&self, steps: impl Iterator<Item = &'a PaymentStep>) -> anyhow::Result<()> {
        let mut appends = Vec::new();
        for step in steps {
            let events = step.events.iter().map(encode).collect::<anyhow::Result<Vec<_>>>()?;
            let first = step.events.first().map_or(0, |event| event.revision);
            appends.push((streams::payment(step.payment), Expected::after(first.checked_sub(1)), events));
        }
        futures::stream::iter(appends)
            .map(|(stream, expected, events)| async move { self.append(&stream, expected, events).await })
            .buffer_unordered(PAYMENTS_AT_ONCE)
            .try_collect()
            .await
    }

    /// Appends, again where the outcome is unknown: the same events at the same place are no second ones.
    async fn append(&self, stream: &str, expected: Expected, events: Vec<NewEvent>) -> anyhow::Result<()> {
        for _ in 0..TRIES {
            match self.log.append(stream, expected, events.clone()).await {
                Ok(_) => return Ok(()),
                Err(AppendError::OutcomeUnknown(_)) => tokio::time::sleep(PAUSE).await,
                Err(AppendError::WrongExpected { actual }) => {
                    bail!("{stream} was written by somebody else (its last revision is {actual:?}): {OTHERS}")
                }
                Err(error @ AppendError::Refused(_)) => {
                    return Err(error).with_context(|| format!("the log does not take events of {stream}"));
                }
            }
        }
        bail!("the log does not answer: run the same again to go on")
    }
}

/// What to do about a stream that is not as this history would have it.
const OTHERS: &str = "was it made with other options, or was Tally started over a history that was half written? \
                      Use another --seed or a data directory of its own";

/// All events of a batch, those of payments too.
fn events_of(batch: &[Happening]) -> u64 {
    let steps = batch.iter().flat_map(|happening| happening.before.iter().chain(&happening.after));
    (batch.len() + steps.map(|step| step.events.len()).sum::<usize>()) as u64
}

fn encode<E: Clone + Into<Event>>(envelope: &Envelope<E>) -> anyhow::Result<NewEvent> {
    let event = envelope.event.clone().into();
    codec::encode(&event, &envelope.meta, envelope.event_id).context("an event cannot be written")
}
