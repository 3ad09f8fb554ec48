//! What the API asks for its figures, over warehouses of a million and of ever more events: the same questions, at once where it asks at once.

use analytics::backfill::Backfill;
use analytics::figures::{AsOf, FigureError, Figures, Period, Scope};
use anyhow::{Context, ensure};
use schemas::published::{PARTITIONS, TOPIC};
use schemas::{PersonId, Position, Revision, ShowId};
use std::time::{Duration, Instant};

use super::super::demo::histogram::Histogram;
use super::Run;
use super::figure::Figure;
use super::told;
use super::warehouse::Warehouse;

/// Events of the smaller warehouse.
const EVENTS_SMALL: u64 = 1_000_000;

/// By our own goals, in milliseconds: figures of one show, and of many.
const SHOW_GOAL_MS: f64 = 100.0;
const MANY_GOAL_MS: f64 = 500.0;

/// Shows and creators that are asked about, spread over the history.
const SUBJECTS: usize = 16;

/// Questions of each kind in a round.
const ASKED_A_ROUND: usize = 16;

/// The period of figures of many shows where nobody says: 28 days.
const PERIOD_MS: i64 = 28 * 86_400_000;

/// Asked for by the chart of an explanation.
const EVENTS_EXPLAINED: [&str; 2] = ["ViewerJoined", "ViewerLeft"];
const PAGE: u32 = 51;

/// A time zone with clock changes, as the time of days and hours costs most there.
const ZONE: &str = "Europe/Berlin";

/// What a route asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Stream,
    RunningStream,
    Timeline,
    Retention,
    StreamAudience,
    StreamRevenue,
    Explain,
    Sums,
    Revenue,
    Audience,
    Growth,
    PeakTimes,
    Content,
    Popular,
    PeakUsage,
    Behaviour,
}

/// Whom it asks about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Show,
    Creator,
    Platform,
    PlatformOfAllTime,
}

const ROUTES: [(&str, Route, About); 25] = [
    ("stream", Route::Stream, About::Show),
    ("stream, as computed", Route::RunningStream, About::Show),
    ("stream/timeline", Route::Timeline, About::Show),
    ("stream/retention", Route::Retention, About::Show),
    ("stream/audience", Route::StreamAudience, About::Show),
    ("stream/revenue", Route::StreamRevenue, About::Show),
    ("explain", Route::Explain, About::Show),
    ("creator", Route::Sums, About::Creator),
    ("creator/revenue", Route::Revenue, About::Creator),
    ("creator/audience", Route::Audience, About::Creator),
    ("creator/growth", Route::Growth, About::Creator),
    ("creator/peak-times", Route::PeakTimes, About::Creator),
    ("creator/content", Route::Content, About::Creator),
    ("platform", Route::Sums, About::Platform),
    ("platform/revenue", Route::Revenue, About::Platform),
    ("platform/popular", Route::Popular, About::Platform),
    ("platform/peak-times", Route::PeakUsage, About::Platform),
    ("platform/behaviour", Route::Behaviour, About::Platform),
    ("platform, year", Route::Sums, About::PlatformOfAllTime),
    ("platform/revenue, year", Route::Revenue, About::PlatformOfAllTime),
    ("platform/popular, year", Route::Popular, About::PlatformOfAllTime),
    ("platform/peak-times, year", Route::PeakUsage, About::PlatformOfAllTime),
    ("platform/behaviour, year", Route::Behaviour, About::PlatformOfAllTime),
    ("creator/audience of all", Route::Audience, About::PlatformOfAllTime),
    ("creator/growth of all", Route::Growth, About::PlatformOfAllTime),
];

/// A show with where it stands in the log, and its creator.
struct Subject {
    show: ShowId,
    creator: PersonId,
    last: u64,
}

/// A warehouse that is full.
struct Filled {
    figures: Figures,
    subjects: Vec<Subject>,
    as_of: AsOf,
    events: u64,
    seconds: f64,
}

/// Measures with a million events, and with `events` of them where those are more.
pub(super) async fn measure(run: &Run<'_>, events: u64) -> anyhow::Result<Vec<Figure>> {
    let server = Warehouse::start(&run.dir.join("figures")).await?;
    let small = fill(run, &server, events.min(EVENTS_SMALL)).await?;
    let large = if events > EVENTS_SMALL { Some(fill(run, &server, events).await?) } else { None };
    let mut figures = Vec::new();
    for (name, route, about) in ROUTES {
        let (goal, goal_is) = match about {
            About::Show => (SHOW_GOAL_MS, "the goal for a show"),
            About::Creator | About::Platform | About::PlatformOfAllTime => {
                (MANY_GOAL_MS, "the goal for many")
            }
        };
        let mut figure = Figure::new(format!("figures/{name}"), "ms, p95", goal_is);
        for _ in 0..run.rounds {
            let fewer = small.ask_often(route, about).await?;
            let Some(large) = &large else {
                figure.round(fewer.quantile_ms(0.95), goal);
                figure.note("p50 ms", fewer.quantile_ms(0.50));
                continue;
            };
            let all = large.ask_often(route, about).await?;
            figure.round(all.quantile_ms(0.95), goal);
            figure.note("p50 ms", all.quantile_ms(0.50));
            figure.note("p95 ms at a million events", fewer.quantile_ms(0.95));
            figure.note("p50 ms at a million events", fewer.quantile_ms(0.50));
            figure.note("p50 by p50 at a million events", all.quantile_ms(0.50) / fewer.quantile_ms(0.50));
        }
        run.say(&format!("{}: {:.2} of {goal_is}", figure.name, figure.ratio()));
        figures.push(figure);
    }
    drop((small, large));
    server.stop().await?;
    Ok(figures)
}

async fn fill(run: &Run<'_>, server: &Warehouse, events: u64) -> anyhow::Result<Filled> {
    let client = server.database(&format!("warehouse_{events}")).await?;
    let begun = Instant::now();
    let mut backfill = Backfill::new(&client, TOPIC, PARTITIONS, |_| {});
    let (mut playing, mut position, mut shows) = (told::play(events), 0, Vec::new());
    while let Some(show) = playing.recv().await {
        for told in &show.events {
            position += 1;
            backfill.add(&told.published(position)).await?;
        }
        if show.was_played {
            shows.push((show.id, position));
        }
    }
    let as_of = AsOf { position: Position(position), time: told::until() };
    let filled = backfill.finish(as_of).await?;
    ensure!(filled.refused == 0, "{} events make no rows", filled.refused);
    let seconds = begun.elapsed().as_secs_f64();
    run.say(&format!("a warehouse of {position} events in {} shows, filled in {seconds:.0} s", shows.len()));
    let mut subjects = Vec::new();
    for (show, last) in shows.iter().step_by((shows.len() / SUBJECTS).max(1)).copied() {
        let creator: uuid::Uuid = client
            .query("SELECT creator FROM shows WHERE show_id = toUUID(?)")
            .bind(show.to_string())
            .fetch_one::<Creator>()
            .await
            .context("a show without a roll-up")?
            .creator;
        subjects.push(Subject { show, creator: PersonId(creator), last });
    }
    ensure!(!subjects.is_empty(), "no show was played");
    Ok(Filled { figures: Figures::new(client), subjects, as_of, events: position, seconds })
}

#[derive(clickhouse::Row, serde::Deserialize)]
struct Creator {
    #[serde(with = "clickhouse::serde::uuid")]
    creator: uuid::Uuid,
}

impl Filled {
    async fn ask_often(&self, route: Route, about: About) -> anyhow::Result<Histogram> {
        let mut took = Histogram::default();
        for subject in self.subjects.iter().cycle().take(ASKED_A_ROUND) {
            let begun = Instant::now();
            self.ask(route, about, subject).await?;
            took.record(begun.elapsed());
        }
        Ok(took)
    }

    async fn ask(&self, route: Route, about: About, subject: &Subject) -> Result<(), FigureError> {
        let to = told::until();
        let month = Period { from: schemas::Timestamp::from_millis(to.millis() - PERIOD_MS), to };
        let all_time = Period { from: told::begin(), to };
        match about {
            About::Show => self.ask_show(route, subject).await,
            About::Creator => self.ask_many(route, Scope::Creator(subject.creator), all_time).await,
            About::Platform => self.ask_many(route, Scope::Platform, month).await,
            About::PlatformOfAllTime => self.ask_many(route, Scope::Platform, all_time).await,
        }
    }

    async fn ask_show(&self, route: Route, subject: &Subject) -> Result<(), FigureError> {
        let (figures, show, as_of) = (&self.figures, subject.show, self.as_of);
        match route {
            Route::Stream => drop(figures.show(show, as_of).await?),
            Route::RunningStream => {
                // what no roll-up was made for: a show that runs costs the same
                let before = AsOf { position: Position(subject.last - 1), ..as_of };
                drop(figures.show(show, before).await?);
            }
            Route::Timeline => {
                drop(futures::try_join!(figures.timeline(show, as_of), figures.standing(show, as_of))?);
            }
            Route::Retention => drop(futures::try_join!(
                figures.timeline(show, as_of),
                figures.survival(show, as_of),
                figures.standing(show, as_of),
            )?),
            Route::StreamAudience => drop(futures::try_join!(
                figures.demographics(show, as_of),
                figures.returning_to(show, subject.creator, as_of),
                figures.standing(show, as_of),
            )?),
            Route::StreamRevenue => {
                drop(futures::try_join!(figures.show(show, as_of), figures.timeline(show, as_of))?);
            }
            _ => drop(futures::try_join!(
                figures.show(show, as_of),
                figures.event_counts(show, as_of, &EVENTS_EXPLAINED),
                figures.event_references(show, as_of, &EVENTS_EXPLAINED, Revision::MIN, PAGE),
            )?),
        }
        Ok(())
    }

    async fn ask_many(&self, route: Route, scope: Scope, period: Period) -> Result<(), FigureError> {
        let figures = &self.figures;
        match route {
            Route::Revenue => drop(futures::try_join!(
                figures.revenue(scope, period),
                figures.revenue_by_day(scope, period, ZONE),
            )?),
            Route::Audience => drop(futures::try_join!(
                figures.demographics_of(scope, period),
                figures.returning(scope, period),
            )?),
            Route::Growth => drop(futures::try_join!(
                figures.returning(scope, period),
                figures.cohorts(scope, period, ZONE),
            )?),
            Route::PeakTimes => drop(figures.peak_times(scope, period, ZONE).await?),
            Route::Content => drop(figures.content_types(scope, period).await?),
            Route::Popular => drop(figures.popular(scope, period, 10).await?),
            Route::PeakUsage => drop(figures.peak_usage(scope, period, ZONE).await?),
            Route::Behaviour => drop(futures::try_join!(
                figures.behaviour(scope, period),
                figures.cohorts(scope, period, ZONE),
            )?),
            _ => drop(futures::try_join!(
                figures.audience(scope, period),
                figures.returning(scope, period),
                figures.revenue(scope, period),
            )?),
        }
        Ok(())
    }
}
