//! Writes batches: dead letters, facts, progress, in this order, until it is done.

use std::collections::BTreeMap;
use std::sync::Arc;

use platform::backoff::Backoff;
use platform::clock::Clock;
use platform::http::problem::Chain;
use rdkafka::error::KafkaError;
use thiserror::Error;
use tokio::time::sleep;

use super::batch::{Parcel, token};
use super::board::{Board, Phase};
use super::dead_letters::DeadLetters;
use super::{backoff, is_worth_telling};
use crate::rows::Rows;
use crate::warehouse::{Claim, Progress, Warehouse, WarehouseError};

/// What a delivery needs. Clones share it.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) warehouse: Warehouse,
    pub(crate) dead_letters: Arc<DeadLetters>,
    pub(crate) clock: Clock,
    pub(crate) board: Arc<Board>,
    pub(crate) topic: Arc<str>,
}

/// Why a batch is tried again. Records are refused before they get here, so a repeat may always go well.
#[derive(Debug, Error)]
enum DeliveryError {
    #[error("the warehouse is not available")]
    Warehouse(#[from] WarehouseError),
    #[error("a dead letter was not confirmed")]
    DeadLetter(#[from] KafkaError),
}

/// Batches that are written, and what the warehouse says of their partitions now.
pub(crate) struct Delivered {
    pub(crate) parcels: Vec<Parcel>,
    pub(crate) found: BTreeMap<i32, Progress>,
}

impl Delivery {
    /// Writes batches of several partitions together. Returns when it is done: tries again until then.
    pub(crate) async fn deliver(self, parcels: Vec<Parcel>) -> Delivered {
        let token = token(&self.topic, &parcels);
        let mut backoff = backoff();
        // confirmed letters are not sent again with a batch that is
        let mut are_letters_sent = false;
        loop {
            match self.attempt(&parcels, &token, &mut are_letters_sent).await {
                Ok(found) => {
                    self.board.set_phase(Phase::Running);
                    self.count(&parcels);
                    return Delivered { parcels, found };
                }
                Err(error) => self.wait(&mut backoff, &error).await,
            }
        }
    }

    async fn attempt(
        &self,
        parcels: &[Parcel],
        token: &str,
        are_letters_sent: &mut bool,
    ) -> Result<BTreeMap<i32, Progress>, DeliveryError> {
        if !*are_letters_sent {
            for parcel in parcels {
                self.dead_letters.send(&parcel.batch.dead).await?;
            }
            *are_letters_sent = true;
        }
        let rows: Vec<&Rows> = parcels.iter().map(|parcel| &parcel.batch.rows).collect();
        self.warehouse.insert(&rows, Some(token)).await?;
        let claims: Vec<Claim> = parcels.iter().filter_map(Parcel::claim).collect();
        self.warehouse.advance(&claims, self.clock.now()).await?;
        Ok(self.warehouse.progress().await?)
    }

    /// What the warehouse says of all partitions. Returns when it has said so.
    pub(crate) async fn look(self) -> BTreeMap<i32, Progress> {
        let mut backoff = backoff();
        loop {
            match self.warehouse.progress().await {
                Ok(found) => {
                    self.board.set_phase(Phase::Running);
                    return found;
                }
                Err(error) => self.wait(&mut backoff, &error.into()).await,
            }
        }
    }

    async fn wait(&self, backoff: &mut Backoff, error: &DeliveryError) {
        let (detail, pause) = (Chain(error).to_string(), backoff.pause());
        metrics::counter!("loader_retries_total").increment(1);
        tracing::warn!(detail, "a batch will be tried again: {detail}");
        if is_worth_telling(backoff) {
            self.board.set_phase(Phase::Waiting { detail });
        }
        sleep(pause).await;
    }

    fn count(&self, parcels: &[Parcel]) {
        let sum = |of: fn(&Parcel) -> usize| parcels.iter().map(of).sum::<usize>() as u64;
        metrics::counter!("loader_batches_total").increment(1);
        metrics::counter!("loader_records_total").increment(sum(|parcel| parcel.batch.records));
        metrics::counter!("loader_rows_total").increment(sum(|parcel| parcel.batch.rows.count()));
        for letter in parcels.iter().flat_map(|parcel| &parcel.batch.dead) {
            letter.tell(&self.topic);
        }
        self.board.add_dead_letters(parcels.iter().map(|parcel| parcel.batch.dead.len()).sum());
    }
}
