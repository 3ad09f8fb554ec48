//! What measurements need: a client that does as little as the protocol allows, and an echo behind the node's own
//! server. The product itself uses the official client only.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::node::server;
use super::proto::echo::EchoMessage;
use super::proto::echo::echo_client::EchoClient;
use super::proto::echo::echo_server::{Echo, EchoServer};
use super::proto::shared::{self, Empty, StreamIdentifier};
use super::proto::streams::append_req::Content;
use super::proto::streams::append_resp::Result as Outcome;
use super::proto::streams::batch_append_req::Options as BatchOptions;
use super::proto::streams::batch_append_req::options::ExpectedStreamPosition;
use super::proto::streams::batch_append_resp::Result as BatchOutcome;
use super::proto::streams::read_req::all_options::AllOption;
use super::proto::streams::read_req::options::{CountOption, FilterOption, StreamOption};
use super::proto::streams::read_req::uuid_option::Content as UuidForm;
use super::proto::streams::read_req::{AllOptions, Options as ReadOptions, UuidOption};
use super::proto::streams::stream_expectation::ExpectedStreamRevision;
use super::proto::streams::streams_client::StreamsClient;
use super::proto::streams::{AppendReq, BatchAppendReq, ProposedMessage, ReadReq, StreamExpectation};
use super::proto::umadb::v1::dcb_client::DcbClient;
use super::proto::umadb::v1::{AppendRequest, Event};
use super::socket;

/// Requests that one connection may have open at the echo: more than any measurement keeps in flight.
const STREAMS_MAX: u32 = 4_096;
/// What a client may be sent ahead of taking it: the same as the node allows.
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// A server with the node's settings that sends back what it gets.
#[derive(Debug)]
struct Echoing;

#[tonic::async_trait]
impl Echo for Echoing {
    async fn echo(&self, request: Request<EchoMessage>) -> Result<Response<EchoMessage>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

/// Serves the echo until the process ends; `listening` is told the address.
pub async fn serve_echo(listening: impl FnOnce(SocketAddr)) -> std::io::Result<()> {
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
    listening(listener.local_addr()?);
    let echo = server(STREAMS_MAX).add_service(EchoServer::new(Echoing));
    echo.serve_with_incoming(socket::accept(listener)).await.map_err(std::io::Error::other)
}

/// A plain client over one connection.
#[derive(Debug, Clone)]
pub struct PlainClient {
    streams: StreamsClient<Channel>,
    echo: EchoClient<Channel>,
    umadb: DcbClient<Channel>,
}

impl PlainClient {
    /// Connects without encryption.
    pub async fn connect(address: SocketAddr) -> Result<Self, Status> {
        let unavailable = |error: tonic::transport::Error| Status::unavailable(error.to_string());
        let channel = Endpoint::from_shared(format!("http://{address}"))
            .map_err(unavailable)?
            .tcp_nodelay(true)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .connect()
            .await
            .map_err(unavailable)?;
        Ok(Self {
            streams: StreamsClient::new(channel.clone()),
            echo: EchoClient::new(channel.clone()),
            umadb: DcbClient::new(channel),
        })
    }

    /// Sends bytes to the echo and takes them back.
    pub async fn echo(&mut self, data: Bytes) -> Result<(), Status> {
        self.echo.echo(EchoMessage { data }).await.map(drop)
    }

    /// Appends one event, whatever the stream's revision.
    pub async fn append(&mut self, stream: &str, data: Bytes) -> Result<(), Status> {
        let options = StreamExpectation {
            stream_identifier: Some(identifier(stream)),
            expected_stream_revision: Some(ExpectedStreamRevision::Any(Empty {})),
        };
        let messages = [Content::Options(options), Content::ProposedMessage(proposed(data))]
            .map(|content| AppendReq { content: Some(content) });
        match self.streams.append(futures::stream::iter(messages)).await?.into_inner().result {
            Some(Outcome::Success(_)) => Ok(()),
            other => Err(Status::internal(format!("{other:?}"))),
        }
    }

    /// Appends one event to a server of UmaDB, without a condition. It has no streams: a tag is what its events are found by.
    pub async fn append_to_umadb(&mut self, stream: &str, data: Bytes) -> Result<(), Status> {
        let event = Event {
            event_type: "Said".to_owned(),
            tags: vec![stream.to_owned()],
            data,
            uuid: next_id().to_string(),
        };
        self.umadb.append(AppendRequest { events: vec![event] }).await.map(drop)
    }

    /// Appends single events over one request for a while, `in_flight` of them unanswered at a time, spread over
    /// so many streams. Returns how many were answered.
    pub async fn append_streamed(
        &mut self,
        name: &str,
        in_flight: usize,
        data: Bytes,
        length: Duration,
    ) -> Result<u64, Status> {
        let (sender, receiver) = mpsc::channel(in_flight);
        let room = Arc::new(Semaphore::new(in_flight));
        let deadline = Instant::now() + length;
        let (for_sending, name) = (Arc::clone(&room), name.to_owned());
        let sending = tokio::spawn(async move {
            let mut lane = 0;
            while Instant::now() < deadline {
                let Ok(permit) = for_sending.acquire().await else { return };
                permit.forget();
                lane = (lane + 1) % in_flight;
                if sender.send(batch(&format!("{name}-{lane}"), data.clone())).await.is_err() {
                    return;
                }
            }
        });
        let mut answers = self.streams.batch_append(ReceiverStream::new(receiver)).await?.into_inner();
        let mut count = 0;
        while let Some(answer) = answers.message().await? {
            match answer.result {
                Some(BatchOutcome::Success(_)) => count += 1,
                other => return Err(Status::internal(format!("{other:?}"))),
            }
            room.add_permits(1);
        }
        sending.await.map_err(|error| Status::internal(error.to_string()))?;
        Ok(count)
    }

    /// Reads `$all` from its start, up to `count` events; counts them and looks at none.
    pub async fn read_all(&mut self, count: u64) -> Result<u64, Status> {
        let options = ReadOptions {
            stream_option: Some(StreamOption::All(AllOptions {
                all_option: Some(AllOption::Start(Empty {})),
            })),
            count_option: Some(CountOption::Count(count)),
            filter_option: Some(FilterOption::NoFilter(Empty {})),
            uuid_option: Some(UuidOption { content: Some(UuidForm::Structured(Empty {})) }),
            ..ReadOptions::default()
        };
        let mut events = self.streams.read(ReadReq { options: Some(options) }).await?.into_inner();
        let mut read = 0;
        while let Some(event) = events.next().await {
            event?;
            read += 1;
        }
        Ok(read)
    }
}

fn identifier(stream: &str) -> StreamIdentifier {
    StreamIdentifier { stream_name: Bytes::copy_from_slice(stream.as_bytes()) }
}

/// Ids of one process never repeat, and cost nothing.
fn next_id() -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    static PROCESS: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| Uuid::new_v4().as_u64_pair().0);
    Uuid::from_u64_pair(*PROCESS, NEXT.fetch_add(1, Ordering::Relaxed))
}

fn proposed(data: Bytes) -> ProposedMessage {
    let metadata = [("type", "Said"), ("content-type", "application/json")];
    ProposedMessage {
        id: Some(shared::Uuid::structured(next_id())),
        metadata: metadata.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        custom_metadata: Bytes::new(),
        data,
    }
}

fn batch(stream: &str, data: Bytes) -> BatchAppendReq {
    BatchAppendReq {
        correlation_id: Some(shared::Uuid::structured(next_id())),
        options: Some(BatchOptions {
            stream_identifier: Some(identifier(stream)),
            expected_stream_position: Some(ExpectedStreamPosition::Any(())),
            deadline_option: None,
        }),
        proposed_messages: vec![proposed(data)],
        is_final: true,
    }
}
