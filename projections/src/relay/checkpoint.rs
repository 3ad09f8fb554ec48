//! How far the relay is, in Postgres. A checkpoint that is behind costs repeats, which readers drop; one that is ahead would be a hole,
//! so it moves only to what Kafka has acknowledged.

use schemas::Position;
use schemas::published::{PARTITIONS, TOPIC};
use sqlx::PgPool;

use super::RelayFailure;
use crate::framework::checkpoint::unsigned;
use crate::framework::signed;

/// Everything up to here is acknowledged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Checkpoint {
    /// Up to where in the log.
    pub(super) position: Option<Position>,
    /// The position of each partition's last record.
    pub(super) previous: Vec<Option<Position>>,
}

impl Checkpoint {
    /// Nothing was published yet.
    pub(super) fn start() -> Self {
        Self { position: None, previous: vec![None; PARTITIONS as usize] }
    }

    /// The position of a partition's last record; `None`: it has none, or it is not known.
    pub(super) fn previous_of(&self, partition: i32) -> Option<Position> {
        usize::try_from(partition).ok().and_then(|index| *self.previous.get(index)?)
    }

    /// A record is acknowledged, and with it all before it.
    pub(super) fn advance(&mut self, partition: i32, position: Position) {
        let place = usize::try_from(partition).ok().and_then(|index| self.previous.get_mut(index));
        if let Some(place) = place {
            *place = Some(position);
        }
        self.position = self.position.max(Some(position));
    }
}

/// Whose turn it is to publish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Epoch(i64);

/// Takes the lead: from here on whoever led before cannot move the checkpoint.
pub(super) async fn take_lead(pool: &PgPool) -> Result<(Epoch, Checkpoint), RelayFailure> {
    let (epoch, position, previous): (i64, Option<i64>, Vec<Option<i64>>) = sqlx::query_as(
        "INSERT INTO relay.checkpoints AS c (topic, epoch) VALUES ($1, 1)
         ON CONFLICT (topic) DO UPDATE
         SET epoch = c.epoch + 1, status = 'RUNNING', detail = NULL, updated_at = now()
         RETURNING epoch, position, previous",
    )
    .bind(TOPIC)
    .fetch_one(pool)
    .await?;
    let mut checkpoint = Checkpoint::start();
    checkpoint.position = position.map(unsigned);
    for (partition, position) in checkpoint.previous.iter_mut().zip(previous) {
        *partition = position.map(unsigned);
    }
    Ok((Epoch(epoch), checkpoint))
}

/// Moves the checkpoint.
///
/// # Errors
/// [`RelayFailure::Fenced`] where another instance leads by now.
pub(super) async fn save(pool: &PgPool, epoch: Epoch, to: &Checkpoint) -> Result<(), RelayFailure> {
    let numbers = |position: &Option<Position>| position.map(|position| signed(position.0));
    let moved = sqlx::query(
        "UPDATE relay.checkpoints SET position = $3, previous = $4, updated_at = now()
         WHERE topic = $1 AND epoch = $2",
    )
    .bind(TOPIC)
    .bind(epoch.0)
    .bind(numbers(&to.position))
    .bind(to.previous.iter().map(numbers).collect::<Vec<_>>())
    .execute(pool)
    .await?;
    if moved.rows_affected() == 1 { Ok(()) } else { Err(RelayFailure::Fenced) }
}

/// Says why the relay stands still, unless somebody else leads by now.
pub(super) async fn halt(pool: &PgPool, epoch: Epoch, detail: &str) -> Result<(), RelayFailure> {
    sqlx::query(
        "UPDATE relay.checkpoints SET status = 'HALTED', detail = $3, updated_at = now()
         WHERE topic = $1 AND epoch = $2",
    )
    .bind(TOPIC)
    .bind(epoch.0)
    .bind(detail.replace('\0', ""))
    .execute(pool)
    .await?;
    Ok(())
}
