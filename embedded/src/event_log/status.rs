//! Errors in the form that the protocol's clients look for: a code, a wording, and trailers. The wording is
//! part of the contract, because some clients read the text.

use prost::Message;
use prost_types::Any;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use tracing::error;

use super::error::{AppendError, StoreError};
use super::proto::google::rpc;
use super::proto::shared;
use super::proto::shared::wrong_expected_version::{
    CurrentStreamRevisionOption as Current, ExpectedStreamPositionOption as Wanted,
};
use super::types::Expected;

/// How numbers stand for the expectations that are not revisions.
pub(crate) fn expected_number(expected: Expected) -> i64 {
    match expected {
        Expected::Any => -2,
        Expected::NoStream => -1,
        Expected::Exists => -4,
        Expected::Exact(revision) => i64::try_from(revision).unwrap_or(i64::MAX),
    }
}

fn current_number(current: Option<u64>) -> i64 {
    current.map_or(-1, |revision| i64::try_from(revision).unwrap_or(i64::MAX))
}

/// The status of a refused append, delete or tombstone.
pub(crate) fn of_append(stream: &str, refused: &AppendError) -> Status {
    match refused {
        AppendError::WrongExpectedVersion { expected, current } => {
            let (expected, actual) = (expected_number(*expected), current_number(*current));
            let mut status = Status::failed_precondition(wrong_version_text(stream, expected, actual));
            add(&mut status, "exception", "wrong-expected-version");
            add(&mut status, "stream-name", stream);
            add(&mut status, "expected-version", &expected.to_string());
            add(&mut status, "actual-version", &actual.to_string());
            status
        }
        AppendError::StreamDeleted => stream_deleted(stream),
        AppendError::TooLarge { limit_bytes } => {
            let mut status = Status::invalid_argument(too_large_text(*limit_bytes));
            add(&mut status, "exception", "maximum-append-size-exceeded");
            add(&mut status, "maximum-append-size", &limit_bytes.to_string());
            status
        }
        AppendError::Invalid(what) => Status::invalid_argument(*what),
        AppendError::Unavailable { reason } => Status::unavailable(reason.clone()),
    }
}

/// The status of everything that touches a stream with a tombstone.
pub(crate) fn stream_deleted(stream: &str) -> Status {
    let mut status = Status::failed_precondition(deleted_text(stream));
    add(&mut status, "exception", "stream-deleted");
    add(&mut status, "stream-name", stream);
    status
}

/// The status of a read that failed. The cause goes to the log, with all of its causes.
pub(crate) fn of_read(cause: &StoreError) -> Status {
    error!(error = ?cause, "a read failed: {cause}");
    match cause {
        StoreError::Corrupt { .. } => Status::data_loss("the log is damaged here; see the node's log"),
        StoreError::BeyondEnd { .. } => invalid_position(),
        StoreError::Io { .. }
        | StoreError::Locked { .. }
        | StoreError::Format { .. }
        | StoreError::Index(_)
        | StoreError::IndexWrite { .. }
        | StoreError::NoDurableMark { .. }
        | StoreError::NotEmpty { .. }
        | StoreError::NotABackup { .. }
        | StoreError::Backup { .. }
        | StoreError::IndexMismatch { .. } => Status::internal("the log cannot be read; see the node's log"),
    }
}

/// The status of a read from a position that the log does not have.
pub(crate) fn invalid_position() -> Status {
    Status::unknown("Unexpected FilteredReadAllResult: InvalidPosition")
}

/// The status that ends what is still open when the node stops.
pub(crate) fn shutting_down() -> Status {
    Status::unavailable("the node is shutting down")
}

/// The same refusal as it travels inside a batch append.
pub(crate) fn batch_error(stream: &str, refused: &AppendError) -> rpc::Status {
    match refused {
        AppendError::WrongExpectedVersion { expected, current } => {
            let text = wrong_version_text(stream, expected_number(*expected), current_number(*current));
            let detail = shared::WrongExpectedVersion {
                current_stream_revision_option: Some(match current {
                    Some(revision) => Current::CurrentStreamRevision(*revision),
                    None => Current::CurrentNoStream(()),
                }),
                expected_stream_position_option: Some(match expected {
                    Expected::Any => Wanted::ExpectedAny(()),
                    Expected::NoStream => Wanted::ExpectedNoStream(()),
                    Expected::Exists => Wanted::ExpectedStreamExists(()),
                    Expected::Exact(revision) => Wanted::ExpectedStreamPosition(*revision),
                }),
            };
            rich(Code::AlreadyExists, text, "WrongExpectedVersion", &detail)
        }
        AppendError::StreamDeleted => {
            let stream_name = stream.as_bytes().to_vec().into();
            let stream_identifier = Some(shared::StreamIdentifier { stream_name });
            let detail = shared::StreamDeleted { stream_identifier };
            rich(Code::NotFound, deleted_text(stream), "StreamDeleted", &detail)
        }
        AppendError::TooLarge { limit_bytes } => {
            let max_append_size = u32::try_from(*limit_bytes).unwrap_or(u32::MAX);
            let detail = shared::MaximumAppendSizeExceeded { max_append_size };
            rich(Code::InvalidArgument, too_large_text(*limit_bytes), "MaximumAppendSizeExceeded", &detail)
        }
        AppendError::Invalid(what) => bad_request(what),
        AppendError::Unavailable { reason } => {
            rich(Code::Unavailable, reason.clone(), "Unknown", &shared::Unknown {})
        }
    }
}

/// A batch whose answer did not come before its deadline. Whether it was written is unknown.
pub(crate) fn batch_timeout() -> rpc::Status {
    rich(Code::DeadlineExceeded, "Timeout expired".to_owned(), "Timeout", &shared::Timeout {})
}

/// A batch that cannot be understood.
pub(crate) fn bad_request(what: &str) -> rpc::Status {
    let detail = shared::BadRequest { message: what.to_owned() };
    rich(Code::InvalidArgument, what.to_owned(), "BadRequest", &detail)
}

fn rich(code: Code, message: String, detail_name: &str, detail: &impl Message) -> rpc::Status {
    let details = Any {
        type_url: format!("type.googleapis.com/event_store.client.{detail_name}"),
        value: detail.encode_to_vec(),
    };
    rpc::Status { code: i32::from(code), message, details: Some(details) }
}

fn wrong_version_text(stream: &str, expected: i64, actual: i64) -> String {
    format!(
        "Append failed due to WrongExpectedVersion. Stream: {stream}, Expected version: {expected}, \
         Actual version: {actual}"
    )
}

fn deleted_text(stream: &str) -> String {
    format!("Event stream '{stream}' is deleted.")
}

fn too_large_text(limit_bytes: usize) -> String {
    format!("Maximum Append Size of {limit_bytes} Exceeded.")
}

/// Adds a trailer; a value that no header can carry (a name outside of ASCII) is left out.
fn add(status: &mut Status, key: &'static str, value: &str) {
    if let Ok(value) = MetadataValue::try_from(value) {
        status.metadata_mut().insert(key, value);
    }
}
