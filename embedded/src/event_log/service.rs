//! The gRPC services over the store.
#![expect(clippy::result_large_err, reason = "a status is the form of every error on this boundary")]

mod append;
mod batch;
mod cluster;
mod deliver;
mod read;
mod subscribe;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::proto::shared::StreamIdentifier;
use super::proto::streams::{
    AppendReq, AppendResp, BatchAppendReq, DeleteReq, DeleteResp, ReadReq, StreamExpectation, TombstoneReq,
    TombstoneResp, delete_resp, streams_server, tombstone_resp,
};
use super::proto::{shared, streams};
use super::status;
use super::store::Store;
use super::types::{Command, Expected, Written};

pub(crate) use cluster::{Cluster, NoPersistentSubscriptions};

/// The streams service.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    pub(crate) store: Arc<Store>,
    /// Ends everything that is open.
    pub(crate) stop: CancellationToken,
    /// Everything that is open: the store may be closed when none of it is left.
    pub(crate) tasks: TaskTracker,
}

#[tonic::async_trait]
impl streams_server::Streams for Streams {
    type ReadStream = deliver::Deliveries;
    type BatchAppendStream = batch::Answers;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        read::start(self, request.into_inner()).await.map(Response::new)
    }

    async fn append(&self, request: Request<Streaming<AppendReq>>) -> Result<Response<AppendResp>, Status> {
        append::run(&self.store, request.into_inner()).await.map(Response::new)
    }

    async fn delete(&self, request: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        let (stream, expected) = expectation(request.into_inner().options)?;
        let written =
            self.close_stream(&stream, Command::Delete { stream: stream.clone(), expected }).await?;
        let position_option = Some(match written.position {
            Some(position) => delete_resp::PositionOption::Position(shared::AllStreamPosition::at(position)),
            None => delete_resp::PositionOption::NoPosition(shared::Empty {}),
        });
        Ok(Response::new(DeleteResp { position_option }))
    }

    async fn tombstone(&self, request: Request<TombstoneReq>) -> Result<Response<TombstoneResp>, Status> {
        let (stream, expected) = expectation(request.into_inner().options)?;
        let written =
            self.close_stream(&stream, Command::Tombstone { stream: stream.clone(), expected }).await?;
        let position_option = Some(match written.position {
            Some(position) => {
                tombstone_resp::PositionOption::Position(shared::AllStreamPosition::at(position))
            }
            None => tombstone_resp::PositionOption::NoPosition(shared::Empty {}),
        });
        Ok(Response::new(TombstoneResp { position_option }))
    }

    async fn batch_append(
        &self,
        request: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Self::BatchAppendStream>, Status> {
        Ok(Response::new(batch::start(self, request.into_inner())))
    }
}

impl Streams {
    async fn close_stream(&self, stream: &str, command: Command) -> Result<Written, Status> {
        self.store.write(command).await.map_err(|refused| status::of_append(stream, &refused))
    }
}

/// The name in a stream identifier.
fn stream_name(identifier: Option<StreamIdentifier>) -> Result<String, Status> {
    let name = identifier.map(|identifier| identifier.stream_name).unwrap_or_default();
    if name.is_empty() {
        return Err(Status::invalid_argument("the request names no stream"));
    }
    String::from_utf8(name.to_vec()).map_err(|_| Status::invalid_argument("the stream's name is not text"))
}

fn expectation(options: Option<StreamExpectation>) -> Result<(String, Expected), Status> {
    use streams::stream_expectation::ExpectedStreamRevision as Wire;
    let options = options.ok_or_else(|| Status::invalid_argument("the request has no options"))?;
    let expected = match options.expected_stream_revision {
        Some(Wire::Revision(revision)) => Expected::Exact(revision),
        Some(Wire::NoStream(_)) => Expected::NoStream,
        Some(Wire::StreamExists(_)) => Expected::Exists,
        Some(Wire::Any(_)) => Expected::Any,
        None => return Err(Status::invalid_argument("the request expects no revision")),
    };
    Ok((stream_name(options.stream_identifier)?, expected))
}
