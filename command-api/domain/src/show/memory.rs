//! The memory of commands: which command caused which events, for as long as keys are promised to hold.

use schemas::events::InteractionEvent;
use schemas::{BodyHash, CommandId, Revision, Timestamp};
use serde::{Deserialize, Serialize};

use super::shared_map::SharedMap;
use crate::rules::COMMAND_MEMORY_MS;

/// What became of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Stored in pieces.
    #[serde(skip)]
    commands: SharedMap<CommandId, RememberedCommand>,
    /// What is older than this is forgotten, whether it is still here or not.
    oldest: Timestamp,
}

impl Memory {
    pub(crate) fn get(&self, id: CommandId) -> Option<RememberedCommand> {
        self.commands.get(&id).filter(|known| known.at >= self.oldest).copied()
    }

    pub(crate) fn remember(&mut self, id: CommandId, body_hash: BodyHash, revision: Revision, at: Timestamp) {
        self.oldest = self.oldest.max(at.plus_millis(-COMMAND_MEMORY_MS));
        let oldest = self.oldest;
        self.commands.sweep(|known| known.at >= oldest);
        let command = match self.get(id) {
            Some(known) => RememberedCommand { last: known.last.max(revision), ..known },
            None => RememberedCommand { body_hash, first: revision, last: revision, at },
        };
        self.commands.insert(id, command);
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

    /// What is remembered now and was not, or not so, before.
    pub(crate) fn changes_since<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = (CommandId, RememberedCommand)> {
        let changed = self.commands.changes_since(&before.commands).map(|(id, known)| (*id, *known));
        changed.filter(|(_, known)| known.at >= self.oldest)
    }

    /// Takes in what was stored of a command.
    pub(crate) fn take_in(&mut self, id: CommandId, known: RememberedCommand) {
        if known.at >= self.oldest {
            self.commands.insert(id, known);
        }
    }
}

/// Two memories are the same if they remember the same, whatever else they still hold.
impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        let count =
            |memory: &Self| memory.commands.iter().filter(|(_, known)| known.at >= memory.oldest).count();
        self.oldest == other.oldest
            && count(self) == count(other)
            && self.changes_since(other).next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
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

    #[test]
    fn what_is_forgotten_gives_its_room_back() {
        let mut memory = Memory::default();
        let step = COMMAND_MEMORY_MS / 80_000;
        for n in 0..200_000_u32 {
            let at = Timestamp::from_millis(i64::from(n) * step);
            memory.remember(id(n.into()), BodyHash::default(), n.into(), at);
        }
        assert!(memory.commands.iter().count() < 160_000);
        assert_eq!(memory.changes_since(&Memory::default()).count(), 80_001);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4))]
        #[test]
        fn it_remembers_what_a_plain_list_would(
            commands in prop::collection::vec((0..30_000_u32, 0..3_i64), 5_000..20_000),
        ) {
            let mut memory = Memory::default();
            let mut plain: HashMap<CommandId, RememberedCommand> = HashMap::new();
            let mut now = 0;
            for (revision, (command, passes)) in (0..).zip(&commands) {
                now += passes * COMMAND_MEMORY_MS / 10_000;
                let (id, at) = (id(u128::from(*command)), Timestamp::from_millis(now));
                memory.remember(id, BodyHash::default(), revision, at);
                let is_old = |known: &RememberedCommand| known.at < at.plus_millis(-COMMAND_MEMORY_MS);
                if plain.get(&id).is_none_or(is_old) {
                    let known = RememberedCommand { body_hash: BodyHash::default(), first: revision, last: revision, at };
                    plain.insert(id, known);
                } else if let Some(known) = plain.get_mut(&id) {
                    known.last = revision;
                }
            }
            let oldest = memory.oldest;
            for (id, known) in &plain {
                prop_assert_eq!(memory.get(*id), Some(*known).filter(|known| known.at >= oldest));
            }
            let mut read = Memory { oldest, ..Memory::default() };
            for (id, known) in memory.changes_since(&Memory::default()) {
                read.take_in(id, known);
            }
            prop_assert_eq!(&read, &memory);
        }
    }
}
