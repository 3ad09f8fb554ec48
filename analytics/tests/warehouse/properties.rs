//! Random shows, and every figure of them.

use super::checks::check_show;
use super::engine::{Database, Engine};
use super::latest::check_latest;
use super::many::check_many;
use super::world::{self, BEGIN_MS, Recorded, Show};
use analytics::figures::{AsOf, Figures, rollup};
use analytics::rows::Rows;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use rand_like::Shuffled;
use schemas::{Position, ShowId, Timestamp};

/// How many random worlds a run makes; `PROPTEST_CASES` says otherwise.
const WORLDS: u32 = 24;
/// How often a world that fails is tried to be made smaller: each try costs a database.
const SHRINKS_MAX: u32 = 20;

#[test]
fn every_figure_is_what_brute_force_gives() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let engine = runtime.block_on(Engine::start());
    let cases = std::env::var("PROPTEST_CASES").map_or(WORLDS, |cases| cases.parse().unwrap());
    let mut config =
        Config { cases, max_shrink_iters: SHRINKS_MAX, failure_persistence: None, ..Config::default() };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(uuid::Uuid::new_v4().as_u64_pair().0);
    }
    // shown where the test fails, beside the smallest world that does
    println!("PROPTEST_RNG_SEED={} PROPTEST_CASES={cases} makes these worlds again", config.rng_seed);
    let inputs = (world::plans(), any::<u64>(), 0..100_u64, 0..4_000_000_i64);
    TestRunner::new(config)
        .run(&inputs, |(plans, seed, cut, later)| {
            runtime.block_on(check(&engine, &world::world(&plans), seed, cut, later));
            Ok(())
        })
        .unwrap();
}

async fn check(engine: &Engine, shows: &[Show], seed: u64, cut: u64, later: i64) {
    let database = Database::new(engine).await;
    let figures = Figures::new(database.client.clone());
    let last = shows.iter().flat_map(|show| &show.events).map(|event| event.position).max().unwrap();
    let position = last * cut / 100;
    let as_of = |position, time| AsOf { position: Position(position), time: Timestamp::from_millis(time) };
    deliver_beyond_rollups(&database, shows, position).await;
    for show in shows {
        check_latest(&figures, show, as_of(position, BEGIN_MS + later)).await;
        check_latest(&figures, show, as_of(0, 0)).await;
        check_show(&figures, show, as_of(position, 0)).await;
        check_show(&figures, show, as_of(last, BEGIN_MS + later)).await;
    }
    deliver(&database, shows, seed).await;
    for as_of in [as_of(last, BEGIN_MS + later), as_of(position, 0), as_of(u64::MAX, BEGIN_MS + 40_000_000)] {
        for show in shows {
            check_show(&figures, show, as_of).await;
        }
    }
    check_many(&figures, shows, &world::frame()).await;
    database.drop().await;
}

/// The events up to a position with their roll-ups, and then all events, of which the roll-ups do not know yet.
async fn deliver_beyond_rollups(database: &Database, shows: &[Show], position: u64) {
    for up_to in [position, u64::MAX] {
        let mut rows = Rows::default();
        for show in shows {
            for event in show.events.iter().filter(|event| event.position <= up_to) {
                world::add(&mut rows, show.id, event);
            }
        }
        database.insert(&rows).await;
        if up_to == position {
            let touched: Vec<ShowId> = rows.shows.iter().copied().collect();
            rollup::refresh(&database.client, &touched).await.unwrap();
        }
    }
}

/// Half of the events first, in any order and some of them twice, then all of them in another order, in other batches.
async fn deliver(database: &Database, shows: &[Show], seed: u64) {
    let all: Vec<(ShowId, &Recorded)> =
        shows.iter().flat_map(|show| show.events.iter().map(|event| (show.id, event))).collect();
    let mut order = Shuffled(seed);
    let half = order.of(&all)[..all.len() / 2].to_vec();
    let whole = order.of(&all);
    let (first, rest) = whole.split_at(whole.len() / 3);
    for batch in [&half[..], &half[..half.len() / 2], rest, first] {
        let mut rows = Rows::default();
        for (show, event) in batch {
            world::add(&mut rows, *show, event);
        }
        database.insert(&rows).await;
        rollup::refresh(&database.client, &rows.shows.iter().copied().collect::<Vec<_>>()).await.unwrap();
    }
}

/// Orders that follow from a seed.
mod rand_like {
    pub struct Shuffled(pub u64);

    impl Shuffled {
        fn next(&mut self) -> u64 {
            // SplitMix64
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
        }

        pub fn of<T: Clone>(&mut self, items: &[T]) -> Vec<T> {
            let mut keyed: Vec<(u64, T)> = items.iter().map(|item| (self.next(), item.clone())).collect();
            keyed.sort_by_key(|(key, _)| *key);
            keyed.into_iter().map(|(_, item)| item).collect()
        }
    }
}
