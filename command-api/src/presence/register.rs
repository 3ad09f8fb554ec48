//! The register of open sessions: follows the log's joins, leaves and ends.

use platform::event_log::{StoredEvent, codec};
use schemas::events::{AudienceEvent, LifecycleEvent, ShowEvent};
use schemas::{Envelope, Event, EventError, Position, streams};
use sqlx::{PgPool, Postgres, Transaction};

/// Up to where the register is; `None`: nowhere yet.
pub(super) async fn position(pool: &PgPool) -> Result<Option<Position>, sqlx::Error> {
    let position: Option<i64> =
        sqlx::query_scalar("SELECT position FROM presence.progress").fetch_optional(pool).await?;
    Ok(position.map(|position| Position(position.cast_unsigned())))
}

/// What an event means to the register.
pub(super) enum Entry {
    Opened { session: uuid::Uuid, show: uuid::Uuid, person: uuid::Uuid, at: chrono::DateTime<chrono::Utc> },
    Closed { session: uuid::Uuid },
    AllClosed { show: uuid::Uuid },
}

/// Reads an event of a show's stream.
pub(super) fn entry(stored: &StoredEvent) -> Result<Option<Entry>, EventError> {
    let Some(show) = streams::parse_show(&stored.stream) else { return Ok(None) };
    let envelope = codec::decode(stored)?;
    let Envelope { event: Event::Show(event), meta, .. } = envelope else { return Ok(None) };
    Ok(match event {
        ShowEvent::Audience(AudienceEvent::Joined(joined)) => Some(Entry::Opened {
            session: joined.session_id.0,
            show: show.0,
            person: joined.person.0,
            at: meta.occurred_at.to_chrono(),
        }),
        ShowEvent::Audience(AudienceEvent::Left(left)) => Some(Entry::Closed { session: left.session_id.0 }),
        ShowEvent::Lifecycle(LifecycleEvent::Ended(_)) => Some(Entry::AllClosed { show: show.0 }),
        ShowEvent::Lifecycle(
            LifecycleEvent::Created(_) | LifecycleEvent::Started(_) | LifecycleEvent::Cancelled(_),
        )
        | ShowEvent::Settings(_)
        | ShowEvent::Chat(_)
        | ShowEvent::Interaction(_)
        | ShowEvent::Ledger(_) => None,
    })
}

/// Enters a batch and moves the position, in one transaction. A position that is not beyond the stored one was
/// entered by another, and nothing happens.
pub(super) async fn enter(pool: &PgPool, entries: &[Entry], upto: Position) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    let moved = sqlx::query(
        "INSERT INTO presence.progress (position) VALUES ($1)
         ON CONFLICT (only_row) DO UPDATE SET position = excluded.position
         WHERE presence.progress.position < excluded.position",
    )
    .bind(upto.0.cast_signed())
    .execute(&mut *tx)
    .await?;
    if moved.rows_affected() == 0 {
        return tx.rollback().await;
    }
    for entry in entries {
        write(&mut tx, entry).await?;
    }
    tx.commit().await
}

async fn write(tx: &mut Transaction<'_, Postgres>, entry: &Entry) -> Result<(), sqlx::Error> {
    let statement = match entry {
        Entry::Opened { session, show, person, at } => sqlx::query(
            "INSERT INTO presence.sessions (session_id, show_id, person, last_seen)
             VALUES ($1, $2, $3, $4) ON CONFLICT (session_id) DO NOTHING",
        )
        .bind(*session)
        .bind(*show)
        .bind(*person)
        .bind(*at),
        Entry::Closed { session } => {
            sqlx::query("DELETE FROM presence.sessions WHERE session_id = $1").bind(*session)
        }
        Entry::AllClosed { show } => {
            sqlx::query("DELETE FROM presence.sessions WHERE show_id = $1").bind(*show)
        }
    };
    statement.execute(&mut **tx).await.map(drop)
}
