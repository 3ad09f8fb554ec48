//! What the log says, as far as it was read: each show's fold, reduced to its figures once they are final, and how many events there are.

use std::borrow::Cow;
use std::collections::BTreeMap;

use platform::event_log::{StoredEvent, codec};
use schemas::events::{
    AudienceEvent, ChatEvent, InteractionEvent, LifecycleEvent, SettingsEvent, ShowDetails, ShowEvent,
};
use schemas::{Envelope, Event, EventError, PersonId, Position, ShowId, Timestamp, streams};

use super::ledger::{Ledger, Payments};
use super::report::{Report, Sheet, sheet};
use super::rollups::Rows;
use crate::fold::{Fold, Summary};
use crate::rows::UNKNOWN;

/// What differences in the log itself are told of.
pub(super) const LOG: &str = "log";

/// Streams of payments are compared in so many groups, by the first digits of their ids: one by one they are too many to be kept.
const PAYMENT_GROUP_DIGITS: usize = 2;

/// Events of a stream, or rows of a fact, in a few numbers that a lost, repeated or foreign one changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Lines {
    pub(super) count: u64,
    positions: u64,
    revisions: u64,
    times_ms: i64,
}

impl Lines {
    fn add(&mut self, place: Place) {
        self.count += 1;
        self.positions = self.positions.wrapping_add(place.position.0);
        self.revisions = self.revisions.wrapping_add(place.revision);
        self.times_ms = self.times_ms.wrapping_add(place.at.millis());
    }

    pub(super) fn sheet(&self) -> Sheet {
        sheet([
            ("events", self.count.to_string()),
            ("sum of their positions", self.positions.to_string()),
            ("sum of their revisions", self.revisions.to_string()),
            ("sum of their times", self.times_ms.to_string()),
        ])
    }
}

/// Where an event stands, and when.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) revision: u64,
    pub(super) position: Position,
    pub(super) at: Timestamp,
}

/// The facts of shows, by the tables that hold them.
pub(super) const FACTS: [&str; 6] =
    ["show_changes", "audience_changes", "messages", "reactions", "reactors", "tip_changes"];

/// A show.
pub(super) struct Show {
    pub(super) creator: Option<PersonId>,
    pub(super) title: String,
    /// Or unknown.
    pub(super) category: String,
    /// Its events.
    pub(super) lines: Lines,
    /// Rows of each of [`FACTS`], and the sum of their positions.
    pub(super) facts: [(u64, u64); FACTS.len()],
    pub(super) last_position: Position,
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
    pub(super) payments: Payments,
    state: State,
}

enum State {
    Open(Box<Fold>),
    /// It is over and no payment is under way: nothing can happen any more.
    Final(Box<(Summary, Rows)>),
}

impl Show {
    fn new() -> Self {
        Self {
            creator: None,
            title: String::new(),
            category: UNKNOWN.to_owned(),
            lines: Lines::default(),
            facts: Default::default(),
            last_position: Position(0),
            first_at: Timestamp::from_millis(i64::MAX),
            last_at: Timestamp::default(),
            payments: Payments::default(),
            state: State::Open(Box::default()),
        }
    }

    /// What the fold says as of a time, never less than up to the last event.
    pub(super) fn summary(&self, as_of: Timestamp) -> Cow<'_, Summary> {
        match &self.state {
            State::Open(fold) => Cow::Owned(fold.summary(as_of)),
            State::Final(known) => Cow::Borrowed(&known.0),
        }
    }

    /// What roll-ups should hold of its viewers and quarters, as of the last event.
    pub(super) fn rolled_up(&self) -> Rows {
        match &self.state {
            State::Open(fold) => Rows::of(fold, self.creator, self.last_at),
            State::Final(known) => known.1,
        }
    }

    /// Whether that could happen: nothing does once a show is final.
    fn apply(&mut self, envelope: &Envelope<ShowEvent>, place: Place) -> bool {
        self.lines.add(place);
        (self.last_position, self.last_at) = (place.position, self.last_at.max(place.at));
        self.first_at = self.first_at.min(place.at);
        for (fact, rows) in rows_of(&envelope.event) {
            let (count, positions) = &mut self.facts[fact];
            *count += rows;
            *positions = positions.wrapping_add(place.position.0.wrapping_mul(rows));
        }
        self.name(&envelope.event);
        let State::Open(fold) = &mut self.state else { return false };
        fold.apply(envelope);
        if fold.is_final() {
            let rows = Rows::of(fold, self.creator, self.last_at);
            self.state = State::Final(Box::new((fold.summary(self.last_at), rows)));
        }
        true
    }

    /// Who makes it, and what it is called.
    fn name(&mut self, event: &ShowEvent) {
        match event {
            ShowEvent::Lifecycle(LifecycleEvent::Created(created)) => {
                self.creator = Some(created.creator);
                self.announce(&created.details);
            }
            ShowEvent::Settings(SettingsEvent::Revised(revised)) => self.announce(&revised.details),
            ShowEvent::Lifecycle(
                LifecycleEvent::Started(_) | LifecycleEvent::Ended(_) | LifecycleEvent::Cancelled(_),
            )
            | ShowEvent::Settings(SettingsEvent::StreamSettings(_))
            | ShowEvent::Audience(_)
            | ShowEvent::Chat(_)
            | ShowEvent::Interaction(_)
            | ShowEvent::Ledger(_) => {}
        }
    }

    fn announce(&mut self, details: &ShowDetails) {
        self.title.clone_from(&details.title);
        let category = details.category.as_deref().filter(|category| !category.is_empty());
        category.unwrap_or(UNKNOWN).clone_into(&mut self.category);
    }
}

/// The facts that an event makes, by their places in [`FACTS`], and how many rows of each.
fn rows_of(event: &ShowEvent) -> [(usize, u64); 2] {
    match event {
        ShowEvent::Lifecycle(_) | ShowEvent::Settings(_) => [(0, 1), (0, 0)],
        ShowEvent::Audience(AudienceEvent::Joined(_) | AudienceEvent::Left(_)) => [(1, 1), (1, 0)],
        ShowEvent::Chat(ChatEvent::Posted(_)) => [(2, 1), (2, 0)],
        ShowEvent::Interaction(InteractionEvent::Reactions(counted)) => {
            [(3, counted.counts.len() as u64), (4, counted.first_time.len() as u64)]
        }
        ShowEvent::Ledger(_) => [(5, 1), (5, 0)],
    }
}

/// How many events there were, by what they are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    pub(super) of_shows: u64,
    pub(super) of_payments: u64,
}

impl Counts {
    pub(super) fn all(self) -> u64 {
        self.of_shows + self.of_payments
    }
}

/// The log, up to a position.
#[derive(Default)]
pub(super) struct Told {
    pub(super) shows: BTreeMap<ShowId, Show>,
    /// Payments' events, by groups of their streams.
    pub(super) payment_groups: BTreeMap<String, Lines>,
    pub(super) ledger: Ledger,
    pub(super) counts: Counts,
    pub(super) position: Option<Position>,
    /// Events of before are not counted in the groups of payments: their facts may have expired.
    pub(super) facts_since: Timestamp,
}

impl Told {
    /// Takes the next event of the log.
    pub(super) fn apply(&mut self, stored: &StoredEvent, report: &mut Report<'_>) -> Result<(), EventError> {
        let Envelope { event_id, revision, position, meta, event } = codec::decode(stored)?;
        let place = Place { revision, position: stored.position, at: meta.occurred_at };
        self.position = Some(stored.position);
        match (event, streams::parse_show(&stored.stream), streams::parse_payment(&stored.stream)) {
            (Event::Show(event), Some(show), _) => {
                self.counts.of_shows += 1;
                self.of_show(show, &Envelope { event_id, revision, position, meta, event }, place, report);
            }
            (Event::Payment(event), _, Some(payment)) => {
                self.counts.of_payments += 1;
                let group = stored.stream.get(..streams::PAYMENT.len() + PAYMENT_GROUP_DIGITS);
                if place.at >= self.facts_since {
                    self.payment_groups.entry(group.unwrap_or_default().to_owned()).or_default().add(place);
                }
                let owner = self.ledger.paid(payment, &event, place, report);
                if let Some(show) = owner {
                    self.shows.entry(show).or_insert_with(Show::new).payments.count(&event);
                }
            }
            (Event::Show(_) | Event::Payment(_), ..) => {
                report.check(false, LOG, &stored.stream, "its events belong there", stored.position);
            }
        }
        Ok(())
    }

    fn of_show(&mut self, id: ShowId, envelope: &Envelope<ShowEvent>, place: Place, report: &mut Report<'_>) {
        let show = self.shows.entry(id).or_insert_with(Show::new);
        let next = show.lines.count;
        if place.revision != next {
            let (expected, found) = (next.to_string(), place.revision.to_string());
            report.tell(LOG, &streams::show(id), "revision", &expected, &found, place.position);
        }
        if !show.apply(envelope, place) {
            let what = "nothing happens once it is over and paid";
            report.check(false, LOG, &streams::show(id), what, place.position);
        }
        if let ShowEvent::Ledger(event) = &envelope.event {
            self.ledger.promised(id, event, place, report);
        }
    }

    /// Of each show, by the name of its stream.
    pub(super) fn of_shows<'a>(
        &'a self,
        sheet: impl Fn(&Show) -> Sheet + 'a,
    ) -> impl Iterator<Item = (String, Sheet)> + 'a {
        self.shows.iter().map(move |(id, show)| (streams::show(*id), sheet(show)))
    }
}
