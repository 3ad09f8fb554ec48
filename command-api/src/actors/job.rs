//! What actors are asked, and how they answer.

use domain::command::Reaction;
use domain::{Command, Rejection, Show};
use schemas::events::ShowEvent;
use schemas::{Envelope, Position, Revision, Timestamp};
use thiserror::Error;
use tokio::sync::oneshot;
use tracing::Span;

/// A command that is durable, or that had nothing to do.
#[derive(Clone, Debug)]
pub struct Done<T> {
    /// What it caused; for a repeat, what it caused the first time. Empty for reactions, which share one event.
    pub events: Vec<Envelope<ShowEvent>>,
    /// The revision of its last event, or of the state where it caused none.
    pub revision: Revision,
    /// The position of its last event, or of the state where it caused none.
    pub position: Position,
    /// Whether the command had been answered before.
    pub is_repeat: bool,
    /// What was read of the state.
    pub seen: T,
}

/// Why a command was not done.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CommandError {
    /// Refused, at the head of the log.
    #[error("command refused")]
    Rejected(#[source] Rejection),
    /// Too much waits already. Nothing happened.
    #[error("too many commands wait for the show")]
    Overloaded,
    /// It may or may not have happened: the same key again finds out.
    #[error("the outcome of the command is unknown")]
    OutcomeUnknown,
    /// The log cannot be reached, or others were faster too often. Nothing happened.
    #[error("the log is not available")]
    Unavailable,
    /// This node is going away. Nothing happened.
    #[error("the node is shutting down")]
    ShuttingDown,
    /// The show's events cannot be read, or its next ones not be written: a defect, which the log tells.
    #[error("the show cannot be loaded or written")]
    Broken,
}

/// Which state a repeat's answer is read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recall {
    /// That of now: for answers whose events say it all.
    Now,
    /// That which the command left: for answers that show the state itself.
    Then,
}

/// Somebody who waits for an answer.
pub(super) trait Ask: Send {
    /// Reads what the answer needs of the state. May come again, when the command is decided again.
    fn observe(&mut self, show: &Show);
    /// Which state a repeat looks at.
    fn recall(&self) -> Recall;
    /// Answers. An asker that is gone meanwhile is no error.
    fn answer(self: Box<Self>, answer: Result<Done<()>, CommandError>);
}

/// The one implementation: a function that reads, and a channel to whoever asked.
pub(super) struct Waiter<T, R> {
    pub(super) read: R,
    pub(super) recall: Recall,
    pub(super) seen: Option<T>,
    pub(super) reply: oneshot::Sender<Result<Done<T>, CommandError>>,
}

impl<T: Send, R: FnMut(&Show) -> T + Send> Ask for Waiter<T, R> {
    fn observe(&mut self, show: &Show) {
        self.seen = Some((self.read)(show));
    }

    fn recall(&self) -> Recall {
        self.recall
    }

    fn answer(self: Box<Self>, answer: Result<Done<()>, CommandError>) {
        let Self { seen, reply, .. } = *self;
        let answer = answer.and_then(|done| {
            let seen = seen.ok_or(CommandError::Broken)?;
            let Done { events, revision, position, is_repeat, seen: () } = done;
            Ok(Done { events, revision, position, is_repeat, seen })
        });
        // whoever asked may have hung up; what was done is done
        let _ = reply.send(answer);
    }
}

/// A reaction that waits to be counted.
pub(super) struct Gathered {
    pub(super) reaction: Reaction,
    pub(super) at: Timestamp,
    pub(super) asker: Box<dyn Ask>,
}

/// What an actor is asked.
pub(super) enum Task {
    Command(Box<Command>, Box<dyn Ask>),
    React(Box<Reaction>, Timestamp, Box<dyn Ask>),
    Look(Box<dyn Ask>),
    /// As `Look`, but what is in memory will do.
    Peek(Box<dyn Ask>),
    /// The actor asks itself: count what was gathered. The command carries the reactions.
    Count(Box<Command>, Vec<Box<dyn Ask>>),
}

/// A task with the span that it came from.
pub(super) struct Job {
    pub(super) task: Task,
    pub(super) span: Span,
}

impl Job {
    pub(super) fn new(task: Task) -> Self {
        Self { task, span: Span::current() }
    }

    /// Answers everybody who waits for this job with the same error.
    pub(super) fn refuse(self, error: &CommandError) {
        match self.task {
            Task::Command(_, asker) | Task::React(_, _, asker) | Task::Look(asker) | Task::Peek(asker) => {
                asker.answer(Err(error.clone()));
            }
            Task::Count(_, askers) => {
                for asker in askers {
                    asker.answer(Err(error.clone()));
                }
            }
        }
    }
}
