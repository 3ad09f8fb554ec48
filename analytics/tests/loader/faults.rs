//! Servers are killed, loaders come and go, and write beside each other.

use std::time::Duration;

use analytics::loader::{Loader, LoaderDeps};
use schemas::published::Published;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep};

use crate::scene::Scene;
use crate::stores::with_stores;
use crate::topic::in_order;

/// Events that are said at a time, while things happen.
const TRICKLE: usize = 20;

/// Publishes everything bit by bit; `between` happens after each bit.
async fn trickle(scene: &mut Scene<'_>, mut between: impl AsyncFnMut(usize)) {
    let events: Vec<Published> = in_order(&scene.shows);
    for (bit, events) in events.chunks(TRICKLE).enumerate() {
        scene.topic.publish_some(events).await;
        if bit % 3 == 2 {
            scene.topic.close(events).await;
        }
        between(bit).await;
    }
    scene.topic.close(&events).await;
}

#[test]
fn a_warehouse_that_is_killed_while_it_loads_loses_and_doubles_nothing() {
    with_stores(async |stores| {
        let mut scene = Scene::new(stores, 12).await;
        let loader = scene.loader();
        trickle(&mut scene, async |bit| {
            sleep(Duration::from_millis(150 + 37 * (bit as u64 % 7))).await;
            // more often it would be given up by its supervisor
            if bit % 7 == 3 && bit < 20 {
                stores.engine.kill();
            }
        })
        .await;
        scene.check().await;
        scene.end([loader]).await;
    });
}

#[test]
fn a_broker_that_is_killed_while_it_is_read_loses_and_doubles_nothing() {
    with_stores(async |stores| {
        let mut scene = Scene::new(stores, 10).await;
        let loader = scene.loader();
        trickle(&mut scene, async |bit| {
            sleep(Duration::from_millis(200)).await;
            if bit == 3 || bit == 9 {
                stores.kill_kafka();
            }
        })
        .await;
        scene.check().await;
        scene.end([loader]).await;
    });
}

/// The loader's tasks end wherever they are, as in a process that is killed: just when the progress, or the first facts of a batch, can be seen.
#[test]
fn a_loader_that_dies_at_any_moment_is_replaced() {
    const SEEN: [&str; 2] =
        ["SELECT sum(position) FROM loader_progress", "SELECT count() FROM fact_audience_changes"];
    with_stores(async |stores| {
        let mut scene = Scene::new(stores, 12).await;
        let (deps, client) = (scene.deps("loaders"), scene.database.client.clone());
        let look = async |what: usize| client.query(SEEN[what]).fetch_one::<u64>().await.unwrap_or(0);
        let mut running = start_apart(&deps);
        let mut before = 0;
        trickle(&mut scene, async |bit| {
            let begin = Instant::now();
            while look(bit % 2).await == before && begin.elapsed() < Duration::from_secs(20) {}
            let (runtime, loader) = std::mem::replace(&mut running, start_apart(&deps));
            runtime.shutdown_background();
            drop(loader);
            // what was on its way to the server when its sender died may still come
            sleep(Duration::from_millis(100)).await;
            before = look((bit + 1) % 2).await;
        })
        .await;
        scene.check().await;
        let (runtime, loader) = running;
        loader.shutdown().await;
        runtime.shutdown_background();
        scene.end([]).await;
    });
}

/// A loader with a runtime of its own, that can be ended with all its tasks.
fn start_apart(deps: &LoaderDeps) -> (Runtime, Loader) {
    let runtime = Runtime::new().unwrap();
    let entered = runtime.enter();
    let loader = Loader::start(deps.clone());
    drop(entered);
    (runtime, loader)
}

#[test]
fn loaders_that_come_and_go_lose_and_double_nothing() {
    with_stores(async |stores| {
        let mut scene = Scene::new(stores, 12).await;
        let deps = scene.deps("loaders");
        let mut loaders = vec![Loader::start(deps.clone())];
        trickle(&mut scene, async |bit| {
            sleep(Duration::from_millis(250)).await;
            match bit % 4 {
                0 | 1 => loaders.push(Loader::start(deps.clone())),
                2 if loaders.len() > 1 => loaders.remove(0).shutdown().await,
                // without a word: its place is empty until the group misses it
                _ if loaders.len() > 1 => drop(loaders.pop()),
                _ => {}
            }
        })
        .await;
        scene.check().await;
        let owned: usize = loaders.iter().map(|loader| loader.state().partitions.len()).sum();
        assert!(owned >= 12, "{owned} partitions are read");
        scene.end(loaders).await;
    });
}

/// Two groups know nothing of each other: to each of them every batch of the other is that of somebody who was taken for dead.
#[test]
fn loaders_that_take_themselves_for_the_only_one_change_no_figure() {
    with_stores(async |stores| {
        let mut scene = Scene::new(stores, 10).await;
        let one = Loader::start(scene.deps("one"));
        let other = Loader::start(scene.deps("other"));
        trickle(&mut scene, async |bit| sleep(Duration::from_millis(100 + 53 * (bit as u64 % 9))).await)
            .await;
        scene.check().await;
        scene.end([one, other]).await;
    });
}
