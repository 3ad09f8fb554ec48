//! Records come in order, again, and as if for the first time.

use analytics::loader::Phase;
use schemas::{Position, Timestamp};
use uuid::Uuid;

use crate::engine::Database;
use crate::scene::{Scene, shows, until, until_state};
use crate::stores::with_stores;
use crate::topic::{Topic, in_order};

#[test]
fn every_figure_of_what_the_topic_says_is_there() {
    with_stores(async |stores| {
        let mut scene = Scene::new(stores, 8).await;
        let loader = scene.loader();
        scene.publish().await;
        scene.check().await;
        // everything again, as by a relay that lost where it was, and then its watermark
        scene.topic.repeat(0).await;
        let later = Timestamp::from_millis(9_000_000_000_000);
        let beyond = Position(scene.last().0 + 5);
        scene.topic.watermark(beyond, later).await;
        scene.loaded(beyond).await;
        scene.compare().await;
        assert_eq!(loader.check()(), Ok("12 partitions, 0 s behind".to_owned()));
        let state = loader.state();
        assert_eq!((state.phase, state.dead_letters, state.partitions.len()), (Phase::Running, 0, 12));
        assert!(
            state.partitions.values().all(|partition| partition.time == Some(later)),
            "watermarks tell times"
        );
        scene.end([loader]).await;
    });
}

#[test]
fn a_loader_goes_on_where_the_warehouse_is_not_where_kafka_thinks() {
    with_stores(async |stores| {
        let mut scene = Scene::new(stores, 6).await;
        let events = in_order(&scene.shows);
        let (early, late) = events.split_at(events.len() / 2);
        scene.topic.publish_some(early).await;
        scene.topic.close(early).await;
        let loader = scene.loader();
        scene.loaded(early.last().unwrap().position).await;
        loader.shutdown().await;
        // a group of another name has no offsets in Kafka at all, and reads nothing twice
        let loader = analytics::loader::Loader::start(scene.deps("others"));
        scene.topic.publish_some(late).await;
        scene.topic.close(late).await;
        scene.check().await;
        let twice = "SELECT count() - uniqExact(stream, revision) FROM fact_events";
        assert_eq!(scene.database.client.query(twice).fetch_one::<i64>().await.unwrap(), 0);
        scene.end([loader]).await;
    });
}

#[test]
fn an_offset_that_is_no_more_begins_at_the_beginning() {
    with_stores(async |stores| {
        let mut scene = Scene::new(stores, 4).await;
        let events = in_order(&scene.shows);
        let (early, late) = events.split_at(events.len() / 2);
        scene.topic.publish_some(early).await;
        scene.topic.close(early).await;
        let loader = scene.loader();
        scene.loaded(early.last().unwrap().position).await;
        loader.shutdown().await;
        // the offsets are those of a topic that was lost
        let lost = "INSERT INTO loader_progress SELECT topic, partition, position, time, 1000000 + offset, now64(3) FROM loading";
        scene.database.client.query(lost).execute().await.unwrap();
        assert!(scene.offset(7).await > 1_000_000);
        scene.topic.publish_some(late).await;
        scene.topic.close(late).await;
        let loader = scene.loader();
        scene.check().await;
        assert!(scene.offset(7).await < 1_000_000);
        scene.end([loader]).await;
    });
}

#[test]
fn what_is_not_there_yet_is_waited_for() {
    with_stores(async |stores| {
        let name = format!("later-{}", Uuid::now_v7().simple());
        let topic = Topic::named(stores, name);
        let database = Database::new(&stores.engine).await;
        let mut scene = Scene { stores, database, topic, shows: shows(2) };
        // neither tables nor topic
        scene.database.client.query("DROP TABLE loader_progress").execute().await.unwrap();
        let loader = scene.loader();
        until_state(&loader, "the tables are there", |state| state.phase != Phase::Stopped).await;
        scene.topic.create().await;
        scene.publish().await;
        until("it misses its table", async || {
            let waits = matches!(loader.state().phase, Phase::Waiting { .. });
            waits && loader.check()().is_err()
        })
        .await;
        scene.database.client.query("TRUNCATE TABLE schema_migrations").execute().await.unwrap();
        analytics::migrate::migrate(&scene.database.client, &Default::default()).await.unwrap();
        scene.check().await;
        assert!(loader.check()().is_ok());
        scene.end([loader]).await;
    });
}
