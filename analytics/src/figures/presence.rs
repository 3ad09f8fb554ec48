//! Who is here, minute by minute: the absolute retention curve.

use clickhouse::Row;
use serde::Deserialize;

use super::definition::of_shows;
use super::{FigureError, Figures, Standing, ratio, signed};

/// Who is here in a minute of a show, counted from its start; the last one may be shorter. What happens at a minute's very end belongs to the next.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Presence {
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
}

impl Presence {
    /// The absolute retention curve: viewerCount ÷ uniqueViewers so far.
    #[must_use]
    pub fn retention(&self) -> f64 {
        ratio(signed(self.viewer_count), signed(self.unique_viewers))
    }
}

/// The minutes in which somebody came or went.
const CHANGES: &str = of_shows!(
    told,
    "
SELECT
    toUInt32(intDiv(at_ms - {start_ms:Int64}, 60000)) AS minute,
    toInt64(sum(s.delta)) AS delta,
    toUInt64(countIf(is_new)) AS newcomers,
    toUInt64(countIf(step = 1)) AS joins,
    toUInt64(countIf(step = -1)) AS leaves
FROM steps AS s
WHERE at_ms < {until_ms:Int64}
GROUP BY minute
ORDER BY minute"
);

#[derive(Row, Deserialize)]
struct Change {
    minute: u32,
    delta: i64,
    newcomers: u64,
    joins: u64,
    leaves: u64,
}

impl Figures {
    /// Who is here, of all minutes of a show; none before it starts, nor after its facts expired.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn presence(&self, standing: &Standing) -> Result<Vec<Presence>, FigureError> {
        let Some(query) = self.of_clock(CHANGES, standing) else { return Ok(Vec::new()) };
        let changes: Vec<Change> = query.fetch_all().await?;
        Ok(each_minute(standing.minutes(), changes))
    }
}

/// In a minute without a change those are here who were before.
fn each_minute(minutes: u32, changes: Vec<Change>) -> Vec<Presence> {
    let mut changes = changes.into_iter().peekable();
    let mut last = Presence::default();
    let minutes = (0..minutes).map(|minute| {
        last = Presence { minute, joins: 0, leaves: 0, ..last };
        if let Some(change) = changes.next_if(|change| change.minute == minute) {
            last.viewer_count = last.viewer_count.saturating_add_signed(change.delta);
            last.unique_viewers += change.newcomers;
            last.joins = change.joins;
            last.leaves = change.leaves;
        }
        last.clone()
    });
    minutes.collect()
}
