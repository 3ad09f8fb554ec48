//! What people do beside writing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::catalogue::stored_events;
use crate::{BodyHash, CommandId, PersonId};

stored_events! {
    /// Reactions.
    InteractionEvent {
        /// Reactions of about one second, counted by one node.
        Reactions(ReactionsCounted) = "ReactionsCounted" v 1,
    }
}

/// Reactions of about one second, counted by one node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReactionsCounted {
    /// How many of each type.
    pub counts: BTreeMap<String, u32>,
    /// Persons who reacted for the first time in this show.
    pub first_time: Vec<PersonId>,
    /// The commands that are counted here, so that a repeat is recognised.
    pub commands: Vec<CountedReaction>,
}

/// One command among many.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountedReaction {
    /// The command.
    pub command_id: CommandId,
    /// The hash of its body.
    #[schemars(with = "String")]
    pub body_hash: BodyHash,
    /// Who reacted.
    pub person: PersonId,
}
