//! One append, until it is known what became of it.

use platform::event_log::{AppendError, Appended, Cause, EventLog, Expected, NewEvent, StoredEvent};
use platform::http::problem::Chain;
use schemas::{Position, Revision};
use tokio::time::{Instant, sleep, timeout};

use super::batch::Batch;
use super::bounds::{LOG_CALL_MAX, SETTLE_PAUSE_MAX, SETTLE_PAUSE_MIN, SETTLE_TIME_MAX, SETTLE_TRIES_MAX};

/// What became of an append.
pub(super) enum Settled {
    /// It is durable; its last event stands here.
    Durable(Position),
    /// Others came first: nothing of it was written, or ever will be.
    Overtaken,
    /// Nothing was written, and never will be.
    Refused(Cause),
    /// Nobody could say in time.
    Unknown,
}

/// What a look at the stream says of an append of unknown outcome.
enum Look {
    Ours(Position),
    Others,
    NotYet,
    Unreadable,
}

/// Appends a batch after `last`. An append of unknown outcome is settled only when a read shows that the
/// expected revision is overtaken, by our ids or by others'. Until then the identical batch (same ids, same
/// revision) is appended again: the log writes it at most once. A batch of which every event could be
/// another node's too (tips) is looked at even when it was acknowledged.
pub(super) async fn append(
    log: &dyn EventLog,
    stream: &str,
    last: Option<Revision>,
    batch: &mut Batch,
) -> Settled {
    let expected = Expected::after(last);
    let from = last.map_or(0, |last| last + 1);
    let give_up = Instant::now() + SETTLE_TIME_MAX;
    let mut pause = SETTLE_PAUSE_MIN;
    let mut unsettled = false;
    let ours = std::mem::take(&mut batch.encoded);
    let mut next = Some(ours.clone());
    for _ in 0..SETTLE_TRIES_MAX {
        if let Some(events) = next.take() {
            match call(log, stream, expected, events).await {
                Ok(appended) if batch.is_unmistakable => return Settled::Durable(appended.position),
                // it may be the same command by way of another node that was acknowledged
                Ok(_) => unsettled = true,
                // only a first try may be believed: a later one may meet what an earlier one wrote
                Err(AppendError::WrongExpected { .. }) if !unsettled => return Settled::Overtaken,
                Err(AppendError::Refused(cause)) if !unsettled => return Settled::Refused(cause),
                Err(error) => {
                    metrics::counter!("tally_appends_unsettled_total").increment(1);
                    tracing::warn!(stream, error.chain = %Chain(&error), "append is not settled");
                    unsettled = true;
                }
            }
        }
        match look(log, stream, from, &ours).await {
            Look::Ours(position) => return Settled::Durable(position),
            Look::Others => return Settled::Overtaken,
            Look::NotYet => next = Some(ours.clone()),
            Look::Unreadable => {}
        }
        if Instant::now() + pause >= give_up {
            break;
        }
        sleep(pause).await;
        pause = (pause * 2).min(SETTLE_PAUSE_MAX);
    }
    Settled::Unknown
}

async fn call(
    log: &dyn EventLog,
    stream: &str,
    expected: Expected,
    events: Vec<NewEvent>,
) -> Result<Appended, AppendError> {
    match timeout(LOG_CALL_MAX, log.append(stream, expected, events)).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(AppendError::OutcomeUnknown(Box::new(elapsed))),
    }
}

/// Reads what stands where the batch should. Ids alone do not tell whose it is: the same tip that was sent to
/// two nodes gives the same ids, but not the same event (time, request and seal differ), and for the log the
/// later append is a repeat of the earlier one. Only the content says which of them is in the log.
async fn look(log: &dyn EventLog, stream: &str, from: Revision, ours: &[NewEvent]) -> Look {
    let Ok(Ok(found)) = timeout(LOG_CALL_MAX, log.read_stream(stream, from, ours.len())).await else {
        return Look::Unreadable;
    };
    let Some(last) = found.last() else { return Look::NotYet };
    if !found.iter().zip(ours).all(|(there, ours)| is_same(there, ours)) {
        return Look::Others;
    }
    // an append is all or none, so fewer than all is a read that stopped short
    if found.len() == ours.len() { Look::Ours(last.position) } else { Look::Unreadable }
}

fn is_same(there: &StoredEvent, ours: &NewEvent) -> bool {
    there.id == ours.id && there.data == ours.data && there.metadata == ours.metadata
}
