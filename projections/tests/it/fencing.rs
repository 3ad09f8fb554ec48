//! One instance applies; the others stand by, and whoever thinks it still leads finds that it does not.

use projections::{Projections, ViewState};

use super::bench::{Bench, until};
use super::history::History;

fn leads(projections: &Projections, view: &str) -> bool {
    matches!(projections.health()[view].state, ViewState::CatchingUp | ViewState::Live)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_instance_applies_and_another_takes_over() {
    let bench = Bench::new("fencing_two").await;
    let events = History::of(3, 400);
    bench.append(&events[..200]);
    let one = Projections::start_views(&bench.deps(), &["viewers"]);
    bench.reached("viewers").await;
    let two = Projections::start_views(&bench.deps(), &["viewers"]);
    until("the second stands by", async || two.health()["viewers"].state == ViewState::Standby).await;
    assert!(leads(&one, "viewers"));
    assert_eq!((two.positions()["viewers"], (two.check())()), (None, Ok(String::new())));

    bench.append(&events[200..300]);
    one.shutdown().await;
    bench.append(&events[300..]);
    bench.reached("viewers").await;
    until("the second leads", async || leads(&two, "viewers")).await;
    two.shutdown().await;
    let live = bench.hash("viewers").await;
    assert_eq!(live, bench.replayed("viewers").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_lost_its_lock_unknowingly_is_fenced_by_the_checkpoint() {
    let bench = Bench::new("fencing_zombie").await;
    let events = History::of(4, 400);
    bench.append(&events[..100]);
    let zombie = Projections::start_views(&bench.deps(), &["tips"]);
    bench.reached("tips").await;
    let heir = Projections::start_views(&bench.deps(), &["tips"]);
    until("the heir stands by", async || heir.health()["tips"].state == ViewState::Standby).await;

    bench.log.faults().stall(true);
    let mut cut = 0;
    until("the lock's connection is cut", async || {
        let ended: Vec<bool> = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid) FROM pg_locks
             WHERE locktype = 'advisory' AND granted
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .fetch_all(&bench.pool)
        .await
        .unwrap();
        cut += ended.len();
        cut > 0
    })
    .await;
    until("the heir leads", async || leads(&heir, "tips")).await;
    bench.append(&events[100..]);
    bench.log.faults().stall(false);
    bench.reached("tips").await;
    until("exactly one leads", async || leads(&heir, "tips") != leads(&zombie, "tips")).await;
    heir.shutdown().await;
    zombie.shutdown().await;
    let live = bench.hash("tips").await;
    assert_eq!(live, bench.replayed("tips").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_epoch_is_over_writes_nothing_and_begins_anew() {
    let bench = Bench::new("fencing_epoch").await;
    let events = History::of(5, 300);
    let leader = Projections::start_views(&bench.deps(), &["viewers"]);
    for chunk in events.chunks(30) {
        bench.append(chunk);
        bench.reached("viewers").await;
        // what another instance does when it takes the lead; the next batch is at the leader at once
        sqlx::query("UPDATE read.views SET epoch = epoch + 1").execute(&bench.pool).await.unwrap();
    }
    leader.shutdown().await;
    let epoch: i64 = sqlx::query_scalar("SELECT epoch FROM read.views").fetch_one(&bench.pool).await.unwrap();
    assert!(epoch > 10 + 5, "the leader had to take the lead again and again, but epoch is {epoch}");
    let live = bench.hash("viewers").await;
    assert_eq!(live, bench.replayed("viewers").await);
}
