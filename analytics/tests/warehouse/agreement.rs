//! What the dashboards show is what the API answers: their queries against `analytics::figures`.

use super::asking::{Answer, ask, choose};
use super::audience::{Audience, LATER_MS, SHOW};
use super::engine::{Database, Engine};
use super::grafana::{Chosen, dashboards, list, queries, text};
use super::world;
use analytics::figures::{AsOf, Figures, Group, K_ANONYMITY, Period, Scope};
use schemas::{Position, Timestamp};
use serde_json::Value;

const DAY_MS: i64 = 86_400_000;

/// A dashboard that is looked at.
struct Looking {
    client: clickhouse::Client,
    board: Value,
    chosen: Chosen,
}

impl Looking {
    async fn at(client: &clickhouse::Client, board: &str) -> Self {
        let board = dashboards().remove(board).unwrap();
        let mut chosen = choose(client, &board).await;
        if let Some(zone) = chosen.variables.get_mut("zone") {
            *zone = "Asia/Kolkata".to_owned();
        }
        if let Some(creator) = chosen.variables.get_mut("creator") {
            *creator = world::creator(0).to_string();
        }
        Self { client: client.clone(), board, chosen }
    }

    async fn panel(&self, title: &str) -> Answer {
        let panels = list(&self.board, "/panels");
        let panel = panels.iter().find(|panel| text(panel, "/title") == title);
        let panel = panel.unwrap_or_else(|| panic!("no panel {title}"));
        ask(&self.client, &self.chosen.expand(queries(panel)[0])).await
    }
}

fn near(found: &[f64], expected: &[f64]) {
    let same = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * (1.0 + b.abs());
    assert!(found.len() == expected.len() && found.iter().zip(expected).all(same), "{found:?} {expected:?}");
}

/// The numbers of one thing after the other.
fn each<T>(of: &[T], number: impl Fn(&T) -> f64) -> Vec<f64> {
    of.iter().map(number).collect()
}

fn same_groups(found: &Answer, name: &str, expected: &[Group]) {
    assert_eq!(found.texts(name), expected.iter().map(|group| group.name.as_str()).collect::<Vec<_>>());
    near(&found.numbers("viewers"), &each(expected, |group| group.persons as f64));
}

#[tokio::test]
async fn panels_say_what_the_figures_say() {
    let engine = Engine::start().await;
    let database = Database::of_readers(&engine).await;
    Audience::new().fill(&database).await;
    let figures = Figures::new(database.client.clone());
    let client = engine.reader("grafana");
    // Grafana's range ends with its last second, ours before its end: nothing happens in between
    let (from, to) = (Timestamp::from_millis(LATER_MS), Timestamp::from_millis(LATER_MS + DAY_MS + 1_000));
    let period = Period { from, to };
    of_show(&figures, &client).await;
    of_creator(&figures, &client, period).await;
    of_platform(&figures, &client, period).await;
}

async fn of_show(figures: &Figures, client: &clickhouse::Client) {
    let as_of = AsOf { position: Position(u64::MAX), time: Timestamp::from_millis(0) };
    let show = Looking::at(client, "show").await;
    let standing = figures.standing(SHOW, as_of).await.unwrap().unwrap();
    let (minutes, panel) = (figures.timeline(&standing).await.unwrap(), show.panel("Viewers").await);
    assert!(minutes.len() > 5);
    near(&panel.numbers("viewers"), &each(&minutes, |minute| minute.presence.viewer_count as f64));
    near(&panel.numbers("unique_viewers"), &each(&minutes, |minute| minute.presence.unique_viewers as f64));
    near(&panel.numbers("joins"), &each(&minutes, |minute| minute.presence.joins as f64));
    near(&panel.numbers("leaves"), &each(&minutes, |minute| minute.presence.leaves as f64));
    near(&panel.numbers("messages"), &each(&minutes, |minute| minute.messages as f64));
    near(&panel.numbers("reactions"), &each(&minutes, |minute| minute.reactions as f64));
    let amount = |money: schemas::Money| money.amount().to_string().parse::<f64>().unwrap();
    near(&panel.numbers("tips"), &each(&minutes, |minute| amount(minute.tips)));
    let (whole, panel) =
        (figures.show(SHOW, as_of).await.unwrap().unwrap(), show.panel("What it amounts to").await);
    let row = each(&panel.columns, |(name, _)| panel.numbers(name)[0]);
    let ratios = [
        whole.average_concurrent(),
        whole.average_view_seconds(),
        whole.viewer_retention(),
        whole.engagement_rate(),
        whole.tip_conversion(),
    ];
    near(&row, &ratios);

    let audience = Looking::at(client, "audience").await;
    let panel = audience.panel("Retention, absolute").await;
    near(&panel.numbers("retention"), &each(&minutes, |minute| minute.presence.retention()));
    let (steps, panel) =
        (figures.survival(&standing).await.unwrap(), audience.panel("Retention, survival").await);
    near(&panel.numbers("minute"), &each(&steps, |step| step.minute as f64));
    near(&panel.numbers("share"), &each(&steps, |step| step.share));
    let groups = figures.demographics(&standing).await.unwrap().anonymous(K_ANONYMITY);
    same_groups(&audience.panel("By country").await, "country", &groups.by_country);
    same_groups(&audience.panel("By city").await, "city", &groups.by_city);
    same_groups(&audience.panel("By device").await, "device", &groups.by_device);
}

async fn of_creator(figures: &Figures, client: &clickhouse::Client, period: Period) {
    let scope = Scope::Creator(world::creator(0));
    let creator = Looking::at(client, "creator").await;
    let zone = creator.chosen.variables["zone"].clone();
    let (totals, panel) =
        (figures.audience(scope, period).await.unwrap(), creator.panel("Shows and audience").await);
    near(&panel.numbers("shows"), &[totals.shows as f64]);
    near(&panel.numbers("unique viewers"), &[totals.unique_viewers as f64]);
    near(&panel.numbers("hours watched"), &[totals.watch_ms as f64 / 3_600_000.0]);
    near(&panel.numbers("average concurrent"), &[totals.watch_ms as f64 / totals.duration_ms as f64]);
    near(&panel.numbers("viewer retention"), &[totals.watch_ms as f64 / totals.possible_watch_ms as f64]);
    let returning = figures.returning(scope, period).await.unwrap();
    assert!(returning.returning > 0 && returning.returning < returning.viewers);
    near(&creator.panel("Returning viewers").await.numbers("returning"), &[returning.share()]);
    let (hours, panel) =
        (figures.peak_times(scope, period, &zone).await.unwrap(), creator.panel("Peak times").await);
    let hours: Vec<_> = hours.into_iter().filter(|hour| hour.concurrent.shows > 0).collect();
    near(&panel.numbers("weekday"), &each(&hours, |hour| f64::from(hour.weekday)));
    near(&panel.numbers("hour"), &each(&hours, |hour| f64::from(hour.hour)));
    near(&panel.numbers("concurrent"), &each(&hours, |hour| hour.concurrent.mean));
    let (types, panel) =
        (figures.content_types(scope, period).await.unwrap(), creator.panel("Content types").await);
    near(&panel.numbers("concurrent"), &each(&types, |content| content.concurrent.mean));
    let (cohorts, panel) =
        (figures.cohorts(scope, period, &zone).await.unwrap(), creator.panel("Cohorts").await);
    let months = cohorts.iter().map(|cohort| cohort.first_month.as_str()).collect::<Vec<_>>();
    assert_eq!(panel.texts("first month"), months);
    near(&panel.numbers("persons"), &each(&cohorts, |cohort| cohort.persons as f64));
    let groups = figures.demographics_of(scope, period).await.unwrap().anonymous(K_ANONYMITY);
    same_groups(&creator.panel("By country").await, "country", &groups.by_country);
    let (days, panel) =
        (figures.revenue_by_day(scope, period, &zone).await.unwrap(), creator.panel("Revenue by day").await);
    let amount = |money: schemas::Money| money.amount().to_string().parse::<f64>().unwrap();
    near(&panel.numbers("tips"), &each(&days, |day| amount(day.tips)));
}

async fn of_platform(figures: &Figures, client: &clickhouse::Client, period: Period) {
    let platform = Looking::at(client, "platform").await;
    let (behaviour, panel) =
        (figures.behaviour(Scope::Platform, period).await.unwrap(), platform.panel("Behaviour").await);
    near(&panel.numbers("median watch time"), &[behaviour.watch_ms_median as f64 / 1_000.0]);
    near(&panel.numbers("engagement rate"), &[behaviour.engagement_rate()]);
    near(&panel.numbers("tip conversion"), &[behaviour.tip_conversion()]);
    let popular = figures.popular(Scope::Platform, period, None, 50).await.unwrap();
    near(
        &platform.panel("Popular shows").await.numbers("unique"),
        &each(&popular, |show| show.unique_viewers as f64),
    );
    let zone = &platform.chosen.variables["zone"];
    let usage = figures.peak_usage(Scope::Platform, period, zone).await.unwrap();
    let panel = platform.panel("Usage by hour of the week").await;
    assert!(usage.len() == 24 && usage.iter().any(|hour| hour.mean > 0.0 && hour.mean < hour.peak));
    near(&panel.numbers("weekday"), &each(&usage, |hour| f64::from(hour.weekday)));
    near(&panel.numbers("hour"), &each(&usage, |hour| f64::from(hour.hour)));
    near(&panel.numbers("concurrent"), &each(&usage, |hour| hour.mean));
    near(&panel.numbers("peak"), &each(&usage, |hour| hour.peak));
    let types = figures.content_types(Scope::Platform, period).await.unwrap();
    let panel = platform.panel("Categories").await;
    assert_eq!(panel.texts("category"), types.iter().map(|content| &content.category).collect::<Vec<_>>());
    near(&panel.numbers("shows"), &each(&types, |content| content.concurrent.shows as f64));
    near(&panel.numbers("concurrent"), &each(&types, |content| content.concurrent.mean));
    let revenue = Looking::at(client, "revenue").await;
    let mut taken = figures.revenue(Scope::Platform, period).await.unwrap();
    taken.retain(|sum| sum.tips.currency().code() == revenue.chosen.variables["currency"]);
    assert_eq!(taken.len(), 1);
    let panel = revenue.panel("Captured").await;
    near(&panel.numbers("tips"), &each(&taken, |sum| sum.tips_count as f64));
    near(&panel.numbers("tippers"), &each(&taken, |sum| sum.tippers as f64));
}
