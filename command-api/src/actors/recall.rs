//! A repeat's answer: the first one, rebuilt from the events that the command caused.

use std::sync::Arc;

use domain::Show;
use domain::show::RememberedCommand;
use platform::http::problem::Chain;
use schemas::{CommandId, ShowId, streams};

use super::Shared;
use super::bounds::PAGE;
use super::job::{Ask, CommandError, Done, Recall};
use super::load::{LoadError, decode, in_time, load_until};

/// Reads the events back beside the actor, and answers. `now` is the state of now.
pub(super) fn spawn(
    shared: &Arc<Shared>,
    show: ShowId,
    id: Option<CommandId>,
    known: RememberedCommand,
    mut asker: Box<dyn Ask>,
    now: &Show,
) {
    let Some(id) = id else { return };
    metrics::counter!("tally_commands_repeated_total").increment(1);
    if asker.recall() == Recall::Now {
        asker.observe(now);
    }
    let shared = Arc::clone(shared);
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        // never closed while anyone holds `shared`
        let _permit = shared.recalls.acquire().await;
        let answer = match rebuild(&shared, show, id, known, asker.as_mut()).await {
            Ok(done) => Ok(done),
            Err(error) => {
                tracing::warn!(show.id = %show, error.chain = %Chain(&error), "repeat's events cannot be read");
                Err(if error.is_transient() { CommandError::Unavailable } else { CommandError::Broken })
            }
        };
        asker.answer(answer);
    });
}

async fn rebuild(
    shared: &Shared,
    show: ShowId,
    id: CommandId,
    known: RememberedCommand,
    asker: &mut dyn Ask,
) -> Result<Done<()>, LoadError> {
    let log = shared.log.as_ref();
    let span = known.last.saturating_sub(known.first) + 1;
    let limit = usize::try_from(span).unwrap_or(PAGE).min(PAGE);
    let mut events = Vec::new();
    for stored in in_time(log.read_stream(&streams::show(show), known.first, limit)).await? {
        let event = decode(&stored)?;
        if event.meta.causation == id {
            events.push(event);
        }
    }
    if asker.recall() == Recall::Then {
        asker.observe(&load_until(log, show, known.last).await?);
    }
    let last = events.last();
    Ok(Done {
        revision: last.map_or(known.last, |event| event.revision),
        position: last.and_then(|event| event.position).unwrap_or_default(),
        events,
        is_repeat: true,
        seen: (),
    })
}
