//! Asking the warehouse: not too much at once, not for too long, and not before it has what is asked for.

use std::sync::Arc;
use std::time::Duration;

use ::analytics::figures::export::Export;
use ::analytics::figures::{AsOf, FigureError, Figures, Trouble};
use axum::body::Body;
use futures::stream;
use platform::http::position::MinPosition;
use platform::http::problem::{Chain, Problem};
use schemas::published::{PARTITIONS, TOPIC};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::positions::Positions;

/// Questions under way: each uses every core, so that more of them only make all slower. Half of what dashboards and analysts may have.
const QUESTIONS_MAX: usize = 8;

/// Files under way, apart from questions: a few large ones must not make figures wait.
const EXPORTS_MAX: usize = 2;

/// How long a question waits for its turn.
const TURN_WAIT_MAX: Duration = Duration::from_secs(3);

/// How long a question may take. The slowest figure over ten million events takes a tenth of it; a request may take 30 s in all.
const QUESTION_SECONDS_MAX: u32 = 10;

/// How long a file may take, its receiver included: some hundred megabytes over a slow line.
const EXPORT_SECONDS_MAX: u32 = 300;

/// How long the warehouse's own time limit precedes ours, so that it is the one that speaks.
const GRACE: Duration = Duration::from_secs(1);

/// How long a query waits for the warehouse, as the API promises.
const POSITION_WAIT_MAX: Duration = Duration::from_secs(5);

/// For how long what a source had reached is believed: one small question serves all requests of that time.
const REACHED_AGE_MAX: Duration = Duration::from_millis(100);

/// When to try again: where the warehouse is away, has too much to do, or is still being filled.
const RETRY_SECONDS: u64 = 5;

/// What figures are computed from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// The facts: those of one show.
    Facts,
    /// The roll-ups, which are made of the facts a little later: those of many shows.
    Rollups,
}

/// The warehouse.
pub(super) struct Warehouse {
    /// For questions, and for files; `None`: there is no warehouse.
    figures: Option<(Figures, Figures)>,
    question_turns: Arc<Semaphore>,
    export_turns: Arc<Semaphore>,
    loaded: Mutex<Option<(Instant, AsOf)>>,
    rolled_up: Mutex<Option<(Instant, AsOf)>>,
    positions: Arc<Positions>,
}

impl Warehouse {
    pub(super) fn new(figures: Option<Figures>, positions: Arc<Positions>) -> Self {
        let within = |figures: Figures| {
            let questions = figures.clone().within_seconds(QUESTION_SECONDS_MAX);
            (questions, figures.within_seconds(EXPORT_SECONDS_MAX))
        };
        Self {
            figures: figures.map(within),
            question_turns: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            export_turns: Arc::new(Semaphore::new(EXPORTS_MAX)),
            loaded: Mutex::new(None),
            rolled_up: Mutex::new(None),
            positions,
        }
    }

    /// The figures. A question is a future that [`Warehouse::ask`] carries out.
    pub(super) fn figures(&self) -> Result<&Figures, Problem> {
        self.figures.as_ref().map(|(questions, _)| questions).ok_or_else(absent)
    }

    /// Carries out a question.
    pub(super) async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, FigureError>>,
    ) -> Result<T, Problem> {
        let _turn = turn(&self.question_turns).await?;
        let time_max = Duration::from_secs(u64::from(QUESTION_SECONDS_MAX)) + GRACE;
        match timeout(time_max, question).await {
            Ok(answer) => answer.map_err(|error| no_figure(&error)),
            Err(_) => Err(overloaded()),
        }
    }

    /// Begins a file, and gives its bytes as they come, no more of them than the receiver takes. What fails on the way breaks the connection off,
    /// so that nobody takes a part for the whole.
    pub(super) async fn export<'a, F>(&'a self, begin: impl FnOnce(&'a Figures) -> F) -> Result<Body, Problem>
    where
        F: Future<Output = Result<Export, FigureError>> + 'a,
    {
        let (_, exports) = self.figures.as_ref().ok_or_else(absent)?;
        let turn = turn(&self.export_turns).await?;
        let deadline = Instant::now() + Duration::from_secs(u64::from(EXPORT_SECONDS_MAX));
        let begun = timeout(Duration::from_secs(u64::from(QUESTION_SECONDS_MAX)), begin(exports)).await;
        let export = begun.map_err(|_| overloaded())?.map_err(|error| no_figure(&error))?;
        let bytes = stream::try_unfold((export, turn), move |(mut export, turn)| async move {
            match timeout_at(deadline, export.next()).await {
                Ok(Ok(next)) => Ok(next.map(|bytes| (bytes, (export, turn)))),
                Ok(Err(error)) => Err(broken_off(&error)),
                Err(late) => Err(broken_off(&late)),
            }
        });
        Ok(Body::from_stream(bytes))
    }

    /// Waits until a source has reached what the query asks for, and tells what it has reached.
    pub(super) async fn reach(&self, source: Source, min: MinPosition) -> Result<AsOf, Problem> {
        let mut as_of = self.reached(source).await?;
        let Some(min) = min.0.filter(|min| *min > as_of.position.0) else { return Ok(as_of) };
        self.positions.check_head(min).await?;
        let deadline = Instant::now() + POSITION_WAIT_MAX;
        while as_of.position.0 < min {
            if Instant::now() >= deadline {
                let detail = "what you asked for is not in the figures yet; try again";
                let problem = Problem::unavailable("position_not_reached", detail, RETRY_SECONDS);
                return Err(problem.with("reached", as_of.position.0));
            }
            sleep(REACHED_AGE_MAX).await;
            as_of = self.reached(source).await?;
        }
        Ok(as_of)
    }

    /// Up to where all roll-ups count; `None` while the first of them are being made.
    pub(super) async fn rolled_up(&self) -> Result<Option<AsOf>, Problem> {
        self.known(Source::Rollups).await
    }

    async fn reached(&self, source: Source) -> Result<AsOf, Problem> {
        self.known(source).await?.ok_or_else(unprepared)
    }

    /// Up to where everything is in a source. The lock is held while it is asked, so that all who come meanwhile share the answer.
    async fn known(&self, source: Source) -> Result<Option<AsOf>, Problem> {
        let known = match source {
            Source::Facts => &self.loaded,
            Source::Rollups => &self.rolled_up,
        };
        let mut known = known.lock().await;
        if let Some((at, as_of)) = *known
            && at.elapsed() < REACHED_AGE_MAX
        {
            return Ok(Some(as_of));
        }
        let figures = self.figures()?;
        let asked = match source {
            Source::Facts => self.ask(figures.as_of(TOPIC, PARTITIONS)).await?,
            Source::Rollups => self.ask(figures.rolled_up_as_of(TOPIC, PARTITIONS)).await?,
        };
        *known = asked.map(|as_of| (Instant::now(), as_of));
        Ok(asked)
    }
}

async fn turn(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    match timeout(TURN_WAIT_MAX, Arc::clone(turns).acquire_owned()).await {
        Ok(Ok(turn)) => Ok(turn),
        // a semaphore that nobody closes has no other error
        Ok(Err(_)) | Err(_) => Err(overloaded()),
    }
}

fn no_figure(error: &FigureError) -> Problem {
    if matches!(error, FigureError::TooLarge) {
        let detail = "this is too much for one file; ask for JSON, or for the facts, which have no limit";
        return Problem::invalid_field("format", detail);
    }
    match error.trouble() {
        Trouble::Fault => Problem::internal(error),
        Trouble::Away => {
            tracing::warn!(error.chain = %Chain(error), "warehouse is away");
            let detail = "the figures cannot be asked for now; everything else works; try again";
            Problem::unavailable("warehouse_unavailable", detail, RETRY_SECONDS)
        }
        Trouble::Overloaded => {
            tracing::warn!(error.chain = %Chain(error), "warehouse gave a question up");
            overloaded()
        }
        Trouble::Unprepared => unprepared(),
    }
}

fn overloaded() -> Problem {
    let detail = "the figures are asked for too much just now; try again, or ask for a shorter period";
    Problem::unavailable("warehouse_overloaded", detail, RETRY_SECONDS)
}

fn absent() -> Problem {
    let detail = "this installation has no warehouse, so it has no figures; its operator sets clickhouse.url, or data.warehouse for one machine";
    Problem::unavailable("warehouse_unavailable", detail, RETRY_SECONDS)
}

fn unprepared() -> Problem {
    let detail = "the figures are still being made from the log; everything else works; try again";
    Problem::unavailable("warehouse_loading", detail, RETRY_SECONDS)
}

fn broken_off(cause: &(dyn std::error::Error + 'static)) -> std::io::Error {
    tracing::warn!(error.chain = %Chain(cause), "file broken off");
    std::io::Error::other("file broken off")
}
