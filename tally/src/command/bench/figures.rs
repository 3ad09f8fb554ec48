//! What the API asks for its figures, over warehouses of a million and of ever more events: the same questions, at once where it asks at once.

use analytics::backfill::Backfill;
use analytics::figures::{AsOf, FigureError, Figures, Period, Scope, Standing};
use anyhow::{Context, ensure};
use clickhouse::Client;
use schemas::published::{PARTITIONS, TOPIC};
use schemas::{PersonId, Position, Revision, ShowId, streams};
use std::time::Instant;

use super::super::demo::histogram::Histogram;
use super::Run;
use super::figure::Figure;
use super::told;
use super::warehouse::Warehouse;

/// Events of the larger warehouse, where nobody says how many.
pub(super) const EVENTS: u64 = 10_000_000;

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

/// What a route asks, and about whom.
#[derive(Clone, Copy)]
enum Route {
    OfShow(OfShow),
    OfMany(OfMany, Whose),
}

/// Routes about one show.
#[derive(Clone, Copy)]
enum OfShow {
    /// A show that runs costs the same: its roll-up is brought to now.
    Sums,
    /// What is asked where roll-ups are behind.
    SumsComputed,
    Timeline,
    Retention,
    Audience,
    Revenue,
    Explain,
}

/// Routes about many shows.
#[derive(Clone, Copy)]
enum OfMany {
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

/// Whose many shows, and when.
#[derive(Clone, Copy)]
enum Whose {
    /// All of a creator's.
    Creator,
    /// Everybody's of 28 days.
    Month,
    /// Everybody's.
    AllTime,
}

const ROUTES: [(&str, Route); 25] = [
    ("stream", Route::OfShow(OfShow::Sums)),
    ("stream, computed", Route::OfShow(OfShow::SumsComputed)),
    ("stream/timeline", Route::OfShow(OfShow::Timeline)),
    ("stream/retention", Route::OfShow(OfShow::Retention)),
    ("stream/audience", Route::OfShow(OfShow::Audience)),
    ("stream/revenue", Route::OfShow(OfShow::Revenue)),
    ("stream/explain", Route::OfShow(OfShow::Explain)),
    ("creator", Route::OfMany(OfMany::Sums, Whose::Creator)),
    ("creator/revenue", Route::OfMany(OfMany::Revenue, Whose::Creator)),
    ("creator/audience", Route::OfMany(OfMany::Audience, Whose::Creator)),
    ("creator/growth", Route::OfMany(OfMany::Growth, Whose::Creator)),
    ("creator/peak-times", Route::OfMany(OfMany::PeakTimes, Whose::Creator)),
    ("creator/content", Route::OfMany(OfMany::Content, Whose::Creator)),
    ("platform", Route::OfMany(OfMany::Sums, Whose::Month)),
    ("platform/revenue", Route::OfMany(OfMany::Revenue, Whose::Month)),
    ("platform/popular", Route::OfMany(OfMany::Popular, Whose::Month)),
    ("platform/peak-times", Route::OfMany(OfMany::PeakUsage, Whose::Month)),
    ("platform/behaviour", Route::OfMany(OfMany::Behaviour, Whose::Month)),
    ("year", Route::OfMany(OfMany::Sums, Whose::AllTime)),
    ("year/revenue", Route::OfMany(OfMany::Revenue, Whose::AllTime)),
    ("year/popular", Route::OfMany(OfMany::Popular, Whose::AllTime)),
    ("year/peak-times", Route::OfMany(OfMany::PeakUsage, Whose::AllTime)),
    ("year/behaviour", Route::OfMany(OfMany::Behaviour, Whose::AllTime)),
    ("year/audience", Route::OfMany(OfMany::Audience, Whose::AllTime)),
    ("year/growth", Route::OfMany(OfMany::Growth, Whose::AllTime)),
];

/// A show with its creator.
struct Subject {
    show: ShowId,
    creator: PersonId,
    /// Position of its last event.
    last: u64,
}

/// A warehouse that is full.
struct Filled {
    client: Client,
    subjects: Vec<Subject>,
    as_of: AsOf,
}

/// Measures with at least a million events, and with at least `events` of them where those are more.
pub(super) async fn measure(run: &Run<'_>, events: u64) -> anyhow::Result<Vec<Figure>> {
    let server = Warehouse::start(&run.dir.join("figures")).await?;
    let small = fill(run, &server, events.min(EVENTS_SMALL)).await?;
    let large = if events > EVENTS_SMALL { Some(fill(run, &server, events).await?) } else { None };
    let mut figures = Vec::new();
    for (name, route) in ROUTES {
        let (goal, goal_is) = match route {
            Route::OfShow(_) => (SHOW_GOAL_MS, "the goal for a show"),
            Route::OfMany(..) => (MANY_GOAL_MS, "the goal for many"),
        };
        let mut figure = Figure::new(format!("figures/{name}"), "ms, p95", goal_is);
        for _ in 0..run.rounds {
            let fewer = small.ask_often(route).await?;
            let Some(large) = &large else {
                figure.round(fewer.took.quantile_ms(0.95), goal);
                figure.note("p50 ms", fewer.took.quantile_ms(0.50));
                figure.note("processor time of the server, ms", fewer.cpu_ms);
                continue;
            };
            let all = large.ask_often(route).await?;
            figure.round(all.took.quantile_ms(0.95), goal);
            figure.note("p50 ms", all.took.quantile_ms(0.50));
            figure.note("p95 ms at a million events", fewer.took.quantile_ms(0.95));
            figure.note("p50 ms at a million events", fewer.took.quantile_ms(0.50));
            figure.note("processor time of the server, ms", all.cpu_ms);
            figure.note("the same at a million events", fewer.cpu_ms);
            figure.note(
                "p50 by p50 at a million events",
                all.took.quantile_ms(0.50) / fewer.took.quantile_ms(0.50),
            );
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
    let (mut playing, mut position, mut shows) = (told::play_at_least(events).await?, 0, Vec::new());
    while let Some(show) = playing.recv().await {
        let (stream, mut last) = (streams::show(show.id), position);
        for told in &show.events {
            position += 1;
            backfill.add(&told.published(position)).await?;
            if told.stream == stream {
                last = position;
            }
        }
        if show.was_played {
            shows.push((show.id, last));
        }
    }
    ensure!(position >= events, "{position} events were played, of at least {events}");
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
    Ok(Filled { client, subjects, as_of })
}

#[derive(clickhouse::Row, serde::Deserialize)]
struct Creator {
    #[serde(with = "clickhouse::serde::uuid")]
    creator: uuid::Uuid,
}

/// How long answers took, and what each of them took of the server's processors.
struct Asked {
    took: Histogram,
    cpu_ms: f64,
}

/// By the server's own record: other work on the machine counts little there.
const CPU_MS: &str = "
SELECT sum(ProfileEvents['UserTimeMicroseconds'] + ProfileEvents['SystemTimeMicroseconds']) / 1000
FROM system.query_log
WHERE type = 'QueryFinish' AND log_comment = {name:String}";

impl Filled {
    async fn ask_often(&self, route: Route) -> anyhow::Result<Asked> {
        let name = uuid::Uuid::new_v4().to_string();
        let figures = Figures::new(self.client.clone().with_setting("log_comment", &name));
        let mut took = Histogram::default();
        for subject in self.subjects.iter().cycle().take(ASKED_A_ROUND) {
            let begun = Instant::now();
            self.ask(&figures, route, subject).await?;
            took.record(begun.elapsed());
        }
        self.client.query("SYSTEM FLUSH LOGS").execute().await?;
        let cpu_ms: f64 = self.client.query_raw(CPU_MS).param("name", &name).fetch_one().await?;
        Ok(Asked { took, cpu_ms: cpu_ms / ASKED_A_ROUND as f64 })
    }

    async fn ask(&self, figures: &Figures, route: Route, subject: &Subject) -> Result<(), FigureError> {
        let to = told::until();
        let month = Period { from: schemas::Timestamp::from_millis(to.millis() - PERIOD_MS), to };
        let all_time = Period { from: told::begin(), to };
        match route {
            Route::OfShow(route) => self.ask_show(figures, route, subject).await,
            Route::OfMany(route, Whose::Creator) => {
                ask_many(figures, route, Scope::Creator(subject.creator), all_time).await
            }
            Route::OfMany(route, Whose::Month) => ask_many(figures, route, Scope::Platform, month).await,
            Route::OfMany(route, Whose::AllTime) => ask_many(figures, route, Scope::Platform, all_time).await,
        }
    }

    async fn standing(&self, figures: &Figures, show: ShowId) -> Result<Standing, FigureError> {
        let latest = figures.latest(show, self.as_of).await?;
        Ok(latest.map_or_else(|| Standing::unheard_of(String::new()), |latest| latest.standing))
    }

    async fn ask_show(&self, figures: &Figures, route: OfShow, subject: &Subject) -> Result<(), FigureError> {
        let (show, as_of) = (subject.show, self.as_of);
        match route {
            OfShow::Sums => drop(figures.latest(show, as_of).await?),
            OfShow::SumsComputed => {
                // what no roll-up was made for
                let before = AsOf { position: Position(subject.last - 1), ..as_of };
                drop(figures.show(show, before).await?);
            }
            OfShow::Timeline => drop(figures.timeline(&self.standing(figures, show).await?).await?),
            OfShow::Retention => {
                let standing = self.standing(figures, show).await?;
                drop(futures::try_join!(figures.presence(&standing), figures.survival(&standing))?);
            }
            OfShow::Audience => {
                let standing = self.standing(figures, show).await?;
                drop(futures::try_join!(figures.demographics(&standing), figures.returning_to(&standing))?);
            }
            OfShow::Revenue => {
                drop(figures.paid_by_minute(&self.standing(figures, show).await?).await?);
            }
            OfShow::Explain => {
                drop(figures.latest(show, as_of).await?);
                drop(futures::try_join!(
                    figures.event_counts(show, as_of, &EVENTS_EXPLAINED),
                    figures.event_references(show, as_of, &EVENTS_EXPLAINED, Revision::MIN, PAGE),
                )?);
            }
        }
        Ok(())
    }
}

async fn ask_many(figures: &Figures, route: OfMany, scope: Scope, period: Period) -> Result<(), FigureError> {
    match route {
        OfMany::Revenue => drop(futures::try_join!(
            figures.revenue(scope, period),
            figures.revenue_by_day(scope, period, ZONE),
        )?),
        OfMany::Audience => drop(futures::try_join!(
            figures.demographics_of(scope, period),
            figures.returning(scope, period),
        )?),
        OfMany::Growth => {
            drop(futures::try_join!(figures.returning(scope, period), figures.cohorts(scope, period, ZONE))?);
        }
        OfMany::PeakTimes => drop(figures.peak_times(scope, period, ZONE).await?),
        OfMany::Content => drop(figures.content_types(scope, period).await?),
        OfMany::Popular => drop(figures.popular(scope, period, None, 10).await?),
        OfMany::PeakUsage => drop(figures.peak_usage(scope, period, ZONE).await?),
        OfMany::Behaviour => {
            drop(futures::try_join!(figures.behaviour(scope, period), figures.cohorts(scope, period, ZONE))?);
        }
        OfMany::Sums => drop(futures::try_join!(
            figures.audience(scope, period),
            figures.returning(scope, period),
            figures.revenue(scope, period),
        )?),
    }
    Ok(())
}
