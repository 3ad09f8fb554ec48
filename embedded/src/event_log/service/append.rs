//! `Append`: one stream's events in one request.

use tonic::{Status, Streaming};
use uuid::Uuid;

use super::super::error::AppendError;
use super::super::proto::shared::{AllStreamPosition, Empty};
use super::super::proto::streams::append_req::Content;
use super::super::proto::streams::append_resp::success::{CurrentRevisionOption, PositionOption};
use super::super::proto::streams::append_resp::wrong_expected_version::{
    CurrentRevisionOption as Current, CurrentRevisionOption2060 as CurrentOld,
    ExpectedRevisionOption as Wanted, ExpectedRevisionOption2060 as WantedOld,
};
use super::super::proto::streams::append_resp::{Result as Outcome, Success, WrongExpectedVersion};
use super::super::proto::streams::{AppendReq, AppendResp, ProposedMessage};
use super::super::status;
use super::super::store::Store;
use super::super::types::{Command, Expected, NewEvent, Written};
use super::expectation;

/// Reads the request to its end, appends, and answers.
pub(super) async fn run(store: &Store, mut request: Streaming<AppendReq>) -> Result<AppendResp, Status> {
    let Some(AppendReq { content: Some(Content::Options(options)) }) = request.message().await? else {
        return Err(Status::invalid_argument("an append starts with its options"));
    };
    let (stream, expected) = expectation(Some(options))?;
    let limit_bytes = store.append_limit_bytes();
    let mut events = Vec::new();
    let mut bytes = 0;
    while let Some(message) = request.message().await? {
        let Some(Content::ProposedMessage(proposed)) = message.content else {
            return Err(Status::invalid_argument("after the options of an append come its events"));
        };
        let event = new_event(proposed).map_err(Status::invalid_argument)?;
        bytes += event.size_bytes();
        if bytes > limit_bytes {
            return Err(status::of_append(&stream, &AppendError::TooLarge { limit_bytes }));
        }
        events.push(event);
    }
    let outcome = match store.write(Command::Append { stream: stream.clone(), expected, events }).await {
        Ok(written) => Outcome::Success(success(written)),
        Err(AppendError::WrongExpectedVersion { expected, current }) => {
            Outcome::WrongExpectedVersion(wrong_version(expected, current))
        }
        Err(refused) => return Err(status::of_append(&stream, &refused)),
    };
    Ok(AppendResp { result: Some(outcome) })
}

/// An event as the client proposes it.
pub(super) fn new_event(proposed: ProposedMessage) -> Result<NewEvent, &'static str> {
    let ProposedMessage { id, mut metadata, custom_metadata, data } = proposed;
    let id: Uuid = id.and_then(|id| id.parse()).ok_or("an event has no id")?;
    let event_type = metadata.remove("type").filter(|name| !name.is_empty()).ok_or("an event has no type")?;
    let content_type = metadata.remove("content-type").ok_or("an event has no content-type")?;
    Ok(NewEvent { id, event_type, content_type, metadata: custom_metadata, data })
}

fn success(written: Written) -> Success {
    Success {
        current_revision_option: Some(match written.revision {
            Some(revision) => CurrentRevisionOption::CurrentRevision(revision),
            None => CurrentRevisionOption::NoStream(Empty {}),
        }),
        position_option: Some(match written.position {
            Some(position) => PositionOption::Position(AllStreamPosition::at(position)),
            None => PositionOption::NoPosition(Empty {}),
        }),
    }
}

/// A wrong version is an ordinary answer here, and a client panics if any of the four parts is missing.
fn wrong_version(expected: Expected, current: Option<u64>) -> WrongExpectedVersion {
    let (wanted, wanted_old) = match expected {
        Expected::Any => (Wanted::ExpectedAny(Empty {}), WantedOld::Any2060(Empty {})),
        Expected::NoStream => (Wanted::ExpectedNoStream(Empty {}), WantedOld::ExpectedRevision2060(u64::MAX)),
        Expected::Exists => (Wanted::ExpectedStreamExists(Empty {}), WantedOld::StreamExists2060(Empty {})),
        Expected::Exact(revision) => {
            (Wanted::ExpectedRevision(revision), WantedOld::ExpectedRevision2060(revision))
        }
    };
    let (current, current_old) = match current {
        Some(revision) => (Current::CurrentRevision(revision), CurrentOld::CurrentRevision2060(revision)),
        None => (Current::CurrentNoStream(Empty {}), CurrentOld::NoStream2060(Empty {})),
    };
    WrongExpectedVersion {
        current_revision_option_20_6_0: Some(current_old),
        expected_revision_option_20_6_0: Some(wanted_old),
        current_revision_option: Some(current),
        expected_revision_option: Some(wanted),
    }
}
