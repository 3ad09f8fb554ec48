use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use platform::event_log::memory::MemoryLog;
use platform::event_log::{AppendError, Appended, Expected, LogItems, NewEvent, StoredEvent, codec};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use schemas::events::{PaymentApplied, PaymentEvent};
use schemas::{Actor, BodyHash, CommandId, EventId, Metadata, PaymentId, Revision, Timestamp, streams};
use uuid::Uuid;

use super::*;

const PAYMENTS: Prefixes = &[streams::PAYMENT];

/// Small enough that a slow one loses its place.
const SMALL: Bounds = Bounds { items: 8, bytes: usize::MAX };

/// A log that counts how often somebody subscribed.
struct Counting {
    log: MemoryLog,
    subscriptions: AtomicUsize,
}

#[async_trait]
impl EventLog for Counting {
    async fn append(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        self.log.append(stream, expected, events).await
    }

    async fn read_stream(
        &self,
        stream: &str,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        self.log.read_stream(stream, from, limit).await
    }

    async fn read_stream_back(
        &self,
        stream: &str,
        from: Option<Revision>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        self.log.read_stream_back(stream, from, limit).await
    }

    async fn head(&self) -> Result<Option<Position>, ReadError> {
        self.log.head().await
    }

    async fn subscribe(&self, after: Option<Position>, wanted: Prefixes) -> Result<LogItems, ReadError> {
        self.subscriptions.fetch_add(1, Ordering::Relaxed);
        self.log.subscribe(after, wanted).await
    }
}

struct Bench {
    counting: Arc<Counting>,
    log: Arc<dyn EventLog>,
    readings: Readings,
}

impl Bench {
    fn new(events: usize) -> Self {
        let counting = Arc::new(Counting { log: MemoryLog::new(3), subscriptions: AtomicUsize::new(0) });
        let bench = Self { log: counting.clone(), counting, readings: Readings::default() };
        bench.append(events);
        bench
    }

    fn append(&self, events: usize) {
        for _ in 0..events {
            let id = Uuid::from_u128(1 + self.counting.log.events().len() as u128);
            let event = PaymentEvent::Applied(PaymentApplied { payment_id: PaymentId(id) });
            let meta = Metadata {
                occurred_at: Timestamp::from_millis(0),
                actor: Actor::System,
                causation: CommandId(id),
                body_hash: BodyHash([7; 16]),
                correlation: None,
                traceparent: None,
                schema_version: 1,
            };
            let event = codec::encode(&event.into(), &meta, EventId(id)).unwrap();
            let stream = streams::payment(PaymentId(id));
            self.counting.log.append_elsewhere(&stream, Expected::Any, vec![event]).unwrap();
        }
    }

    fn positions(&self) -> Vec<Position> {
        self.counting.log.events().iter().map(|event| event.position).collect()
    }

    fn follow(&self, after: Option<Position>, bounds: Bounds) -> Follower {
        self.readings.follow_within(&self.log, after, PAYMENTS, bounds)
    }

    fn subscriptions(&self) -> usize {
        self.counting.subscriptions.load(Ordering::Relaxed)
    }

    fn open_readings(&self) -> usize {
        self.readings.0.lock().readings.iter().filter(|reading| reading.strong_count() > 0).count()
    }
}

/// The positions of so many events.
async fn events(follower: &mut Follower, count: usize) -> Vec<Position> {
    let mut found = Vec::new();
    while found.len() < count {
        for item in follower.next(count - found.len()).await.unwrap() {
            if let Item::Event(read) = item {
                found.push(read.position);
            }
        }
    }
    found
}

#[tokio::test]
async fn those_at_one_place_share_a_subscription_and_each_event() {
    let bench = Bench::new(40);
    let (mut one, mut two) = (bench.follow(None, KEPT), bench.follow(None, KEPT));
    assert_eq!(events(&mut one, 40).await, bench.positions());
    let mut late = bench.follow(Some(bench.positions()[9]), KEPT);
    assert_eq!(events(&mut two, 40).await, bench.positions());
    assert_eq!(events(&mut late, 30).await, bench.positions()[10..]);
    assert_eq!(bench.subscriptions(), 1);

    bench.append(1);
    let of = |items: Vec<Item>| match items.into_iter().next_back() {
        Some(Item::Event(read)) => read,
        other => panic!("{other:?}"),
    };
    let (one, two) = (of(one.next(9).await.unwrap()), of(two.next(9).await.unwrap()));
    assert!(Arc::ptr_eq(&one, &two), "decoded once");
    let mut others = bench.readings.follow(&bench.log, None, &["show-"]);
    assert!(matches!(others.next(9).await.unwrap()[..], [Item::Reached(_)]));
    assert_eq!(bench.subscriptions(), 2, "other streams are another subscription");
}

#[tokio::test]
async fn who_is_slow_keeps_nobody_waiting_and_comes_back_without_a_gap() {
    let bench = Bench::new(100);
    let (mut fast, mut slow) = (bench.follow(None, SMALL), bench.follow(None, SMALL));
    let mut found = events(&mut slow, 1).await;
    assert_eq!(events(&mut fast, 100).await, bench.positions());
    found.extend(events(&mut slow, 99).await);
    assert_eq!(found, bench.positions());
    assert_eq!(bench.subscriptions(), 2, "it read for itself");
    bench.append(3);
    assert_eq!(events(&mut slow, 3).await, bench.positions()[100..]);
    assert_eq!(events(&mut fast, 3).await, bench.positions()[100..]);
    assert_eq!(bench.open_readings(), 1, "both are together again");
    assert_eq!(bench.subscriptions(), 2);
}

#[tokio::test]
async fn any_number_at_any_speed_miss_nothing_and_see_nothing_twice() {
    for seed in 0..40 {
        let (bench, mut chance) = (Bench::new(60), StdRng::seed_from_u64(seed));
        let mut followers: VecDeque<_> = (0..4)
            .map(|_| {
                let begin = chance.random_range(0..60_usize);
                let after = begin.checked_sub(1).map(|last| bench.positions()[last]);
                (bench.follow(after, SMALL), begin, Vec::new())
            })
            .collect();
        for step in 0..200 {
            if step < 60 {
                bench.append(chance.random_range(0..3));
            }
            let all = bench.positions().len();
            let at = chance.random_range(0..followers.len());
            let (follower, begin, found) = &mut followers[at];
            let left = all - *begin - found.len();
            if left > 0 {
                found.extend(events(follower, chance.random_range(1..=left)).await);
            }
        }
        for (follower, begin, found) in &mut followers {
            let left = bench.positions().len() - *begin - found.len();
            found.extend(events(follower, left).await);
            assert_eq!(found[..], bench.positions()[*begin..], "seed {seed}");
        }
    }
}

#[tokio::test]
async fn who_comes_when_the_others_are_gone_is_not_kept_waiting() {
    let bench = Bench::new(100);
    let idle = bench.follow(None, SMALL);
    while idle.reading.shared.ring.lock().has_room() {
        tokio::task::yield_now().await;
    }
    let kept = idle.reading.shared.ring.lock().place_after(Some(bench.positions()[3]));
    assert_eq!(kept, Some(4), "it has read so far and waits");
    let mut late = bench.follow(Some(bench.positions()[3]), SMALL);
    drop(idle);
    assert_eq!(events(&mut late, 96).await, bench.positions()[4..]);
    assert_eq!(bench.subscriptions(), 1);
}

#[tokio::test]
async fn all_are_told_when_the_log_goes_away_and_can_begin_anew() {
    let bench = Bench::new(5);
    let (mut one, mut two) = (bench.follow(None, KEPT), bench.follow(None, KEPT));
    assert_eq!(events(&mut one, 5).await.len(), 5);
    bench.counting.log.faults().disconnect();
    let failure = one.next(9).await.unwrap_err();
    assert!(matches!(failure, Failure::LogUnavailable(_)), "{failure}");
    assert_eq!(events(&mut two, 5).await.len(), 5, "what came before is told before");
    assert!(two.next(9).await.is_err());
    let mut anew = bench.follow(None, KEPT);
    assert_eq!(events(&mut anew, 5).await.len(), 5);
    assert_eq!(bench.subscriptions(), 2);
}
