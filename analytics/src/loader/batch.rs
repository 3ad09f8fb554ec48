//! What a partition's records make, until it is written.

use schemas::{Position, Timestamp};

use super::dead_letters::DeadLetter;
use crate::rows::Rows;
use crate::warehouse::{Claim, Progress};

/// Records of one partition that follow on each other, as rows.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) rows: Rows,
    /// What nobody can read: sent to where somebody may look at it, before the rest is written.
    pub(crate) dead: Vec<DeadLetter>,
    /// Records that brought something new.
    pub(crate) records: usize,
    /// Length of these records, in bytes: their rows take two or three times as much.
    pub(crate) bytes: usize,
    /// The positions of the first and the last of them; `None` where only time went on.
    pub(crate) span: Option<(Position, Position)>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    pub(crate) fn count(&mut self, bytes: usize) {
        self.records += 1;
        self.bytes += bytes;
    }

    pub(crate) fn extend_to(&mut self, position: Position) {
        let first = self.span.map_or(position, |(first, _)| first);
        self.span = Some((first, position));
    }
}

/// A batch on its way, with the step of its partition that it makes.
pub(crate) struct Parcel {
    pub(crate) partition: i32,
    pub(crate) batch: Batch,
    pub(crate) believed: Option<Progress>,
    /// `None`: the partition has no position yet, since all that came of it were dead letters.
    pub(crate) next: Option<Progress>,
}

impl Parcel {
    pub(crate) fn claim(&self) -> Option<Claim> {
        let Self { partition, believed, next, .. } = self;
        next.map(|next| Claim { partition: *partition, believed: *believed, next })
    }
}

/// The same text for the same batches: so the warehouse knows a repeat.
pub(crate) fn token(topic: &str, parcels: &[Parcel]) -> String {
    let mut token = topic.to_owned();
    for parcel in parcels {
        if let Some((first, last)) = parcel.batch.span {
            token.push_str(&format!("/{}:{first}-{last}", parcel.partition));
        }
    }
    token
}

/// The later of two times.
pub(crate) fn later(one: Option<Timestamp>, other: Timestamp) -> Timestamp {
    one.filter(|one| other.millis_since(*one) < 0).unwrap_or(other)
}
