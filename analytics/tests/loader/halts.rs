//! What cannot be loaded: holes, poison, and what a newer version says.

use schemas::published::{Published, partition_of};
use schemas::{Position, Timestamp};

use crate::scene::{Scene, until_state};
use crate::stores::with_stores;
use crate::topic::in_order;

/// The event in the middle of those of the busiest partition, and that partition.
fn middle(events: &[Published]) -> (usize, i32) {
    let of = |partition: i32| {
        events.iter().enumerate().filter(move |(_, event)| partition_of(&event.stream) == partition)
    };
    let partition = (0..12).max_by_key(|partition| of(*partition).count()).unwrap();
    let count = of(partition).count();
    (of(partition).nth(count / 2).unwrap().0, partition)
}

/// How far the other partitions are, at least.
fn others_are_at(state: &analytics::loader::LoaderState, but: i32, position: Position) -> bool {
    let mut others = state.partitions.iter().filter(|(partition, _)| **partition != but);
    others.all(|(_, other)| other.position >= Some(position) && other.halted.is_none())
}

#[test]
fn a_hole_stops_its_partition_until_the_relay_fills_it() {
    with_stores(async |stores| {
        let mut scene = Scene::new(stores, 8).await;
        let loader = scene.loader();
        let events = in_order(&scene.shows);
        let (missing, partition) = middle(&events);
        scene.topic.publish_some(&events[..missing]).await;
        let lost = scene.topic.chain(events[missing].clone());
        let before = scene.topic.said();
        scene.topic.publish_some(&events[missing + 1..]).await;
        scene.topic.close(&events).await;
        let last = scene.last();
        until_state(&loader, "the hole is seen, the others go on", |state| {
            state.partitions.get(&partition).is_some_and(|hit| hit.halted.is_some())
                && others_are_at(state, partition, last)
        })
        .await;
        let halted = loader.state().partitions[&partition].clone();
        assert!(halted.position < Some(events[missing].position));
        assert!(halted.halted.unwrap().contains(&events[missing].position.to_string()));
        assert_eq!(loader.check()(), Err("1 partitions are halted".to_owned()));
        // the relay begins again before the hole
        scene.topic.send_raw(&[lost]).await;
        scene.topic.repeat(before).await;
        scene.check().await;
        until_state(&loader, "it goes on", |state| state.halted() == 0).await;
        scene.end([loader]).await;
    });
}

#[test]
fn what_nobody_can_read_is_set_aside_and_the_rest_goes_on() {
    with_stores(async |stores| {
        let mut scene = Scene::new(stores, 8).await;
        let loader = scene.loader();
        let events = in_order(&scene.shows);
        let (poisoned, partition) = middle(&events);
        scene.topic.publish_some(&events[..poisoned]).await;
        // a foreign producer's, and one of ours whose fields were damaged behind the last event of all
        scene.topic.send_raw(&[(partition, b"\xff not of this topic".to_vec())]).await;
        // more than a topic takes that is made without saying how much
        let large = vec![b'x'; 3 * 1024 * 1024];
        scene.topic.send_raw(&[(partition, large.clone())]).await;
        scene.topic.publish_some(&events[poisoned..]).await;
        let mut event = events[poisoned].clone();
        event.position = Position(scene.last().0 + 1);
        let (_, damaged) = scene.topic.chain(event);
        let damaged = String::from_utf8(damaged).unwrap().replace("\"revision\":\"", "\"revision\":\"x");
        scene.topic.send(vec![(partition, damaged.clone().into_bytes())]).await;
        scene.topic.watermark(Position(scene.last().0 + 2), events.last().unwrap().occurred_at).await;
        scene.loaded(Position(scene.last().0 + 2)).await;
        scene.compare().await;
        let letters = scene.topic.dead_letters(3).await;
        assert_eq!(letters[0].1, b"\xff not of this topic");
        assert!(letters[1].1 == large);
        assert_eq!(letters[2].1, damaged.into_bytes());
        for (at, _, headers) in letters {
            assert_eq!(at, partition);
            let header = |name: &str| &headers.iter().find(|(key, _)| key == name).unwrap().1;
            assert_eq!((header("topic"), header("partition")), (&scene.topic.name, &partition.to_string()));
            assert!(header("reason").contains("no record of this topic"), "{headers:?}");
            assert!(
                header("offset").parse::<i64>().unwrap() > 0 && header("time-ms").parse::<i64>().unwrap() > 0
            );
        }
        let [time, bytes, cleaning, _] = scene.topic.dead_settings().await;
        assert_eq!([&time, &bytes, &cleaning], ["-1", "-1", "delete"], "letters are kept for ever");
        assert_eq!(loader.state().dead_letters, 3);
        assert!(loader.check()().is_ok(), "what is set aside alarms, and leaves the loader ready");
        scene.end([loader]).await;
    });
}

#[test]
fn a_topic_of_dead_letters_that_would_lose_them_is_mended() {
    with_stores(async |stores| {
        let mut scene = Scene::new(stores, 8).await;
        scene.topic.create_dead().await;
        let [week, ..] = scene.topic.dead_settings().await;
        assert_ne!(week, "-1");
        let loader = scene.loader();
        // larger than that topic takes
        scene.topic.send_raw(&[(0, vec![b'x'; 3 * 1024 * 1024])]).await;
        assert_eq!(scene.topic.dead_letters(1).await.len(), 1);
        assert_eq!(scene.topic.dead_settings().await, ["-1", "-1", "delete", "86400000"]);
        scene.publish().await;
        scene.check().await;
        scene.end([loader]).await;
    });
}

#[test]
fn what_a_newer_version_says_stops_its_partition() {
    with_stores(async |stores| {
        let mut scene = Scene::new(stores, 8).await;
        let loader = scene.loader();
        let events = in_order(&scene.shows);
        let (newer, partition) = middle(&events);
        scene.topic.publish_some(&events[..newer]).await;
        let (_, record) = scene.topic.chain(events[newer].clone());
        let record = String::from_utf8(record).unwrap().replacen(".v1\"", ".v2\"", 1);
        scene.topic.send(vec![(partition, record.into_bytes())]).await;
        scene.topic.publish_some(&events[newer + 1..]).await;
        scene.topic.close(&events).await;
        let last = scene.last();
        until_state(&loader, "it stops, the others go on", |state| {
            state.partitions.get(&partition).is_some_and(|hit| hit.halted.is_some())
                && others_are_at(state, partition, last)
        })
        .await;
        let hit = loader.state().partitions[&partition].clone();
        assert!(hit.halted.unwrap().contains("upgrade"));
        assert!(hit.position < Some(events[newer].position));
        assert_eq!(loader.state().dead_letters, 0, "it is not set aside");
        scene.end([loader]).await;
    });
}

/// What relays without the lead say: ahead of the chain, and what was said before.
#[test]
fn relays_that_take_themselves_for_the_leader_halt_nothing() {
    with_stores(async |stores| {
        let mut scene = Scene::new(stores, 8).await;
        let loader = scene.patient_loader();
        let events = in_order(&scene.shows);
        let third = events.len() / 3;
        scene.topic.publish_some(&events[..third]).await;
        // records that are still under way when another takes the lead: two such relays, from different places on
        let first = scene.topic.chain_all(&events[third..2 * third]);
        let second = scene.topic.chain_all(&events[2 * third..]);
        for (one, other) in first[third / 2..].chunks(7).zip(second[third / 2..].chunks(5)) {
            scene.topic.send_raw(other).await;
            scene.topic.send_raw(one).await;
        }
        let beyond = Position(scene.last().0 + 1);
        let ahead = scene.topic.watermarks(beyond, Timestamp::from_millis(9_000_000_000_000));
        scene.topic.send_raw(&ahead).await;
        // what nobody can read is set aside at once, so that it can be seen when all before it was looked at
        let garbage: Vec<_> = (0..12).map(|partition| (partition, b"garbage".to_vec())).collect();
        scene.topic.send_raw(&garbage).await;
        until_state(&loader, "it has looked at everything", |state| state.dead_letters >= 12).await;
        let state = loader.state();
        let passed_over = events[third..third + third / 2].iter().chain(&events[2 * third..][..third / 2]);
        for missing in passed_over {
            let hit = &state.partitions[&partition_of(&missing.stream)];
            assert!(hit.position < Some(missing.position), "{hit:?} promises {}", missing.position);
            assert!(hit.time.is_none_or(|time| time.millis_since(events.last().unwrap().occurred_at) <= 0));
        }
        assert_eq!(state.halted(), 0, "nothing is wrong yet");
        // a loader that takes over in the hole
        loader.shutdown().await;
        let loader = scene.patient_loader();
        for said in [&first, &second[..third / 2], &first[third / 3..], &second, &ahead] {
            scene.topic.send_raw(said).await;
        }
        scene.loaded(beyond).await;
        scene.compare().await;
        assert_eq!(loader.state().halted(), 0);
        scene.end([loader]).await;
    });
}
