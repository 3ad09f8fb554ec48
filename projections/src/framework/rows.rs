//! Rows in bulk: one declaration of a table's columns gives the row's type, its select and its UNNEST upsert.

use sqlx::FromRow;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgRow};
use uuid::Uuid;

use super::{Failure, Work};

/// A column.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// The type of its elements in UNNEST.
    pub(crate) pg: &'static str,
    /// The expression that reads it, where that is not its name.
    pub(crate) reads: Option<&'static str>,
    /// The expression over `rows` that writes it, where that is not its name.
    pub(crate) writes: Option<&'static str>,
}

impl Column {
    fn name(&self) -> &'static str {
        self.name.trim_start_matches("r#")
    }
}

/// A table, as far as rows are written to it in bulk.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    pub(crate) columns: &'static [Column],
    /// Columns that Postgres computes from the others of `rows`: name and expression.
    pub(crate) computed: &'static [(&'static str, &'static str)],
}

impl Table {
    /// Inserts rows given as one array a column.
    pub(crate) fn insert(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(Column::name).collect();
        let written = self
            .columns
            .iter()
            .map(|column| column.writes.map_or_else(|| format!("rows.{}", column.name()), str::to_owned));
        let arrays =
            self.columns.iter().enumerate().map(|(at, column)| format!("${}::{}[]", at + 1, column.pg));
        let all_names = names.iter().copied().chain(self.computed.iter().map(|(name, _)| *name));
        let all_written = written.chain(self.computed.iter().map(|(_, written)| (*written).to_owned()));
        format!(
            "INSERT INTO {} ({}) SELECT {} FROM UNNEST({}) AS rows ({})",
            self.name,
            join(all_names),
            join(all_written),
            join(arrays),
            join(names.iter().copied()),
        )
    }

    /// Inserts rows, or replaces those with the same key.
    pub(crate) fn upsert(&self) -> String {
        let names = self.columns.iter().map(Column::name).chain(self.computed.iter().map(|(name, _)| *name));
        let replaced = names.filter(|name| *name != self.key).map(|name| format!("{name} = EXCLUDED.{name}"));
        format!("{} ON CONFLICT ({}) DO UPDATE SET {}", self.insert(), self.key, join(replaced))
    }

    /// Reads the rows with given keys.
    pub(crate) fn load(&self) -> String {
        let read = self.columns.iter().map(|column| {
            column.reads.map_or_else(|| column.name().to_owned(), |how| format!("{how} AS {}", column.name()))
        });
        format!("SELECT {} FROM {} WHERE {} = ANY($1)", join(read), self.name, self.key)
    }
}

fn join(parts: impl Iterator<Item = impl Into<String>>) -> String {
    parts.map(Into::into).collect::<Vec<String>>().join(", ")
}

/// A row of a table with a single uuid as its key.
pub(crate) trait Row: Sized + Send {
    fn insert_sql() -> &'static str;
    fn upsert_sql() -> &'static str;
    fn load_sql() -> &'static str;
    /// One array a column.
    fn arguments(rows: Vec<Self>) -> Result<PgArguments, BoxDynError>;
}

/// A statement with its rows, encoded for the wire: the database only has to be handed it.
pub(crate) struct Bulk(Option<(&'static str, PgArguments)>);

impl Bulk {
    /// A statement of its own over the columns of a row; none where there are no rows.
    pub(crate) fn of<R: Row>(sql: &'static str, rows: Vec<R>) -> Result<Self, Failure> {
        if rows.is_empty() {
            return Ok(Self(None));
        }
        Ok(Self(Some((sql, R::arguments(rows).map_err(sqlx::Error::Encode)?))))
    }

    /// Inserts new rows.
    pub(crate) fn insert<R: Row>(rows: Vec<R>) -> Result<Self, Failure> {
        Self::of(R::insert_sql(), rows)
    }

    /// Inserts rows, or replaces those with the same key.
    pub(crate) fn upsert<R: Row>(rows: Vec<R>) -> Result<Self, Failure> {
        Self::of(R::upsert_sql(), rows)
    }

    /// Runs it.
    pub(crate) async fn run(self, work: &mut Work<'_>) -> Result<(), Failure> {
        if let Some((sql, arguments)) = self.0 {
            sqlx::query_with(sql, arguments).execute(work.statement()?).await?;
        }
        Ok(())
    }
}

/// Reads rows by their keys.
pub(crate) async fn load<R>(work: &mut Work<'_>, keys: Vec<Uuid>) -> Result<Vec<R>, Failure>
where
    R: Row + Unpin + for<'r> FromRow<'r, PgRow>,
{
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_as(R::load_sql()).bind(keys).fetch_all(work.statement()?).await?)
}

/// Declares a row: `Name of "table" key "column" { field: Type = "postgres type", … }`. A column that Postgres
/// holds in another shape than UNNEST can give says how it `reads` and `writes`; `computed` columns follow.
macro_rules! rows {
    (
        $(#[$doc:meta])*
        $row:ident of $table:literal key $key:literal {
            $( $field:ident: $type:ty = $pg:literal $(reads $reads:literal writes $writes:literal)? ),+ $(,)?
        }
        $( computed { $( $computed:literal = $expression:literal ),+ $(,)? } )?
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Debug, sqlx::FromRow)]
        pub(crate) struct $row { $( pub(crate) $field: $type ),+ }

        impl $row {
            const TABLE: $crate::framework::rows::Table = $crate::framework::rows::Table {
                name: $table,
                key: $key,
                columns: &[ $( $crate::framework::rows::Column {
                    name: stringify!($field),
                    pg: $pg,
                    reads: $crate::framework::rows::optional!($($reads)?),
                    writes: $crate::framework::rows::optional!($($writes)?),
                } ),+ ],
                computed: &[ $( $( ($computed, $expression) ),+ )? ],
            };
        }

        impl $crate::framework::rows::Row for $row {
            fn insert_sql() -> &'static str {
                static SQL: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| $row::TABLE.insert());
                &SQL
            }

            fn upsert_sql() -> &'static str {
                static SQL: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| $row::TABLE.upsert());
                &SQL
            }

            fn load_sql() -> &'static str {
                static SQL: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| $row::TABLE.load());
                &SQL
            }

            fn arguments(
                rows: Vec<Self>,
            ) -> Result<sqlx::postgres::PgArguments, sqlx::error::BoxDynError> {
                $( let mut $field: Vec<$type> = Vec::with_capacity(rows.len()); )+
                for row in rows {
                    $( $field.push(row.$field); )+
                }
                let mut arguments = sqlx::postgres::PgArguments::default();
                $( sqlx::Arguments::add(&mut arguments, $field)?; )+
                Ok(arguments)
            }
        }
    };
}

macro_rules! optional {
    () => {
        None
    };
    ($value:literal) => {
        Some($value)
    };
}

pub(crate) use {optional, rows};
