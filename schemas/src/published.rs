//! What leaves the log: the records of the topic `tally.events.v1`.
//!
//! Each record is a CloudEvent 1.0 in structured JSON. Of an event only clear fields are published that a figure needs:
//! nothing sealed, no name, no text of a person, no secret of the video channel, no reference into a provider's books.
//! What is published of an event is decided in one place, [`PublishedEvent::of`], by types that have no such fields.
//!
//! Positions and revisions are JSON strings, because CloudEvents' integers end at 2³¹.

mod events;
mod partition;
mod record;
mod wire;

pub use events::{
    CapturedPayment, CapturedTip, CountedReactions, CreatedShow, JoinedViewer, PostedMessage,
    PublishedDetails, PublishedEvent, RequestedTip, RevisedShow,
};
pub use partition::{PARTITIONS, partition_of};
pub use record::{Published, Record, RecordError, Watermark};

/// The topic. Its number of partitions is fixed: another number is another version of the topic.
pub const TOPIC: &str = "tally.events.v1";

/// The largest record that the topic takes, in bytes: the largest event that a log takes, and its envelope.
pub const RECORD_BYTES_MAX: usize = 17 * 1024 * 1024;

/// The JSON Schema of the envelope that surrounds every record.
#[must_use]
pub fn envelope_schema() -> schemars::Schema {
    schemars::schema_for!(wire::CloudEvent)
}
