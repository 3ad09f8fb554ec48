//! The sweeper: one among all nodes. Keeps the register, and asks for the end of sessions that nobody sees.

use domain::command::ExpireSession;
use domain::{Action, Caller, Command};
use futures::StreamExt;
use platform::event_log::{Cause, LogItem, LogItems, Prefixes};
use platform::postgres::AdvisoryLock;
use schemas::{AttemptId, BodyHash, CommandId, PersonId, Position, SessionId, ShowId, Timestamp, streams};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::register::{self, Entry};
use super::{PresenceDeps, PresenceSettings};
use crate::actors::CommandError;

const LOCK: &str = "presence-sweeper";
const WANTED: Prefixes = &[streams::SHOW];

/// The pause before standing for election again, or after something failed.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Entries of one transaction.
const ENTRIES_MAX: usize = 1_000;

/// Sessions whose end is asked for in one sweep; the rest waits for the next.
const SWEEP_MAX: i64 = 1_000;

/// Commands under way at one time: a whole audience may vanish at once, and shows have other things to do.
const COMMANDS_AT_ONCE: usize = 32;

pub(super) struct Sweeper {
    deps: PresenceDeps,
}

/// A session that nobody sees.
#[derive(sqlx::FromRow)]
struct Unseen {
    session_id: Uuid,
    show_id: Uuid,
    person: Uuid,
    last_seen: chrono::DateTime<chrono::Utc>,
}

impl Sweeper {
    pub(super) fn new(deps: PresenceDeps) -> Self {
        Self { deps }
    }

    pub(super) async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match AdvisoryLock::try_acquire(&self.deps.pool, LOCK).await {
                Ok(Some(lock)) => {
                    tracing::info!("this node keeps the register of open sessions");
                    let ended = self.serve(lock, &stop).await;
                    if let Err(error) = ended {
                        tracing::warn!(error, "the register of open sessions starts again");
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "cannot stand for election"),
            }
            // stopping is the one reason not to wait
            drop(timeout(RETRY_PAUSE, stop.cancelled()).await);
        }
    }

    /// In office until stopped, or until a store fails: then everybody gets a new grace period.
    async fn serve(&self, mut lock: AdvisoryLock, stop: &CancellationToken) -> Result<(), Cause> {
        let PresenceSettings { grace, sweep_interval, .. } = self.deps.settings;
        let after = register::position(&self.deps.pool).await?;
        let mut items = self.deps.log.subscribe(after, WANTED).await?;
        let mercy_ends = Instant::now() + grace;
        let mut sweep_due = Instant::now() + sweep_interval;
        while !stop.is_cancelled() {
            self.follow(&mut items, sweep_due, stop).await?;
            lock.check().await?;
            if Instant::now() >= mercy_ends {
                self.sweep(grace).await?;
            }
            sweep_due = Instant::now() + sweep_interval;
        }
        lock.release().await;
        Ok(())
    }

    /// Enters what the log brings, until the next sweep is due.
    async fn follow(
        &self,
        items: &mut LogItems,
        until: Instant,
        stop: &CancellationToken,
    ) -> Result<(), Cause> {
        let (mut entries, mut reached) = (Vec::new(), None);
        loop {
            let item = tokio::select! {
                item = items.next() => item.ok_or("the subscription ended")??,
                () = tokio::time::sleep_until(until) => break,
                () = stop.cancelled() => break,
            };
            let is_live = self.take(item, &mut entries, &mut reached)?;
            if is_live || entries.len() >= ENTRIES_MAX {
                self.enter(&mut entries, &mut reached).await?;
            }
        }
        self.enter(&mut entries, &mut reached).await
    }

    /// Whether what has gathered should be written now: after the last event that was waiting.
    fn take(
        &self,
        item: LogItem,
        entries: &mut Vec<Entry>,
        reached: &mut Option<Position>,
    ) -> Result<bool, Cause> {
        match item {
            LogItem::Event(event) => {
                *reached = Some(event.position);
                let entry = register::entry(&event).inspect_err(|error| {
                    metrics::counter!("tally_presence_halts_total").increment(1);
                    tracing::error!(%error, "the register of open sessions cannot read an event");
                })?;
                entries.extend(entry);
                Ok(false)
            }
            LogItem::Checkpoint(position) => {
                *reached = Some(position);
                Ok(false)
            }
            LogItem::CaughtUp => Ok(true),
        }
    }

    async fn enter(&self, entries: &mut Vec<Entry>, reached: &mut Option<Position>) -> Result<(), Cause> {
        if let Some(position) = reached.take() {
            register::enter(&self.deps.pool, entries, position).await?;
            entries.clear();
        }
        Ok(())
    }

    async fn sweep(&self, grace: Duration) -> Result<(), Cause> {
        let grace_ms = i64::try_from(grace.as_millis())?;
        let unseen: Vec<Unseen> = sqlx::query_as(
            "SELECT session_id, show_id, person, last_seen FROM presence.sessions
             WHERE last_seen < $1 ORDER BY last_seen LIMIT $2",
        )
        .bind(self.deps.clock.now().plus_millis(-grace_ms).to_chrono())
        .bind(SWEEP_MAX)
        .fetch_all(&self.deps.pool)
        .await?;
        futures::stream::iter(unseen)
            .for_each_concurrent(COMMANDS_AT_ONCE, |session| self.expire(session))
            .await;
        Ok(())
    }

    /// Asks for the end. The row goes when the log says that the session is over.
    async fn expire(&self, session: Unseen) {
        let last_seen = Timestamp::from(session.last_seen);
        let action = Action::Expire(ExpireSession {
            session_id: SessionId(session.session_id),
            person: PersonId(session.person),
            last_seen,
        });
        let command = Command {
            // the same silence is the same command, on whichever node
            id: CommandId(Uuid::new_v5(&session.session_id, last_seen.to_string().as_bytes())),
            attempt: AttemptId::fresh(),
            body_hash: BodyHash::default(),
            at: self.deps.clock.now(),
            caller: Caller::System,
            correlation: None,
            traceparent: None,
            action,
        };
        match self.deps.shows.dispatch(ShowId(session.show_id), command, |_| ()).await {
            Ok(_) => metrics::counter!("tally_presence_expired_total").increment(1),
            Err(CommandError::Rejected(rejection)) => {
                tracing::warn!(show.id = %session.show_id, %rejection, "the end of a session was refused");
            }
            Err(error) => tracing::info!(show.id = %session.show_id, %error, "the end of a session waits"),
        }
    }
}
