//! What a person did in a show, over all their sessions.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use schemas::events::{
    AudienceEvent, ChatEvent, InteractionEvent, LedgerEvent, LifecycleEvent, SettingsEvent, ShowEvent,
    ViewerJoined,
};
use schemas::{Envelope, PersonId, Sealed, ShowId};
use sqlx::types::Json;
use uuid::Uuid;

use super::sessions::Presence;
use super::{Failure, Read, Work, of_shows, plain_option, signed};
use crate::framework::rows::{Bulk, rows};

rows! {
    /// What a batch adds to a row of `persons`.
    Added of "persons" key "show_id, person" {
        show_id: Uuid = "uuid",
        person: Uuid = "uuid",
        identity: Option<Json<Sealed>> = "jsonb",
        identity_field: Option<String> = "text",
        event_id: Option<Uuid> = "uuid",
        sessions: i64 = "bigint",
        first_joined_at: Option<DateTime<Utc>> = "timestamptz",
        device_type: Option<String> = "text",
        country: Option<String> = "text",
        city: Option<String> = "text",
        messages_count: i64 = "bigint",
        tips_count: i64 = "bigint",
        total_tipped: Decimal = "numeric",
        reacted: bool = "boolean",
        sequence: i64 = "bigint",
    }
}

/// What a person's first session tells stays as it is; of identities the last one seen counts.
const ADD: &str = "
    INSERT INTO persons AS known
        (show_id, person, identity, identity_field, event_id, sessions, first_joined_at, device_type,
         country, city, messages_count, tips_count, total_tipped, reacted, sequence, watched_ms)
    SELECT *, 0 FROM UNNEST(
        $1::uuid[], $2::uuid[], $3::jsonb[], $4::text[], $5::uuid[], $6::bigint[], $7::timestamptz[],
        $8::text[], $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::numeric[],
        $14::boolean[], $15::bigint[]
    )
    ON CONFLICT (show_id, person) DO UPDATE SET
        identity = COALESCE(EXCLUDED.identity, known.identity),
        identity_field = COALESCE(EXCLUDED.identity_field, known.identity_field),
        event_id = COALESCE(EXCLUDED.event_id, known.event_id),
        sessions = known.sessions + EXCLUDED.sessions,
        first_joined_at = COALESCE(known.first_joined_at, EXCLUDED.first_joined_at),
        device_type = CASE WHEN known.sessions > 0 THEN known.device_type ELSE EXCLUDED.device_type END,
        country = CASE WHEN known.sessions > 0 THEN known.country ELSE EXCLUDED.country END,
        city = CASE WHEN known.sessions > 0 THEN known.city ELSE EXCLUDED.city END,
        messages_count = known.messages_count + EXCLUDED.messages_count,
        tips_count = known.tips_count + EXCLUDED.tips_count,
        total_tipped = known.total_tipped + EXCLUDED.total_tipped,
        reacted = known.reacted OR EXCLUDED.reacted";

/// What persons did in a batch.
pub(super) fn added(batch: &[Arc<Read>]) -> Result<Bulk, Failure> {
    let mut persons = Persons::default();
    for (show, envelope) in of_shows(batch) {
        persons.note(show, envelope);
    }
    Bulk::of(ADD, persons.0.into_values().collect::<Vec<Added>>())
}

/// Computes watch time anew for persons whose sessions changed: see the head of [`super`].
pub(super) async fn measure(work: &mut Work<'_>, changed: Vec<Presence>) -> Result<(), Failure> {
    if changed.is_empty() {
        return Ok(());
    }
    let (shows, persons): (Vec<_>, Vec<_>) = changed.into_iter().unzip();
    // `reached` is how far the sessions that began earlier cover: a session adds what it covers beyond that
    sqlx::query(
        "WITH theirs AS (
             SELECT v.show_id, v.person, v.join_time, v.leave_time,
                    min(v.join_time) FILTER (WHERE v.leave_time IS NULL) OVER whole AS open_since,
                    max(v.leave_time) OVER whole AS last_left_at
             FROM viewers v
             JOIN UNNEST($1::uuid[], $2::uuid[]) AS c (show_id, person) USING (show_id, person)
             WINDOW whole AS (PARTITION BY v.show_id, v.person)
         ), before_open AS (
             SELECT *, LEAST(leave_time, open_since) AS until
             FROM theirs
         ), reaching AS (
             SELECT *, max(until) OVER (
                 PARTITION BY show_id, person ORDER BY join_time, until
                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
             ) AS reached
             FROM before_open
         ), measured AS (
             SELECT show_id, person, min(open_since) AS open_since, max(last_left_at) AS last_left_at,
                    sum(GREATEST(EXTRACT(EPOCH FROM until - GREATEST(join_time, reached)) * 1000, 0)) AS ms
             FROM reaching
             GROUP BY show_id, person
         )
         UPDATE persons AS p
         SET watched_ms = m.ms::bigint, open_since = m.open_since, last_left_at = m.last_left_at
         FROM measured m
         WHERE p.show_id = m.show_id AND p.person = m.person",
    )
    .bind(shows)
    .bind(persons)
    .execute(work.statement()?)
    .await?;
    Ok(())
}

/// What persons did in a batch.
#[derive(Default)]
struct Persons(HashMap<Presence, Added>);

impl Persons {
    fn note(&mut self, show: ShowId, envelope: &Envelope<ShowEvent>) {
        let event_id = envelope.event_id.0;
        match &envelope.event {
            ShowEvent::Audience(AudienceEvent::Joined(joined)) => {
                let person = self.person(show, joined.person, envelope);
                person.identify(&joined.identity, "viewer", event_id);
                person.join(joined, envelope);
            }
            ShowEvent::Chat(ChatEvent::Posted(message)) => {
                let person = self.person(show, message.author, envelope);
                person.identify(&message.identity, "author", event_id);
                person.messages_count += 1;
            }
            ShowEvent::Ledger(LedgerEvent::TipCaptured(tip)) => {
                let person = self.person(show, tip.person, envelope);
                if let Some(identity) = &tip.identity {
                    person.identify(identity, "tipper", event_id);
                }
                person.tips_count += 1;
                person.total_tipped += tip.amount.amount();
            }
            ShowEvent::Interaction(InteractionEvent::Reactions(counted)) => {
                for person in &counted.first_time {
                    self.person(show, *person, envelope).reacted = true;
                }
            }
            ShowEvent::Audience(AudienceEvent::Left(_))
            | ShowEvent::Lifecycle(
                LifecycleEvent::Created(_)
                | LifecycleEvent::Started(_)
                | LifecycleEvent::Ended(_)
                | LifecycleEvent::Cancelled(_),
            )
            | ShowEvent::Settings(SettingsEvent::Revised(_) | SettingsEvent::StreamSettings(_))
            | ShowEvent::Ledger(LedgerEvent::TipRequested(_) | LedgerEvent::TipDeclined(_)) => {}
        }
    }

    fn person(&mut self, show: ShowId, person: PersonId, envelope: &Envelope<ShowEvent>) -> &mut Added {
        self.0.entry((show.0, person.0)).or_insert_with(|| Added {
            show_id: show.0,
            person: person.0,
            identity: None,
            identity_field: None,
            event_id: None,
            sessions: 0,
            first_joined_at: None,
            device_type: None,
            country: None,
            city: None,
            messages_count: 0,
            tips_count: 0,
            total_tipped: Decimal::ZERO,
            reacted: false,
            sequence: signed(envelope.revision),
        })
    }
}

impl Added {
    fn identify(&mut self, identity: &Sealed, field: &str, event_id: Uuid) {
        self.identity = Some(Json(identity.clone()));
        self.identity_field = Some(field.to_owned());
        self.event_id = Some(event_id);
    }

    fn join(&mut self, joined: &ViewerJoined, envelope: &Envelope<ShowEvent>) {
        self.sessions += 1;
        if self.sessions > 1 {
            return;
        }
        self.first_joined_at = Some(envelope.meta.occurred_at.to_chrono());
        self.device_type = joined.device_type.map(|device| device.name().to_owned());
        self.country = plain_option(joined.location.country.as_ref());
        self.city = plain_option(joined.location.city.as_ref());
    }
}
