//! Rebuilding beside what is served, and swapping.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use projections::{Progress, Projections, drop_retired, hash_of, rebuild, view_names};
use tokio_util::sync::CancellationToken;

use super::bench::Bench;
use super::history::History;

#[tokio::test(flavor = "multi_thread")]
async fn where_batches_are_cut_changes_no_row() {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    for seed in 0..3 {
        let bench = Bench::new(&format!("rebuilds_cuts_{seed}")).await;
        let mut chance = StdRng::seed_from_u64(seed);
        let mut rest: &[_] = &History::of(seed, 300);
        let projections = Projections::start(&bench.deps());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(chance.random_range(1..=rest.len().min(40)));
            bench.append(now);
            for view in view_names() {
                bench.reached(view).await;
            }
            rest = later;
        }
        projections.shutdown().await;
        for view in view_names() {
            let live = bench.hash(view).await;
            assert_eq!(live, bench.replayed(view).await, "{view}, seed {seed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn different_events_give_different_digests() {
    let mut hashes = Vec::new();
    for seed in 0..2 {
        let bench = Bench::new(&format!("rebuilds_differ_{seed}")).await;
        bench.append(&History::of(seed, 60));
        bench.project("messages").await;
        hashes.push(bench.hash("messages").await);
        assert_eq!(hash_of(&bench.pool, "tips").await.unwrap(), None);
    }
    assert_ne!(hashes[0], hashes[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_under_live_appends_is_swapped_in_unnoticed() {
    let bench = Arc::new(Bench::new("rebuilds_live").await);
    let events = History::of(21, 3_000);
    let (old, new) = events.split_at(1_500);
    bench.append(old);
    let projections = Projections::start_views(&bench.deps(), &["messages"]);
    bench.reached("messages").await;

    let is_over = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(watch_rows_grow(Arc::clone(&bench), Arc::clone(&is_over)));
    let appender = {
        let (bench, new) = (Arc::clone(&bench), new.to_vec());
        tokio::spawn(async move {
            for chunk in new.chunks(5) {
                bench.append(chunk);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    let seen: Mutex<Vec<Progress>> = Mutex::default();
    let note = |progress| seen.lock().push(progress);
    rebuild(&bench.deps(), "messages", &CancellationToken::new(), &note).await.unwrap();
    appender.await.unwrap();
    bench.reached("messages").await;
    is_over.store(true, Ordering::Relaxed);
    assert!(reader.await.unwrap() > 0);

    let live = hash_of(&bench.pool, "messages").await.unwrap().unwrap();
    assert_eq!((live.version, live.generation, live.position), (1, 2, Some(bench.head())));
    let seen = seen.into_inner();
    assert!(seen.iter().all(|progress| progress.head.is_some()));
    assert!(seen.windows(2).all(|pair| pair[0].position <= pair[1].position));
    assert!(seen.last().unwrap().position >= seen[0].head);

    assert_eq!(drop_retired(&bench.pool, Duration::from_secs(600)).await.unwrap(), 0, "within its grace");
    assert_eq!(drop_retired(&bench.pool, Duration::ZERO).await.unwrap(), 1);
    let left = "pg_namespace WHERE nspname LIKE 'messages\\_v%'";
    assert_eq!(bench.rows("nspname", left).await, ["(messages_v1_g2)"]);
    assert_eq!(live.hash, bench.replayed("messages").await);
    projections.shutdown().await;
}

/// What a reader sees through `read.messages` while generations change: no error, and never fewer rows.
async fn watch_rows_grow(bench: Arc<Bench>, is_over: Arc<AtomicBool>) -> i64 {
    let (mut rows, mut position) = (0, None);
    while !is_over.load(Ordering::Relaxed) {
        let now: i64 =
            sqlx::query_scalar("SELECT count(*) FROM read.messages").fetch_one(&bench.pool).await.unwrap();
        assert!(now >= rows, "{now} rows after {rows}");
        let reached = bench.position("messages").await;
        assert!(reached >= position, "{reached:?} after {position:?}");
        (rows, position) = (now, reached);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_rebuild_leaves_what_is_served_and_goes_on_later() {
    let bench = Bench::new("rebuilds_stopped").await;
    bench.append(&History::of(5, 200));
    bench.project("tips").await;
    let served = hash_of(&bench.pool, "tips").await.unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    let error = rebuild(&bench.deps(), "tips", &stop, &|_| {}).await.unwrap_err();
    assert!(error.to_string().contains("was stopped"), "{error}");
    assert_eq!(hash_of(&bench.pool, "tips").await.unwrap(), served);
    assert_eq!(bench.replayed("tips").await, served.unwrap().hash);
    let generations = "read.views WHERE view = 'tips' ORDER BY generation";
    assert_eq!(bench.rows("generation, status", generations).await, ["(1,RETIRED)", "(2,RUNNING)"]);
    assert!(rebuild(&bench.deps(), "nothing", &stop, &|_| {}).await.is_err());
}
