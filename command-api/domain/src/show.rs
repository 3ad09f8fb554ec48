//! The show: one consistency boundary, composed of parts.
//!
//! Each part is a file with its state, its decisions, its evolution and its tests. This file routes commands
//! and events to them and keeps what all share: the last revision and time, and the memory of commands.

pub(crate) mod access;
pub(crate) mod audience;
pub(crate) mod chat;
pub(crate) mod interaction;
pub(crate) mod ledger;
pub(crate) mod lifecycle;
pub(crate) mod memory;
pub(crate) mod pieces;
pub(crate) mod recent;
pub(crate) mod settings;
pub(crate) mod shared_map;

pub use audience::{Audience, OpenSession};
pub use interaction::Interaction;
pub use ledger::{Ledger, PendingTip, SettledTip};
pub use lifecycle::{About, Lifecycle, Phase};
pub use memory::RememberedCommand;
pub use pieces::Piece;

use schemas::events::{AudienceCounts, ShowEvent};
use schemas::{CommandId, Envelope, Metadata, PersonId, Revision, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::command::{Action, Command, Reaction};
use crate::rejection::{Rejection, ShowStatus};
use crate::rules::Rules;

/// A show's state. The default is a show that does not exist. Copies of it share what they have in common, and cost
/// microseconds however much it holds. Serialised, it is without what it holds many of: those are [`Piece`]s.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Show {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) audience: Audience,
    pub(crate) chat: chat::Chat,
    pub(crate) interaction: Interaction,
    pub(crate) ledger: Ledger,
    pub(crate) memory: memory::Memory,
    last: Option<(Revision, Timestamp)>,
}

impl Show {
    /// The shape of the state and its pieces as snapshots hold them. Raised with every change of a field; a snapshot with
    /// another number is ignored.
    pub const SNAPSHOT_VERSION: u32 = 3;

    /// Which events the command causes here and now. An empty answer: there is nothing to do.
    ///
    /// # Errors
    /// A [`Rejection`]: nothing happens.
    pub fn decide(&self, command: &Command, rules: &Rules) -> Result<Vec<ShowEvent>, Rejection> {
        match &command.action {
            Action::Create(create) => lifecycle::create(self, command, create),
            Action::Revise(revise) => settings::revise(self, command, revise),
            Action::Start => lifecycle::start(self, command),
            Action::End => lifecycle::end(self, command),
            Action::Cancel => lifecycle::cancel(self, command),
            Action::Join(join) => audience::join(self, command, join),
            Action::Leave(leave) => audience::leave(self, command, *leave),
            Action::Expire(expire) => audience::expire(self, command, *expire),
            Action::Post(post) => chat::post(self, command, post, rules),
            Action::React(react) => interaction::react(self, react),
            Action::RequestTip(tip) => ledger::request(self, command, tip, rules),
            Action::SettleTip(tip) => ledger::settle(self, command, tip),
        }
    }

    /// Decides, and applies what was decided. The events carry ids, revisions and metadata, as they go to the log.
    ///
    /// # Errors
    /// A [`Rejection`]: the state is as before.
    pub fn handle(
        &mut self,
        command: &Command,
        rules: &Rules,
    ) -> Result<Vec<Envelope<ShowEvent>>, Rejection> {
        let events = self.decide(command, rules)?;
        let occurred_at = self.time_of(command);
        let mut decided = Vec::with_capacity(events.len());
        for (index, event) in (0u32..).zip(events) {
            let envelope = Envelope {
                event_id: command.attempt.event(index),
                revision: self.next_revision(),
                position: None,
                meta: Metadata {
                    occurred_at,
                    actor: command.caller.actor(),
                    causation: command.id,
                    body_hash: command.body_hash,
                    correlation: command.correlation.clone(),
                    traceparent: command.traceparent.clone(),
                    schema_version: event.stored().1,
                },
                event,
            };
            self.evolve(&envelope);
            decided.push(envelope);
        }
        Ok(decided)
    }

    /// Applies an event that happened. Cannot fail: what is in the log is true.
    pub fn evolve(&mut self, envelope: &Envelope<ShowEvent>) {
        let meta = &envelope.meta;
        match &envelope.event {
            ShowEvent::Lifecycle(event) => {
                self.lifecycle.evolve(event, envelope.revision, meta.occurred_at);
                self.audience.evolve_lifecycle(event);
                self.ledger.evolve_lifecycle(event);
            }
            ShowEvent::Settings(event) => {
                self.lifecycle.evolve_settings(event, envelope.revision);
                self.ledger.evolve_settings(event);
            }
            ShowEvent::Audience(event) => self.audience.evolve(event, meta.occurred_at),
            ShowEvent::Chat(event) => self.chat.evolve(event, meta.occurred_at),
            ShowEvent::Interaction(event) => {
                self.interaction.evolve(event);
                self.memory.remember_reactions(event, envelope.revision, meta.occurred_at);
            }
            ShowEvent::Ledger(event) => self.ledger.evolve(event, meta.occurred_at),
        }
        self.memory.remember(meta.causation, meta.body_hash, envelope.revision, meta.occurred_at);
        self.last = Some((envelope.revision, meta.occurred_at));
    }

    /// What became of a command of the last 24 hours, if it caused events.
    #[must_use]
    pub fn remembers(&self, id: CommandId) -> Option<RememberedCommand> {
        self.memory.get(id)
    }

    /// Whether this person may react like this now.
    ///
    /// # Errors
    /// The [`Rejection`] that the command would get.
    pub fn check_reaction(&self, reaction: &Reaction) -> Result<(), Rejection> {
        interaction::check(self, reaction)
    }

    /// The last event's revision and time.
    #[must_use]
    pub fn last(&self) -> Option<(Revision, Timestamp)> {
        self.last
    }

    /// Where the show is in its life; `None` where there is no such show.
    #[must_use]
    pub fn status(&self) -> Option<ShowStatus> {
        self.lifecycle.announced().map(|(_, phase)| phase.status())
    }

    /// What is known of the show, if there is one.
    #[must_use]
    pub fn about(&self) -> Option<&About> {
        self.lifecycle.announced().map(|(about, _)| about)
    }

    /// Its phase, with its times, if there is one.
    #[must_use]
    pub fn phase(&self) -> Option<&Phase> {
        self.lifecycle.announced().map(|(_, phase)| phase)
    }

    /// The audience.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// The audience's counts now.
    #[must_use]
    pub fn counts(&self) -> AudienceCounts {
        self.audience.counts()
    }

    /// Tips, captured and pending.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Reactions and who reacted.
    #[must_use]
    pub fn interaction(&self) -> &Interaction {
        &self.interaction
    }

    /// Messages shown so far.
    #[must_use]
    pub fn messages_count(&self) -> u64 {
        self.chat.messages_count()
    }

    /// The open session of a person, by id.
    #[must_use]
    pub fn open_session(&self, person: PersonId, session: SessionId) -> Option<&OpenSession> {
        self.audience.sessions(person).iter().find(|open| open.session_id == session)
    }

    /// The time of what a command causes: time never runs backwards within a show.
    pub(crate) fn time_of(&self, command: &Command) -> Timestamp {
        self.last.map_or(command.at, |(_, last)| command.at.max(last))
    }

    fn next_revision(&self) -> Revision {
        self.last.map_or(0, |(last, _)| last + 1)
    }
}
