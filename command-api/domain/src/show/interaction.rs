//! Reactions: counted, not told one by one.

use schemas::PersonId;
use schemas::events::{CountedReaction, InteractionEvent, ReactionsCounted, ShowEvent};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

use super::shared_map::SharedMap;
use super::{Show, access};
use crate::command::{CountReactions, Reaction};
use crate::rejection::Rejection;
use crate::rules::{MAX_REACTIONS_A_COMMAND, REACTIONS};

/// Reactions so far.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Interaction {
    totals: BTreeMap<String, u64>,
    /// Who ever reacted. Stored in pieces.
    #[serde(skip)]
    pub(crate) reacted: SharedMap<PersonId, ()>,
}

impl Interaction {
    /// Reactions by type.
    #[must_use]
    pub fn totals(&self) -> &BTreeMap<String, u64> {
        &self.totals
    }

    pub(crate) fn evolve(&mut self, event: &InteractionEvent) {
        match event {
            InteractionEvent::Reactions(counted) => {
                for (kind, count) in &counted.counts {
                    *self.totals.entry(kind.clone()).or_default() += u64::from(*count);
                }
                for person in &counted.first_time {
                    self.reacted.insert(*person, ());
                }
            }
        }
    }
}

/// Whether this person may react like this now.
pub(crate) fn check(show: &Show, reaction: &Reaction) -> Result<(), Rejection> {
    let about = access::live(show)?;
    if !REACTIONS.contains(&reaction.kind.as_str()) {
        return Err(Rejection::ReactionUnknown);
    }
    if reaction.count == 0 || reaction.count > MAX_REACTIONS_A_COMMAND {
        return Err(Rejection::ReactionCount);
    }
    access::may_take_part(show, about, reaction.person, reaction.role)
}

/// Counts those that are allowed and not counted yet. Refuses only where none of them is allowed.
pub(crate) fn react(show: &Show, react: &CountReactions) -> Result<Vec<ShowEvent>, Rejection> {
    let mut counted =
        ReactionsCounted { counts: BTreeMap::new(), first_time: Vec::new(), commands: Vec::new() };
    let mut refused = None;
    let mut seen = HashSet::new();
    let mut first_time = HashSet::new();
    for reaction in &react.reactions {
        if show.memory.get(reaction.command_id).is_some() || !seen.insert(reaction.command_id) {
            continue;
        }
        if let Err(rejection) = check(show, reaction) {
            refused.get_or_insert(rejection);
            continue;
        }
        *counted.counts.entry(reaction.kind.clone()).or_default() += reaction.count;
        if !show.interaction.reacted.contains_key(&reaction.person) && first_time.insert(reaction.person) {
            counted.first_time.push(reaction.person);
        }
        counted.commands.push(CountedReaction {
            command_id: reaction.command_id,
            body_hash: reaction.body_hash,
            person: reaction.person,
        });
    }
    match (counted.commands.is_empty(), refused) {
        (true, Some(rejection)) => Err(rejection),
        (true, None) => Ok(Vec::new()),
        (false, _) => Ok(vec![InteractionEvent::Reactions(counted).into()]),
    }
}
