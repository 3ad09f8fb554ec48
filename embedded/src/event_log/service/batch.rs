//! `BatchAppend`: many appends over one request, without a round trip between them.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use uuid::Uuid;

use super::super::error::AppendError;
use super::super::proto::google::rpc;
use super::super::proto::shared;
use super::super::proto::streams::batch_append_req::Options;
use super::super::proto::streams::batch_append_req::options::{
    DeadlineOption, ExpectedStreamPosition as Wanted,
};
use super::super::proto::streams::batch_append_resp::success::{CurrentRevisionOption, PositionOption};
use super::super::proto::streams::batch_append_resp::{
    ExpectedStreamPosition as Echo, Result as Outcome, Success,
};
use super::super::proto::streams::{BatchAppendReq, BatchAppendResp};
use super::super::status;
use super::super::types::{Command, Expected, NewEvent, WriteResult, Written};
use super::append::new_event;
use super::{Streams, stream_name};

/// Answers that wait for the writer or for a slow client, per session.
const ANSWERS_MAX: usize = 1_024;
/// Batches that a session may have begun but not finished.
const UNFINISHED_MAX: usize = 128;
/// The longest that a batch waits, whatever deadline it asks for.
const WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// The wait of a batch without a deadline.
const WAIT_DEFAULT: Duration = Duration::from_secs(10);
/// A deadline beyond this many seconds is not a span but a time since 1970: the official Rust client puts
/// that into the field for spans.
const EPOCH_SECONDS_MIN: u64 = 100_000_000;

/// The answers of a session, in the order of its batches.
pub(crate) type Answers = ReceiverStream<Result<BatchAppendResp, Status>>;

/// A batch that is being received.
#[derive(Debug)]
struct Batch {
    stream: String,
    expected: Expected,
    wait: Duration,
    events: Vec<NewEvent>,
    bytes: usize,
}

/// A batch on its way to its answer.
#[derive(Debug)]
struct Pending {
    correlation: shared::Uuid,
    stream: String,
    expected: Expected,
    wait: Duration,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    Queued(oneshot::Receiver<WriteResult>),
    Known(Result<Written, AppendError>),
    Invalid(&'static str),
}

/// Starts a session.
pub(super) fn start(service: &Streams, mut request: Streaming<BatchAppendReq>) -> Answers {
    let (answers, receiver) = mpsc::channel(ANSWERS_MAX);
    let (pending, mut in_order) = mpsc::channel::<Pending>(ANSWERS_MAX);
    let service_for_receiving = service.clone();
    let failures = answers.clone();
    service.tasks.spawn(async move {
        let service = service_for_receiving;
        let stopped = service.stop.clone();
        let received = tokio::select! {
            received = receive(&service, &mut request, &pending) => received,
            () = stopped.cancelled() => Err(status::shutting_down()),
        };
        if let Err(status) = received {
            // a client that went away needs no answer
            drop(failures.send(Err(status)).await);
        }
    });
    service.tasks.spawn(async move {
        while let Some(next) = in_order.recv().await {
            if answers.send(Ok(settle(next).await)).await.is_err() {
                return;
            }
        }
    });
    ReceiverStream::new(receiver)
}

async fn receive(
    service: &Streams,
    request: &mut Streaming<BatchAppendReq>,
    pending: &mpsc::Sender<Pending>,
) -> Result<(), Status> {
    let limit_bytes = service.store.append_limit_bytes();
    let mut unfinished: HashMap<Uuid, Batch> = HashMap::new();
    while let Some(message) = request.message().await? {
        let BatchAppendReq { correlation_id, options, proposed_messages, is_final } = message;
        let correlation = correlation_id.unwrap_or_default();
        let id =
            correlation.parse().ok_or_else(|| Status::invalid_argument("a batch has no correlation id"))?;
        let mut batch = match (unfinished.remove(&id), options) {
            (Some(batch), _) => batch,
            (None, Some(options)) => begin(options)?,
            (None, None) => return Err(Status::invalid_argument("a batch starts with its options")),
        };
        let mut invalid = None;
        for proposed in proposed_messages {
            match new_event(proposed) {
                Ok(event) => {
                    batch.bytes += event.size_bytes();
                    batch.events.push(event);
                }
                Err(what) => invalid = Some(what),
            }
        }
        let too_large = batch.bytes > limit_bytes;
        if !is_final && invalid.is_none() && !too_large {
            if unfinished.len() >= UNFINISHED_MAX {
                return Err(Status::resource_exhausted("the session has too many unfinished batches"));
            }
            unfinished.insert(id, batch);
            continue;
        }
        let Batch { stream, expected, wait, events, .. } = batch;
        let answer = match invalid {
            Some(what) => Answer::Invalid(what),
            None if too_large => Answer::Known(Err(AppendError::TooLarge { limit_bytes })),
            None => {
                let command = Command::Append { stream: stream.clone(), expected, events };
                match service.store.submit(command).await {
                    Ok(answer) => Answer::Queued(answer),
                    Err(refused) => Answer::Known(Err(refused)),
                }
            }
        };
        if pending.send(Pending { correlation, stream, expected, wait, answer }).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn begin(options: Options) -> Result<Batch, Status> {
    let expected = match options.expected_stream_position {
        Some(Wanted::StreamPosition(revision)) => Expected::Exact(revision),
        Some(Wanted::NoStream(())) => Expected::NoStream,
        Some(Wanted::StreamExists(())) => Expected::Exists,
        Some(Wanted::Any(())) => Expected::Any,
        None => return Err(Status::invalid_argument("a batch expects no revision")),
    };
    let wait = wait_of(options.deadline_option);
    Ok(Batch {
        stream: stream_name(options.stream_identifier)?,
        expected,
        wait,
        events: Vec::new(),
        bytes: 0,
    })
}

/// How long a batch waits for its answer: what its deadline says, within bounds.
fn wait_of(deadline: Option<DeadlineOption>) -> Duration {
    let (seconds, nanos, is_time) = match deadline {
        None => return WAIT_DEFAULT,
        Some(DeadlineOption::Deadline21100(time)) => (time.seconds, time.nanos, true),
        Some(DeadlineOption::Deadline(span)) => (span.seconds, span.nanos, false),
    };
    let (seconds, nanos) = (u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0));
    let value = Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into()));
    let span = if is_time || seconds >= EPOCH_SECONDS_MIN {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        value.saturating_sub(now)
    } else {
        value
    };
    span.min(WAIT_MAX)
}

async fn settle(pending: Pending) -> BatchAppendResp {
    let Pending { correlation, stream, expected, wait, answer } = pending;
    let unavailable = || AppendError::Unavailable { reason: "the log is closed".to_owned() };
    let result = match answer {
        Answer::Invalid(what) => Err(status::bad_request(what)),
        Answer::Known(result) => result.map_err(|refused| status::batch_error(&stream, &refused)),
        Answer::Queued(answer) => match tokio::time::timeout(wait, answer).await {
            Ok(result) => result
                .unwrap_or_else(|_| Err(unavailable()))
                .map_err(|refused| status::batch_error(&stream, &refused)),
            Err(_) => Err(status::batch_timeout()),
        },
    };
    response(correlation, stream, expected, result)
}

fn response(
    correlation: shared::Uuid,
    stream: String,
    expected: Expected,
    result: Result<Written, rpc::Status>,
) -> BatchAppendResp {
    let outcome = match result {
        Ok(written) => Outcome::Success(Success {
            current_revision_option: Some(match written.revision {
                Some(revision) => CurrentRevisionOption::CurrentRevision(revision),
                None => CurrentRevisionOption::NoStream(()),
            }),
            position_option: Some(match written.position {
                Some(position) => PositionOption::Position(shared::AllStreamPosition::at(position)),
                None => PositionOption::NoPosition(()),
            }),
        }),
        Err(error) => Outcome::Error(error),
    };
    BatchAppendResp {
        correlation_id: Some(correlation),
        result: Some(outcome),
        stream_identifier: Some(shared::StreamIdentifier { stream_name: stream.into_bytes().into() }),
        expected_stream_position: Some(match expected {
            Expected::Exact(revision) => Echo::StreamPosition(revision),
            Expected::NoStream => Echo::NoStream(()),
            Expected::Any => Echo::Any(()),
            Expected::Exists => Echo::StreamExists(()),
        }),
    }
}
