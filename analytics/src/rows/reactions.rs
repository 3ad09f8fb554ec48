//! Reactions by type.

use schemas::published::CountedReactions;

use super::{Place, fact};

fact! {
    /// Of the view `reactions`.
    ReactionRow(show_id) in "fact_reactions" {
        /// Type of the reaction.
        reaction_type: String,
        /// How many.
        count: u32,
    }
}

/// In the order of the types, so that a repeat numbers its rows alike.
pub(super) fn rows(place: Place, counted: &CountedReactions) -> impl Iterator<Item = ReactionRow> {
    (0..).zip(&counted.counts).map(move |(row, (reaction_type, count))| ReactionRow {
        reaction_type: reaction_type.clone(),
        count: *count,
        ..ReactionRow::at(place, row)
    })
}
