//! Reads the topic, gathers batches and has them written, one delivery at a time. While one is under way the next gathers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::FutureExt;
use rdkafka::Message as _;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::batch::Parcel;
use super::board::Phase;
use super::brake::{Brake, Change};
use super::consumer::{Membership, Reader};
use super::delivery::{Delivered, Delivery};
use super::halts::Halts;
use super::lane::{Lane, Message, Taken};
use super::rollups::Rollups;
use super::work::{Done, Work, task, under_way};
use crate::warehouse::Progress;

/// How long records gather where the loader follows the log. Freshness allows five seconds; less would make many small parts.
const GATHER_LIVE: Duration = Duration::from_millis(400);

/// How long they gather while it catches up: larger batches are cheaper, and nobody waits for one second more.
const GATHER_BEHIND: Duration = Duration::from_secs(2);

/// From this age of the gathered records on the loader catches up.
const BEHIND_MS: i64 = 30_000;

/// Where it catches up and nothing more came for so long, it has come to the end: records need not gather any longer.
const QUIET: Duration = Duration::from_millis(100);

/// Records are written at the latest when there are so many: an insert of this size takes a second or less.
const RECORDS_MAX: usize = 50_000;

/// Or when they are so long, in bytes. As many may be on their way and gathered, and rows take two or three times as much: some 150 MiB in all.
const BYTES_MAX: usize = 24 * 1_024 * 1_024;

/// Messages that are taken without a look at anything else.
const BURST_MAX: usize = 512;

/// How often lag and state are told where nothing happens.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// How long a stop waits for the batch that is being written. What is cut off is loaded again.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Why reading ended.
pub(crate) enum End {
    /// It was told to stop.
    Stopped,
    /// The client cannot go on; a new one may.
    Broken(KafkaError),
}

pub(crate) struct Pump {
    delivery: Delivery,
    rollups: Rollups,
    reader: Reader,
    decided: mpsc::UnboundedReceiver<Membership>,
    /// The partitions that are ours and whose progress is known.
    lanes: BTreeMap<i32, Lane>,
    work: Option<Work>,
    /// When the first and the last of the gathered records came.
    gathering: Option<(Instant, Instant)>,
    brake: Brake,
    is_kafka_away: bool,
    halts: Halts,
    told_at: Instant,
}

impl Pump {
    pub(crate) fn new(
        delivery: Delivery,
        rollups: Rollups,
        (reader, decided): (Reader, mpsc::UnboundedReceiver<Membership>),
        hole_patience: Duration,
    ) -> Self {
        Self {
            delivery,
            rollups,
            reader,
            decided,
            lanes: BTreeMap::new(),
            work: None,
            gathering: None,
            brake: Brake::default(),
            is_kafka_away: false,
            halts: Halts::new(hole_patience),
            told_at: Instant::now(),
        }
    }

    /// Loads until told to stop.
    pub(crate) async fn run(mut self, stop: &CancellationToken) -> End {
        let end = loop {
            match self.turn(stop).await {
                Ok(true) => {}
                Ok(false) => break End::Stopped,
                Err(error) => break End::Broken(error),
            }
        };
        if let (End::Stopped, Some(work)) = (&end, self.work.take())
            && let Ok(Ok(Done::Delivered(delivered))) = timeout(STOP_PATIENCE, work).await
        {
            // the roll-ups are left to whoever comes next
            self.commit(&delivered.parcels);
        }
        let reader = self.reader;
        if tokio::task::spawn_blocking(move || reader.leave()).await.is_err() {
            tracing::warn!("the group was not left in order");
        }
        end
    }

    /// Whatever comes next. False: told to stop.
    async fn turn(&mut self, stop: &CancellationToken) -> KafkaResult<bool> {
        self.start_work()?;
        let consumer = self.reader.consumer();
        let wake_at = self.wake_at();
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(false),
            Some(decision) = self.decided.recv() => self.hear(decision),
            done = under_way(&mut self.work) => self.finish(done)?,
            () = sleep_until(wake_at) => self.look_around()?,
            message = consumer.recv(), if !self.brake.is_held() => {
                self.take(message)?;
                for _ in 1..BURST_MAX {
                    if self.brake.is_held() {
                        break;
                    }
                    // a decision of the group comes between messages, and ends the burst
                    match consumer.recv().now_or_never() {
                        Some(message) => self.take(message)?,
                        None => break,
                    }
                }
            }
        }
        Ok(true)
    }

    fn take(&mut self, message: Result<BorrowedMessage<'_>, KafkaError>) -> KafkaResult<()> {
        let message = match message {
            Ok(message) => message,
            Err(error @ KafkaError::MessageConsumptionFatal(_)) => return Err(error),
            Err(error) => {
                self.hear_error(&error);
                return Ok(());
            }
        };
        if std::mem::take(&mut self.is_kafka_away) {
            self.delivery.board.set_phase(Phase::Running);
        }
        let partition = message.partition();
        let Some(lane) = self.lanes.get_mut(&partition) else { return Ok(()) };
        let taken = lane.take(Message {
            offset: message.offset(),
            time_ms: message.timestamp().to_millis(),
            key: message.key(),
            payload: message.payload().unwrap_or_default(),
        });
        match taken {
            Taken::Gathered => {
                let now = Instant::now();
                self.gathering.get_or_insert((now, now)).1 = now;
                self.halts.note_taken(partition, lane);
            }
            Taken::Dropped => metrics::counter!("loader_repeats_total").increment(1),
            Taken::Refused => {
                self.halts.note(partition, lane);
                if lane.is_stopped() {
                    self.reader.pause([partition].into_iter())?;
                }
            }
        }
        self.hold_back()
    }

    /// The client goes on by itself, whatever it is.
    fn hear_error(&mut self, error: &KafkaError) {
        metrics::counter!("loader_kafka_errors_total").increment(1);
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            tracing::warn!("kafka gives no messages: {error}");
            return;
        }
        // told with each of many tries to connect
        if !self.is_kafka_away {
            self.is_kafka_away = true;
            tracing::warn!("kafka is away: {error}");
            self.delivery.board.set_phase(Phase::Waiting { detail: error.to_string() });
        }
    }

    /// What the group decided. Whatever is under way belonged to partitions that may be another's now: it is given up.
    fn hear(&mut self, decision: Membership) {
        self.lanes.clear();
        self.work = None;
        self.gathering = None;
        self.brake = Brake::default();
        match decision {
            Membership::Given(partitions) => {
                tracing::info!("partitions {partitions:?} of {} are ours", self.delivery.topic);
                self.look(partitions.into_iter().collect());
            }
            Membership::Taken => {
                tracing::info!("partitions of {} are no longer ours", self.delivery.topic);
                self.tell();
            }
        }
    }

    fn look(&mut self, partitions: BTreeSet<i32>) {
        let delivery = self.delivery.clone();
        self.work = Some(task(async move { Done::Looked(partitions, delivery.look().await) }));
    }

    /// Has the warehouse do what is due, where it does nothing.
    fn start_work(&mut self) -> KafkaResult<()> {
        if self.work.is_some() {
            return Ok(());
        }
        if self.is_due() {
            self.rollups.set_behind(self.is_behind());
            let lanes = self.lanes.values_mut().filter(|lane| !lane.gathered().is_empty());
            let parcels: Vec<Parcel> = lanes.map(Lane::send).collect();
            self.gathering = None;
            let delivery = self.delivery.clone();
            self.work = Some(task(async move { Done::Delivered(delivery.deliver(parcels).await) }));
            return self.hold_back();
        }
        // a halted partition that has something to be written is looked at afterwards
        let due = self.halts.due(Instant::now(), |partition| {
            self.lanes.get(&partition).is_some_and(|lane| lane.gathered().is_empty())
        });
        if !due.is_empty() {
            self.look(due);
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.due_at().is_some_and(|due| Instant::now() >= due) || self.is_full()
    }

    /// Until when records gather that are not many.
    fn due_at(&self) -> Option<Instant> {
        let (first, last) = self.gathering?;
        Some(if self.is_behind() { (first + GATHER_BEHIND).min(last + QUIET) } else { first + GATHER_LIVE })
    }

    /// Whether what is gathered is old.
    fn is_behind(&self) -> bool {
        let now = self.delivery.clock.now();
        let gathered = self.lanes.values().filter(|lane| !lane.gathered().is_empty());
        let times = gathered.filter_map(Lane::time);
        times.map(|time| now.millis_since(time)).max().is_some_and(|age| age > BEHIND_MS)
    }

    fn is_full(&self) -> bool {
        let sum = |of: fn(&Lane) -> usize| self.lanes.values().map(of).sum::<usize>();
        sum(|lane| lane.gathered().records) >= RECORDS_MAX || sum(|lane| lane.gathered().bytes) >= BYTES_MAX
    }

    /// Nothing happened for a while.
    fn look_around(&mut self) -> KafkaResult<()> {
        if self.work.is_none() && self.gathering.is_none() {
            self.rollups.set_behind(false);
        }
        self.tell();
        self.hold_back()
    }

    /// Reads no more while a full batch waits for the one before it.
    fn hold_back(&mut self) -> KafkaResult<()> {
        let change = self.brake.set(self.work.is_some() && self.is_full(), Instant::now());
        let running =
            self.lanes.iter().filter(|(_, lane)| !lane.is_stopped()).map(|(partition, _)| *partition);
        match change {
            Some(Change::Pause) => self.reader.pause(running),
            Some(Change::Resume) => self.reader.resume(running),
            None => Ok(()),
        }
    }

    fn finish(&mut self, done: Done) -> KafkaResult<()> {
        self.work = None;
        match done {
            Done::Delivered(delivered) => self.settle(delivered)?,
            Done::Looked(partitions, found) => self.begin(&partitions, &found)?,
        }
        self.tell();
        self.hold_back()
    }

    /// Partitions begin, or begin again, at what the warehouse says.
    fn begin(&mut self, partitions: &BTreeSet<i32>, found: &BTreeMap<i32, Progress>) -> KafkaResult<()> {
        let is_new = self.lanes.is_empty();
        let mut should_move = is_new;
        for partition in partitions {
            let progress = found.get(partition).copied();
            match self.lanes.get_mut(partition) {
                Some(lane) => {
                    if lane.confirmed().map(|confirmed| confirmed.position)
                        != progress.map(|progress| progress.position)
                    {
                        self.rollups.doubt();
                    }
                    should_move |= self.halts.look(*partition, lane, progress);
                }
                None => {
                    self.lanes.insert(*partition, Lane::new(*partition, progress));
                }
            }
        }
        if is_new {
            self.halts.keep(partitions);
            let lanes = self.lanes.iter().map(|(partition, lane)| (*partition, lane.confirmed()));
            self.rollups.take_over(lanes);
        }
        if should_move { self.go_on() } else { Ok(()) }
    }

    /// The batches are written. A partition that somebody else moved begins again where it is now.
    fn settle(&mut self, delivered: Delivered) -> KafkaResult<()> {
        let mut are_all_ours = true;
        let Delivered { parcels, found } = delivered;
        self.commit(&parcels);
        for parcel in parcels {
            let Parcel { partition, batch, next, .. } = parcel;
            let found = found.get(&partition).copied();
            let Some(lane) = self.lanes.get_mut(&partition) else { continue };
            if !lane.settle(next, found) {
                metrics::counter!("loader_rewinds_total").increment(1);
                tracing::warn!(
                    partition,
                    "the progress of partition {partition} was moved by somebody else, which is followed"
                );
                lane.restart(found, false);
                self.rollups.doubt();
                are_all_ours = false;
            }
            self.rollups.note(partition, batch.rows.shows, found);
        }
        if are_all_ours { Ok(()) } else { self.go_on() }
    }

    fn commit(&self, parcels: &[Parcel]) {
        let offsets = parcels.iter().filter_map(|parcel| Some((parcel.partition, parcel.next?.offset?)));
        self.reader.commit(offsets);
    }

    fn go_on(&mut self) -> KafkaResult<()> {
        self.brake = Brake::default();
        self.reader.go_on(self.lanes.iter().map(|(partition, lane)| (*partition, lane)))
    }

    fn wake_at(&self) -> Instant {
        let due = self.due_at().filter(|_| self.work.is_none());
        let halted = self.halts.next().filter(|_| self.work.is_none());
        let tell = self.told_at + TELL_INTERVAL;
        [due, halted, self.brake.pause_at()].into_iter().flatten().fold(tell, Instant::min)
    }

    fn tell(&mut self) {
        self.told_at = Instant::now();
        let lanes =
            self.lanes.iter().map(|(partition, lane)| (*partition, lane, self.halts.is_sure(*partition)));
        self.delivery.board.set_partitions(lanes, &self.delivery.clock);
    }
}
