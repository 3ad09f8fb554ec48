//! The rows of facts.

use clickhouse::Row;
use serde::Serialize;

use super::{SEND_TIMEOUT, STATEMENT_TIMEOUT, Warehouse, WarehouseError, in_time};
use crate::rows::{Fact, Rows};

impl Warehouse {
    /// Writes the rows of some batches, one statement for each table, which wait for the disk together. The events come last: roll-ups are versioned by their number, and must not
    /// count an event whose other rows are still to come. A `token` is the same whenever the same rows are written again.
    pub(crate) async fn insert(&self, batches: &[&Rows], token: Option<&str>) -> Result<(), WarehouseError> {
        futures::try_join!(
            self.write(batches, |rows| &rows.show_changes, token),
            self.write(batches, |rows| &rows.audience_changes, token),
            self.write(batches, |rows| &rows.messages, token),
            self.write(batches, |rows| &rows.reactions, token),
            self.write(batches, |rows| &rows.reactors, token),
            self.write(batches, |rows| &rows.tip_changes, token),
            self.write(batches, |rows| &rows.payment_changes, token),
        )?;
        self.write(batches, |rows| &rows.events, token).await
    }

    async fn write<T>(
        &self,
        batches: &[&Rows],
        of: fn(&Rows) -> &Vec<T>,
        token: Option<&str>,
    ) -> Result<(), WarehouseError>
    where
        T: Fact + Serialize + Sync + for<'a> Row<Value<'a> = T>,
    {
        if batches.iter().all(|rows| of(rows).is_empty()) {
            return Ok(());
        }
        // it asks the server for the table's columns
        let insert = in_time(self.client.insert::<T>(T::TABLE)).await?;
        let mut insert = insert.with_timeouts(Some(SEND_TIMEOUT), Some(STATEMENT_TIMEOUT));
        if let Some(token) = token {
            insert = insert.with_setting("insert_deduplication_token", token);
        }
        for rows in batches {
            for row in of(rows) {
                insert.write(row).await?;
            }
        }
        Ok(insert.end().await?)
    }
}

impl Rows {
    /// How many rows there are.
    pub(crate) fn count(&self) -> usize {
        self.events.len()
            + self.show_changes.len()
            + self.audience_changes.len()
            + self.messages.len()
            + self.reactions.len()
            + self.reactors.len()
            + self.tip_changes.len()
            + self.payment_changes.len()
    }
}

#[cfg(test)]
mod tests {
    use clickhouse::Client;
    use tokio::net::TcpListener;

    use super::*;
    use crate::rows::ReactorRow;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_answer_is_given_up() {
        // connections are made by the system, and nobody serves them
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::default().with_url(format!("http://{}", silent.local_addr().unwrap()));
        let warehouse = Warehouse::new(&client, "topic");
        let rows = Rows { reactors: vec![ReactorRow::default()], ..Rows::default() };
        let written = warehouse.insert(&[&rows], None).await;
        assert!(matches!(written, Err(WarehouseError::Timeout)), "{written:?}");
    }
}
