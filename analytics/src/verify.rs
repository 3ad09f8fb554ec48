//! Whether every store says what the log says: the log is folded from its first event in plain code, and what Postgres and ClickHouse hold of each show is
//! compared with that, each store as of the position that it has reached. The identities of `docs/metrics.md` are checked on the way.
//!
//! One pass over the log. What is kept grows with the number of shows, and with what is under way, not with the number of events.

mod ledger;
mod postgres;
mod report;
mod rollups;
mod told;
mod waiting;
mod warehouse;

pub use report::{Difference, Progress, Watcher};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use clickhouse::Client;
use futures::StreamExt;
use platform::event_log::{EventLog, LogItem, LogItems, ReadError};
use schemas::published::{PARTITIONS, TOPIC};
use schemas::{EventError, PaymentId, Position, Timestamp, streams};
use sqlx::PgPool;
use thiserror::Error;

use self::postgres::{PAYMENTS, QUESTIONS, Snapshot, VIEWS};
use self::report::{Report, plain, sheet};
use self::told::{Counts, LOG, Told};
use self::warehouse::Warehouse;
use crate::figures::{AsOf, FigureError};

/// How many events are read between two words about how far it is.
const EVENTS_A_WORD: u64 = 50_000;

/// How the warehouse is called.
const WAREHOUSE: &str = "ClickHouse";

/// How its roll-ups are called, which follow the facts.
const ROLLUPS: &str = "the roll-ups of ClickHouse";

/// What is compared.
pub struct Stores {
    /// What the others are measured by.
    pub log: Arc<dyn EventLog>,
    /// The read models; `None`: they are left out.
    pub views: Option<PgPool>,
    /// ClickHouse, with its database set; `None`: there is none.
    pub warehouse: Option<Client>,
    /// Its facts of before may have expired: shows that began before are compared by their roll-ups alone. [`Timestamp::default`] where facts are kept
    /// for ever.
    pub facts_since: Timestamp,
}

/// A store that has not seen all events that the log held at the beginning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Behind {
    /// Which.
    pub store: &'static str,
    /// Up to where it was compared.
    pub position: Position,
    /// How many events it lacks.
    pub events: u64,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Shows in the log.
    pub shows: usize,
    /// Events read.
    pub events: u64,
    /// Up to where the log was read.
    pub position: Position,
    /// Figures that were compared.
    pub compared: u64,
    /// Differences found.
    pub differences: u64,
    /// Stores that did not reach the head that the log had at the beginning.
    pub behind: Vec<Behind>,
    /// Payments whose end is still open. They are well.
    pub under_way: Vec<PaymentId>,
}

impl Outcome {
    /// Whether everything was seen, and is as it should be.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.differences == 0 && self.behind.is_empty()
    }
}

/// Why nothing can be said.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The log cannot be read.
    #[error("the log cannot be read to its end")]
    Log(#[from] ReadError),
    /// The log has no end.
    #[error("the log ended a subscription")]
    Ended,
    /// An event that this version does not know.
    #[error("the event at position {position} cannot be read")]
    Event {
        /// Where it stands.
        position: Position,
        /// Why.
        source: EventError,
    },
    /// A store gave no answer.
    #[error("a store cannot be asked")]
    Store(#[from] StoreError),
}

/// Which store gave no answer.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Postgres.
    #[error("the read models gave no answer")]
    Views(#[from] sqlx::Error),
    /// ClickHouse, asked for figures.
    #[error("the warehouse gave no figures")]
    Figures(#[from] FigureError),
    /// ClickHouse, asked for its tables.
    #[error("the warehouse gave no answer")]
    Warehouse(#[source] clickhouse::error::Error),
    /// What it said is no JSON.
    #[error("the warehouse's answer cannot be read")]
    Answer(#[source] serde_json::Error),
}

/// Compares all stores with the log. They get `wait` to reach the head that it has now.
///
/// # Errors
/// [`VerifyError`], where the log or a store cannot be read. Differences are no error.
pub async fn verify(
    stores: &Stores,
    wait: Duration,
    watcher: &mut dyn Watcher,
) -> Result<Outcome, VerifyError> {
    let warehouse = stores.warehouse.as_ref().map(|client| Warehouse::new(client, stores.facts_since));
    let head = stores.log.head().await?.unwrap_or_default();
    waiting::wait(stores, warehouse.as_ref(), head, wait, watcher).await?;
    let mut snapshot = match &stores.views {
        Some(pool) => Some(Snapshot::take(pool).await.map_err(StoreError::Views)?),
        None => None,
    };
    let (as_of, rolled_up) = match &warehouse {
        Some(warehouse) => progress(warehouse).await?,
        None => (None, None),
    };
    let mut marks: BTreeSet<Position> = BTreeSet::from([head]);
    marks.extend(snapshot.iter().flat_map(|snapshot| snapshot.positions.values().copied().flatten()));
    marks.extend([as_of, rolled_up].into_iter().flatten().map(|as_of| as_of.position));
    let end = marks.last().copied().unwrap_or(head);
    let report = Report { watcher, compared: 0, differences: 0 };
    let told = Told { facts_since: stores.facts_since, ..Told::default() };
    let mut pass = Pass { log: &stores.log, told, seen: BTreeMap::new(), report, end };
    for mark in marks {
        pass.read(mark).await?;
        if let Some(snapshot) = &mut snapshot {
            pass.compare_views(snapshot, mark);
        }
        if let (Some(warehouse), Some(as_of)) = (&warehouse, as_of.filter(|as_of| as_of.position == mark)) {
            warehouse.compare(&pass.told, as_of, &mut pass.report).await?;
        }
    }
    if let (Some(warehouse), Some(rolled_up)) = (&warehouse, rolled_up) {
        warehouse.compare_rollups(&pass.told, rolled_up.position, &mut pass.report).await?;
    }
    let mut behind = Vec::new();
    if let Some(snapshot) = &snapshot {
        let reached = |view| snapshot.positions.get(view).copied().flatten();
        behind.extend(VIEWS.iter().filter_map(|view| pass.behind(view, reached(*view), head)));
    }
    if warehouse.is_some() {
        let position = |as_of: Option<AsOf>| as_of.map(|as_of| as_of.position);
        behind.extend(pass.behind(WAREHOUSE, position(as_of), head));
        behind.extend(pass.behind(ROLLUPS, position(rolled_up), head));
    }
    Ok(pass.finish(behind))
}

/// How far facts and roll-ups are.
async fn progress(warehouse: &Warehouse) -> Result<(Option<AsOf>, Option<AsOf>), StoreError> {
    let facts = warehouse.figures.as_of(TOPIC, PARTITIONS).await?;
    Ok((facts, warehouse.figures.rolled_up_as_of(TOPIC, PARTITIONS).await?))
}

/// The one pass over the log.
struct Pass<'a> {
    log: &'a Arc<dyn EventLog>,
    told: Told,
    /// How many events there were up to each mark.
    seen: BTreeMap<Position, Counts>,
    report: Report<'a>,
    end: Position,
}

impl Pass<'_> {
    /// Reads on up to a position.
    async fn read(&mut self, to: Position) -> Result<(), VerifyError> {
        let mut items = self.log.subscribe(self.told.position, &streams::EVENT_STREAMS).await?;
        self.take(&mut items, to).await?;
        self.seen.insert(to, self.told.counts);
        self.tell_progress(to);
        Ok(())
    }

    async fn take(&mut self, items: &mut LogItems, to: Position) -> Result<(), VerifyError> {
        while let Some(item) = items.next().await {
            match item? {
                LogItem::Event(stored) if stored.position <= to => {
                    let position = stored.position;
                    self.told
                        .apply(&stored, &mut self.report)
                        .map_err(|source| VerifyError::Event { position, source })?;
                    if self.told.counts.all().is_multiple_of(EVENTS_A_WORD) {
                        self.tell_progress(position);
                    }
                    if position == to {
                        return Ok(());
                    }
                }
                LogItem::Checkpoint(position) if position < to => {}
                // whatever stands up to there was given before
                LogItem::Event(_) | LogItem::Checkpoint(_) | LogItem::CaughtUp => return Ok(()),
            }
        }
        Err(VerifyError::Ended)
    }

    fn tell_progress(&mut self, position: Position) {
        let events = self.told.counts.all();
        self.report.watcher.progress(Progress::Reading { events, position, end: self.end });
    }

    /// Compares the read models whose checkpoint is where the log was read to.
    fn compare_views(&mut self, snapshot: &mut Snapshot, mark: Position) {
        if !snapshot.positions.values().any(|reached| *reached == Some(mark)) {
            return;
        }
        let shows: Vec<_> = self
            .told
            .shows
            .iter()
            .map(|(id, show)| (streams::show(*id), show, show.summary(show.last_at)))
            .collect();
        for (question, answer) in QUESTIONS.iter().zip(&mut snapshot.answers) {
            if snapshot.positions.get(question.view) != Some(&Some(mark)) {
                continue;
            }
            let expected = shows
                .iter()
                .map(|(subject, show, summary)| (subject.clone(), (question.expected)(show, summary)));
            self.report.compare_all(question.store, mark, expected, answer.take().unwrap_or_default());
            let (store, shows) = (question.store, shows.len());
            self.report.watcher.progress(Progress::Comparing { store, shows, of: shows });
        }
    }

    /// How much a store lacks of what the log held at the beginning.
    fn behind(&self, store: &'static str, reached: Option<Position>, head: Position) -> Option<Behind> {
        let counts = |position: &Position| self.seen.get(position).copied().unwrap_or_default();
        let (all, seen) = (counts(&head), reached.as_ref().map(counts).unwrap_or_default());
        let events = match store {
            PAYMENTS => all.of_payments.saturating_sub(seen.of_payments),
            WAREHOUSE | ROLLUPS => all.all().saturating_sub(seen.all()),
            _ => all.of_shows.saturating_sub(seen.of_shows),
        };
        (events > 0).then(|| Behind { store, position: reached.unwrap_or_default(), events })
    }

    /// Checks what holds within the log itself.
    fn finish(mut self, behind: Vec<Behind>) -> Outcome {
        let position = self.told.position.unwrap_or_default();
        let under_way = self.told.ledger.finish(position, &mut self.report);
        for (id, show) in &self.told.shows {
            let (subject, summary) = (streams::show(*id), show.summary(show.last_at));
            for broken in summary.broken_identities() {
                self.report.check(false, LOG, &subject, broken, position);
            }
            let tips = sheet([("tips by payments", plain(summary.figures.total_tips.amount()))]);
            let paid = sheet([("tips by payments", plain(self.told.ledger.settled(*id)))]);
            self.report.compare(LOG, &subject, position, &tips, &paid);
        }
        Outcome {
            shows: self.told.shows.len(),
            events: self.told.counts.all(),
            position,
            compared: self.report.compared,
            differences: self.report.differences,
            behind,
            under_way,
        }
    }
}
