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
    /// Up to where it was read before it went back to the beginning in search of what is missing.
    searched_to: Option<i64>,
    gathered: Batch,
    halt: Option<Halt>,
    /// Nothing is taken before the next restart: the record at `offset` is for a newer version of the code.
    is_stopped: bool,
}

/// Why a partition does not go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Halt {
    /// Records ran ahead of the chain. They are passed over, and loading goes on with any record that follows on what the warehouse has.
    Hole {
        /// Of the records that ran ahead the one that comes nearest.
        position: Position,
        /// The one before it, which did not come.
        previous: Position,
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
            Self::Hole { position, previous } => {
                write!(f, "the record before position {position}, which is that of {previous}, never came")
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
            searched_to: None,
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
        if from_beginning {
            self.searched_to = self.searched_to.max(self.read_to);
        }
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
                let is_later = self.time.is_none_or(|time| watermark.time.millis_since(time) > 0);
                // in a hole even time stands still: nothing moves but by what is missing
                if Some(watermark.position) == self.reached && is_later && self.halt.is_none() {
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
            Link::Hole => self.refuse(position, previous),
            Link::Next => {
                add(self);
                self.gather(message, Some(position))
            }
        }
    }

    /// A record that runs ahead of the chain is passed over, and not kept: `offset` stays where the first of them is, and who fills the
    /// hole says them all again.
    fn refuse(&mut self, position: Position, previous: Option<Position>) -> Taken {
        // a record without one before it makes no hole; it may stand beyond one
        if let Some(previous) = previous {
            match &self.halt {
                Some(Halt::Hole { previous: nearest, .. }) if *nearest <= previous => {}
                Some(Halt::Unknown { .. } | Halt::Hole { .. }) | None => {
                    self.halt = Some(Halt::Hole { position, previous });
                }
            }
        }
        Taken::Refused
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
            // only the next record of the chain must be read: others may be passed over
            match place.map(|(position, previous)| (self.link(position, previous), position, previous)) {
                Some((Link::Repeat | Link::Hole, position, previous)) => {
                    return self.follow(message, position, previous, |_| {});
                }
                Some((Link::Next, ..)) | None => {}
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
            // in search of what is missing it is seen again
            None if self.halt.is_some() && self.read_to <= self.searched_to => Taken::Dropped,
            None => {
                self.gathered.dead.push(letter);
                self.gather(message, None)
            }
        }
    }

    /// Everything up to `previous` is there: then the record is the next. The first record of a partition has none before it, so it follows on
    /// anything: a back-fill may have come further than the partition's silence. It cures a hole that lies behind it, as the relay says everything
    /// again where the topic is made anew. Beyond what is known to be missing it contradicts what others said, and is not believed.
    fn link(&self, position: Position, previous: Option<Position>) -> Link {
        if self.reached.is_some_and(|reached| position <= reached) {
            return Link::Repeat;
        }
        let follows = match (previous, self.reached) {
            (Some(previous), Some(reached)) => previous <= reached,
            (Some(_), None) => false,
            (None, _) => match &self.halt {
                Some(Halt::Hole { previous: missing, .. }) => position <= *missing,
                Some(Halt::Unknown { .. }) | None => true,
            },
        };
        if follows { Link::Next } else { Link::Hole }
    }

    /// What is gathered, to be written. The next batch follows on it.
    pub(crate) fn send(&mut self) -> Parcel {
        let next = self.reached.zip(self.time).map(|(position, time)| Progress {
            position,
            time,
            offset: self.offset,
            told_at: None,
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
