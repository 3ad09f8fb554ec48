//! The figures, asked of the warehouse. Definitions: `docs/metrics.md`; each stands once, in the file of its name.
//!
//! Figures of one show are computed from the facts without repeats, as of any position of the log. Figures of many shows (a creator's, the
//! platform's) are computed from roll-ups, which [`rollup`] makes by the same definitions.

mod advice;
mod as_of;
mod behaviour;
mod catalogue;
mod confidence;
mod content;
mod creator;
mod definition;
mod demographics;
mod evidence;
pub mod export;
mod growth;
mod identities;
mod latest;
mod peak_times;
mod platform;
mod presence;
mod revenue;
pub mod rollup;
mod show;
mod standing;
mod sums;
mod survival;
mod timeline;
mod trouble;

pub use advice::{Advice, Compared, MIN_SHOWS_FOR_ADVICE, advice};
pub use as_of::AsOf;
pub use behaviour::Behaviour;
pub use catalogue::{Figure, catalogue};
pub use confidence::Estimate;
pub use content::ContentType;
pub use creator::AudienceTotals;
pub use demographics::{Demographics, Group, K_ANONYMITY, k_anonymous};
pub use evidence::{EventCount, EventReference};
pub use growth::{Cohort, Returning};
pub use latest::Latest;
pub use peak_times::HourOfWeek;
pub use platform::{PeakUsage, PopularRank, PopularShow};
pub use presence::Presence;
pub use revenue::{PaidMinute, Revenue, RevenueByDay};
pub use show::ShowFigures;
pub use standing::Standing;
pub use survival::SurvivalStep;
pub use timeline::Minute;
pub use trouble::Trouble;

use crate::ratio;
use clickhouse::{Client, query::Query};
use schemas::{PersonId, ShowId, Timestamp, streams};
use thiserror::Error;

/// Asks the warehouse.
#[derive(Clone)]
pub struct Figures {
    client: Client,
}

/// Why the warehouse gave no figure.
#[derive(Debug, Error)]
pub enum FigureError {
    /// It could not be asked, or refused.
    #[error("the warehouse gave no answer")]
    Warehouse(#[from] clickhouse::error::Error),
    /// An amount that is none.
    #[error("the warehouse gave an amount that is none")]
    Money,
    /// A table that is too large to be made into a file.
    #[error("a table that is too large for a file")]
    TooLarge,
}

/// From when (included) to when (excluded) shows started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Period {
    /// From when.
    pub from: Timestamp,
    /// To when.
    pub to: Timestamp,
}

/// Whose shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// One creator's.
    Creator(PersonId),
    /// Everybody's.
    Platform,
}

/// Threads of a question about shows. A show is some granules, and more threads than it takes to read those cost more to set up than they save.
const THREADS_A_SHOW: u32 = 2;

impl Figures {
    /// Over a client with its database set.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The same, where the warehouse gives up a question after so many seconds.
    #[must_use]
    pub fn within_seconds(self, seconds: u32) -> Self {
        Self { client: self.client.with_setting("max_execution_time", seconds.to_string()) }
    }

    /// A question about a show, as of a position. Queries are written in full, so a question mark means itself.
    fn of_show(&self, sql: &str, show: ShowId, as_of: AsOf) -> Query {
        self.client
            .query_raw(sql)
            .with_setting("max_threads", THREADS_A_SHOW.to_string())
            .param("show", show.to_string())
            .param("stream", streams::show(show))
            .param("position", as_of.position.0)
    }

    /// The same about several.
    fn of_shows(&self, sql: &str, shows: &[ShowId], as_of: AsOf) -> Query {
        self.client
            .query_raw(sql)
            .with_setting("max_threads", THREADS_A_SHOW.to_string())
            .param("shows", shows.iter().map(ToString::to_string).collect::<Vec<_>>())
            .param("streams", shows.iter().map(|show| streams::show(*show)).collect::<Vec<_>>())
            .param("position", as_of.position.0)
            .param("positions", vec![as_of.position.0; shows.len()])
            .param("time_ms", as_of.time.millis())
    }

    /// A question about all shows of a scope that started in a period.
    fn of_scope(&self, sql: &str, scope: Scope, period: Period) -> Query {
        let (everybody, creator) = match scope {
            Scope::Creator(creator) => (0_u8, creator),
            Scope::Platform => (1, PersonId(uuid::Uuid::nil())),
        };
        self.client
            .query_raw(sql)
            .param("everybody", everybody)
            .param("creator", creator.to_string())
            .param("from_ms", period.from.millis())
            .param("to_ms", period.to.millis())
    }
}

/// Which rows of `shows`, `show_viewers` or `show_quarters` [`Figures::of_scope`] is about. Rows of shows that never started have no
/// `started_at` and are in no period.
macro_rules! scope {
    () => {
        "({everybody:UInt8} OR creator = {creator:UUID}) \
         AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC') \
         AND started_at < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')"
    };
}

use scope;

/// A count as a number that ratios are made of.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
