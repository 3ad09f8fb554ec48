//! The baseline of projections: rows that are there already, copied by bare UNNEST inserts into tables that are equal.

use anyhow::{Context, ensure};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::{AssertSqlSafe, Connection, Encode, PgConnection, PgPool, Postgres, Row, Type};
use std::time::Instant;

/// Where the copies stand.
const SCHEMA: &str = "bare";

/// The tables whose rows are copied: all but `streams`, which has a row a show.
pub(super) const TABLES: [&str; 6] = ["messages", "viewers", "persons", "tips", "tip_totals", "payments"];

/// A column of a batch, as the server gave it and takes it back.
struct Column {
    element: Oid,
    array: Oid,
    values: Vec<Option<Vec<u8>>>,
}

impl Type<Postgres> for Column {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("unknown")
    }
}

impl Encode<'_, Postgres> for Column {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let head = [1, 1, self.element.0.cast_signed(), i32::try_from(self.values.len())?, 1];
        head.iter().for_each(|number| buffer.extend(number.to_be_bytes()));
        for value in &self.values {
            match value {
                None => buffer.extend((-1_i32).to_be_bytes()),
                Some(bytes) => {
                    buffer.extend(i32::try_from(bytes.len())?.to_be_bytes());
                    buffer.extend_from_slice(bytes);
                }
            }
        }
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(self.array))
    }
}

/// The rows of a table, in batches.
pub(super) struct Rows {
    table: &'static str,
    names: Vec<String>,
    batches: Vec<Vec<Column>>,
    pub(super) count: usize,
}

impl Rows {
    /// Reads what a view serves, in batches of `batch` rows.
    pub(super) async fn of(pool: &PgPool, table: &'static str, batch: usize) -> anyhow::Result<Self> {
        let columns: Vec<(String, Oid, Oid)> = sqlx::query_as(
            "SELECT a.attname::text, t.oid, t.typarray FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
             WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        )
        .bind(format!("read.{table}"))
        .fetch_all(pool)
        .await?;
        let rows = sqlx::query(AssertSqlSafe(format!("SELECT * FROM read.{table}"))).fetch_all(pool).await?;
        let column = |rows: &[sqlx::postgres::PgRow], at: usize| {
            let value = |row: &sqlx::postgres::PgRow| -> anyhow::Result<Option<Vec<u8>>> {
                let raw = row.try_get_raw(at)?;
                if sqlx::ValueRef::is_null(&raw) {
                    return Ok(None);
                }
                Ok(Some(raw.as_bytes().map_err(anyhow::Error::from_boxed)?.to_vec()))
            };
            let values = rows.iter().map(value).collect::<anyhow::Result<_>>()?;
            anyhow::Ok(Column { element: columns[at].1, array: columns[at].2, values })
        };
        let of_batch = |rows: &[_]| (0..columns.len()).map(|at| column(rows, at)).collect();
        let batches = rows.chunks(batch).map(of_batch).collect::<anyhow::Result<_>>()?;
        let names = columns.iter().map(|(name, ..)| name.clone()).collect();
        Ok(Self { table, names, batches, count: rows.len() })
    }

    /// Inserts all of them into an empty table with the same columns, indexes and checks, one transaction a batch,
    /// none of which waits for the disk. Tells the seconds.
    pub(super) async fn insert(self, pool: &PgPool, like: &str) -> anyhow::Result<f64> {
        let table = format!("{SCHEMA}.{}", self.table);
        let anew = format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (LIKE {like} INCLUDING ALL)");
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {SCHEMA}; {anew}")))
            .execute(pool)
            .await?;
        let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
        sqlx::raw_sql("SET synchronous_commit = off").execute(&mut connection).await?;
        let places: Vec<_> = (1..=self.names.len()).map(|place| format!("${place}")).collect();
        let (names, places) = (self.names.join(", "), places.join(", "));
        let sql = format!("INSERT INTO {table} ({names}) SELECT * FROM UNNEST({places})");
        let (begun, mut inserted) = (Instant::now(), 0);
        for batch in self.batches {
            let query =
                batch.into_iter().fold(sqlx::query(AssertSqlSafe(sql.as_str())), sqlx::query::Query::bind);
            inserted += query.execute(&mut connection).await.context("a bare insert failed")?.rows_affected();
        }
        let seconds = begun.elapsed().as_secs_f64();
        ensure!(inserted == self.count as u64, "{inserted} of {} rows were inserted", self.count);
        connection.close().await?;
        sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE {table}"))).execute(pool).await?;
        Ok(seconds)
    }
}
