//! Rows of the warehouse's facts, made of what the topic carries: pure functions, one file for each fact.
//!
//! A row is keyed by the stream and revision of its event and its own number within that event, and depends on nothing else, so a
//! repeat makes the same row again.

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

use schemas::published::{Published, PublishedEvent};
use schemas::{Money, ShowId, streams};
use std::collections::BTreeSet;
use thiserror::Error;
use uuid::Uuid;

/// A row with the table that it is for.
pub trait Fact {
    /// The table.
    const TABLE: &'static str;
}

/// Shows in the order of the facts' tables: ClickHouse compares ids by their second half first. A question about neighbours reads few granules, one
/// about as many others nearly all.
pub(crate) fn in_stored_order(shows: impl Iterator<Item = ShowId>) -> Vec<ShowId> {
    let mut shows: Vec<ShowId> = shows.collect();
    shows.sort_unstable_by_key(|show| {
        let (first, second) = show.0.as_u64_pair();
        (second, first)
    });
    shows
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
        self.add_facts(published)?;
        self.shows.extend(streams::parse_show(&published.stream));
        self.events.push(event);
        Ok(())
    }

    /// What each event is to the facts. A new one makes the compiler ask.
    fn add_facts(&mut self, published: &Published) -> Result<(), RowError> {
        let (show, payment) = (|| Place::in_show(published), || Place::in_payment(published));
        match &published.event {
            PublishedEvent::ShowCreated(created) => {
                self.show_changes.push(ShowChange::created(show()?, created)?);
            }
            PublishedEvent::ShowRevised(revised) => {
                self.show_changes.push(ShowChange::revised(show()?, revised)?);
            }
            PublishedEvent::StreamSettingsChanged(changed) => {
                self.show_changes.push(ShowChange::set(show()?, changed.settings));
            }
            PublishedEvent::ShowStarted(_) => self.show_changes.push(ShowChange::plain(show()?, "STARTED")),
            PublishedEvent::ShowEnded(_) => self.show_changes.push(ShowChange::plain(show()?, "ENDED")),
            PublishedEvent::ShowCancelled(_) => {
                self.show_changes.push(ShowChange::plain(show()?, "CANCELLED"));
            }
            PublishedEvent::ViewerJoined(joined) => {
                self.audience_changes.push(AudienceChange::joined(show()?, joined));
            }
            PublishedEvent::ViewerLeft(left) => {
                self.audience_changes.push(AudienceChange::left(show()?, left));
            }
            PublishedEvent::MessagePosted(message) => {
                self.messages.push(MessageRow::posted(show()?, message));
            }
            PublishedEvent::ReactionsCounted(counted) => {
                let place = show()?;
                self.reactions.extend(reactions::rows(place, counted));
                self.reactors.extend(reactors::rows(place, counted));
            }
            PublishedEvent::TipRequested(tip) => self.tip_changes.push(TipChange::requested(show()?, tip)?),
            PublishedEvent::TipCaptured(tip) => self.tip_changes.push(TipChange::captured(show()?, tip)?),
            PublishedEvent::TipDeclined(tip) => self.tip_changes.push(TipChange::declined(show()?, tip)),
            PublishedEvent::PaymentRequested(requested) => {
                self.payment_changes.push(PaymentChange::requested(payment()?, requested)?);
            }
            PublishedEvent::PaymentCaptured(captured) => {
                self.payment_changes.push(PaymentChange::captured(payment()?, captured)?);
            }
            PublishedEvent::PaymentDeclined(declined) => {
                self.payment_changes.push(PaymentChange::declined(payment()?, declined));
            }
            PublishedEvent::PaymentApplied(_) => {
                self.payment_changes.push(PaymentChange::applied(payment()?));
            }
        }
        Ok(())
    }
}

/// Where an event stands, and when: what its rows have in common.
#[derive(Clone, Copy)]
struct Place {
    /// The show or payment that its stream is about.
    id: Uuid,
    revision: u64,
    position: u64,
    occurred_at: i64,
}

impl Place {
    fn in_show(published: &Published) -> Result<Self, RowError> {
        Self::of(published, streams::parse_show(&published.stream).map(|show| show.0))
    }

    fn in_payment(published: &Published) -> Result<Self, RowError> {
        Self::of(published, streams::parse_payment(&published.stream).map(|payment| payment.0))
    }

    fn of(published: &Published, id: Option<Uuid>) -> Result<Self, RowError> {
        let misplaced =
            || RowError::Stream { event: published.event.stored().0, stream: published.stream.clone() };
        Ok(Self {
            id: id.ok_or_else(misplaced)?,
            revision: published.revision,
            position: published.position.0,
            occurred_at: published.occurred_at.millis(),
        })
    }
}

/// Declares a typed fact: the columns that all have in common, and its own.
macro_rules! fact {
    (
        $(#[$doc:meta])*
        $name:ident($key:ident) in $table:literal { $( $(#[$field_doc:meta])* $field:ident: $type:ty ),+ $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug, Default, clickhouse::Row, serde::Serialize)]
        pub struct $name {
            /// What the stream is about.
            #[serde(with = "clickhouse::serde::uuid")]
            pub $key: uuid::Uuid,
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

        impl $name {
            /// A row of an event whose own columns are empty yet.
            fn at(place: $crate::rows::Place, row: u16) -> Self {
                let $crate::rows::Place { id, revision, position, occurred_at } = place;
                Self { $key: id, revision, row, position, occurred_at, ..Self::default() }
            }
        }

        impl $crate::rows::Fact for $name {
            const TABLE: &'static str = $table;
        }
    };
}

use fact;

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

#[cfg(test)]
mod tests;
