//! What operators are told: how far each generation is, what it is doing, and rebuilds that are cut short.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use platform::event_log::{Expected, NewEvent};
use projections::{
    Deps, Doing, Progress, Projections, RebuildError, Standing, rebuild, standings, view_names,
};
use schemas::Position;
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;

use super::bench::{Bench, PATIENCE, until};
use super::events::{at_ms, of_show, posted};
use super::history::History;

async fn of(bench: &Bench, view: &str) -> Vec<Standing> {
    let all = standings(&bench.deps()).await.unwrap();
    all.into_iter().filter(|standing| standing.view == view).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_tells_whether_it_follows_and_how_long_events_wait() {
    let bench = Bench::new("standings_lag").await;
    assert_eq!(of(&bench, "messages").await, []);
    let events = History::of(31, 200);
    bench.append(&events[..100]);
    let projections = Projections::start_views(&bench.deps(), &["messages"]);
    bench.reached("messages").await;
    let head = bench.head();
    let live = Standing {
        view: "messages".to_owned(),
        version: 1,
        generation: 1,
        is_served: true,
        doing: Doing::Live,
        position: Some(head),
        behind: 0,
        behind_ms: 0,
    };
    assert_eq!(of(&bench, "messages").await, [live]);

    projections.shutdown().await;
    bench.clock.advance(at_ms(0).millis() + 60_000_000);
    bench.append(&events[100..]);
    let behind = of(&bench, "messages").await.pop().unwrap();
    assert_eq!((behind.doing.clone(), behind.position), (Doing::Unattended, Some(head)));
    assert_eq!(behind.behind, bench.head().0 - head.0);
    assert!(behind.behind_ms > 0, "{behind:?}");

    bench.project("messages").await;
    bench.replayed("messages").await;
    let doing: Vec<_> = of(&bench, "messages").await.into_iter().map(|s| (s.is_served, s.doing)).collect();
    assert_eq!(doing, [(false, Doing::Retired), (true, Doing::Unattended)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_halted_tells_why() {
    let bench = Bench::new("standings_halted").await;
    bench.append(&History::of(32, 50));
    let (stream, known) = of_show(4, 0, posted(42, 1, None));
    let unknown = NewEvent { kind: "FromTheFuture".to_owned(), ..known };
    bench.log.append_elsewhere(&stream, Expected::Any, vec![unknown]).unwrap();
    let projections = Projections::start_views(&bench.deps(), &["messages"]);
    until("it halts", async || match &of(&bench, "messages").await[..] {
        [Standing { doing: Doing::Halted { detail }, behind_ms, .. }] => {
            detail.contains("FromTheFuture") && *behind_ms > 0
        }
        _ => false,
    })
    .await;
    projections.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_is_cut_short_goes_on_where_it_was_while_two_nodes_run() {
    let bench = Arc::new(Bench::new("standings_resumed").await);
    // more than fits in a batch
    let events = History::of(33, 6_000);
    let (old, new) = events.split_at(5_500);
    bench.append(old);
    let nodes = [(); 2].map(|()| Projections::start_views(&bench.deps(), &["messages"]));
    bench.reached("messages").await;
    let appender = {
        let (bench, new) = (Arc::clone(&bench), new.to_vec());
        tokio::spawn(async move {
            for chunk in new.chunks(5) {
                bench.append(chunk);
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        })
    };

    let stop = CancellationToken::new();
    let first = AtomicU64::new(0);
    let cut_short = |progress: Progress| {
        assert!(!progress.is_resumed);
        first.store(progress.events, Ordering::Relaxed);
        stop.cancel();
    };
    let stopped = rebuild(&bench.deps(), "messages", &stop, &cut_short).await;
    assert!(matches!(stopped, Err(RebuildError::Stopped)), "{stopped:?}");
    let beside = of(&bench, "messages").await.pop().unwrap();
    assert_eq!((beside.generation, beside.is_served, beside.doing), (2, false, Doing::Unattended));
    assert!(beside.position > Some(Position(0)));

    let (is_resumed, second) = (AtomicBool::new(false), AtomicU64::new(0));
    let go_on = |progress: Progress| {
        is_resumed.store(progress.is_resumed, Ordering::Relaxed);
        second.store(progress.events, Ordering::Relaxed);
    };
    rebuild(&bench.deps(), "messages", &CancellationToken::new(), &go_on).await.unwrap();
    assert!(is_resumed.load(Ordering::Relaxed));
    let (first, second) = (first.load(Ordering::Relaxed), second.load(Ordering::Relaxed));
    assert!(first > 0 && second < 5_600 - first, "{second} events after {first}: not from the beginning");

    appender.await.unwrap();
    bench.reached("messages").await;
    let lead = nodes.iter().filter(|node| node.positions()["messages"].is_some()).count();
    assert_eq!(lead, 1, "one of the nodes fills the new generation");
    let live = bench.hash("messages").await;
    for node in nodes {
        node.shutdown().await;
    }
    assert_eq!(live, bench.replayed("messages").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_log_is_rebuilt_from_too() {
    let bench = Bench::new("standings_empty").await;
    let deps = bench.deps();
    tokio::time::timeout(PATIENCE, rebuild_one(&deps, "messages")).await.expect("nothing is waited for");
    let served: Vec<_> =
        of(&bench, "messages").await.into_iter().map(|s| (s.generation, s.is_served)).collect();
    assert_eq!(served, [(1, false), (2, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rebuilds_of_one_view_do_not_run_at_once() {
    let bench = Arc::new(Bench::new("standings_two").await);
    bench.append(&History::of(34, 300));
    bench.project("tips").await;
    // the first one cannot go on: the log stands still
    bench.log.faults().stall(true);
    let stop = CancellationToken::new();
    let first = tokio::spawn({
        let (stop, deps) = (stop.clone(), bench.deps());
        async move { rebuild(&deps, "tips", &stop, &|_| {}).await }
    });
    until("the first has begun", async || {
        let beside = of(&bench, "tips").await.pop().unwrap();
        beside.generation == 2 && beside.doing != Doing::Unattended
    })
    .await;
    let second = rebuild(&bench.deps(), "tips", &CancellationToken::new(), &|_| {}).await;
    assert!(matches!(second, Err(RebuildError::Running)), "{second:?}");
    stop.cancel();
    assert!(matches!(first.await.unwrap(), Err(RebuildError::Stopped)));
    bench.log.faults().stall(false);
    // freed at once: nobody waits for the server to notice
    let now = CancellationToken::new();
    rebuild(&bench.deps(), "tips", &now, &|_| {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_filled_and_rebuilt_with_two_connections_of_the_pool() {
    let bench = Bench::new("standings_connections").await;
    bench.append(&History::of(35, 600));
    let options = (*bench.pool.connect_options()).clone();
    let pool = PgPoolOptions::new().max_connections(2).connect_with(options).await.unwrap();
    let deps = Deps { pool, ..bench.deps() };
    let projections = Projections::start(&deps);
    for view in view_names() {
        bench.reached(view).await;
    }
    let rebuilt = view_names().into_iter().map(|view| rebuild_one(&deps, view));
    futures::future::join_all(rebuilt).await;
    bench.append(&History::of(35, 700)[600..700]);
    for view in view_names() {
        bench.reached(view).await;
    }
    projections.shutdown().await;
}

async fn rebuild_one(deps: &Deps, view: &str) {
    rebuild(deps, view, &CancellationToken::new(), &|_| {}).await.unwrap();
}
