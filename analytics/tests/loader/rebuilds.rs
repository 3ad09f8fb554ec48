//! The warehouse is filled from the log, beside the loader and in its place.

use analytics::backfill::{Backfill, Beside, Filled};
use analytics::figures::AsOf;
use analytics::migrate::Layout;
use clickhouse::Client;
use schemas::published::{PARTITIONS, Published};
use schemas::{Position, Timestamp};

use crate::scene::{Scene, until_state};
use crate::stores::with_stores;
use crate::topic::in_order;

async fn fill(client: &Client, topic: &str, events: &[Published]) -> Filled {
    let last = events.last().unwrap();
    fill_up_to(client, topic, events, last.position, last.occurred_at).await
}

async fn fill_up_to(
    client: &Client,
    topic: &str,
    events: &[Published],
    position: Position,
    time: Timestamp,
) -> Filled {
    let mut told = Vec::new();
    let mut backfill = Backfill::new(client, topic, PARTITIONS, |filled| told.push(filled));
    for event in events {
        backfill.add(event).await.unwrap();
    }
    let filled = backfill.finish(AsOf { position, time }).await.unwrap();
    assert_eq!(told.last(), Some(&filled));
    assert_eq!((filled.events, filled.to_roll_up), (events.len() as u64, 0));
    filled
}

#[test]
fn a_warehouse_that_was_filled_from_the_log_goes_on_with_the_topic() {
    with_stores(async |stores| {
        let mut scene = Scene::new(stores, 8).await;
        let events = in_order(&scene.shows);
        let (early, late) = events.split_at(events.len() / 2);
        // up to somewhere between two records of most partitions
        fill(&scene.database.client, &scene.topic.name, early).await;
        assert_eq!(scene.offset(7).await, -1);
        let loader = scene.loader();
        scene.topic.publish_some(early).await;
        scene.topic.publish_some(late).await;
        scene.topic.close(late).await;
        scene.check().await;
        scene.end([loader]).await;
    });
}

#[test]
fn a_hole_is_cured_by_filling_from_the_log() {
    with_stores(async |stores| {
        let mut scene = Scene::new(stores, 8).await;
        let events = in_order(&scene.shows);
        let third = events.len() / 3;
        // the topic forgot its beginning
        for event in &events[..third] {
            scene.topic.chain(event.clone());
        }
        let loader = scene.loader();
        scene.topic.publish_some(&events[third..]).await;
        scene.topic.close(&events).await;
        until_state(&loader, "holes are seen", |state| state.halted() > 0).await;
        let upto = &events[third - 1];
        fill_up_to(
            &scene.database.client,
            &scene.topic.name,
            &events[..third],
            upto.position,
            upto.occurred_at,
        )
        .await;
        scene.check().await;
        until_state(&loader, "all go on", |state| state.halted() == 0).await;
        scene.end([loader]).await;
    });
}

#[test]
fn a_running_loader_follows_when_the_tables_are_exchanged() {
    with_stores(async |stores| {
        let mut scene = Scene::new(stores, 8).await;
        let events = in_order(&scene.shows);
        let (early, late) = events.split_at(events.len() / 2);
        let loader = scene.loader();
        scene.topic.publish_some(early).await;
        scene.topic.close(early).await;
        scene.loaded(early.last().unwrap().position).await;
        // what serves is wrong, so that it is seen whose facts are read afterwards
        scene.database.client.query("TRUNCATE TABLE fact_messages").execute().await.unwrap();
        let (serving, layout) = (&scene.database.client, Layout::default());
        // one that was left half-filled by a process that was killed
        drop(Beside::make(serving, &layout).await.unwrap());
        let beside = Beside::make(serving, &layout).await.unwrap();
        fill(&beside.client(), &scene.topic.name, &early[..early.len() / 2]).await;
        beside.put_in_place().await.unwrap();
        scene.topic.publish_some(late).await;
        scene.topic.close(late).await;
        scene.check().await;
        scene.end([loader]).await;
    });
}
