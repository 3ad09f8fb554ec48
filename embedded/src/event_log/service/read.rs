//! `Read`: what was asked for, and reads that end.

use std::future::Future;

use tonic::Status;

use super::super::filter::Filter;
use super::super::frame::Record;
use super::super::head::Head;
use super::super::locate::StreamCursor;
use super::super::proto::shared;
use super::super::proto::streams::ReadReq;
use super::super::proto::streams::read_message::{Content, StreamNotFound};
use super::super::proto::streams::read_req::all_options::AllOption;
use super::super::proto::streams::read_req::options::{CountOption, FilterOption, StreamOption};
use super::super::proto::streams::read_req::stream_options::RevisionOption;
use super::super::proto::streams::read_req::uuid_option::Content as UuidContent;
use super::super::proto::streams::read_req::{Options, ReadDirection};
use super::super::status;
use super::super::wire::UuidForm;
use super::super::writer::now_ticks;
use super::deliver::{Deliveries, Delivery, Ended, blocking, channel};
use super::{Streams, stream_name, subscribe};

/// Bytes of the log per step of reading `$all`: big enough for the disk, small enough for the queue.
pub(super) const STEP_BYTES: usize = 256 * 1024;

/// A place in a stream or in `$all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Start,
    End,
    At(u64),
}

/// Understands a request and starts the task that answers it.
pub(super) async fn start(service: &Streams, request: ReadReq) -> Result<Deliveries, Status> {
    let options = request.options.ok_or_else(|| Status::invalid_argument("the read has no options"))?;
    let uuid_form = uuid_form(&options)?;
    let backwards = options.read_direction() == ReadDirection::Backwards;
    let filter = match options.filter_option {
        Some(FilterOption::Filter(filter)) => Some(Filter::parse(filter)?),
        Some(FilterOption::NoFilter(_)) | None => None,
    };
    let positions = options.control_option.is_some_and(|control| control.compatibility >= 1);
    let (delivery, deliveries) = channel(uuid_form);
    let reader = Reader { service: service.clone(), delivery };
    match (options.stream_option, options.count_option) {
        (Some(StreamOption::Stream(stream)), Some(count)) => {
            let from = match stream.revision_option {
                Some(RevisionOption::Revision(revision)) => From::At(revision),
                Some(RevisionOption::End(_)) => From::End,
                Some(RevisionOption::Start(_)) | None => From::Start,
            };
            let name = stream_name(stream.stream_identifier)?;
            if name == "$all" {
                return Err(Status::invalid_argument("$all is read by its own option"));
            }
            let head = open_head(service, &name).await?;
            match count {
                CountOption::Count(count) => {
                    let read = StreamRead { name, head, from, backwards, count, positions };
                    reader.spawn(async move |reader| read.run(reader).await);
                }
                CountOption::Subscription(_) => {
                    reader.spawn(async move |reader| subscribe::to_stream(reader, name, from).await);
                }
            }
        }
        (Some(StreamOption::All(all)), Some(count)) => {
            let from = match all.all_option {
                Some(AllOption::Position(position)) => From::At(position.commit_position),
                Some(AllOption::End(_)) => From::End,
                Some(AllOption::Start(_)) | None => From::Start,
            };
            match count {
                CountOption::Count(count) => {
                    let read = AllRead { from, backwards, count, filter };
                    reader.spawn(async move |reader| read.run(reader).await);
                }
                CountOption::Subscription(_) => {
                    if matches!(from, From::At(position) if position != u64::MAX && position > service.store.end())
                    {
                        return Err(status::invalid_position());
                    }
                    reader.spawn(async move |reader| subscribe::to_all(reader, from, filter).await);
                }
            }
        }
        (None, _) => return Err(Status::invalid_argument("the read names neither a stream nor $all")),
        (_, None) => return Err(Status::invalid_argument("the read is neither counted nor a subscription")),
    }
    Ok(deliveries)
}

fn uuid_form(options: &Options) -> Result<UuidForm, Status> {
    match options.uuid_option.as_ref().and_then(|option| option.content.as_ref()) {
        Some(UuidContent::Structured(_)) => Ok(UuidForm::Structured),
        Some(UuidContent::String(_)) => Ok(UuidForm::Text),
        None => Err(Status::invalid_argument("the read does not say in which form it wants ids")),
    }
}

/// The stream's head; a tombstone is told before anything is delivered.
async fn open_head(service: &Streams, name: &str) -> Result<Head, Status> {
    let wanted = name.to_owned();
    let head = blocking(&service.store, move |store| store.head(&wanted)).await?;
    if head.tombstoned { Err(status::stream_deleted(name)) } else { Ok(head) }
}

/// A task that reads for one client.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) service: Streams,
    pub(super) delivery: Delivery,
}

impl Reader {
    fn spawn<F, Fut>(self, read: F)
    where
        F: FnOnce(Self) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send,
    {
        let tasks = self.service.tasks.clone();
        tasks.spawn(async move { read(self).await });
    }
}

/// A counted read of one stream.
#[derive(Debug)]
struct StreamRead {
    name: String,
    head: Head,
    from: From,
    backwards: bool,
    count: u64,
    /// Whether the client wants to be told the stream's first or last revision.
    positions: bool,
}

impl StreamRead {
    async fn run(self, mut reader: Reader) {
        let stop = reader.service.stop.clone();
        let ended = tokio::select! {
            ended = self.deliver(&mut reader) => ended,
            () = stop.cancelled() => Err(Ended::Failed(status::shutting_down())),
        };
        if let Err(Ended::Failed(status)) = ended {
            reader.delivery.fail(status).await;
        }
    }

    async fn deliver(self, reader: &mut Reader) -> Result<(), Ended> {
        let Some(last) = self.head.last.filter(|_| !self.head.is_soft_deleted()) else {
            reader.delivery.message(not_found(&self.name));
            reader.delivery.flush().await?;
            return Ok(());
        };
        let sent = match self.backwards {
            false => self.forwards(reader, last).await?,
            true => self.backwards(reader, last).await?,
        };
        if self.positions {
            reader.delivery.message(match sent {
                0 => Content::FirstStreamPosition(self.head.first_visible()),
                _ => Content::LastStreamPosition(last),
            });
        }
        reader.delivery.flush().await?;
        Ok(())
    }

    async fn forwards(&self, reader: &mut Reader, last: u64) -> Result<u64, Ended> {
        let start = match self.from {
            From::Start => 0,
            From::At(revision) => revision,
            From::End => return Ok(0),
        };
        let mut cursor = StreamCursor::at(start.max(self.head.first_visible()));
        let mut sent = 0;
        while sent < self.count && cursor.revision <= last {
            let (name, head) = (self.name.clone(), self.head);
            let (records, next) = blocking(&reader.service.store, move |store| {
                let records = store.read_stream_forwards(&name, &head, &mut cursor)?;
                Ok((records, cursor))
            })
            .await?;
            cursor = next;
            sent += self.send(reader, &records, self.count - sent).await?;
        }
        Ok(sent)
    }

    async fn backwards(&self, reader: &mut Reader, last: u64) -> Result<u64, Ended> {
        let mut next = match self.from {
            From::End => Some(last),
            From::At(revision) => Some(revision.min(last)),
            From::Start => Some(0),
        };
        let first = self.head.first_visible();
        let mut sent = 0;
        while let Some(revision) = next.filter(|revision| sent < self.count && *revision >= first) {
            let (name, head) = (self.name.clone(), self.head);
            let records = blocking(&reader.service.store, move |store| {
                store.read_stream_backwards(&name, &head, revision)
            })
            .await?;
            next = records.last().and_then(|record| record.revision().checked_sub(1));
            let visible = records.iter().take_while(|record| record.revision() >= first).count();
            sent += self.send(reader, &records[..visible], self.count - sent).await?;
        }
        Ok(sent)
    }

    async fn send(&self, reader: &mut Reader, records: &[Record], count: u64) -> Result<u64, Ended> {
        let now = now_ticks();
        let mut sent = 0;
        reader.delivery.reserve(records);
        for record in records {
            if sent == count {
                break;
            }
            if !self.head.is_expired(record.created_ticks(), now) {
                reader.delivery.event(record);
                sent += 1;
            }
        }
        reader.delivery.flush().await?;
        Ok(sent)
    }
}

pub(super) fn not_found(name: &str) -> Content {
    let stream_name = name.as_bytes().to_vec().into();
    Content::StreamNotFound(StreamNotFound {
        stream_identifier: Some(shared::StreamIdentifier { stream_name }),
    })
}

/// A counted read of `$all`.
#[derive(Debug)]
struct AllRead {
    from: From,
    backwards: bool,
    count: u64,
    filter: Option<Filter>,
}

impl AllRead {
    async fn run(self, mut reader: Reader) {
        let stop = reader.service.stop.clone();
        let ended = tokio::select! {
            ended = self.deliver(&mut reader) => ended,
            () = stop.cancelled() => Err(Ended::Failed(status::shutting_down())),
        };
        if let Err(Ended::Failed(status)) = ended {
            reader.delivery.fail(status).await;
        }
    }

    async fn deliver(&self, reader: &mut Reader) -> Result<(), Ended> {
        let store = reader.service.store.clone();
        let end = store.end();
        let mut position = match (self.from, self.backwards) {
            (From::Start, _) => 0,
            (From::End, _) => end,
            (From::At(position), true) => position.min(end),
            (From::At(position), false) if position >= end => end,
            (From::At(position), false) => blocking(&store, move |store| store.align(position)).await?,
        };
        let mut left = self.count;
        while left > 0 && (self.backwards || position < end) {
            let backwards = self.backwards;
            let chunk = blocking(&store, move |store| {
                if backwards {
                    store.read_backwards(position)
                } else {
                    store.read_forwards(position, STEP_BYTES)
                }
            })
            .await?;
            if chunk.records.is_empty() {
                break;
            }
            reader.delivery.reserve(&chunk.records);
            for record in &chunk.records {
                if left == 0 || (!backwards && record.position() >= end) {
                    break;
                }
                if self.filter.as_ref().map_or(Ok(true), |filter| filter.accepts(record))? {
                    reader.delivery.event(record);
                    left -= 1;
                }
            }
            reader.delivery.flush().await?;
            position = chunk.next;
        }
        Ok(())
    }
}
