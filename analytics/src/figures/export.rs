//! Tables as files. ClickHouse writes the format, so that CSV and Parquet are what their readers expect; the bytes pass through as they come.

use bytes::Bytes;
use clickhouse::query::{BytesCursor, Query};
use schemas::ShowId;

use super::definition::{acts, of_shows};
use super::{AsOf, FigureError, Figures, Period, Scope, scope};

/// Most text of a table that is not the warehouse's own: a figure of a month of minutes is a tenth of it, and it is in memory twice.
const TABLE_BYTES_MAX: usize = 16 << 20;

/// What a table as text may add to it: the columns and what surrounds them.
const QUERY_BYTES_MAX: usize = TABLE_BYTES_MAX + (64 << 10);

/// A format of files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Comma-separated values, the first line with the names of the columns.
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSVWithNames",
            Self::Parquet => "Parquet",
        }
    }
}

/// A column of a table that is made here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column {
    /// Its name: letters and digits.
    pub name: &'static str,
    /// Its type in ClickHouse.
    pub kind: &'static str,
}

/// A file on its way.
pub struct Export {
    first: Option<Bytes>,
    cursor: BytesCursor,
}

impl Export {
    /// Asks, and waits for the first bytes: what the warehouse refuses is told before anything is promised.
    async fn begin(query: Query, format: Format) -> Result<Self, FigureError> {
        // what readers of CSV expect: nothing where there is nothing, and times with their zone
        let query = query
            .with_setting("format_csv_null_representation", "")
            .with_setting("date_time_output_format", "iso");
        let mut cursor = query.fetch_bytes(format.name())?;
        let first = cursor.next().await?;
        Ok(Self { first, cursor })
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`]: then what came before is worth nothing.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FigureError> {
        match self.first.take() {
            Some(bytes) => Ok(Some(bytes)),
            None => Ok(self.cursor.next().await?),
        }
    }
}

/// The facts of a show, as of a position.
macro_rules! facts {
    ($columns:literal, $view:literal) => {
        concat!(
            "SELECT revision, position, occurred_at, ",
            $columns,
            " FROM ",
            $view,
            " WHERE show_id IN {shows:Array(UUID)} AND position <= {position:UInt64} ORDER BY revision, row"
        )
    };
}

/// What the warehouse holds of a show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShowTable {
    /// Every event, as published.
    Events,
    /// Joins and leaves.
    Audience,
    /// Messages, without their text.
    Messages,
    /// Reactions by type.
    Reactions,
    /// Steps of tips.
    Tips,
    /// Persons who watched, with what they did.
    Viewers,
}

impl ShowTable {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Events, Self::Audience, Self::Messages, Self::Reactions, Self::Tips, Self::Viewers];

    /// What it goes by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Audience => "audience",
            Self::Messages => "messages",
            Self::Reactions => "reactions",
            Self::Tips => "tips",
            Self::Viewers => "viewers",
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::Events => EVENTS,
            Self::Audience => facts!(
                "kind, session_id, person, at, device_type, country, city, basis, reason",
                "audience_changes"
            ),
            Self::Messages => facts!(
                "message_id, author, role, is_subscriber, is_reply, characters, words, emoji, links, language",
                "messages"
            ),
            Self::Reactions => facts!("reaction_type, count", "reactions"),
            Self::Tips => facts!("kind, tip_id, payment_id, person, amount, currency, reason", "tip_changes"),
            Self::Viewers => VIEWERS,
        }
    }
}

const EVENTS: &str = "
SELECT revision, position, occurred_at, event_id, type, version, data
FROM events
WHERE stream IN {streams:Array(String)} AND position <= {position:UInt64}
ORDER BY revision";

const VIEWERS: &str = of_shows!(
    known,
    acts!(),
    "
SELECT
    person, fromUnixTimestamp64Milli(first_ms, 'UTC') AS first_joined_at, sessions, toInt64(watch_ms) AS watch_ms, device_type, country, city,
    messages, has_reacted, tips, tips_count
FROM acts
ORDER BY first_position"
);

/// What the warehouse holds of many shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScopeTable {
    /// Shows with their figures.
    Shows,
    /// Viewers of shows, with what they did.
    Viewers,
}

impl ScopeTable {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Shows, Self::Viewers];

    /// What it goes by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shows => "shows",
            Self::Viewers => "viewers",
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::Shows => SHOWS_OF_SCOPE,
            Self::Viewers => VIEWERS_OF_SCOPE,
        }
    }
}

const SHOWS_OF_SCOPE: &str = concat!(
    "
SELECT
    show_id, title, category, currency, status, started_at, ended_at, as_of, duration_ms, peak_viewers, total_views, unique_viewers,
    watch_ms, possible_watch_ms, messages, reactions, engaged, tippers, tips, tips_count, pending_tips
FROM shows
WHERE ",
    scope!(),
    " ORDER BY started_at, show_id"
);

const VIEWERS_OF_SCOPE: &str = concat!(
    "
SELECT
    show_id, person, started_at, first_joined_at, sessions, watch_ms, device_type, country, city, messages, has_reacted, tips, tips_count
FROM show_viewers
WHERE ",
    scope!(),
    " ORDER BY started_at, show_id, person"
);

/// A cell in the type of its column. No text can be cast to a map: its pairs are taken apart first, and it has no place for a missing value. CSV has no maps: there
/// it is a JSON object.
fn cell(column: Column, number: usize, format: Format) -> String {
    let Column { name, kind } = column;
    match (kind.starts_with("Map"), format) {
        (false, _) => format!("CAST(r[{number}], '{kind}') AS {name}"),
        (true, Format::Csv) => format!("concat('{{', assumeNotNull(r[{number}]), '}}') AS {name}"),
        (true, Format::Parquet) => {
            format!("CAST(extractKeyValuePairs(assumeNotNull(r[{number}])), '{kind}') AS {name}")
        }
    }
}

impl Figures {
    /// What the warehouse holds of a show, as a file.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn export_show(
        &self,
        table: ShowTable,
        show: ShowId,
        as_of: AsOf,
        format: Format,
    ) -> Result<Export, FigureError> {
        Export::begin(self.of_shows(table.sql(), &[show], as_of), format).await
    }

    /// What the warehouse holds of the shows of a scope that started in a period, as a file.
    ///
    /// # Errors
    /// [`FigureError::Warehouse`].
    pub async fn export_scope(
        &self,
        table: ScopeTable,
        scope: Scope,
        period: Period,
        format: Format,
    ) -> Result<Export, FigureError> {
        Export::begin(self.of_scope(table.sql(), scope, period), format).await
    }

    /// A table that is here already, as a file. Cells are texts as ClickHouse reads them for the type of their column; those of a map
    /// are its pairs, `"USD":12.50,"EUR":3.00`.
    ///
    /// # Errors
    /// [`FigureError::TooLarge`] beyond 16 MiB of text; [`FigureError::Warehouse`], also for a cell that is none of its type.
    pub async fn export_table(
        &self,
        columns: &[Column],
        rows: &[Vec<Option<String>>],
        format: Format,
    ) -> Result<Export, FigureError> {
        let text = serde_json::to_string(rows).map_err(|_| FigureError::TooLarge)?;
        if text.len() > TABLE_BYTES_MAX {
            return Err(FigureError::TooLarge);
        }
        // one literal, whatever the size: a literal for each cell would be thousands of nodes to the parser
        let literal = text.replace('\\', "\\\\").replace('\'', "\\'");
        let cells: Vec<String> =
            columns.iter().zip(1..).map(|(column, number)| cell(*column, number, format)).collect();
        let sql = format!(
            "SELECT {} FROM (SELECT arrayJoin(JSONExtract('{literal}', 'Array(Array(Nullable(String)))')) AS r)",
            cells.join(", ")
        );
        let query = self.client.query_raw(&sql).with_setting("max_query_size", QUERY_BYTES_MAX.to_string());
        Export::begin(query, format).await
    }
}
