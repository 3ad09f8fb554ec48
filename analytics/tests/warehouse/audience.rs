//! Some shows in which everything happens that dashboards and analysts ask for.

use super::engine::Database;
use super::world::{self, Act, BEGIN_MS, PERSONS, Plan, Show, What};
use analytics::figures::rollup;
use analytics::rows::Rows;
use schemas::events::{
    DeclineReason, PaymentApplied, PaymentCaptured, PaymentDeclined, PaymentEvent, PaymentPurpose,
    PaymentRequested,
};
use schemas::published::{Published, PublishedEvent};
use schemas::{Currency, Event, EventId, Money, PaymentId, Position, ShowId, Timestamp, streams};
use uuid::Uuid;

const MINUTE_MS: i64 = 60_000;

/// The show in which most happens, the second of its creator.
pub const SHOW: ShowId = ShowId(Uuid::from_u128(2));

/// From here on somebody looks who wants to see who came back.
pub const LATER_MS: i64 = BEGIN_MS + 10 * MINUTE_MS;

pub struct Audience {
    pub shows: Vec<Show>,
}

impl Audience {
    pub fn new() -> Self {
        let plan = |creator, category, start_ms, acts, ends| Plan {
            creator,
            category,
            currency: true,
            start_after_ms: Some(start_ms),
            acts,
            ends,
            paid_later: 0,
        };
        let plans = [
            plan(0, Some(1), MINUTE_MS, evening(9), true),
            plan(0, Some(0), 90 * MINUTE_MS, evening(PERSONS), true),
            plan(1, None, 100 * MINUTE_MS, evening(7), false),
            // another show of the creator's and of the category, in other money, of which some comes in the hour after
            Plan { currency: false, paid_later: 1, ..plan(0, Some(0), 170 * MINUTE_MS, evening(6), true) },
        ];
        Self { shows: world::world(&plans) }
    }

    /// Writes everything as a loader would: facts, roll-ups, progress.
    pub async fn fill(&self, database: &Database) {
        let mut rows = Rows::default();
        for show in &self.shows {
            show.events.iter().for_each(|event| world::add(&mut rows, show.id, event));
        }
        add_payments(&mut rows);
        database.insert(&rows).await;
        let shows: Vec<ShowId> = self.shows.iter().map(|show| show.id).collect();
        rollup::refresh(&database.client, &shows).await.unwrap();
        let progress = "INSERT INTO loader_progress (topic, partition, position, time, offset, updated_at) \
            SELECT 'tally.events.v1', number, 100000 + number, now64(3) - 2, 50, now64(3) FROM numbers(4)";
        database.client.query(progress).execute().await.unwrap();
    }
}

/// Persons come one after the other; most write, some react and tip, some lose their connection and come back.
fn evening(persons: u8) -> Vec<Act> {
    let mut acts = Vec::new();
    let mut then = |after_ms, person, what| acts.push(Act { after_ms, what, person });
    for person in 0..persons {
        then(20_000, person, What::Join(person % 3));
        then(5_000, person, What::Write);
    }
    for person in 0..persons {
        match person % 5 {
            0 => {
                then(40_000, person, What::AskToTip(100 + 250 * u16::from(person)));
                then(3_000, person, What::PayTip);
            }
            1 => then(30_000, person, What::React(3)),
            2 => {
                then(30_000, person, What::Vanish(1_000));
                then(20_000, person, What::Join(person % 3));
            }
            3 => {
                then(25_000, person, What::AskToTip(700));
                then(2_000, person, What::FailTip);
            }
            _ => then(50_000, person, What::Leave),
        }
        then(8_000, person, What::Write);
    }
    then(200_000, 1, What::Join(3));
    then(60_000, 1, What::AskToTip(900));
    acts
}

/// A payment that went through and one that did not.
fn add_payments(rows: &mut Rows) {
    let (payer, payee) = (world::person(0), world::creator(0));
    let amount = Money::from_minor(1_050, Currency::USD).unwrap();
    for (number, is_paid) in [(9_u128, true), (10, false)] {
        let payment_id = PaymentId(Uuid::from_u128(number));
        let purpose = PaymentPurpose::Tip { show_id: SHOW, tip_id: Uuid::from_u128(number).into() };
        let requested =
            PaymentEvent::Requested(PaymentRequested { payment_id, purpose, payer, payee, amount });
        let ended = if is_paid {
            let (provider, provider_ref) = ("stripe".into(), "pi_1".into());
            PaymentEvent::Captured(PaymentCaptured { payment_id, provider, provider_ref, amount })
        } else {
            PaymentEvent::Declined(PaymentDeclined { payment_id, reason: DeclineReason::Declined })
        };
        let events = [requested, ended, PaymentEvent::Applied(PaymentApplied { payment_id })];
        for (revision, event) in (0..).zip(events) {
            rows.add(&Published {
                event_id: EventId(Uuid::from_u128(1_000 * number + u128::from(revision))),
                stream: streams::payment(payment_id),
                revision,
                position: Position(revision + 1),
                previous: None,
                occurred_at: Timestamp::from_millis(LATER_MS + MINUTE_MS),
                event: PublishedEvent::of(&Event::from(event)),
            })
            .unwrap();
        }
    }
}
