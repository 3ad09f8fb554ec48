//! One person with one connection at a time: sends commands, reads frames, keeps the record.

use anyhow::bail;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, timeout};

use super::frames::{Ack, Frame, Gap, Message, Reactions, Refusal, Status, Tip};
use super::record::Record;
use super::socket::{self, Incoming, Received};
use super::stage::{Live, Stage};

/// A write that takes longer than this has no reader.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// A command that is refused for now is repeated at most so often.
const REPEATS_MAX: u32 = 5;

/// Separates the parts of a message's own id, whose last is when it was sent.
const ID_SEPARATOR: char = '.';

/// What a request was for.
#[derive(Clone, Debug)]
enum Purpose {
    Join,
    Leave,
    Resume,
    Message,
    Reactions(u64),
    Tip { cents: i64 },
}

/// A request without an answer yet.
struct Request {
    purpose: Purpose,
    wire: String,
    sent: Instant,
    repeats: u32,
}

struct Connection {
    /// When it was opened, in microseconds of the stage: what was sent before comes late, and may.
    opened: u64,
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    incoming: Incoming,
}

/// Somebody in the show.
pub(super) struct Person {
    pub(super) stage: Arc<Stage>,
    pub(super) record: Record,
    pub(super) is_over: bool,
    /// Requests to send again, and when.
    pub(super) repeats: Vec<(Instant, String)>,
    number: usize,
    token: String,
    connection: Option<Connection>,
    requests: HashMap<String, Request>,
    request_count: u64,
    is_keeping_contents: bool,
}

impl Person {
    pub(super) fn new(stage: Arc<Stage>, number: usize, token: String) -> Self {
        Self {
            stage,
            record: Record::default(),
            is_over: false,
            repeats: Vec::new(),
            number,
            token,
            connection: None,
            requests: HashMap::new(),
            request_count: 0,
            is_keeping_contents: false,
        }
    }

    /// Keeps what every frame says, not only that it came.
    pub(super) fn keeping_contents(mut self) -> Self {
        self.is_keeping_contents = true;
        self
    }

    pub(super) async fn connect(&mut self) -> anyhow::Result<()> {
        self.stage.pacer.wait().await;
        let (stream, rest) = self.stage.server.open(&self.stage.show, Some(&self.token)).await?;
        let (read, write) = stream.into_split();
        self.connection =
            Some(Connection { opened: self.stage.now_micros(), read, write, incoming: Incoming::new(rest) });
        Ok(())
    }

    /// As when a train enters a tunnel: nobody says good-bye. Gives the requests that have no answer yet; where to
    /// resume is another question on the next connection.
    pub(super) fn break_off(&mut self) -> Vec<String> {
        self.connection = None;
        let before = self.requests.len();
        self.requests.retain(|_, request| !matches!(request.purpose, Purpose::Resume));
        let dropped = i64::try_from(before - self.requests.len()).unwrap_or(0);
        self.stage.live.unanswered.fetch_sub(dropped, Ordering::Relaxed);
        self.repeats.clear();
        self.requests.keys().cloned().collect()
    }

    pub(super) async fn say_goodbye(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            // the other side may be faster
            let _ = timeout(WRITE_TIMEOUT, connection.write.write_all(&socket::close())).await;
        }
    }

    pub(super) fn has_answers(&self) -> bool {
        self.requests.is_empty()
    }

    pub(super) async fn join(&mut self, device_type: &str) -> anyhow::Result<()> {
        let device_id = format!("device-{}", self.number);
        let data = json!({"deviceType": device_type, "deviceId": device_id});
        self.ask(Purpose::Join, "JOIN_STREAM", data).await
    }

    pub(super) async fn leave(&mut self) -> anyhow::Result<()> {
        self.ask(Purpose::Leave, "LEAVE_STREAM", json!({})).await
    }

    pub(super) async fn resume(&mut self) -> anyhow::Result<()> {
        match self.record.chain.position() {
            Some(sequence) => self.ask(Purpose::Resume, "RESUME", json!({"sequence": sequence})).await,
            None => Ok(()),
        }
    }

    pub(super) async fn message(&mut self, text: &str) -> anyhow::Result<()> {
        let sent = self.stage.now_micros();
        let id = format!(
            "demo{ID_SEPARATOR}{}{ID_SEPARATOR}{}{ID_SEPARATOR}{sent}",
            self.number, self.request_count
        );
        self.ask(Purpose::Message, "SEND_MESSAGE", json!({"message": text, "clientMessageId": id})).await
    }

    pub(super) async fn react(&mut self, kind: &str, count: u32) -> anyhow::Result<()> {
        let data = json!({"reactionType": kind, "count": count});
        self.ask(Purpose::Reactions(u64::from(count)), "REACT", data).await
    }

    pub(super) async fn tip(&mut self, cents: i64, words: Option<&str>) -> anyhow::Result<()> {
        // as text: exact, whatever the reader's numbers are
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        let data = json!({"amount": amount, "currency": "USD", "message": words});
        self.ask(Purpose::Tip { cents }, "SEND_TIP", data).await
    }

    async fn ask(&mut self, purpose: Purpose, kind: &str, data: Value) -> anyhow::Result<()> {
        let id = format!("demo-{}-{}-{}", self.stage.seed, self.number, self.request_count);
        self.request_count += 1;
        let wire = json!({"type": kind, "requestId": id, "data": data}).to_string();
        let request = Request { purpose, wire: wire.clone(), sent: Instant::now(), repeats: 0 };
        self.requests.insert(id, request);
        self.stage.live.unanswered.fetch_add(1, Ordering::Relaxed);
        self.send(socket::text(wire.as_bytes(), rand::random())).await
    }

    /// Sends what had no answer when the connection broke; the connection is new and has resumed.
    pub(super) async fn repeat_all(&mut self, ids: &[String]) -> anyhow::Result<()> {
        for id in ids {
            self.stage.pacer.wait().await;
            self.repeat(id).await?;
        }
        Ok(())
    }

    /// Sends a request again, with its id: it is carried out once all the same.
    pub(super) async fn repeat(&mut self, id: &str) -> anyhow::Result<()> {
        let Some(request) = self.requests.get(id) else { return Ok(()) };
        let wire = socket::text(request.wire.as_bytes(), rand::random());
        self.record.repeated_requests += 1;
        self.send(wire).await
    }

    async fn send(&mut self, wire: Vec<u8>) -> anyhow::Result<()> {
        let Some(connection) = &mut self.connection else { bail!("not connected") };
        timeout(WRITE_TIMEOUT, connection.write.write_all(&wire)).await??;
        Ok(())
    }

    /// Waits for bytes. Nothing is lost where it is cancelled.
    pub(super) async fn fill(&mut self) -> anyhow::Result<()> {
        let Some(connection) = &mut self.connection else { return std::future::pending().await };
        if connection.incoming.fill(&mut connection.read).await? {
            return Ok(());
        }
        bail!("the server closed the connection")
    }

    /// Looks at every whole frame that is here.
    pub(super) async fn digest(&mut self) -> anyhow::Result<()> {
        while let Some(connection) = &mut self.connection {
            match connection.incoming.next()? {
                None => break,
                Some(Received::Text(text)) => self.look_at(&text).await?,
                Some(Received::Ping(payload)) => self.send(socket::pong(&payload)).await?,
                Some(Received::Close(reason)) => bail!("the server closed the socket: {reason}"),
                Some(Received::Other) => {}
            }
        }
        Ok(())
    }

    async fn look_at(&mut self, text: &str) -> anyhow::Result<()> {
        let frame = Frame::parse(text)?;
        Live::count(&self.stage.live.frames, 1);
        if frame.is_durable() {
            self.record.chain.durable(frame.sequence, frame.previous);
            if self.is_keeping_contents {
                self.record.sequences.push(frame.sequence);
            }
        } else {
            self.record.coalesced_frames += 1;
        }
        match frame.kind {
            "SNAPSHOT" => self.record.chain.snapshot(frame.sequence),
            "NEW_MESSAGE" => self.note_message(&frame.data()?),
            "NEW_TIP" if self.is_keeping_contents => {
                self.record.contents.tips += 1;
                self.record.contents.tipped += frame.data::<Tip>()?.amount.0;
            }
            "NEW_REACTIONS" if self.is_keeping_contents => {
                self.record.contents.reactions += frame.data::<Reactions>()?.counts.values().sum::<u64>();
            }
            "STREAM_STATUS_UPDATE" => self.note_status(&frame.data()?),
            "GAP" => {
                self.record.gap_notices += 1;
                let sequence = frame.data::<Gap>()?.from;
                self.ask(Purpose::Resume, "RESUME", json!({"sequence": sequence})).await?;
            }
            "ACK" => self.note_answer(frame.data()?),
            "ERROR" => self.note_refusal(frame.data()?),
            _ => {}
        }
        Ok(())
    }

    fn note_message(&mut self, message: &Message) {
        self.record.contents.messages += u64::from(self.is_keeping_contents);
        let sent =
            message.client_message_id.as_deref().and_then(|id| id.rsplit_once(ID_SEPARATOR)?.1.parse().ok());
        let opened = self.connection.as_ref().map_or(0, |connection| connection.opened);
        if let Some(sent) = sent.filter(|sent| *sent >= opened) {
            let took = self.stage.now_micros().saturating_sub(sent);
            self.record.to_frame.record(Duration::from_micros(took));
        }
    }

    fn note_status(&mut self, status: &Status) {
        match status.status.as_str() {
            "LIVE" => self.record.started_at = Some(status.timestamp),
            "ENDED" => {
                self.record.ended_at = Some(status.timestamp);
                self.is_over = true;
            }
            _ => {}
        }
    }

    fn note_answer(&mut self, ack: Ack) {
        let Some(request) = ack.request_id.and_then(|id| self.requests.remove(&id)) else { return };
        let histogram = if matches!(request.purpose, Purpose::Reactions(_)) {
            &mut self.record.to_reaction_answer
        } else {
            &mut self.record.to_answer
        };
        histogram.record(request.sent.elapsed());
        self.stage.live.unanswered.fetch_sub(1, Ordering::Relaxed);
        let (confirmed, live) = (&mut self.record.confirmed, &self.stage.live);
        match request.purpose {
            Purpose::Join if ack.session_id.is_some() => {
                if !confirmed.joined {
                    live.watching.fetch_add(1, Ordering::Relaxed);
                }
                confirmed.joined = true;
            }
            Purpose::Join => self.record.fault("a join was answered without a session"),
            Purpose::Leave => {
                confirmed.left = true;
                live.watching.fetch_sub(1, Ordering::Relaxed);
            }
            Purpose::Resume => {}
            Purpose::Message => {
                confirmed.messages += 1;
                Live::count(&live.messages, 1);
            }
            Purpose::Reactions(count) => {
                confirmed.reactions += count;
                Live::count(&live.reactions, count);
            }
            Purpose::Tip { cents } => {
                confirmed.tips += 1;
                confirmed.tipped += rust_decimal::Decimal::new(cents, 2);
                let is_pending = ack.status.is_some_and(|status| status != "CAPTURED" && status != "PAID");
                confirmed.tips_pending += u64::from(is_pending);
                Live::count(&live.tips, 1);
                live.tip_cents.fetch_add(cents, Ordering::Relaxed);
            }
        }
    }

    fn note_refusal(&mut self, refusal: Refusal) {
        *self.record.refusals.entry(refusal.code.clone()).or_default() += 1;
        let Some(id) = refusal.request_id else {
            return self.record.fault(format!("{}: {}", refusal.code, refusal.detail));
        };
        let Some(request) = self.requests.get_mut(&id) else { return };
        match refusal.retry_after {
            Some(seconds) if request.repeats < REPEATS_MAX => {
                request.repeats += 1;
                self.repeats.push((Instant::now() + Duration::from_secs(seconds), id));
            }
            Some(_) | None => {
                self.record
                    .fault(format!("{:?} refused: {}: {}", request.purpose, refusal.code, refusal.detail));
                self.requests.remove(&id);
                self.stage.live.unanswered.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}
