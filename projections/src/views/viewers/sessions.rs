//! One row a session: joined, left, closed by the end of the show.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use schemas::events::{
    AudienceEvent, ChatEvent, InteractionEvent, LedgerEvent, LifecycleEvent, SettingsEvent, ShowEvent,
    ViewerJoined, ViewerLeft,
};
use schemas::{Envelope, Sealed, ShowId};
use sqlx::types::Json;
use uuid::Uuid;

use super::{Failure, Read, Work, of_shows, plain_option, signed};
use crate::framework::rows::{Bulk, rows};

rows! {
    /// A row of `viewers`.
    Session of "viewers" key "session_id" {
        session_id: Uuid = "uuid",
        show_id: Uuid = "uuid",
        person: Uuid = "uuid",
        identity: Json<Sealed> = "jsonb",
        event_id: Uuid = "uuid",
        device: Option<Uuid> = "uuid",
        device_type: Option<String> = "text",
        country: Option<String> = "text",
        city: Option<String> = "text",
        rtc_uid: i64 = "bigint",
        basis: String = "text",
        join_time: DateTime<Utc> = "timestamptz",
        leave_time: Option<DateTime<Utc>> = "timestamptz",
        leave_reason: Option<String> = "text",
        sequence: i64 = "bigint",
    }
}

/// A person in a show.
pub(super) type Presence = (Uuid, Uuid);

/// What a batch does to sessions.
#[derive(Default)]
struct Changes {
    /// Sessions that began in the batch; they may be over already.
    begun: HashMap<Uuid, Session>,
    /// Sessions that began before the batch and were left in it.
    left: Vec<Left>,
    /// Shows that ended, and when.
    ended: Vec<(Uuid, DateTime<Utc>)>,
}

pub(super) struct Left {
    session_id: Uuid,
    at: DateTime<Utc>,
    reason: &'static str,
}

/// What a batch does to sessions, ready for the database.
pub(super) struct Sessions {
    begun: Bulk,
    left: Vec<Left>,
    ended: Vec<(Uuid, DateTime<Utc>)>,
    /// Whose sessions began or were left.
    changed: Vec<Presence>,
}

impl Sessions {
    pub(super) fn of(batch: &[Arc<Read>]) -> Result<Self, Failure> {
        let mut changes = Changes::default();
        let mut changed = Vec::new();
        for (show, envelope) in of_shows(batch) {
            if let Some(person) = changes.note(show, envelope) {
                changed.push((show.0, person));
            }
        }
        let begun = Bulk::insert(changes.begun.into_values().collect::<Vec<Session>>())?;
        Ok(Self { begun, left: changes.left, ended: changes.ended, changed })
    }

    /// Applies them, and says whose watch time changed.
    pub(super) async fn apply(self, work: &mut Work<'_>) -> Result<Vec<Presence>, Failure> {
        self.begun.run(work).await?;
        leave(work, self.left).await?;
        let mut changed = self.changed;
        changed.extend(end(work, self.ended).await?);
        changed.sort_unstable();
        changed.dedup();
        Ok(changed)
    }
}

impl Changes {
    /// Takes an event in, and says who joined or left by it.
    fn note(&mut self, show: ShowId, envelope: &Envelope<ShowEvent>) -> Option<Uuid> {
        match &envelope.event {
            ShowEvent::Audience(AudienceEvent::Joined(joined)) => {
                self.begun.insert(joined.session_id.0, begun(show, joined, envelope));
                Some(joined.person.0)
            }
            ShowEvent::Audience(AudienceEvent::Left(left)) => {
                self.leave(left);
                Some(left.person.0)
            }
            ShowEvent::Lifecycle(LifecycleEvent::Ended(_)) => {
                self.end(show, envelope.meta.occurred_at.to_chrono());
                None
            }
            ShowEvent::Lifecycle(
                LifecycleEvent::Created(_) | LifecycleEvent::Started(_) | LifecycleEvent::Cancelled(_),
            )
            | ShowEvent::Settings(SettingsEvent::Revised(_) | SettingsEvent::StreamSettings(_))
            | ShowEvent::Chat(ChatEvent::Posted(_))
            | ShowEvent::Interaction(InteractionEvent::Reactions(_))
            | ShowEvent::Ledger(
                LedgerEvent::TipRequested(_) | LedgerEvent::TipCaptured(_) | LedgerEvent::TipDeclined(_),
            ) => None,
        }
    }

    fn leave(&mut self, left: &ViewerLeft) {
        let (at, reason) = (left.left_at.to_chrono(), left.reason.name());
        match self.begun.get_mut(&left.session_id.0) {
            Some(session) => session.close(at, reason),
            None => self.left.push(Left { session_id: left.session_id.0, at, reason }),
        }
    }

    fn end(&mut self, show: ShowId, at: DateTime<Utc>) {
        let open = self.begun.values_mut().filter(|session| session.show_id == show.0);
        for session in open.filter(|session| session.leave_time.is_none()) {
            session.close(at, SHOW_ENDED);
        }
        self.ended.push((show.0, at));
    }
}

impl Session {
    fn close(&mut self, at: DateTime<Utc>, reason: &str) {
        self.leave_time = Some(at.max(self.join_time));
        self.leave_reason = Some(reason.to_owned());
    }
}

/// The reason of sessions that were open when the show ended.
const SHOW_ENDED: &str = "SHOW_ENDED";

fn begun(show: ShowId, joined: &ViewerJoined, envelope: &Envelope<ShowEvent>) -> Session {
    Session {
        session_id: joined.session_id.0,
        show_id: show.0,
        person: joined.person.0,
        identity: Json(joined.identity.clone()),
        event_id: envelope.event_id.0,
        device: joined.device.map(|device| device.0),
        device_type: joined.device_type.map(|device| device.name().to_owned()),
        country: plain_option(joined.location.country.as_ref()),
        city: plain_option(joined.location.city.as_ref()),
        rtc_uid: i64::from(joined.rtc_uid),
        basis: joined.basis.name().to_owned(),
        join_time: envelope.meta.occurred_at.to_chrono(),
        leave_time: None,
        leave_reason: None,
        sequence: signed(envelope.revision),
    }
}

async fn leave(work: &mut Work<'_>, left: Vec<Left>) -> Result<(), Failure> {
    let Some(first) = left.first().map(|left| left.session_id) else { return Ok(()) };
    let count = left.len() as u64;
    let (mut sessions, mut times, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    for left in left {
        sessions.push(left.session_id);
        times.push(left.at);
        reasons.push(left.reason);
    }
    let done = sqlx::query(
        "UPDATE viewers
         SET leave_time = GREATEST(left_at, join_time), leave_reason = reason
         FROM UNNEST($1::uuid[], $2::timestamptz[], $3::text[]) AS gone (session, left_at, reason)
         WHERE session_id = session AND leave_time IS NULL",
    )
    .bind(sessions)
    .bind(times)
    .bind(reasons)
    .execute(work.statement()?)
    .await?;
    if done.rows_affected() != count {
        return Err(Failure::Unfounded { event: "ViewerLeft", what: "open session", id: first });
    }
    Ok(())
}

/// Closes what is open in shows that ended, and says whose sessions that were.
async fn end(work: &mut Work<'_>, ended: Vec<(Uuid, DateTime<Utc>)>) -> Result<Vec<Presence>, Failure> {
    if ended.is_empty() {
        return Ok(Vec::new());
    }
    let (shows, times): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
    let closed = sqlx::query_as(
        "UPDATE viewers
         SET leave_time = GREATEST(ended_at, join_time), leave_reason = $3
         FROM UNNEST($1::uuid[], $2::timestamptz[]) AS over (show, ended_at)
         WHERE show_id = show AND leave_time IS NULL
         RETURNING show_id, person",
    )
    .bind(shows)
    .bind(times)
    .bind(SHOW_ENDED)
    .fetch_all(work.statement()?)
    .await?;
    Ok(closed)
}
