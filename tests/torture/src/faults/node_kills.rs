//! Fault test 1: the log's node is killed, again and again, under many writers.
//!
//! The node is a process; writers use the official client, some through connections that are reset after a random number
//! of bytes. Before some kills the answers disappear, so that written events are unacknowledged. Writers submit
//! what was not acknowledged again, with the same ids, and after each start the log is read and compared.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use eventstore::{AppendToStreamOptions, Client, EventData, ReadStreamOptions, StreamPosition, StreamState};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::fault_proxy::{Fault, FaultProxy, Faults};
use crate::harness::{Counts, FaultTest, Round, promise, violation};
use crate::node_process::{NodeProcess, WRITES_LATE};

/// The build whose clients do not keep the ids of what they submit again.
const FORGETS_IDS: &str = "forgets-event-ids";
/// Kills in a full round.
const KILLS: u32 = 12;
const WRITERS: usize = 12;
/// A stream that all writers share, without expecting a revision.
const SHARED: &str = "shared";
/// An append that is not answered within this is given up; its outcome is unknown.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// A writer whose node is gone gives up within this.
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// Fault test 1.
pub(super) struct NodeKills;

#[async_trait(?Send)]
impl FaultTest for NodeKills {
    fn name(&self) -> &'static str {
        "node-kills"
    }

    fn claim(&self) -> &'static str {
        "kill -9 of the node: nothing acknowledged is lost or doubled, order stays, a directory has one node"
    }

    fn controls(&self) -> &'static [&'static str] {
        &[WRITES_LATE, FORGETS_IDS]
    }

    async fn round(&self, round: &Round) -> anyhow::Result<Counts> {
        let mut chance = round.chance();
        let directory = tempfile::tempdir()?;
        let writers: Vec<_> =
            (0..WRITERS).map(|number| Arc::new(Mutex::new(Writer::new(number, round)))).collect();
        let mut reader = Reader::default();
        let control = round.control.filter(|control| *control == WRITES_LATE);
        let kills = round.share(KILLS);
        for life in 0..=kills {
            let node = NodeProcess::start(&round.program, directory.path(), control)
                .map_err(violation("the node does not come back"))?;
            reader.compare(&client(node.address), &writers).await?;
            if life == kills {
                refuse_another(round, directory.path())?;
                break;
            }
            live(node, &writers, &mut chance).await?;
        }
        let acknowledged = reader.sum(&writers).await;
        Ok(Counts::from([("kills", u64::from(kills)), ("events acknowledged", acknowledged)]))
    }
}

fn refuse_another(round: &Round, directory: &Path) -> anyhow::Result<()> {
    let Err(error) = NodeProcess::start(&round.program, directory, None) else {
        return Ok(promise(false, || "a second node runs on the same directory".to_owned())?);
    };
    let text = error.to_string();
    Ok(promise(text.contains("in use by another process"), || format!("a second node says: {text}"))?)
}

/// Lets everybody write until the node is killed.
async fn live(node: NodeProcess, writers: &[Arc<Mutex<Writer>>], chance: &mut StdRng) -> anyhow::Result<()> {
    let proxy = FaultProxy::start(node.address, chance.random(), |chance| {
        let after = Fault::ResetAfter(chance.random_range(200..60_000));
        if chance.random() {
            Faults { up: vec![after], ..Faults::default() }
        } else {
            Faults { down: vec![after], ..Faults::default() }
        }
    })
    .await?;
    let calm = FaultProxy::start(node.address, 0, |_| Faults::default()).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = writers
        .iter()
        .enumerate()
        .map(|(number, writer)| {
            let address = if number % 4 == 0 { proxy.address() } else { calm.address() };
            tokio::spawn(write(client(address), Arc::clone(writer), Arc::clone(&stop)))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(chance.random_range(50..400))).await;
    if chance.random() {
        // what is written from here on is not acknowledged
        calm.swallow_answers(true);
        tokio::time::sleep(Duration::from_millis(chance.random_range(5..40))).await;
    }
    node.kill()?;
    stop.store(true, Ordering::SeqCst);
    drop((proxy, calm));
    for task in tasks {
        tokio::time::timeout(END_TIMEOUT, task)
            .await
            .context("a writer does not notice that its node is gone")??;
    }
    Ok(())
}

fn client(address: std::net::SocketAddr) -> Client {
    let settings = format!("esdb://{address}?tls=false&discoveryInterval=1&maxDiscoverAttempts=2").parse();
    Client::new(settings.expect("a valid address")).expect("valid settings")
}

/// An append whose outcome may be unknown.
#[derive(Clone)]
struct Pending {
    is_shared: bool,
    /// The revision that the writer's own stream must be at; `None` for any.
    expected: Option<StreamState>,
    ids: Vec<Uuid>,
}

/// What a writer knows.
struct Writer {
    stream: String,
    /// Ids in its own stream, acknowledged, in order.
    own: Vec<Uuid>,
    /// Ids in the shared stream, the same.
    shared: Vec<Uuid>,
    pending: Option<Pending>,
    forgets_ids: bool,
    chance: StdRng,
}

impl Writer {
    fn new(number: usize, round: &Round) -> Self {
        Self {
            stream: format!("writer-{number}"),
            own: Vec::new(),
            shared: Vec::new(),
            pending: None,
            forgets_ids: round.is_control(FORGETS_IDS),
            chance: StdRng::seed_from_u64(round.seed ^ number as u64),
        }
    }

    /// What to submit next: what has no answer yet, or something new.
    fn next(&mut self) -> Pending {
        if let Some(pending) = &mut self.pending {
            if self.forgets_ids {
                let chance = &mut self.chance;
                pending.ids.iter_mut().for_each(|id| *id = Uuid::from_u128(chance.random()));
                pending.expected = None;
            }
            return pending.clone();
        }
        let is_shared = self.chance.random_ratio(1, 4);
        let at = match self.own.len().checked_sub(1) {
            None => StreamState::NoStream,
            Some(last) => StreamState::StreamRevision(last as u64),
        };
        let expected = (!is_shared && self.chance.random()).then_some(at);
        let ids =
            (0..self.chance.random_range(1..4)).map(|_| Uuid::from_u128(self.chance.random())).collect();
        self.pending.insert(Pending { is_shared, expected, ids }).clone()
    }

    fn acknowledged(&mut self) {
        if let Some(pending) = self.pending.take() {
            let ids = if pending.is_shared { &mut self.shared } else { &mut self.own };
            ids.extend(pending.ids);
        }
    }

    /// Compares what stands in a stream with what was acknowledged, and with what may stand there beside.
    fn compare(&self, is_shared: bool, found: &[Uuid]) -> anyhow::Result<()> {
        let acknowledged = if is_shared { &self.shared } else { &self.own };
        let (stream, count) = (if is_shared { SHARED } else { &self.stream }, acknowledged.len());
        promise(found.len() >= count && found[..count] == acknowledged[..], || {
            format!(
                "{stream}: {count} events of {} were acknowledged, {} are there, not all in place",
                self.stream,
                found.len()
            )
        })?;
        let pending = self.pending.as_ref().filter(|pending| pending.is_shared == is_shared);
        let rest = &found[count..];
        let is_pending = pending.is_some_and(|pending| pending.ids == rest);
        promise(rest.is_empty() || is_pending, || {
            format!(
                "{stream}: {} events of {} are there beside the {count} acknowledged",
                rest.len(),
                self.stream
            )
        })?;
        Ok(())
    }
}

async fn write(client: Client, writer: Arc<Mutex<Writer>>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        let mut writer = writer.lock().await;
        let pending = writer.next();
        let stream = if pending.is_shared { SHARED.to_owned() } else { writer.stream.clone() };
        let name = writer.stream.clone();
        let events: Vec<_> = pending.ids.iter().map(|id| event(*id, &name)).collect();
        let options =
            AppendToStreamOptions::default().stream_state(pending.expected.unwrap_or(StreamState::Any));
        let append = client.append_to_stream(stream, &options, events);
        match tokio::time::timeout(ANSWER_TIMEOUT, append).await {
            Ok(Ok(_)) => writer.acknowledged(),
            Ok(Err(eventstore::Error::WrongExpectedVersion { .. })) if writer.forgets_ids => {
                writer.pending = None;
            }
            // a connection that was cut: the client makes another
            Ok(Err(_)) | Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

fn event(id: Uuid, writer: &str) -> EventData {
    let body = serde_json::json!({ "writer": writer });
    EventData::json("Written", &body).expect("a value is valid JSON").id(id)
}

/// Reads streams on from where it has compared them.
#[derive(Default)]
struct Reader {
    known: HashMap<String, Vec<(Uuid, String)>>,
}

impl Reader {
    async fn compare(&mut self, client: &Client, writers: &[Arc<Mutex<Writer>>]) -> anyhow::Result<()> {
        for writer in writers {
            let writer = writer.lock().await;
            let found: Vec<_> = self.read(client, &writer.stream).await?.iter().map(|(id, _)| *id).collect();
            writer.compare(false, &found)?;
        }
        let shared = self.read(client, SHARED).await?.clone();
        for writer in writers {
            let writer = writer.lock().await;
            let found: Vec<_> =
                shared.iter().filter(|(_, name)| *name == writer.stream).map(|(id, _)| *id).collect();
            writer.compare(true, &found)?;
        }
        Ok(())
    }

    /// The whole stream, of which only the new part is read again.
    async fn read(&mut self, client: &Client, stream: &str) -> anyhow::Result<&Vec<(Uuid, String)>> {
        let known = self.known.entry(stream.to_owned()).or_default();
        // what was known last may have been unacknowledged; it was shown, so it must still be there
        let from = known.len().saturating_sub(1) as u64;
        let options =
            ReadStreamOptions::default().position(StreamPosition::Position(from)).max_count(usize::MAX);
        let mut read =
            client.read_stream(stream, &options).await.map_err(violation("a stream cannot be read"))?;
        let mut revision = from;
        loop {
            let event = match read.next().await {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(eventstore::Error::ResourceNotFound) if known.is_empty() => break,
                Err(error) => return Err(violation("a stream cannot be read")(error).into()),
            };
            let event = event.get_original_event();
            promise(event.revision == revision, || {
                format!("{stream}: revision {} at place {revision}", event.revision)
            })?;
            let body: serde_json::Value = serde_json::from_slice(&event.data)?;
            let this = (event.id, body["writer"].as_str().unwrap_or_default().to_owned());
            match known.get(usize::try_from(revision)?) {
                Some(before) => {
                    promise(*before == this, || {
                        format!("{stream}: event {revision} is another than before")
                    })?;
                }
                None => known.push(this),
            }
            revision += 1;
        }
        promise(revision >= known.len() as u64, || {
            format!("{stream}: {revision} of {} shown events", known.len())
        })?;
        Ok(known)
    }

    async fn sum(&self, writers: &[Arc<Mutex<Writer>>]) -> u64 {
        let mut sum = 0;
        for writer in writers {
            let writer = writer.lock().await;
            sum += (writer.own.len() + writer.shared.len()) as u64;
        }
        sum
    }
}
