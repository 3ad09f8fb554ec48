//! The memory of commands: which command caused which events, for as long as keys are promised to hold.
//!
//! A busy show remembers millions, and the state is copied for snapshots and after conflicts. So what is older is
//! kept in shared generations that never change: a copy of the memory copies the young ones only.

use schemas::events::InteractionEvent;
use schemas::{BodyHash, CommandId, Revision, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashMap;
use std::sync::Arc;

use crate::rules::COMMAND_MEMORY_MS;

/// Commands that are young: as many as a copy of the state may cost a fraction of a millisecond for.
const YOUNG_MAX: usize = 2_048;

/// Commands of one generation: making a larger one of two would hold up a command for tens of milliseconds.
const GENERATION_MAX: usize = 65_536;

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

type Commands = HashMap<CommandId, RememberedCommand>;

/// Commands of the last 24 hours, by the show's own clock, so that every node forgets at the same event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    young: Commands,
    /// Older first. Each is at least about half as large as the one before, up to the largest size.
    generations: Vec<Arc<Generation>>,
    /// What is older than this is forgotten, whether it is still here or not.
    oldest: Timestamp,
}

/// Commands that were remembered one after the other.
#[derive(Debug, Default)]
struct Generation {
    commands: Commands,
    newest: Timestamp,
}

impl Memory {
    pub(crate) fn get(&self, id: CommandId) -> Option<RememberedCommand> {
        let older = || self.generations.iter().rev().find_map(|generation| generation.commands.get(&id));
        self.young.get(&id).or_else(older).filter(|known| known.at >= self.oldest).copied()
    }

    pub(crate) fn remember(&mut self, id: CommandId, body_hash: BodyHash, revision: Revision, at: Timestamp) {
        self.oldest = self.oldest.max(at.plus_millis(-COMMAND_MEMORY_MS));
        if let Some(known) = self.get(id) {
            self.young.insert(id, RememberedCommand { last: known.last.max(revision), ..known });
            return;
        }
        self.add(id, RememberedCommand { body_hash, first: revision, last: revision, at });
    }

    /// Takes in what is not remembered yet.
    fn add(&mut self, id: CommandId, command: RememberedCommand) {
        if self.young.len() >= YOUNG_MAX {
            self.age();
        }
        self.young.insert(id, command);
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

    /// How many commands are held.
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.generations.iter().map(|one| one.commands.len()).sum::<usize>()
    }

    /// Makes a generation of the young, joins it with those of its size, and lets go of those that are forgotten.
    fn age(&mut self) {
        let oldest = self.oldest;
        self.generations.retain(|generation| generation.newest >= oldest);
        let mut next = Generation::of(std::mem::take(&mut self.young));
        while let Some(before) = self.generations.pop() {
            let both = before.commands.len() + next.commands.len();
            if before.commands.len() > 2 * next.commands.len() || both > GENERATION_MAX {
                self.generations.push(before);
                break;
            }
            let mut commands = before.commands.clone();
            // the later word of a command that is in both holds
            commands.extend(next.commands);
            commands.retain(|_, known| known.at >= oldest);
            next = Generation::of(commands);
        }
        self.generations.push(Arc::new(next));
    }

    /// All that is remembered, in the order of its events.
    fn remembered(&self) -> Vec<(CommandId, RememberedCommand)> {
        let mut all: Commands = HashMap::with_capacity(self.len());
        let every = self.generations.iter().map(|generation| &generation.commands).chain([&self.young]);
        for commands in every {
            all.extend(commands.iter().filter(|(_, known)| known.at >= self.oldest));
        }
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_unstable_by_key(|(id, known)| (known.first, *id));
        all
    }
}

impl Generation {
    fn of(commands: Commands) -> Self {
        let newest = commands.values().map(|known| known.at).max().unwrap_or_default();
        Self { commands, newest }
    }
}

/// Two memories are the same if they remember the same, however it is kept.
impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        self.remembered() == other.remembered()
    }
}

impl Serialize for Memory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.oldest, self.remembered()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (oldest, remembered) =
            <(Timestamp, Vec<(CommandId, RememberedCommand)>)>::deserialize(deserializer)?;
        let mut memory = Self { oldest, ..Self::default() };
        for (id, known) in remembered {
            memory.add(id, known);
        }
        Ok(memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
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
    fn what_is_forgotten_gives_its_room_back_and_generations_stay_few() {
        let mut memory = Memory::default();
        let step = COMMAND_MEMORY_MS / 80_000;
        for n in 0..200_000_u32 {
            let at = Timestamp::from_millis(i64::from(n) * step);
            memory.remember(id(n.into()), BodyHash::default(), n.into(), at);
        }
        assert!(memory.len() < 80_000 + 2 * GENERATION_MAX, "{}", memory.len());
        assert!(memory.generations.len() < 16, "{}", memory.generations.len());
        assert_eq!(memory.remembered().len(), 80_001);
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
            let read: Memory = serde_json::from_str(&serde_json::to_string(&memory).unwrap()).unwrap();
            prop_assert_eq!(&read, &memory);
            prop_assert_eq!(read.oldest, memory.oldest);
        }
    }
}
