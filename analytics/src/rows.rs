//! Rows of the warehouse's facts, made of what the topic carries: pure functions, one file for each fact.
//!
//! A row is keyed by the stream and revision of its event and its own number within that event, and depends on nothing else, so a
//! repeat makes the same row again. Every match names every event: a new one makes the compiler ask each fact what it means there.

mod audience_changes;
mod events;
mod messages;
mod payment_changes;
mod reactions;
mod reactors;
mod show_changes;
mod tip_changes;

pub use audience_changes::AudienceChange;
pub use events::EventRow;
pub use messages::MessageRow;
pub use payment_changes::PaymentChange;
pub use reactions::ReactionRow;
pub use reactors::ReactorRow;
pub use show_changes::ShowChange;
pub use tip_changes::TipChange;

use schemas::events::DeclineReason;
use schemas::published::Published;
use schemas::{Money, ShowId, streams};
use std::collections::BTreeSet;
use thiserror::Error;
use uuid::Uuid;

/// A row with the table that it is for.
pub trait Fact {
    /// The table.
    const TABLE: &'static str;
}

/// The rows of some events, by table.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rows {
    /// Of every event.
    pub events: Vec<EventRow>,
    /// Life of shows.
    pub show_changes: Vec<ShowChange>,
    /// Joins and leaves.
    pub audience_changes: Vec<AudienceChange>,
    /// Messages.
    pub messages: Vec<MessageRow>,
    /// Reactions by type.
    pub reactions: Vec<ReactionRow>,
    /// Persons at their first reaction.
    pub reactors: Vec<ReactorRow>,
    /// Steps of tips.
    pub tip_changes: Vec<TipChange>,
    /// Steps of payments.
    pub payment_changes: Vec<PaymentChange>,
    /// The shows that the events belong to: their roll-ups are to be made anew.
    pub shows: BTreeSet<ShowId>,
}

/// Why an event makes no rows. Trying again does not help.
#[derive(Debug, Error)]
pub enum RowError {
    /// The event stands in a stream where its kind does not belong.
    #[error("an event {event} in the stream {stream}")]
    Stream {
        /// Name of the event.
        event: &'static str,
        /// The stream.
        stream: String,
    },
    /// The event cannot be written as JSON.
    #[error("an event that cannot be written as JSON")]
    Json(#[source] serde_json::Error),
    /// An amount with more digits than the warehouse keeps.
    #[error("an amount with more than {} fraction digits", MONEY_DIGITS)]
    Money,
}

impl Rows {
    /// Adds the rows of an event: all of them, or none where there is an error.
    ///
    /// # Errors
    /// [`RowError`].
    pub fn add(&mut self, published: &Published) -> Result<(), RowError> {
        let event = events::row(published)?;
        if let Some(show) = streams::parse_show(&published.stream) {
            self.shows.insert(show);
            let show = show.0;
            self.show_changes.extend(show_changes::row(published, show)?);
            self.tip_changes.extend(tip_changes::row(published, show)?);
            self.audience_changes.extend(audience_changes::row(published, show));
            self.messages.extend(messages::row(published, show));
            self.reactions.extend(reactions::rows(published, show));
            self.reactors.extend(reactors::rows(published, show));
        } else if let Some(payment) = streams::parse_payment(&published.stream) {
            self.payment_changes.push(payment_changes::row(published, payment.0)?);
        } else {
            return Err(misplaced(published));
        }
        self.events.push(event);
        Ok(())
    }
}

fn misplaced(published: &Published) -> RowError {
    RowError::Stream { event: published.event.stored().0, stream: published.stream.clone() }
}

/// Declares a fact of shows: the columns that all have in common, and its own.
macro_rules! show_fact {
    (
        $(#[$doc:meta])*
        $name:ident of $table:literal { $( $(#[$field_doc:meta])* $field:ident: $type:ty ),+ $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug, clickhouse::Row, serde::Serialize)]
        pub struct $name {
            /// The show.
            #[serde(with = "clickhouse::serde::uuid")]
            pub show_id: uuid::Uuid,
            /// Number of the event within its stream.
            pub revision: u64,
            /// Number of the row within its event.
            pub row: u16,
            /// Place of the event in the log.
            pub position: u64,
            /// When it happened, in milliseconds since 1970.
            pub occurred_at: i64,
            $( $(#[$field_doc])* pub $field: $type ),+
        }

        impl $crate::rows::Fact for $name {
            const TABLE: &'static str = $table;
        }
    };
}

use show_fact;

/// What stands for a place, device, language or category that nobody told.
pub const UNKNOWN: &str = "unknown";

fn or_unknown(text: Option<&String>) -> String {
    text.filter(|text| !text.is_empty()).map_or_else(|| UNKNOWN.to_owned(), Clone::clone)
}

/// Fraction digits of every amount in the warehouse: the most that ISO 4217 gives any currency.
pub const MONEY_DIGITS: u32 = 4;

/// An amount as `Decimal(38, 4)` stands on the wire: in units of the fourth fraction digit.
fn decimal(money: Money) -> Result<i128, RowError> {
    let missing = MONEY_DIGITS.checked_sub(money.currency().minor_digits()).ok_or(RowError::Money)?;
    Ok(i128::from(money.minor_units()) * 10_i128.pow(missing))
}

fn decline_reason(reason: DeclineReason) -> &'static str {
    match reason {
        DeclineReason::Declined => "DECLINED",
        DeclineReason::Expired => "EXPIRED",
        DeclineReason::Cancelled => "CANCELLED",
    }
}

/// The id where there is none.
const NOBODY: Uuid = Uuid::nil();

#[cfg(test)]
mod tests;
