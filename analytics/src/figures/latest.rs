//! A show as of now, by its roll-up: one row, where its facts would take a hundred times the work each time somebody looks at a show that runs.
//!
//! The loader makes a roll-up anew a second or so after each batch of its show. It counts the time of a show that runs up to its last event; since nothing
//! happened from then on, until now it is exactly so much more.

use schemas::{Position, ShowId, Timestamp};

use super::show::{Answer, answer};
use super::{AsOf, FigureError, Figures, ShowFigures, Standing};

/// A show as of now.
#[derive(Clone, PartialEq, Debug)]
pub struct Latest {
    /// What it amounts to.
    pub figures: ShowFigures,
    /// Where it stands.
    pub standing: Standing,
    /// As of when both are.
    pub as_of: AsOf,
}

/// Of several rows the one of most events is the latest. `FINAL` lets the server leave parts out before it reads. One of before the last position was noted is none that could be used.
const LATEST: &str = concat!(
    answer!(
        "last_position",
        "toUnixTimestamp64Milli(as_of)",
        "(SELECT count() > 0 FROM fact_show_changes FINAL WHERE show_id = {show:UUID} AND kind = 'CREATED')"
    ),
    "
FROM rollup_shows
WHERE show_id = {show:UUID} AND last_position > 0
ORDER BY facts DESC
LIMIT 1"
);

impl Figures {
    /// A show by its roll-up, and as of when that is: not before `rolled_up`, up to where all roll-ups count, and later where this one was made since. `None`
    /// where there is no roll-up of it.
    ///
    /// # Errors
    /// [`FigureError`].
    pub async fn latest(&self, show: ShowId, rolled_up: AsOf) -> Result<Option<Latest>, FigureError> {
        let answer: Option<Answer> = self.of_show(LATEST, show, rolled_up).fetch_optional().await?;
        let Some(mut answer) = answer else { return Ok(None) };
        let as_of = AsOf {
            position: rolled_up.position.max(Position(answer.last_position)),
            time: rolled_up.time.max(Timestamp::from_millis(answer.until_ms)),
        };
        answer.run_until(as_of.time);
        let standing = answer.standing(as_of);
        Ok(Some(Latest { figures: answer.try_into()?, standing, as_of }))
    }
}

impl Answer {
    /// Lets the time of a show that runs go on, while nothing happens.
    fn run_until(&mut self, time: Timestamp) {
        if self.started_ms.is_none() || self.ended_ms.is_some() {
            return;
        }
        let later = (time.millis() - self.until_ms).max(0);
        let of_persons = |persons: u64| later.saturating_mul(super::signed(persons));
        self.until_ms += later;
        self.duration_ms += later;
        self.watch_ms += of_persons(self.open_viewers);
        self.possible_watch_ms += of_persons(self.unique_viewers);
    }
}
