//! The settler: finds tips that nobody drives any more, and drives them on.
//!
//! It follows the log for tips that were promised and payments that were requested, and forgets them when they are
//! applied. What is still there some seconds later lost its driver: its node died, or the provider or the payer
//! took long. Every node runs one: each step is idempotent, so two that meet do no harm.
//!
//! Up to where everything is settled is kept in Postgres, so that a start reads only what may be open. That mark
//! is a hint: if it is lost the log is read from its start.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use platform::event_log::subscription::{Batch, Subscription, SubscriptionError, SubscriptionOptions};
use platform::event_log::{Prefixes, StoredEvent, codec};
use platform::http::problem::Chain;
use schemas::events::{PaymentEvent, TipRequested};
use schemas::{Envelope, Event, EventError, PaymentId, Position, ShowId, Timestamp, streams};
use sqlx::PgPool;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::promise::tip_requested;
use super::{TipError, TipOutcome, Tips};

const WANTED: Prefixes = &[streams::SHOW, streams::PAYMENT];

/// The events that matter here; all others are passed by unread.
const KINDS: [&str; 3] = ["TipRequested", "PaymentRequested", "PaymentApplied"];

/// Events that are taken at once.
const BATCH: usize = 1_000;

/// Tips that may be open at one time, at about a kilobyte each. With more the log is read on only when some are
/// settled: nothing is forgotten.
const OPEN_MAX: usize = 50_000;

/// Tips that are driven in one go; what is due beyond waits for the next.
const GO_MAX: usize = 64;

/// Tips that are driven at the same time: what is stuck must not crowd out what is fresh at the provider.
const AT_ONCE: usize = 8;

/// Pause before a tip is driven again that could not be settled; doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(5);

/// Longest such pause: a payer who acts should not wait long for the effect.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Pause after the log or the database failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(2);

/// How the settler runs.
#[derive(Clone, Copy, Debug)]
pub struct SettlerSettings {
    /// A tip that is open for this long has no driver any more.
    pub stuck_after: Duration,
    /// How often stuck tips are looked for.
    pub tick: Duration,
    /// How often the mark is written.
    pub mark_interval: Duration,
}

impl Default for SettlerSettings {
    fn default() -> Self {
        Self {
            stuck_after: Duration::from_secs(15),
            tick: Duration::from_secs(1),
            mark_interval: Duration::from_secs(30),
        }
    }
}

/// A tip that is not settled.
struct Open {
    /// The show's event, where it was met.
    promised: Option<(ShowId, Envelope<TipRequested>)>,
    /// What was known to be settled before the tip was met: the log is read from here to meet it again.
    before: Option<Position>,
    due: Instant,
    pause: Duration,
}

/// Finds tips that nobody drives, and drives them.
pub(crate) struct Settler {
    tips: Tips,
    /// Where the mark is kept; tests have none.
    pool: Option<PgPool>,
    settings: SettlerSettings,
    open: HashMap<PaymentId, Open>,
    /// Everything up to here was met.
    reached: Option<Position>,
}

impl Settler {
    pub(crate) fn new(tips: Tips, pool: Option<PgPool>, settings: SettlerSettings) -> Self {
        Self { tips, pool, settings, open: HashMap::new(), reached: None }
    }

    /// Works until stopped.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.marked().await {
                Ok(mark) => {
                    let ended = self.follow(mark, &stop).await;
                    if !matches!(ended, SettlerEnd::Subscription(SubscriptionError::Cancelled)) {
                        metrics::counter!("tally_settler_halts_total").increment(1);
                        tracing::error!(error.chain = %Chain(&ended), "settler stopped, and starts again");
                    }
                }
                Err(error) => tracing::warn!(error.chain = %Chain(&error), "settler cannot read its mark"),
            }
            // stopping is the one reason not to wait
            drop(timeout(FAILURE_PAUSE, stop.cancelled()).await);
        }
    }

    /// Follows the log from the mark, and drives what is due.
    async fn follow(&mut self, mark: Option<Position>, stop: &CancellationToken) -> SettlerEnd {
        self.open.clear();
        self.reached = mark;
        let options = SubscriptionOptions::new("tip-settler", stop.clone());
        let log = Arc::clone(&self.tips.payment_log.log);
        let mut subscription = Subscription::open(log, mark, WANTED, options);
        let mut mark_due = Instant::now() + self.settings.mark_interval;
        loop {
            if self.open.len() < OPEN_MAX {
                match subscription.next_batch(BATCH, self.settings.tick).await {
                    Ok(batch) => {
                        if let Err(error) = self.take(&batch) {
                            return SettlerEnd::Event(error);
                        }
                    }
                    Err(error) => return SettlerEnd::Subscription(error),
                }
            }
            self.drive_due().await;
            if Instant::now() >= mark_due {
                self.mark().await;
                mark_due = Instant::now() + self.settings.mark_interval;
            }
            metrics::gauge!("tally_tips_open").set(self.open.len() as f64);
        }
    }

    fn take(&mut self, batch: &Batch) -> Result<(), EventError> {
        for stored in &batch.events {
            if KINDS.contains(&stored.kind.as_str()) {
                self.take_event(stored)?;
            }
            self.reached = Some(stored.position);
        }
        self.reached = self.reached.max(batch.position);
        Ok(())
    }

    fn take_event(&mut self, stored: &StoredEvent) -> Result<(), EventError> {
        let Envelope { event_id, revision, position, meta, event } = codec::decode(stored)?;
        let at = meta.occurred_at;
        match event {
            Event::Show(event) => {
                let requested = tip_requested(Envelope { event_id, revision, position, meta, event });
                if let (Some(show), Some(requested)) = (streams::parse_show(&stored.stream), requested) {
                    let payment_id = requested.event.payment_id;
                    self.open(payment_id, at).promised = Some((show, requested));
                }
            }
            Event::Payment(PaymentEvent::Requested(requested)) => {
                self.open(requested.payment_id, at);
            }
            Event::Payment(PaymentEvent::Applied(applied)) => {
                self.open.remove(&applied.payment_id);
            }
            Event::Payment(PaymentEvent::Captured(_) | PaymentEvent::Declined(_)) => {}
        }
        Ok(())
    }

    fn open(&mut self, payment: PaymentId, since: Timestamp) -> &mut Open {
        let (before, stuck_after) = (self.reached, self.settings.stuck_after);
        let age_ms = self.tips.clock.now().millis_since(since);
        self.open.entry(payment).or_insert_with(|| {
            let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
            let due = Instant::now() + stuck_after.saturating_sub(age);
            Open { promised: None, before, due, pause: RETRY_MIN }
        })
    }

    /// Drives what has been open for too long, some at the same time.
    async fn drive_due(&mut self) {
        let now = Instant::now();
        let due = self.open.iter().filter(|(_, open)| open.due <= now).take(GO_MAX);
        let due: Vec<_> = due.map(|(id, open)| (*id, open.promised.clone())).collect();
        let tips = &self.tips;
        let driven: Vec<_> = futures::stream::iter(due)
            .map(|(id, promised)| async move { (id, tips.resume(id, promised).await) })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (id, outcome) in driven {
            self.note(id, &outcome);
        }
    }

    fn note(&mut self, id: PaymentId, outcome: &Result<TipOutcome, TipError>) {
        match outcome {
            Ok(TipOutcome::Captured { .. } | TipOutcome::Declined(_)) => {
                metrics::counter!("tally_tips_settled_late_total").increment(1);
                self.open.remove(&id);
                return;
            }
            Ok(TipOutcome::Pending(_)) => {}
            Err(error) => {
                tracing::warn!(payment.id = %id, error.chain = %Chain(error), "tip cannot be settled yet");
            }
        }
        if let Some(open) = self.open.get_mut(&id) {
            open.due = Instant::now() + open.pause;
            open.pause = (open.pause * 2).min(RETRY_MAX);
        }
    }

    /// Where everything before is settled, as it was last written.
    async fn marked(&self) -> Result<Option<Position>, sqlx::Error> {
        let Some(pool) = &self.pool else { return Ok(None) };
        let position: Option<i64> =
            sqlx::query_scalar("SELECT position FROM settlement.progress").fetch_optional(pool).await?;
        Ok(position.map(|position| Position(position.cast_unsigned())))
    }

    /// Writes the mark. Another node's that is further is as true, so the further one stays.
    async fn mark(&self) {
        let oldest = self.open.values().map(|open| open.before).min();
        let (Some(pool), Some(mark)) = (&self.pool, oldest.unwrap_or(self.reached)) else { return };
        let written = sqlx::query(
            "INSERT INTO settlement.progress (position) VALUES ($1)
             ON CONFLICT (only_row) DO UPDATE SET position = excluded.position
             WHERE settlement.progress.position < excluded.position",
        )
        .bind(mark.0.cast_signed())
        .execute(pool)
        .await;
        if let Err(error) = written {
            tracing::warn!(error.chain = %Chain(&error), "settler cannot write its mark");
        }
    }
}

/// Why the settler stopped following.
#[derive(Debug, thiserror::Error)]
enum SettlerEnd {
    #[error("the subscription ended")]
    Subscription(#[source] SubscriptionError),
    #[error("an event of a tip cannot be read")]
    Event(#[source] EventError),
}
