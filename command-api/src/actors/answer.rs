//! Answering a batch that is settled.

use std::sync::Arc;

use domain::show::RememberedCommand;
use schemas::ShowId;

use super::Shared;
use super::batch::{Batch, Decision};
use super::job::{Ask, CommandError, Done, Gathered, Job, Task};
use super::load::Loaded;
use super::recall;

/// Answers everybody, and gives back the reactions that wait to be counted.
pub(super) fn answer(
    shared: &Arc<Shared>,
    show: ShowId,
    jobs: Vec<Job>,
    batch: Batch,
    state: &Loaded,
) -> Vec<Gathered> {
    let Batch { events, decisions, .. } = batch;
    let mut events = events.into_iter();
    let mut gathering = Vec::new();
    for (job, decision) in jobs.into_iter().zip(decisions) {
        let (asker, repeatable) = match job.task {
            Task::Command(command, asker) => (asker, Some(command.id)),
            Task::Look(asker) | Task::Peek(asker) => (asker, None),
            Task::React(reaction, at, asker) => {
                match decision {
                    Decision::Gathers => gathering.push(Gathered { reaction: *reaction, at, asker }),
                    Decision::Known(known) => answer_reaction(asker, Ok(known), state, true),
                    Decision::Refused(rejection) => {
                        asker.answer(Err(CommandError::Rejected(rejection)));
                    }
                    Decision::Caused(_) | Decision::Nothing | Decision::Peeked | Decision::Counted(..) => {}
                }
                continue;
            }
            Task::Count(_, askers) => {
                let Decision::Counted(range, each) = decision else { continue };
                // the count's one event is told to each by its revision only
                let own: Vec<_> = events.by_ref().take(range.len()).map(|event| event.revision).collect();
                for (asker, one) in askers.into_iter().zip(each) {
                    let is_repeat = one.as_ref().is_ok_and(|known| !own.contains(&known.last));
                    let one = one.map_err(CommandError::Rejected);
                    answer_reaction(asker, one, state, is_repeat);
                }
                continue;
            }
        };
        match decision {
            Decision::Caused(range) => {
                let own: Vec<_> = events.by_ref().take(range.len()).collect();
                let revision = own.last().map_or(0, |event| event.revision);
                let position = state.position;
                asker.answer(Ok(Done { events: own, revision, position, is_repeat: false, seen: () }));
            }
            Decision::Nothing | Decision::Peeked => asker.answer(Ok(as_of(state, false))),
            Decision::Refused(rejection) => asker.answer(Err(CommandError::Rejected(rejection))),
            Decision::Known(known) => recall::spawn(shared, show, repeatable, known, asker, &state.base),
            Decision::Gathers | Decision::Counted(..) => {}
        }
    }
    gathering
}

/// A reaction's answer needs no event: revision and position say it all. The position is that of the state,
/// which is at or beyond it.
fn answer_reaction(
    mut asker: Box<dyn Ask>,
    counted: Result<RememberedCommand, CommandError>,
    state: &Loaded,
    is_repeat: bool,
) {
    asker.observe(&state.base);
    asker.answer(counted.map(|known| Done { revision: known.last, ..as_of(state, is_repeat) }));
}

fn as_of(state: &Loaded, is_repeat: bool) -> Done<()> {
    Done {
        events: Vec::new(),
        revision: state.revision().unwrap_or(0),
        position: state.position,
        is_repeat,
        seen: (),
    }
}
