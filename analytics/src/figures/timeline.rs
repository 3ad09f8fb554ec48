//! A show minute by minute: the time line, and with it the absolute retention curve.

use clickhouse::Row;
use schemas::Money;
use serde::Deserialize;

use super::definition::{known, of_shows};
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
    told,
    ",
happened AS (
    SELECT
        at_ms, delta, is_new, step = 1 AS joins, step = -1 AS leaves, 0 AS messages, 0 AS reactions, toDecimal128(0, 4) AS tips
    FROM steps
    UNION ALL
    SELECT toUnixTimestamp64Milli(occurred_at), 0, 0, 0, 0, 1, 0, toDecimal128(0, 4)
    ",
    known!(told, "fact_messages"),
    "
    UNION ALL
    SELECT toUnixTimestamp64Milli(occurred_at), 0, 0, 0, 0, 0, count, toDecimal128(0, 4)
    ",
    known!(told, "fact_reactions"),
    "
    UNION ALL
    SELECT toUnixTimestamp64Milli(occurred_at), 0, 0, 0, 0, 0, 0, amount
    ",
    known!(told, "fact_tip_changes"),
    " AND kind = 'CAPTURED'
    UNION ALL
    SELECT arrayJoin(range({start_ms:Int64}, {until_ms:Int64}, 60000)), 0, 0, 0, 0, 0, 0, toDecimal128(0, 4)
)
SELECT
    minute,
    toUInt64(sum(delta) OVER so_far) AS viewer_count,
    toUInt64(sum(is_new) OVER so_far) AS unique_viewers,
    joins,
    leaves,
    messages,
    reactions,
    toString(tips) AS tips
FROM (
    SELECT
        toUInt32(intDiv(at_ms - {start_ms:Int64}, 60000)) AS minute,
        toInt64(sum(h.delta)) AS delta,
        toInt64(sum(h.is_new)) AS is_new,
        toUInt64(sum(h.joins)) AS joins,
        toUInt64(sum(h.leaves)) AS leaves,
        toUInt64(sum(h.messages)) AS messages,
        toUInt64(sum(h.reactions)) AS reactions,
        sum(h.tips) AS tips
    FROM happened AS h
    WHERE at_ms < {until_ms:Int64}
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
}

impl Figures {
    /// The minutes of a show, without a gap; none before it starts, nor after its facts expired.
    ///
    /// # Errors
    /// [`FigureError`].
    pub async fn timeline(&self, standing: &Standing) -> Result<Vec<Minute>, FigureError> {
        let query = self.of_clock(MINUTES, standing).filter(|_| standing.started_at.is_some());
        let Some(query) = query else { return Ok(Vec::new()) };
        let answers: Vec<Answer> = query.fetch_all().await?;
        answers.into_iter().map(|answer| answer.minute(&standing.currency)).collect()
    }
}

impl Answer {
    fn minute(self, currency: &str) -> Result<Minute, FigureError> {
        Ok(Minute {
            minute: self.minute,
            viewer_count: self.viewer_count,
            unique_viewers: self.unique_viewers,
            joins: self.joins,
            leaves: self.leaves,
            messages: self.messages,
            reactions: self.reactions,
            tips: revenue::money(&self.tips, currency)?,
        })
    }
}
