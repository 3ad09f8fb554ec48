//! Roll-ups: the figures of each show, its viewers and its quarters of an hour, kept for the questions about many shows.
//!
//! Made anew from the facts for each show that a batch touched, as of the last event of the show. See `migrations/clickhouse/0003_rollups.sql` for
//! why repeats and races change nothing.

use clickhouse::{Client, Row};
use schemas::{ShowId, streams};
use serde::Deserialize;
use uuid::Uuid;

use super::FigureError;
use super::definition::{acts, known, of_shows};
use super::sums::figures_of_shows;

/// Shows to be made anew at a time, where there are many: some seconds' work, after which is told how far it is. So many are made again when it fails.
pub(crate) const SHOWS_A_STEP: usize = 200;

/// Shows in one refresh: bounds the memory of its queries, and their parameters.
const SHOWS_MAX: usize = 500;

const COUNT: &str = "
SELECT
    toUUID(substring(stream, 6)) AS show_id,
    uniqExact(revision) AS facts,
    max(position) AS last_position,
    toUnixTimestamp64Milli(max(occurred_at)) AS last_ms
FROM fact_events
WHERE stream IN {streams:Array(String)}
GROUP BY stream";

/// The number of events that were known before the rest was read. The rest is read up to the last of them: events that come meanwhile have other
/// rows in the warehouse first, and a part of an event must not count.
macro_rules! facts {
    ($show:literal) => {
        concat!("transform(", $show, ", {shows:Array(UUID)}, {facts:Array(UInt64)}, toUInt64(0)) AS facts")
    };
}

const SHOWS: &str = figures_of_shows!(
    known_but_last_times,
    "
SELECT
    show_id, creator, title, category, currency, status, started_at, ended_at,
    fromUnixTimestamp64Milli(until_ms, 'UTC') AS as_of,
    duration_ms, viewer_count, closing_viewer_count, peak_viewers, total_views, unique_viewers, watch_ms, possible_watch_ms,
    messages, reactions, engaged, tippers, tips, tips_count, pending_tips,
    transform(show_id, {shows:Array(UUID)}, {positions:Array(UInt64)}, toUInt64(0)) AS last_position,
    ",
    facts!("show_id"),
    "
FROM figures"
);

const VIEWERS: &str = of_shows!(
    known_but_last_times,
    acts!(),
    "
SELECT
    creator, show_id, person, started_at, fromUnixTimestamp64Milli(first_ms, 'UTC') AS first_joined_at, first_position, sessions,
    toInt64(watch_ms) AS watch_ms, device_type, country, city, messages, has_reacted, tips, tips_count,
    ",
    facts!("show_id"),
    "
FROM acts"
);

/// Up to the last event of the show, not only up to its end: so rows only ever get more, in whatever order events come.
const QUARTERS: &str = of_shows!(
    known_but_last_times,
    ",
spans AS (
    SELECT show_id, creator, start_ms, until_ms, intDiv(greatest(until_ms, last_ms), 900000) AS last_quarter
    FROM clock
    WHERE has_started
),
air AS (
    SELECT
        show_id,
        arrayJoin(range(intDiv(start_ms, 900000), last_quarter + 1)) AS quarter,
        greatest(0, least(until_ms, (quarter + 1) * 900000) - greatest(start_ms, quarter * 900000)) AS on_air_ms
    FROM spans
),
stays AS (
    SELECT
        show_id,
        person,
        arrayJoin(range(intDiv(joined_ms, 900000), intDiv(gone_ms, 900000) + 1)) AS quarter,
        greatest(joined_ms, quarter * 900000) AS from_ms,
        least(gone_ms, (quarter + 1) * 900000) AS to_ms
    FROM intervals
),
watched AS (
    SELECT show_id, quarter, sum(covered_ms) AS watch_ms
    FROM (
        SELECT show_id, person, quarter, intervalLengthSum(from_ms, to_ms) AS covered_ms
        FROM stays
        GROUP BY show_id, person, quarter
    )
    GROUP BY show_id, quarter
),
tipped AS (
    SELECT show_id, intDiv(toUnixTimestamp64Milli(occurred_at), 900000) AS quarter, sum(amount) AS tips
    ",
    known!(known, "fact_tip_changes"),
    " AND kind = 'CAPTURED'
    GROUP BY show_id, quarter
)
SELECT
    creator,
    a.show_id AS show_id,
    toDateTime(a.quarter * 900, 'UTC') AS quarter,
    on_air_ms,
    toInt64(w.watch_ms) AS watch_ms,
    t.tips AS tips,
    ",
    facts!("a.show_id"),
    "
FROM air AS a
INNER JOIN spans AS s ON s.show_id = a.show_id
LEFT JOIN watched AS w ON w.show_id = a.show_id AND w.quarter = a.quarter
LEFT JOIN tipped AS t ON t.show_id = a.show_id AND t.quarter = a.quarter"
);

/// Each roll-up with its columns and what fills them. That of the shows comes last: its `facts` tell whether a show is fresh, and whoever dies
/// before it is written leaves the show stale.
const ROLLUPS: [(&str, &str, &str); 3] = [
    (
        "rollup_show_viewers",
        "creator, show_id, person, started_at, first_joined_at, first_position, sessions, watch_ms, device_type, country, city, \
         messages, has_reacted, tips, tips_count, facts",
        VIEWERS,
    ),
    ("rollup_show_quarters", "creator, show_id, quarter, on_air_ms, watch_ms, tips, facts", QUARTERS),
    (
        "rollup_shows",
        "show_id, creator, title, category, currency, status, started_at, ended_at, as_of, duration_ms, viewer_count, \
         closing_viewer_count, peak_viewers, total_views, unique_viewers, watch_ms, possible_watch_ms, messages, reactions, \
         engaged, tippers, tips, tips_count, pending_tips, last_position, facts",
        SHOWS,
    ),
];

#[derive(Row, Deserialize)]
struct Known {
    #[serde(with = "clickhouse::serde::uuid")]
    show_id: Uuid,
    facts: u64,
    last_position: u64,
    last_ms: i64,
}

/// Makes the roll-ups of shows anew: the sooner, the nearer they are to each other in the tables. To be called after the facts of a batch are in, `fact_events` last of them. Where it is cut off, a show whose
/// events are more than its roll-up knows is to be made again.
///
/// # Errors
/// [`FigureError::Warehouse`]. Calling it again is harmless.
pub async fn refresh(client: &Client, shows: &[ShowId]) -> Result<(), FigureError> {
    for shows in shows.chunks(SHOWS_MAX) {
        let streams: Vec<String> = shows.iter().map(|show| streams::show(*show)).collect();
        let known: Vec<Known> = client.query_raw(COUNT).param("streams", &streams).fetch_all().await?;
        let shows: Vec<ShowId> = known.iter().map(|known| ShowId(known.show_id)).collect();
        for (table, columns, select) in ROLLUPS {
            client
                .query_raw(&format!("INSERT INTO {table} ({columns}) {select}"))
                .param("shows", shows.iter().map(ToString::to_string).collect::<Vec<_>>())
                .param("streams", shows.iter().map(|show| streams::show(*show)).collect::<Vec<_>>())
                .param("facts", known.iter().map(|known| known.facts).collect::<Vec<_>>())
                .param("positions", known.iter().map(|known| known.last_position).collect::<Vec<_>>())
                .param("last_times", known.iter().map(|known| known.last_ms).collect::<Vec<_>>())
                .param("time_ms", 0_i64)
                .execute()
                .await?;
        }
    }
    Ok(())
}
