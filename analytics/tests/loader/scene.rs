//! Shows, a topic, a warehouse and loaders between them.

use std::time::Duration;

use analytics::figures::{AsOf, Figures};
use analytics::loader::{Loader, LoaderDeps, LoaderSettings, LoaderState};
use analytics::migrate::Layout;
use platform::clock::Clock;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use schemas::published::PARTITIONS;
use schemas::{Position, Timestamp};
use tokio::time::{Instant, timeout};

use crate::checks::check_show;
use crate::engine::Database;
use crate::many::check_many;
use crate::stores::Stores;
use crate::topic::{Topic, in_order};
use crate::world::{self, BEGIN_MS, Show};

/// Longest that anything here may take; generous, since the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// How often what is waited for is looked at.
const LOOK: Duration = Duration::from_millis(50);

pub struct Scene<'s> {
    pub stores: &'s Stores,
    pub database: Database,
    pub topic: Topic,
    pub shows: Vec<Show>,
}

/// Random shows, the same in each run: at least so many.
pub fn shows(count: usize) -> Vec<Show> {
    let mut runner = TestRunner::deterministic();
    let mut plans = Vec::new();
    while plans.len() < count {
        plans.extend(world::plans().new_tree(&mut runner).unwrap().current());
    }
    world::world(&plans)
}

impl<'s> Scene<'s> {
    pub async fn new(stores: &'s Stores, count: usize) -> Self {
        let (database, topic) = (Database::new(&stores.engine).await, Topic::new(stores).await);
        Self { stores, database, topic, shows: shows(count) }
    }

    pub fn deps(&self, group: &str) -> LoaderDeps {
        let group = format!("{group} of {}", self.topic.name);
        let settings = LoaderSettings {
            group,
            topic: self.topic.name.clone(),
            // long enough for what is said at once, short enough for those who wait for the alarm
            hole_patience: Duration::from_secs(2),
            ..LoaderSettings::new(self.stores.kafka.bootstrap())
        };
        LoaderDeps {
            warehouse: self.database.client.clone(),
            clock: Clock::system(),
            settings,
            layout: Layout::default(),
        }
    }

    pub fn loader(&self) -> Loader {
        Loader::start(self.deps("loaders"))
    }

    /// One that takes no hole for a loss, however long a busy machine takes to fill it.
    pub fn patient_loader(&self) -> Loader {
        let mut deps = self.deps("loaders");
        deps.settings.hole_patience = PATIENCE;
        Loader::start(deps)
    }

    pub async fn publish(&mut self) {
        self.topic.publish(&self.shows).await;
    }

    pub fn last(&self) -> Position {
        in_order(&self.shows).last().unwrap().position
    }

    /// Waits until facts and roll-ups are complete up to here.
    pub async fn loaded(&self, position: Position) {
        let figures = Figures::new(self.database.client.clone());
        let begin = Instant::now();
        loop {
            let asked = futures::future::join(
                figures.as_of(&self.topic.name, PARTITIONS),
                figures.rolled_up_as_of(&self.topic.name, PARTITIONS),
            );
            let told = timeout(PATIENCE, asked).await;
            let is_there = |as_of: &Result<Option<AsOf>, _>| {
                as_of.as_ref().is_ok_and(|as_of| as_of.is_some_and(|as_of| as_of.position >= position))
            };
            if told.as_ref().is_ok_and(|(facts, rollups)| is_there(facts) && is_there(rollups)) {
                return;
            }
            let elapsed = begin.elapsed();
            assert!(elapsed < PATIENCE, "{position:?} was not loaded, of facts and roll-ups: {told:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits for everything, and compares every figure.
    pub async fn check(&self) {
        self.loaded(self.last()).await;
        self.compare().await;
    }

    /// Compares every figure of every show with brute force.
    pub async fn compare(&self) {
        let figures = Figures::new(self.database.client.clone());
        assert_eq!(self.count("events").await, in_order(&self.shows).len() as u64);
        let as_of = AsOf { position: self.last(), time: Timestamp::from_millis(BEGIN_MS + 40_000_000) };
        for show in &self.shows {
            check_show(&figures, show, as_of).await;
        }
        check_many(&figures, &self.shows, &world::frame()).await;
    }

    pub async fn count(&self, table: &str) -> u64 {
        let sql = format!("SELECT count() FROM {table}");
        self.database.client.query(&sql).fetch_one().await.unwrap()
    }

    /// Where a loader would go on in a partition.
    pub async fn offset(&self, partition: i32) -> i64 {
        let sql = "SELECT offset FROM loading WHERE partition = ?";
        self.database.client.query(sql).bind(partition).fetch_one().await.unwrap()
    }

    pub async fn end(self, loaders: impl IntoIterator<Item = Loader>) {
        for loader in loaders {
            loader.shutdown().await;
        }
        self.database.drop().await;
    }
}

pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < PATIENCE, "took too long: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits for a state of a loader.
pub async fn until_state(loader: &Loader, what: &str, holds: impl Fn(&LoaderState) -> bool) {
    let begin = Instant::now();
    while !holds(&loader.state()) {
        assert!(begin.elapsed() < PATIENCE, "took too long: {what}: {:?}", loader.state());
        tokio::time::sleep(LOOK).await;
    }
}
