//! The figures of one show, as of a position.

use std::collections::BTreeMap;

use clickhouse::Row;
use schemas::{Money, ShowId, Timestamp};
use serde::Deserialize;
use uuid::Uuid;

use super::sums::{figures_of_shows, sums_of_shows};
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

/// The sums that are answered.
macro_rules! sums {
    () => {
        "peak_viewers, total_views, unique_viewers, watch_ms, possible_watch_ms, messages, reactions, engaged, tippers, \
         toString(tips) AS tips, tips_count, pending_tips"
    };
}

/// What is answered of shows, of the figures as computed and as rolled up alike: besides the position of the last event that is known, until when they
/// count, and whether there are facts of the show.
macro_rules! answer {
    ($last_position:literal, $until_ms:literal, $has_facts:literal) => {
        concat!(
            "
SELECT
    show_id,
    creator,
    status,
    toUnixTimestamp64Milli(started_at) AS started_ms,
    toUnixTimestamp64Milli(ended_at) AS ended_ms,
    toString(currency) AS currency,
    ",
            $last_position,
            " AS last_position,
    ",
            $until_ms,
            " AS until_ms,
    toBool(assumeNotNull(",
            $has_facts,
            ")) AS has_facts,
    closing_viewer_count AS open_viewers,
    duration_ms,
    ",
            $crate::figures::show::sums!(),
            "
"
        )
    };
}

pub(super) use {answer, sums};

const FIGURES: &str = sums_of_shows!(
    told,
    "
SELECT
    show_id,
    {creator:UUID} AS creator,
    {status:String} AS status,
    if({has_started:Bool}, {start_ms:Int64}, NULL) AS started_ms,
    if({has_ended:Bool}, {end_ms:Int64}, NULL) AS ended_ms,
    {currency:String} AS currency,
    {position:UInt64} AS last_position,
    {until_ms:Int64} AS until_ms,
    true AS has_facts,
    open_viewers,
    if({has_started:Bool}, {until_ms:Int64} - {start_ms:Int64}, 0) AS duration_ms,
    ",
    sums!(),
    "
FROM sums"
);

const FIGURES_OF_SHOWS: &str =
    figures_of_shows!(known, answer!("toUInt64(0)", "until_ms", "true"), "FROM figures");

/// The roll-up of a show that is over, where it was made of exactly those events that are asked for, or of more than are still there: facts may be
/// dropped after their retention, and a roll-up stays. It was computed from their rows and no others, and after the end nothing
/// depends on the time. Of several the one of most events is the latest.
pub(super) const ROLLED_UP: &str = concat!(
    "
WITH (
    SELECT (uniqExact(revision), max(position))
    FROM fact_events FINAL
    WHERE stream = {stream:String} AND position <= {position:UInt64}
) AS known",
    answer!("last_position", "toUnixTimestamp64Milli(as_of)", "true"),
    "
FROM rollup_shows
WHERE show_id = {show:UUID}
    AND (status = 'ENDED' OR status = 'CANCELLED' AND started_at IS NULL)
    AND last_position <= {position:UInt64} AND last_position >= known.2
    AND facts >= known.1
ORDER BY facts DESC
LIMIT 1"
);

#[derive(Row, Deserialize)]
pub(super) struct Answer {
    #[serde(with = "clickhouse::serde::uuid")]
    pub(super) show_id: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    pub(super) creator: Uuid,
    pub(super) status: String,
    pub(super) started_ms: Option<i64>,
    pub(super) ended_ms: Option<i64>,
    pub(super) currency: String,
    /// The last event that is known, of a roll-up.
    pub(super) last_position: u64,
    pub(super) until_ms: i64,
    pub(super) has_facts: bool,
    /// Just before the end, where it is over.
    pub(super) open_viewers: u64,
    pub(super) duration_ms: i64,
    pub(super) peak_viewers: u64,
    pub(super) total_views: u64,
    pub(super) unique_viewers: u64,
    pub(super) watch_ms: i64,
    pub(super) possible_watch_ms: i64,
    pub(super) messages: u64,
    pub(super) reactions: u64,
    pub(super) engaged: u64,
    pub(super) tippers: u64,
    pub(super) tips: String,
    pub(super) tips_count: u64,
    pub(super) pending_tips: u64,
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
