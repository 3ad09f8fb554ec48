//! A state in pieces of bounded size, as snapshots store it: all of it, or what changed since an earlier state.

use schemas::{BodyHash, CommandId, PersonId, Revision, Timestamp, TipId};
use serde::{Deserialize, Serialize};

use super::ledger::Tip;
use super::recent::Act;
use super::{OpenSession, RememberedCommand, Show};

/// Some of what a state holds many of. Taken in, in the order in which they were made, by the state that they belong
/// to as it was serialised, pieces make that state whole.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Piece(Vec<Entry>);

/// One of those things. The names are short because there are a million of them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
enum Entry {
    #[serde(rename = "c")]
    Command(CommandId, BodyHash, Revision, Revision, Timestamp),
    #[serde(rename = "p")]
    Person(PersonId, Vec<OpenSession>),
    #[serde(rename = "r")]
    Reacted(PersonId),
    #[serde(rename = "t")]
    Tip(TipId, Tip),
    #[serde(rename = "m")]
    Messages(PersonId, Vec<Act>),
    #[serde(rename = "a")]
    TipActs(PersonId, Vec<Act>),
}

impl Entry {
    /// How much it holds: each about as large as a command, or smaller.
    fn weight(&self) -> usize {
        match self {
            Self::Command(..) | Self::Reacted(_) => 1,
            Self::Tip(..) => 2,
            Self::Person(_, sessions) => 1 + sessions.len(),
            Self::Messages(_, acts) | Self::TipActs(_, acts) => 1 + acts.len(),
        }
    }
}

impl Piece {
    /// How much it holds, in things of some 100 bytes, at most about 160, as JSON.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.0.iter().map(Entry::weight).sum()
    }
}

impl Show {
    /// What this state holds and an earlier one did not, or not so, in pieces that reach `weight` and exceed it by
    /// one entry at most. Since the default state: all. What is found costs as much as there is.
    pub fn pieces_since<'a>(&'a self, before: &'a Self, weight: usize) -> impl Iterator<Item = Piece> + 'a {
        let mut entries = self.entries_since(before);
        std::iter::from_fn(move || {
            let (mut piece, mut gathered) = (Vec::new(), 0);
            while gathered < weight {
                let Some(entry) = entries.next() else { break };
                gathered += entry.weight();
                piece.push(entry);
            }
            (!piece.is_empty()).then_some(Piece(piece))
        })
    }

    fn entries_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = Entry> + 'a {
        let commands = self.memory.changes_since(&before.memory);
        let persons = self.audience.persons.changes_since(&before.audience.persons);
        let reacted = self.interaction.reacted.changes_since(&before.interaction.reacted);
        let tips = self.ledger.tips.changes_since(&before.ledger.tips);
        let messages = self.chat.recent.changes_since(&before.chat.recent);
        let tip_acts = self.ledger.recent.changes_since(&before.ledger.recent);
        commands
            .map(|(id, known)| Entry::Command(id, known.body_hash, known.first, known.last, known.at))
            .chain(persons.map(|(person, sessions)| Entry::Person(*person, sessions.clone())))
            .chain(reacted.map(|(person, ())| Entry::Reacted(*person)))
            .chain(tips.map(|(id, tip)| Entry::Tip(*id, *tip)))
            .chain(messages.map(|(person, acts)| Entry::Messages(person, acts)))
            .chain(tip_acts.map(|(person, acts)| Entry::TipActs(person, acts)))
    }

    /// Takes in a piece. Of the same thing the later word holds.
    pub fn take_in(&mut self, piece: Piece) {
        for entry in piece.0 {
            match entry {
                Entry::Command(id, body_hash, first, last, at) => {
                    self.memory.take_in(id, RememberedCommand { body_hash, first, last, at });
                }
                Entry::Person(person, sessions) => drop(self.audience.persons.insert(person, sessions)),
                Entry::Reacted(person) => drop(self.interaction.reacted.insert(person, ())),
                Entry::Tip(id, tip) => drop(self.ledger.tips.insert(id, tip)),
                Entry::Messages(person, acts) => self.chat.recent.take_in(person, &acts),
                Entry::TipActs(person, acts) => self.ledger.recent.take_in(person, &acts),
            }
        }
    }
}
