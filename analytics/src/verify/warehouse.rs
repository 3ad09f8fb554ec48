//! ClickHouse: figures and facts as of a position, roll-ups as of each show's last event.

use std::collections::HashSet;

use clickhouse::{Client, Row};
use schemas::{Position, ShowId, Timestamp, streams};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::postgres::groups;
use super::report::{Progress, Report, Sheet, Sheets, from_json, plain, sheet};
use super::rollups::{KNOWN, ROLLUPS};
use super::told::{FACTS, Show, Told};
use super::{StoreError, VerifyError};
use crate::figures::{AsOf, Demographics, Figures, ShowFigures};
use crate::fold::Summary;
use crate::rows::in_stored_order;

/// Shows in one question: bounds its memory, and its parameters. Planning costs as much as reading some hundred shows that lie together.
const SHOWS_A_QUESTION: usize = 500;

/// What an answer is about.
const SUBJECT: &str = "subject";

/// How long one question may take: those about all events read them all.
const SECONDS_MAX: u32 = 600;

/// The events without repeats, by stream; those of payments by group, as far as no fact expired.
const EVENTS: &str = "
SELECT
    if(startsWith(stream, 'show-'), stream, substring(stream, 1, 10)) AS subject,
    toString(count()) AS events,
    toString(sum(position)) AS `sum of their positions`,
    toString(sum(revision)) AS `sum of their revisions`,
    toString(sum(toUnixTimestamp64Milli(occurred_at))) AS `sum of their times`
FROM events
WHERE position <= {position:UInt64}
    AND (startsWith(stream, 'show-') OR occurred_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC'))
GROUP BY subject";

const PAYMENTS: &str = "
SELECT
    concat('show-', toString(of_show)) AS subject,
    toString(sum(is_requested)) AS payments,
    toString(sum(asked)) AS `payments requested`,
    toString(sum(is_captured)) AS `payments captured`,
    toString(sum(paid)) AS captured,
    toString(sum(is_declined)) AS `payments declined`,
    toString(sum(is_applied)) AS `payments applied`
FROM (
    SELECT
        payment_id,
        max(show_id) AS of_show,
        countIf(kind = 'REQUESTED') AS is_requested,
        sumIf(amount, kind = 'REQUESTED') AS asked,
        countIf(kind = 'CAPTURED') AS is_captured,
        sumIf(amount, kind = 'CAPTURED') AS paid,
        countIf(kind = 'DECLINED') AS is_declined,
        countIf(kind = 'APPLIED') AS is_applied
    FROM payment_changes
    WHERE position <= {position:UInt64}
    GROUP BY payment_id
)
GROUP BY of_show";

/// Asks the warehouse.
pub(super) struct Warehouse {
    client: Client,
    pub(super) figures: Figures,
    /// Facts of before may have expired.
    facts_since: Timestamp,
}

impl Warehouse {
    pub(super) fn new(client: &Client, facts_since: Timestamp) -> Self {
        let client = client.clone().with_setting("max_execution_time", SECONDS_MAX.to_string());
        Self { figures: Figures::new(client.clone()), client, facts_since }
    }

    /// Compares figures and facts as of a position, which is as far as the log was read. Of shows whose facts may have expired only the roll-ups
    /// are left.
    pub(super) async fn compare(
        &self,
        told: &Told,
        as_of: AsOf,
        report: &mut Report<'_>,
    ) -> Result<(), VerifyError> {
        let position = as_of.position;
        let (whole, expired): (Vec<ShowId>, Vec<ShowId>) =
            told.shows.keys().partition(|id| told.shows[id].first_at >= self.facts_since);
        let whole = in_stored_order(whole.into_iter());
        for (shows, number) in whole.chunks(SHOWS_A_QUESTION).zip(0..) {
            let figures = self.figures.shows(shows, as_of).await.map_err(StoreError::Figures)?;
            let groups =
                self.figures.demographics_by_show(shows, as_of).await.map_err(StoreError::Figures)?;
            for id in shows {
                let summary = told.shows[id].summary(as_of.time);
                let groups = groups.get(id).cloned().unwrap_or_default();
                compare_show(*id, &summary, figures.get(id), &groups, position, report);
            }
            let shows = number * SHOWS_A_QUESTION + shows.len();
            report.watcher.progress(Progress::Comparing { store: "ClickHouse", shows, of: whole.len() });
        }
        // a payment whose request expired says no show
        let nobody = (self.facts_since > Timestamp::default()).then_some(ShowId(Uuid::nil()));
        let expired: HashSet<String> = expired.into_iter().chain(nobody).map(streams::show).collect();
        let of_shows =
            |sheet: fn(&Show) -> Sheet| told.of_shows(sheet).filter(|(id, _)| !expired.contains(id));
        let left = |mut found: Sheets| {
            found.retain(|subject, _| !expired.contains(subject));
            found
        };
        let payments = told.payment_groups.iter().map(|(group, lines)| (group.clone(), lines.sheet()));
        let found = left(self.ask(EVENTS, position).await?);
        report.compare_all("events", position, of_shows(|show| show.lines.sheet()).chain(payments), found);
        let found = left(self.facts(position).await?);
        report.compare_all("facts", position, of_shows(facts), found);
        let found = left(self.ask(PAYMENTS, position).await?);
        report.compare_all("payment_changes", position, of_shows(|show| show.payments.sheet()), found);
        Ok(())
    }

    /// Compares roll-ups as of each show's last event, of shows whose roll-ups should be there and that did not move on since. Roll-ups of shows that
    /// are not in the log yet cannot be told from those of shows that never were.
    pub(super) async fn compare_rollups(
        &self,
        told: &Told,
        rolled_up: Position,
        report: &mut Report<'_>,
    ) -> Result<(), VerifyError> {
        let position = told.position.unwrap_or_default();
        for (store, sql, expected) in ROLLUPS {
            let mut found = self.ask(sql, position).await?;
            for (id, show) in &told.shows {
                let subject = streams::show(*id);
                let mut row = found.remove(&subject).unwrap_or_default();
                // none where there are no rows, which may be right
                let known: u64 = row.remove(KNOWN).and_then(|known| known.parse().ok()).unwrap_or(0);
                if known <= show.lines.count && show.last_position <= rolled_up {
                    report.compare(store, &subject, position, &expected(show, &row), &row);
                }
            }
        }
        Ok(())
    }

    async fn ask(&self, sql: &str, position: Position) -> Result<Sheets, VerifyError> {
        let query = self.client.query_raw(sql).param("position", position.0);
        let query = query.param("since_ms", self.facts_since.millis());
        let mut cursor = query.fetch_bytes("JSONEachRow").map_err(StoreError::Warehouse)?;
        let bytes = cursor.collect().await.map_err(StoreError::Warehouse)?;
        let rows = serde_json::Deserializer::from_slice(&bytes).into_iter::<Map<String, Value>>();
        let mut sheets = Sheets::new();
        for row in rows {
            let mut sheet = from_json(row.map_err(StoreError::Answer)?);
            sheets.insert(sheet.remove(SUBJECT).unwrap_or_default(), sheet);
        }
        Ok(sheets)
    }

    async fn facts(&self, position: Position) -> Result<Sheets, VerifyError> {
        let one = |fact| {
            format!(
                "SELECT show_id, '{fact}' AS fact, count() AS rows, sum(position) AS positions FROM {fact} \
                 WHERE position <= {{position:UInt64}} GROUP BY show_id"
            )
        };
        let sql = FACTS.map(one).join(" UNION ALL ");
        let query = self.client.query_raw(&sql).param("position", position.0);
        let rows: Vec<FactRows> = query.fetch_all().await.map_err(StoreError::Warehouse)?;
        let mut sheets = Sheets::new();
        for FactRows { show_id, fact, rows, positions } in rows {
            let sheet = sheets.entry(streams::show(ShowId(show_id))).or_default();
            sheet.extend(fact_lines(&fact, rows, positions));
        }
        Ok(sheets)
    }
}

#[derive(Row, Deserialize)]
struct FactRows {
    #[serde(with = "clickhouse::serde::uuid")]
    show_id: Uuid,
    fact: String,
    rows: u64,
    positions: u64,
}

fn fact_lines(fact: &str, rows: u64, positions: u64) -> [(String, String); 2] {
    [
        (format!("rows of {fact}"), rows.to_string()),
        (format!("sum of positions of {fact}"), positions.to_string()),
    ]
}

fn facts(show: &Show) -> Sheet {
    FACTS
        .iter()
        .zip(show.facts)
        .flat_map(|(fact, (rows, positions))| fact_lines(fact, rows, positions))
        .collect()
}

fn compare_show(
    id: ShowId,
    summary: &Summary,
    found: Option<&ShowFigures>,
    found_groups: &Demographics,
    position: Position,
    report: &mut Report<'_>,
) {
    let subject = streams::show(id);
    let figures = found.map(figures).unwrap_or_default();
    report.compare("figures", &subject, position, &self::figures(&summary.figures), &figures);
    report.compare("demographics", &subject, position, &groups(&summary.demographics), &groups(found_groups));
    let Some(found) = found else { return };
    let broken = found.broken_identities().into_iter();
    for broken in broken.chain(found_groups.broken_identities(found.unique_viewers)) {
        report.check(false, "figures", &subject, broken, position);
    }
}

/// Every figure by name: a new one makes the compiler ask.
pub(super) fn figures(figures: &ShowFigures) -> Sheet {
    let ShowFigures {
        status,
        started_at,
        ended_at,
        viewer_count,
        closing_viewer_count,
        peak_viewers,
        total_views,
        unique_viewers,
        duration_ms,
        watch_ms,
        possible_watch_ms,
        messages,
        reactions,
        engaged,
        tippers,
        total_tips,
        tips_count,
        pending_tips,
    } = figures;
    let mut sheet = sheet([
        ("status", status.clone()),
        ("currency", total_tips.currency().to_string()),
        ("viewers", viewer_count.to_string()),
        ("closing viewers", closing_viewer_count.to_string()),
        ("peak viewers", peak_viewers.to_string()),
        ("views", total_views.to_string()),
        ("unique viewers", unique_viewers.to_string()),
        ("duration in ms", duration_ms.to_string()),
        ("watched in ms", watch_ms.to_string()),
        ("possibly watched in ms", possible_watch_ms.to_string()),
        ("messages", messages.to_string()),
        ("reactions", reactions.to_string()),
        ("engaged", engaged.to_string()),
        ("tippers", tippers.to_string()),
        ("tips", plain(total_tips.amount())),
        ("tips captured", tips_count.to_string()),
        ("tips pending", pending_tips.to_string()),
    ]);
    for (name, at) in [("started at", started_at), ("ended at", ended_at)] {
        sheet.extend(at.map(|at| (name.to_owned(), at.millis().to_string())));
    }
    sheet
}
