//! The figures of one show, as of a position.

use std::collections::BTreeMap;

use clickhouse::Row;
use schemas::{Money, ShowId, Timestamp};
use serde::Deserialize;
use uuid::Uuid;

use super::definition::of_shows;
use super::{AsOf, FigureError, Figures, ratio, revenue, signed, standing};

/// A show's figures. Definitions: `docs/metrics.md`. Ratios are methods, so that each is made of the same parts everywhere.
#[derive(Clone, PartialEq, Debug)]
pub struct ShowFigures {
    /// SCHEDULED, LIVE, ENDED or CANCELLED.
    pub status: String,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Persons with a session open now; 0 after the end.
    pub viewer_count: u64,
    /// The viewer count now, or just before the end: what the answer to *end* says.
    pub closing_viewer_count: u64,
    /// The largest viewer count at any event of the show.
    pub peak_viewers: u64,
    /// Sessions begun.
    pub total_views: u64,
    /// Distinct persons who began a session.
    pub unique_viewers: u64,
    /// From start to end (or as of), in milliseconds.
    pub duration_ms: i64,
    /// Σ over persons of the time covered by at least one of their sessions, in milliseconds.
    pub watch_ms: i64,
    /// Σ over persons from first join to end (or as of), in milliseconds: what retention divides by.
    pub possible_watch_ms: i64,
    /// Messages shown.
    pub messages: u64,
    /// Reactions.
    pub reactions: u64,
    /// Viewers who wrote, reacted or tipped.
    pub engaged: u64,
    /// Viewers who tipped.
    pub tippers: u64,
    /// Tips captured.
    pub total_tips: Money,
    /// Number of tips captured.
    pub tips_count: u64,
    /// Tips whose payment is under way.
    pub pending_tips: u64,
}

impl ShowFigures {
    /// Whether they stay as they are: the show is over, and no payment is under way.
    #[must_use]
    pub fn is_final(&self) -> bool {
        standing::is_final(&self.status, self.pending_tips)
    }

    /// `watchTime ÷ uniqueViewers`, in seconds.
    #[must_use]
    pub fn average_view_seconds(&self) -> f64 {
        ratio(self.watch_ms, signed(self.unique_viewers) * 1_000)
    }

    /// `watchTime ÷ duration`.
    #[must_use]
    pub fn average_concurrent(&self) -> f64 {
        ratio(self.watch_ms, self.duration_ms)
    }

    /// `Σ watchTime ÷ Σ (first join → end)`, over persons.
    #[must_use]
    pub fn viewer_retention(&self) -> f64 {
        ratio(self.watch_ms, self.possible_watch_ms)
    }

    /// Viewers who wrote, reacted or tipped ÷ uniqueViewers.
    #[must_use]
    pub fn engagement_rate(&self) -> f64 {
        ratio(signed(self.engaged), signed(self.unique_viewers))
    }

    /// Viewers who tipped ÷ uniqueViewers.
    #[must_use]
    pub fn tip_conversion(&self) -> f64 {
        ratio(signed(self.tippers), signed(self.unique_viewers))
    }
}

/// The shows that are asked about, a row each.
macro_rules! each_show {
    (told) => {
        "{show:UUID}"
    };
    ($many:ident) => {
        "arrayJoin({shows:Array(UUID)})"
    };
}

/// Continues [`of_shows`], with the mode first: `sums`, one row a show, of zeros where nothing happened. What persons did is put together by person
/// first; who did something without a session counts in no share of viewers.
macro_rules! sums_of_shows {
    ($mode:ident, $($more:expr),+ $(,)?) => {
        of_shows!(
            $mode,
            ",
persons AS (
    SELECT
        show_id,
        person,
        sum(p.sessions) AS sessions,
        sum(p.watch_ms) AS watch_ms,
        sum(p.possible_watch_ms) AS possible_watch_ms,
        sum(p.messages) AS messages,
        max(p.has_reacted) AS has_reacted,
        sum(p.tips) AS tips,
        sum(p.tips_count) AS tips_count,
        sum(p.pending_tips) AS pending_tips
    FROM (
        SELECT
            show_id, person, sessions, toInt64(watch_ms) AS watch_ms, until_ms - first_ms AS possible_watch_ms, 0 AS messages,
            0 AS has_reacted, toDecimal128(0, 4) AS tips, 0 AS tips_count, 0 AS pending_tips
        FROM viewers
        UNION ALL
        SELECT show_id, author, 0, 0, 0, 1, 0, toDecimal128(0, 4), 0, 0
        ",
            $crate::figures::definition::known!($mode, "fact_messages"),
            "
        UNION ALL
        SELECT show_id, person, 0, 0, 0, 0, 1, toDecimal128(0, 4), 0, 0
        ",
            $crate::figures::definition::known!($mode, "fact_reactors"),
            "
        UNION ALL
        SELECT
            show_id, person, 0, 0, 0, 0, 0, if(kind = 'CAPTURED', amount, toDecimal128(0, 4)), kind = 'CAPTURED',
            if(kind = 'REQUESTED', 1, -1)
        ",
            $crate::figures::definition::known!($mode, "fact_tip_changes"),
            "
    ) AS p
    GROUP BY show_id, person
),
sums AS (
    SELECT
        show_id,
        toUInt64(sum(s.open_viewers)) AS open_viewers,
        toUInt64(sum(s.peak_viewers)) AS peak_viewers,
        toUInt64(sum(s.total_views)) AS total_views,
        toUInt64(sum(s.unique_viewers)) AS unique_viewers,
        toInt64(sum(s.watch_ms)) AS watch_ms,
        toInt64(sum(s.possible_watch_ms)) AS possible_watch_ms,
        toUInt64(sum(s.messages)) AS messages,
        toUInt64(sum(s.reactions)) AS reactions,
        toUInt64(sum(s.engaged)) AS engaged,
        toUInt64(sum(s.tippers)) AS tippers,
        sum(s.tips) AS tips,
        toUInt64(sum(s.tips_count)) AS tips_count,
        toUInt64(sum(s.pending_tips)) AS pending_tips
    FROM (
        SELECT
            show_id,
            0 AS open_viewers,
            0 AS peak_viewers,
            sum(q.sessions) AS total_views,
            countIf(q.sessions > 0) AS unique_viewers,
            sum(q.watch_ms) AS watch_ms,
            sum(q.possible_watch_ms) AS possible_watch_ms,
            sum(q.messages) AS messages,
            0 AS reactions,
            countIf(q.sessions > 0 AND (q.messages > 0 OR has_reacted OR q.tips_count > 0)) AS engaged,
            countIf(q.sessions > 0 AND q.tips_count > 0) AS tippers,
            sum(q.tips) AS tips,
            sum(q.tips_count) AS tips_count,
            sum(q.pending_tips) AS pending_tips
        FROM persons AS q
        GROUP BY show_id
        UNION ALL
        SELECT show_id, sum(delta), max(viewers_after), 0, 0, 0, 0, 0, 0, 0, 0, toDecimal128(0, 4), 0, 0
        FROM (
            SELECT
                show_id,
                delta,
                sum(delta) OVER (
                    PARTITION BY show_id ORDER BY revision ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
                ) AS viewers_after
            FROM steps
        )
        GROUP BY show_id
        UNION ALL
        SELECT show_id, 0, 0, 0, 0, 0, 0, 0, count, 0, 0, toDecimal128(0, 4), 0, 0
        ",
            $crate::figures::definition::known!($mode, "fact_reactions"),
            "
        UNION ALL
        SELECT ",
            $crate::figures::show::each_show!($mode),
            ", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, toDecimal128(0, 4), 0, 0
    ) AS s
    GROUP BY show_id
)",
            $($more),+
        )
    };
}

/// Continues [`sums_of_shows`] of many: one row a show, `figures`. Also what the roll-up of shows is made of.
macro_rules! figures_of_shows {
    ($mode:ident, $($more:expr),+ $(,)?) => {
        $crate::figures::show::sums_of_shows!(
            $mode,
            ",
figures AS (
    SELECT
        c.show_id AS show_id,
        creator,
        title,
        category,
        currency,
        multiIf(is_cancelled, 'CANCELLED', ended_at IS NOT NULL, 'ENDED', has_started, 'LIVE', 'SCHEDULED') AS status,
        started_at,
        ended_at,
        until_ms,
        if(has_started, until_ms - start_ms, 0) AS duration_ms,
        if(ended_at IS NULL, open_viewers, 0) AS viewer_count,
        open_viewers AS closing_viewer_count,
        s.* EXCEPT (show_id, open_viewers)
    FROM clock AS c
    INNER JOIN sums AS s ON s.show_id = c.show_id
)",
            $($more),+
        )
    };
}

pub(super) use {each_show, figures_of_shows, sums_of_shows};

/// The sums that are answered.
macro_rules! sums {
    () => {
        "peak_viewers, total_views, unique_viewers, watch_ms, possible_watch_ms, messages, reactions, engaged, tippers, \
         toString(tips) AS tips, tips_count, pending_tips"
    };
}

/// What is answered of shows, of the figures as computed and as rolled up alike.
macro_rules! answer {
    () => {
        concat!(
            "
SELECT
    show_id,
    status,
    toUnixTimestamp64Milli(started_at) AS started_ms,
    toUnixTimestamp64Milli(ended_at) AS ended_ms,
    currency,
    closing_viewer_count AS open_viewers,
    duration_ms,
    ",
            sums!(),
            "
"
        )
    };
}

const FIGURES: &str = sums_of_shows!(
    told,
    "
SELECT
    show_id,
    {status:String} AS status,
    if({has_started:Bool}, {start_ms:Int64}, NULL) AS started_ms,
    if({has_ended:Bool}, {end_ms:Int64}, NULL) AS ended_ms,
    {currency:String} AS currency,
    open_viewers,
    if({has_started:Bool}, {until_ms:Int64} - {start_ms:Int64}, 0) AS duration_ms,
    ",
    sums!(),
    "
FROM sums"
);

const FIGURES_OF_SHOWS: &str = figures_of_shows!(known, answer!(), "FROM figures");

/// The roll-up of a show that is over, where it was made of exactly those events that are asked for, or of more than are still there: facts may be
/// dropped after their retention, and a roll-up stays. It was computed from their rows and no others, and after the end nothing
/// depends on the time. Of several the one of most events is the latest.
macro_rules! rolled_up {
    ($what:expr) => {
        concat!(
            "
WITH (
    SELECT (uniqExact(revision), max(position))
    FROM fact_events FINAL
    WHERE stream = {stream:String} AND position <= {position:UInt64}
) AS known",
            $what,
            "
FROM rollup_shows
WHERE show_id = {show:UUID}
    AND (status = 'ENDED' OR status = 'CANCELLED' AND started_at IS NULL)
    AND last_position <= {position:UInt64} AND last_position >= known.2
    AND facts >= known.1
ORDER BY facts DESC
LIMIT 1"
        )
    };
}

pub(super) use rolled_up;

const ROLLED_UP: &str = rolled_up!(answer!());

#[derive(Row, Deserialize)]
struct Answer {
    #[serde(with = "clickhouse::serde::uuid")]
    show_id: Uuid,
    status: String,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
    currency: String,
    /// Just before the end, where it is over.
    open_viewers: u64,
    duration_ms: i64,
    peak_viewers: u64,
    total_views: u64,
    unique_viewers: u64,
    watch_ms: i64,
    possible_watch_ms: i64,
    messages: u64,
    reactions: u64,
    engaged: u64,
    tippers: u64,
    tips: String,
    tips_count: u64,
    pending_tips: u64,
}

impl Figures {
    /// The figures of a show; `None` where the warehouse does not know it.
    ///
    /// # Errors
    /// [`FigureError`].
    pub async fn show(&self, show: ShowId, as_of: AsOf) -> Result<Option<ShowFigures>, FigureError> {
        let rolled_up: Option<Answer> = self.of_show(ROLLED_UP, show, as_of).fetch_optional().await?;
        if let Some(answer) = rolled_up {
            return Ok(Some(answer.try_into()?));
        }
        let standing = self.known(show, as_of).await?;
        let Some(query) = standing.and_then(|standing| self.of_clock(FIGURES, &standing)) else {
            return Ok(None);
        };
        let answer: Option<Answer> = query.fetch_optional().await?;
        answer.map(TryInto::try_into).transpose()
    }

    /// The figures of several shows; those that the warehouse does not know are left out.
    ///
    /// # Errors
    /// [`FigureError`].
    pub async fn shows(
        &self,
        shows: &[ShowId],
        as_of: AsOf,
    ) -> Result<BTreeMap<ShowId, ShowFigures>, FigureError> {
        let answers: Vec<Answer> = self.of_shows(FIGURES_OF_SHOWS, shows, as_of).fetch_all().await?;
        answers.into_iter().map(|answer| Ok((ShowId(answer.show_id), answer.try_into()?))).collect()
    }
}

impl TryFrom<Answer> for ShowFigures {
    type Error = FigureError;

    fn try_from(answer: Answer) -> Result<Self, FigureError> {
        Ok(Self {
            status: answer.status,
            started_at: answer.started_ms.map(Timestamp::from_millis),
            ended_at: answer.ended_ms.map(Timestamp::from_millis),
            viewer_count: if answer.ended_ms.is_none() { answer.open_viewers } else { 0 },
            closing_viewer_count: answer.open_viewers,
            peak_viewers: answer.peak_viewers,
            total_views: answer.total_views,
            unique_viewers: answer.unique_viewers,
            duration_ms: answer.duration_ms,
            watch_ms: answer.watch_ms,
            possible_watch_ms: answer.possible_watch_ms,
            messages: answer.messages,
            reactions: answer.reactions,
            engaged: answer.engaged,
            tippers: answer.tippers,
            total_tips: revenue::money(&answer.tips, &answer.currency)?,
            tips_count: answer.tips_count,
            pending_tips: answer.pending_tips,
        })
    }
}
