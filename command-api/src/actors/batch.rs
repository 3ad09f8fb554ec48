//! Deciding a batch: each command against the state that the ones before it leave.

use std::ops::Range;

use domain::command::{Action, Reaction};
use domain::show::RememberedCommand;
use domain::{Command, Rejection, Rules, Show};
use platform::event_log::NewEvent;
use platform::event_log::codec::{self, EncodeError};
use schemas::events::ShowEvent;
use schemas::{AttemptId, BodyHash, CommandId, Envelope, Event};

use super::bounds::BATCH_BYTES_MAX;
use super::job::{Ask, Job, Task};

/// What was decided of one job.
pub(super) enum Decision {
    /// It causes these of the batch's events.
    Caused(Range<usize>),
    /// There is nothing to do, or it only looks, at the head.
    Nothing,
    /// It only looks, at whatever is in memory.
    Peeked,
    /// Refused.
    Refused(Rejection),
    /// It was done before, or is done by another job of this batch.
    Known(RememberedCommand),
    /// A reaction that may be counted, and waits for that.
    Gathers,
    /// What became of each reaction that was to be counted, by these of the batch's events.
    Counted(Range<usize>, Vec<Result<RememberedCommand, Rejection>>),
}

/// What was decided of the first jobs of a list.
pub(super) struct Batch {
    /// All events, in order.
    pub(super) events: Vec<Envelope<ShowEvent>>,
    /// The same, for the log.
    pub(super) encoded: Vec<NewEvent>,
    /// One for each job, in order. May be fewer than the jobs: the rest is for the next batch.
    pub(super) decisions: Vec<Decision>,
    /// Whether an event has an id that no other node can have made: then an acknowledgement is for this batch.
    pub(super) is_unmistakable: bool,
}

impl Batch {
    /// Whether anything here would be wrong if the state lagged behind the log.
    pub(super) fn depends_on_head(&self) -> bool {
        self.decisions.iter().any(|decision| match decision {
            Decision::Nothing | Decision::Refused(_) => true,
            Decision::Counted(_, each) => each.iter().any(Result::is_err),
            // what is remembered is in the log, wherever its head is
            Decision::Known(_) | Decision::Gathers | Decision::Caused(_) | Decision::Peeked => false,
        })
    }
}

/// Decides jobs until there are no more or the batch is full. `working` is left as the batch leaves it.
pub(super) fn decide(jobs: &mut [Job], working: &mut Show, rules: &Rules) -> Result<Batch, EncodeError> {
    let mut batch = Batch {
        events: Vec::with_capacity(jobs.len()),
        encoded: Vec::with_capacity(jobs.len()),
        decisions: Vec::with_capacity(jobs.len()),
        is_unmistakable: false,
    };
    let mut bytes = 0;
    for job in jobs {
        if bytes >= BATCH_BYTES_MAX {
            break;
        }
        let decision = match &mut job.task {
            Task::Command(command, asker) => {
                decide_command(command, asker.as_mut(), working, rules, &mut batch, &mut bytes)?
            }
            Task::React(reaction, _, _) => decide_reaction(reaction, working),
            Task::Look(asker) => {
                asker.observe(working);
                Decision::Nothing
            }
            Task::Peek(asker) => {
                asker.observe(working);
                Decision::Peeked
            }
            Task::Count(command, askers) => {
                decide_count(command, askers, working, rules, &mut batch, &mut bytes)?
            }
        };
        batch.decisions.push(decision);
    }
    Ok(batch)
}

fn decide_command(
    command: &Command,
    asker: &mut dyn Ask,
    working: &mut Show,
    rules: &Rules,
    batch: &mut Batch,
    bytes: &mut usize,
) -> Result<Decision, EncodeError> {
    match recall(working, command.id, command.body_hash) {
        Ok(None) => {}
        Ok(Some(known)) => return Ok(Decision::Known(known)),
        Err(rejection) => return Ok(Decision::Refused(rejection)),
    }
    let events = match working.handle(command, rules) {
        Ok(events) => events,
        Err(rejection) => return Ok(Decision::Refused(rejection)),
    };
    asker.observe(working);
    if events.is_empty() {
        return Ok(Decision::Nothing);
    }
    let first = batch.events.len();
    push(batch, bytes, command.attempt, events)?;
    Ok(Decision::Caused(first..batch.events.len()))
}

fn decide_reaction(reaction: &Reaction, working: &Show) -> Decision {
    match recall(working, reaction.command_id, reaction.body_hash) {
        Ok(Some(known)) => Decision::Known(known),
        Err(rejection) => Decision::Refused(rejection),
        Ok(None) => match working.check_reaction(reaction) {
            Ok(()) => Decision::Gathers,
            Err(rejection) => Decision::Refused(rejection),
        },
    }
}

fn decide_count(
    command: &Command,
    askers: &mut [Box<dyn Ask>],
    working: &mut Show,
    rules: &Rules,
    batch: &mut Batch,
    bytes: &mut usize,
) -> Result<Decision, EncodeError> {
    let Action::React(count) = &command.action else { return Ok(Decision::Counted(0..0, Vec::new())) };
    // a refusal of them all is told below, to each its own
    let events = working.handle(command, rules).unwrap_or_default();
    let first = batch.events.len();
    push(batch, bytes, command.attempt, events)?;
    for asker in askers.iter_mut() {
        asker.observe(working);
    }
    let each = count.reactions.iter().map(|reaction| {
        match recall(working, reaction.command_id, reaction.body_hash)? {
            Some(known) => Ok(known),
            // not counted, so there is a reason; with none left the reaction itself is at fault
            None => Err(working.check_reaction(reaction).err().unwrap_or(Rejection::ReactionCount)),
        }
    });
    Ok(Decision::Counted(first..batch.events.len(), each.collect()))
}

/// What the state knows of a command. Another body under its id is another request.
fn recall(show: &Show, id: CommandId, body_hash: BodyHash) -> Result<Option<RememberedCommand>, Rejection> {
    match show.remembers(id) {
        Some(known) if known.body_hash != body_hash => Err(Rejection::KeyReused),
        known => Ok(known),
    }
}

fn push(
    batch: &mut Batch,
    bytes: &mut usize,
    attempt: AttemptId,
    events: Vec<Envelope<ShowEvent>>,
) -> Result<(), EncodeError> {
    batch.is_unmistakable |= !events.is_empty() && attempt.is_ours_alone();
    for envelope in events {
        let (envelope, encoded) = encode(envelope)?;
        *bytes += encoded.data.len() + encoded.metadata.len();
        batch.encoded.push(encoded);
        batch.events.push(envelope);
    }
    Ok(())
}

/// Encodes, and gives the envelope back: the codec takes any event, the domain only a show's.
fn encode(envelope: Envelope<ShowEvent>) -> Result<(Envelope<ShowEvent>, NewEvent), EncodeError> {
    let Envelope { event_id, revision, position, meta, event } = envelope;
    let wrapped = Event::Show(event);
    let encoded = codec::encode(&wrapped, &meta, event_id)?;
    let event = match wrapped {
        Event::Show(event) => event,
        Event::Payment(_) => unreachable!("wrapped above as a show's"),
    };
    Ok((Envelope { event_id, revision, position, meta, event }, encoded))
}
