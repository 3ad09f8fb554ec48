//! The memory of commands: which command caused which events, for as long as keys are promised to hold.

use schemas::events::InteractionEvent;
use schemas::{BodyHash, CommandId, Revision, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};

use crate::rules::COMMAND_MEMORY_MS;

/// What became of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RememberedCommand {
    /// The hash of its body.
    pub body_hash: BodyHash,
    /// The revision of its first event.
    pub first: Revision,
    /// The revision of its last event.
    pub last: Revision,
    /// When.
    pub at: Timestamp,
}

/// Commands of the last 24 hours, by the show's own clock, so that every node forgets at the same event.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    commands: HashMap<CommandId, RememberedCommand>,
    order: VecDeque<CommandId>,
}

impl Memory {
    pub(crate) fn get(&self, id: CommandId) -> Option<RememberedCommand> {
        self.commands.get(&id).copied()
    }

    pub(crate) fn remember(&mut self, id: CommandId, body_hash: BodyHash, revision: Revision, at: Timestamp) {
        self.forget_before(at.plus_millis(-COMMAND_MEMORY_MS));
        if let Some(known) = self.commands.get_mut(&id) {
            known.last = known.last.max(revision);
            return;
        }
        self.commands.insert(id, RememberedCommand { body_hash, first: revision, last: revision, at });
        self.order.push_back(id);
    }

    /// Every reaction that was counted is a command of its own.
    pub(crate) fn remember_reactions(&mut self, event: &InteractionEvent, revision: Revision, at: Timestamp) {
        match event {
            InteractionEvent::Reactions(counted) => {
                for reaction in &counted.commands {
                    self.remember(reaction.command_id, reaction.body_hash, revision, at);
                }
            }
        }
    }

    fn forget_before(&mut self, oldest: Timestamp) {
        while let Some(id) = self.order.front() {
            if self.commands.get(id).is_some_and(|command| command.at >= oldest) {
                break;
            }
            self.commands.remove(id);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(n: u128) -> CommandId {
        CommandId(Uuid::from_u128(n))
    }

    #[test]
    fn a_command_is_kept_for_a_day_and_then_forgotten() {
        let mut memory = Memory::default();
        memory.remember(id(1), BodyHash::default(), 0, Timestamp::from_millis(0));
        memory.remember(id(2), BodyHash::default(), 1, Timestamp::from_millis(COMMAND_MEMORY_MS));
        assert!(memory.get(id(1)).is_some());
        memory.remember(id(3), BodyHash::default(), 2, Timestamp::from_millis(COMMAND_MEMORY_MS + 1));
        assert!(memory.get(id(1)).is_none());
        assert_eq!(memory.order.len(), memory.commands.len());
    }

    #[test]
    fn all_events_of_a_command_are_its_own() {
        let mut memory = Memory::default();
        for revision in 4..7 {
            memory.remember(id(1), BodyHash::default(), revision, Timestamp::from_millis(9));
        }
        let command = memory.get(id(1)).unwrap();
        assert_eq!((command.first, command.last), (4, 6));
    }
}
