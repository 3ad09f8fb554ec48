//! A show minute by minute: the time line, and with it the absolute retention curve.

use clickhouse::Row;
use schemas::Money;
use serde::Deserialize;

use super::definition::{clock, known, of_shows};
use super::{FigureError, Figures, Standing, ratio, revenue, signed};

/// A minute of a show, counted from its start; the last one may be shorter. What happens at a minute's very end belongs to the next;
/// what is paid after the end of the show is in none.
#[derive(Clone, PartialEq, Debug)]
pub struct Minute {
    /// Which: 0 is the first.
    pub minute: u32,
    /// Viewer count at its last instant.
    pub viewer_count: u64,
    /// Persons who began a session up to there.
    pub unique_viewers: u64,
    /// Sessions begun within it.
    pub joins: u64,
    /// Sessions left within it. Those that the end of the show closes are not told one by one.
    pub leaves: u64,
    /// Messages shown within it.
    pub messages: u64,
    /// Reactions within it.
    pub reactions: u64,
    /// Tips captured within it.
    pub tips: Money,
}

impl Minute {
    /// The absolute retention curve: viewerCount ÷ uniqueViewers so far.
    #[must_use]
    pub fn retention(&self) -> f64 {
        ratio(signed(self.viewer_count), signed(self.unique_viewers))
    }
}

const MINUTES: &str = of_shows!(
    clock!(told),
    ",
began AS (
    SELECT show_id, start_ms, until_ms, currency FROM clock WHERE has_started
),
happened AS (
    SELECT
        show_id, at_ms, delta, is_new, step = 1 AS joins, step = -1 AS leaves, 0 AS messages, 0 AS reactions,
        toDecimal128(0, 4) AS tips
    FROM steps
    UNION ALL
    SELECT show_id, toUnixTimestamp64Milli(occurred_at), 0, 0, 0, 0, 1, 0, toDecimal128(0, 4)
    ",
    known!("fact_messages"),
    "
    UNION ALL
    SELECT show_id, toUnixTimestamp64Milli(occurred_at), 0, 0, 0, 0, 0, count, toDecimal128(0, 4)
    ",
    known!("fact_reactions"),
    "
    UNION ALL
    SELECT show_id, toUnixTimestamp64Milli(occurred_at), 0, 0, 0, 0, 0, 0, amount
    ",
    known!("fact_tip_changes"),
    " AND kind = 'CAPTURED'
),
parts AS (
    SELECT
        toUInt32(intDiv(at_ms - start_ms, 60000)) AS minute, currency, delta, is_new, joins, leaves, messages,
        reactions, tips
    FROM happened AS h
    INNER JOIN began AS b ON b.show_id = h.show_id
    WHERE at_ms < until_ms
    UNION ALL
    SELECT
        arrayJoin(range(toUInt32(intDiv(until_ms - start_ms + 59999, 60000)))), currency, 0, 0, 0, 0, 0, 0,
        toDecimal128(0, 4)
    FROM began
)
SELECT
    minute,
    toUInt64(sum(delta) OVER so_far) AS viewer_count,
    toUInt64(sum(is_new) OVER so_far) AS unique_viewers,
    joins,
    leaves,
    messages,
    reactions,
    toString(tips) AS tips,
    currency
FROM (
    SELECT
        minute,
        any(p.currency) AS currency,
        toInt64(sum(p.delta)) AS delta,
        toInt64(sum(p.is_new)) AS is_new,
        toUInt64(sum(p.joins)) AS joins,
        toUInt64(sum(p.leaves)) AS leaves,
        toUInt64(sum(p.messages)) AS messages,
        toUInt64(sum(p.reactions)) AS reactions,
        sum(p.tips) AS tips
    FROM parts AS p
    GROUP BY minute
)
WINDOW so_far AS (ORDER BY minute ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
ORDER BY minute"
);

#[derive(Row, Deserialize)]
struct Answer {
    minute: u32,
    viewer_count: u64,
    unique_viewers: u64,
    joins: u64,
    leaves: u64,
    messages: u64,
    reactions: u64,
    tips: String,
    currency: String,
}

impl Figures {
    /// The minutes of a show, without a gap; none before it starts, nor after its facts expired.
    ///
    /// # Errors
    /// [`FigureError`].
    pub async fn timeline(&self, standing: &Standing) -> Result<Vec<Minute>, FigureError> {
        let Some(query) = self.of_show(MINUTES, standing) else { return Ok(Vec::new()) };
        let answers: Vec<Answer> = query.fetch_all().await?;
        answers.into_iter().map(TryInto::try_into).collect()
    }
}

impl TryFrom<Answer> for Minute {
    type Error = FigureError;

    fn try_from(answer: Answer) -> Result<Self, FigureError> {
        Ok(Self {
            minute: answer.minute,
            viewer_count: answer.viewer_count,
            unique_viewers: answer.unique_viewers,
            joins: answer.joins,
            leaves: answer.leaves,
            messages: answer.messages,
            reactions: answer.reactions,
            tips: revenue::money(&answer.tips, &answer.currency)?,
        })
    }
}
