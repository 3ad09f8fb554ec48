//! One partition: what each of its records is to the warehouse. No IO.

use std::fmt;

use schemas::published::{Published, Record, RecordError};
use schemas::{EventError, Position, Timestamp};

use super::batch::{Batch, Parcel, later};
use super::dead_letters::DeadLetter;
use crate::warehouse::Progress;

/// A partition that this loader reads.
pub(crate) struct Lane {
    partition: i32,
    /// What the warehouse said last.
    confirmed: Option<Progress>,
    /// Up to where everything is in the warehouse, on its way there, or gathered.
    reached: Option<Position>,
    /// Up to when that is.
    time: Option<Timestamp>,
    /// The first record that is not in the warehouse, on its way there or gathered.
    offset: Option<i64>,
    /// The next record that Kafka gives; beyond `offset` where records are looked at in search of one that follows.
    read_to: Option<i64>,
    gathered: Batch,
    halt: Option<Halt>,
    /// Nothing is taken before the next restart: the record at `offset` is for a newer version of the code.
    is_stopped: bool,
}

/// Why a partition does not go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Halt {
    /// Records are missing before this one. Loading goes on with any record that follows on what the warehouse has.
    Hole {
        /// The record.
        position: Position,
        /// The one before it, which never came.
        previous: Option<Position>,
    },
    /// A newer version of the code wrote this.
    Unknown {
        /// Where.
        offset: i64,
        /// What it is.
        detail: String,
    },
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hole { position, previous: Some(previous) } => {
                write!(f, "the record before position {position}, which is that of {previous}, never came")
            }
            Self::Hole { position, previous: None } => {
                write!(f, "records before position {position} never came")
            }
            Self::Unknown { offset, detail } => write!(f, "the record at offset {offset}: {detail}"),
        }
    }
}

/// What became of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    /// It is gathered.
    Gathered,
    /// It brought nothing new.
    Dropped,
    /// It cannot be loaded now.
    Refused,
}

/// How a record stands to what the warehouse has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Link {
    Repeat,
    Next,
    Hole,
}

/// A message of the partition.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) offset: i64,
    pub(crate) time_ms: Option<i64>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) payload: &'a [u8],
}

impl Lane {
    /// A partition that is as far as the warehouse says.
    pub(crate) fn new(partition: i32, confirmed: Option<Progress>) -> Self {
        let mut lane = Self {
            partition,
            confirmed: None,
            reached: None,
            time: None,
            offset: None,
            read_to: None,
            gathered: Batch::default(),
            halt: None,
            is_stopped: false,
        };
        lane.restart(confirmed, false);
        lane
    }

    /// Begins again at what the warehouse says; what is gathered is given up. The reader has to go to [`Lane::read_to`]. `from_beginning`: the
    /// offset that the warehouse tells is not trusted.
    pub(crate) fn restart(&mut self, confirmed: Option<Progress>, from_beginning: bool) {
        let told = confirmed.and_then(|confirmed| confirmed.offset);
        // a back-fill went ahead of us: nothing was passed over, so it can go on where it is
        let is_ahead = self.reached.is_some()
            && confirmed.map(|confirmed| confirmed.position) >= self.reached
            && self.offset == self.read_to
            && self.gathered.dead.is_empty();
        self.offset = match (from_beginning, told) {
            (true, _) => None,
            (false, None) if is_ahead => self.offset,
            (false, told) => told,
        };
        self.read_to = self.offset;
        self.confirmed = confirmed;
        self.reached = confirmed.map(|confirmed| confirmed.position);
        self.time = confirmed.map(|confirmed| confirmed.time);
        self.gathered = Batch::default();
        self.is_stopped = false;
    }

    /// Looks at the next message. Only one that was gathered or dropped moves the partition on.
    pub(crate) fn take(&mut self, message: Message<'_>) -> Taken {
        if self.is_stopped {
            return Taken::Refused;
        }
        self.read_to = Some(message.offset + 1);
        match Record::decode(message.payload) {
            Ok(Record::Watermark(watermark)) => {
                let link = self.link(watermark.position, watermark.previous);
                let is_later = self.time.is_none_or(|time| watermark.time.millis_since(time) > 0);
                if link == Link::Repeat && Some(watermark.position) == self.reached && is_later {
                    self.time = Some(watermark.time);
                    return self.gather(message, None);
                }
                self.follow(message, watermark.position, watermark.previous, |lane| {
                    lane.time = Some(later(lane.time, watermark.time));
                })
            }
            Ok(Record::Event(event)) => self.follow(message, event.position, event.previous, |lane| {
                lane.add(&event, message);
            }),
            Err(error) => self.take_unreadable(message, &error),
        }
    }

    fn add(&mut self, event: &Published, message: Message<'_>) {
        self.time = Some(later(self.time, event.occurred_at));
        if let Err(error) = self.gathered.rows.add(event) {
            self.gathered.dead.push(DeadLetter::new(self.partition, message, &error));
        }
    }

    /// Takes a record where it follows on what is there.
    fn follow(
        &mut self,
        message: Message<'_>,
        position: Position,
        previous: Option<Position>,
        add: impl FnOnce(&mut Self),
    ) -> Taken {
        match self.link(position, previous) {
            Link::Repeat => {
                if self.halt.is_none() {
                    self.offset = self.read_to;
                }
                Taken::Dropped
            }
            Link::Hole => {
                if !matches!(self.halt, Some(Halt::Hole { .. })) {
                    self.halt = Some(Halt::Hole { position, previous });
                }
                Taken::Refused
            }
            Link::Next => {
                add(self);
                self.gather(message, Some(position))
            }
        }
    }

    fn gather(&mut self, message: Message<'_>, position: Option<Position>) -> Taken {
        if let Some(position) = position {
            self.gathered.extend_to(position);
            self.reached = Some(position);
            self.halt = None;
        }
        if self.halt.is_none() {
            self.offset = self.read_to;
        }
        self.gathered.count(message.payload.len());
        Taken::Gathered
    }

    /// A newer version's record stops the partition. What no version can read is set aside; where it still tells its place, the chain holds.
    fn take_unreadable(&mut self, message: Message<'_>, error: &RecordError) -> Taken {
        let place = Record::place(message.payload);
        if is_of_newer_version(error) {
            if place.is_some_and(|(position, previous)| self.link(position, previous) == Link::Repeat) {
                self.offset = self.read_to;
                return Taken::Dropped;
            }
            self.read_to = Some(message.offset);
            self.halt = Some(Halt::Unknown { offset: message.offset, detail: error.to_string() });
            self.is_stopped = true;
            return Taken::Refused;
        }
        let letter = DeadLetter::new(self.partition, message, error);
        match place {
            Some((position, previous)) => {
                self.follow(message, position, previous, |lane| lane.gathered.dead.push(letter))
            }
            // while records are searched it was seen already, or will be again
            None if self.halt.is_some() => Taken::Refused,
            None => {
                self.gathered.dead.push(letter);
                self.gather(message, None)
            }
        }
    }

    /// Everything up to `previous` is there: then the record is the next. The first record of a partition has none before it and follows on anything,
    /// as a back-fill may have come further than the partition's silence; but it does not cure a hole.
    fn link(&self, position: Position, previous: Option<Position>) -> Link {
        if self.reached.is_some_and(|reached| position <= reached) {
            return Link::Repeat;
        }
        let follows = match (previous, self.reached) {
            (Some(previous), Some(reached)) => previous <= reached,
            (Some(_), None) => false,
            (None, Some(_)) => !matches!(self.halt, Some(Halt::Hole { .. })),
            (None, None) => true,
        };
        if follows { Link::Next } else { Link::Hole }
    }

    /// What is gathered, to be written. The next batch follows on it.
    pub(crate) fn send(&mut self) -> Parcel {
        let next = self.reached.zip(self.time).map(|(position, time)| Progress {
            position,
            time,
            offset: self.offset,
        });
        let batch = std::mem::take(&mut self.gathered);
        Parcel { partition: self.partition, batch, believed: self.confirmed, next }
    }

    /// Hears what the warehouse says after a batch was written. False: somebody else moved the partition, and it has to [`Lane::restart`].
    pub(crate) fn settle(&mut self, written: Option<Progress>, found: Option<Progress>) -> bool {
        let is_ours = written.map(|written| written.position) == found.map(|found| found.position);
        if is_ours {
            self.confirmed = found;
        }
        is_ours
    }

    pub(crate) fn confirmed(&self) -> Option<Progress> {
        self.confirmed
    }

    /// The offset at which the reader has to go on; `None`: the beginning.
    pub(crate) fn read_to(&self) -> Option<i64> {
        self.read_to
    }

    pub(crate) fn gathered(&self) -> &Batch {
        &self.gathered
    }

    /// Up to when everything is gathered.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.time
    }

    pub(crate) fn halt(&self) -> Option<&Halt> {
        self.halt.as_ref()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped
    }
}

fn is_of_newer_version(error: &RecordError) -> bool {
    match error {
        RecordError::Event(EventError::UnknownType(_) | EventError::UnknownVersion { .. }) => true,
        RecordError::Json(_) | RecordError::Field(_) | RecordError::Event(EventError::Malformed { .. }) => {
            false
        }
    }
}

#[cfg(test)]
mod tests;
