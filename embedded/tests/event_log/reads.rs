//! Reading streams and the whole log, and stream metadata.

use std::time::Duration;

use eventstore::{
    AppendToStreamOptions, Client, EventData, Position, ReadAllOptions, ReadEvent, ReadStreamOptions,
    StreamMetadataBuilder, StreamPosition, SubscriptionFilter,
};

use super::support::{TestNode, event, events, fresh, number, read_numbers};

async fn append(client: &Client, stream: &str, count: u64) {
    client.append_to_stream(stream, &AppendToStreamOptions::default(), events("a", count)).await.unwrap();
}

async fn numbers(client: &Client, stream: &str, options: ReadStreamOptions) -> Vec<u64> {
    let mut read = client.read_stream(stream, &options).await.unwrap();
    let mut numbers = Vec::new();
    while let Some(event) = read.next().await.unwrap() {
        numbers.push(number(&event));
    }
    numbers
}

#[tokio::test]
async fn streams_are_read_in_both_directions() {
    let node = TestNode::start().await;
    let client = node.client();
    let (stream, other) = (fresh("read"), fresh("other"));
    // one long run, then single events between those of another stream
    append(&client, &stream, 1_500).await;
    for at in 1_500..1_510 {
        let one = vec![event("a", at)];
        client.append_to_stream(stream.as_str(), &Default::default(), one).await.unwrap();
        append(&client, &other, 1).await;
    }
    let all: Vec<u64> = (0..1_510).collect();
    assert_eq!(read_numbers(&client, &stream).await, all);
    let reversed: Vec<u64> = all.iter().rev().copied().collect();
    let backwards = || ReadStreamOptions::default().backwards().max_count(usize::MAX);
    assert_eq!(numbers(&client, &stream, backwards().position(StreamPosition::End)).await, reversed);
    assert_eq!(
        numbers(&client, &stream, backwards().position(StreamPosition::Position(700))).await,
        reversed[809..]
    );
    let some = ReadStreamOptions::default().position(StreamPosition::Position(600)).max_count(700);
    assert_eq!(numbers(&client, &stream, some).await, all[600..1_300]);
    let beyond = ReadStreamOptions::default().position(StreamPosition::Position(5_000));
    assert_eq!(numbers(&client, &stream, beyond).await, Vec::<u64>::new());
    let at_end = ReadStreamOptions::default().position(StreamPosition::End).forwards();
    assert_eq!(numbers(&client, &stream, at_end).await, Vec::<u64>::new());
}

#[tokio::test]
async fn the_last_revision_is_told_after_the_events() {
    let node = TestNode::start().await;
    let client = node.client();
    let stream = fresh("last");
    append(&client, &stream, 4).await;
    let mut read =
        client.read_stream(stream.as_str(), &ReadStreamOptions::default().max_count(2)).await.unwrap();
    let mut seen = Vec::new();
    while let Some(event) = read.next_read_event().await.unwrap() {
        seen.push(match event {
            ReadEvent::Event(event) => format!("event {}", number(&event)),
            ReadEvent::FirstStreamPosition(at) => format!("first {at}"),
            ReadEvent::LastStreamPosition(at) => format!("last {at}"),
            ReadEvent::LastAllStreamPosition(at) => format!("all {at:?}"),
        });
    }
    assert_eq!(seen, ["event 0", "event 1", "last 3"]);
}

#[tokio::test]
async fn the_whole_log_is_read_in_both_directions_over_many_segments() {
    let node = TestNode::start_with(|mut config| {
        config.segment_bytes = 16 * 1024;
        config
    })
    .await;
    let client = node.client();
    let stream = fresh("all");
    let mut positions = Vec::new();
    for at in 0..300 {
        let one = vec![event("a", at)];
        let written = client.append_to_stream(stream.as_str(), &Default::default(), one).await.unwrap();
        positions.push(written.position);
    }
    assert!(positions.windows(2).all(|pair| pair[0] < pair[1]));
    let read = async |options: ReadAllOptions| {
        let mut read = client.read_all(&options.max_count(usize::MAX)).await.unwrap();
        let mut seen = Vec::new();
        while let Some(event) = read.next().await.unwrap() {
            seen.push((number(&event), event.get_original_event().position));
        }
        seen
    };
    let forwards = || ReadAllOptions::default().forwards();
    let all = read(forwards().position(StreamPosition::Start)).await;
    assert_eq!(all, (0..300).zip(positions.iter().copied()).collect::<Vec<_>>());
    let from_150 = read(forwards().position(StreamPosition::Position(positions[150]))).await;
    assert_eq!(from_150, all[150..], "forwards includes the position");
    let between = Position { commit: positions[10].commit + 1, prepare: positions[10].prepare + 1 };
    assert_eq!(read(forwards().position(StreamPosition::Position(between))).await, all[11..]);
    let reversed: Vec<_> = all.iter().rev().copied().collect();
    let backwards = || ReadAllOptions::default().backwards();
    assert_eq!(read(backwards().position(StreamPosition::End)).await, reversed);
    let before_150 = read(backwards().position(StreamPosition::Position(positions[150]))).await;
    assert_eq!(before_150, reversed[150..], "backwards excludes the position");
}

#[tokio::test]
async fn reads_of_the_whole_log_are_filtered() {
    let node = TestNode::start().await;
    let client = node.client();
    for prefix in ["show", "payment", "show"] {
        let stream = fresh(prefix);
        let two = vec![event("Started", 0), event("$internal", 1)];
        client.append_to_stream(stream.as_str(), &Default::default(), two).await.unwrap();
    }
    let count = async |filter: SubscriptionFilter| {
        let mut read =
            client.read_all(&ReadAllOptions::default().filter(filter).max_count(100)).await.unwrap();
        let mut count = 0;
        while read.next().await.unwrap().is_some() {
            count += 1;
        }
        count
    };
    assert_eq!(count(SubscriptionFilter::on_stream_name().add_prefix("show-")).await, 4);
    assert_eq!(count(SubscriptionFilter::on_stream_name().add_prefix("show-").add_prefix("pay")).await, 6);
    assert_eq!(count(SubscriptionFilter::on_event_type().exclude_system_events()).await, 3);
    assert_eq!(count(SubscriptionFilter::on_event_type().regex("^(?!\\$)")).await, 3);
    assert_eq!(count(SubscriptionFilter::on_event_type().regex("tart")).await, 3, "patterns search");
}

#[tokio::test]
async fn metadata_hides_old_events_and_keeps_other_keys() {
    let mut node = TestNode::start().await;
    let (by_count, by_start, by_age) = (fresh("count"), fresh("start"), fresh("age"));
    {
        let client = node.client();
        for stream in [&by_count, &by_start, &by_age] {
            append(&client, stream, 10).await;
        }
        let custom = || StreamMetadataBuilder::new().insert_custom_property("owner", "tally");
        let set = async |stream: &str, metadata: StreamMetadataBuilder| {
            client.set_stream_metadata(stream, &Default::default(), &metadata.build()).await.unwrap();
        };
        set(&by_count, custom().max_count(3)).await;
        set(&by_start, custom().truncate_before(6)).await;
        // the client writes milliseconds where the protocol has seconds, so this one is written by hand
        let one_second = EventData::json("$metadata", &serde_json::json!({ "$maxAge": 1 })).unwrap();
        let metastream = format!("$${by_age}");
        client.append_to_stream(metastream.as_str(), &Default::default(), vec![one_second]).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for restart in [false, true] {
        if restart {
            node.restart().await;
        }
        let client = node.client();
        assert_eq!(read_numbers(&client, &by_count).await, [7, 8, 9]);
        assert_eq!(read_numbers(&client, &by_start).await, [6, 7, 8, 9]);
        assert_eq!(read_numbers(&client, &by_age).await, Vec::<u64>::new());
        let backwards =
            ReadStreamOptions::default().backwards().position(StreamPosition::End).max_count(usize::MAX);
        assert_eq!(numbers(&client, &by_count, backwards).await, [9, 8, 7]);
    }
    let client = node.client();
    client.delete_stream(by_count.as_str(), &Default::default()).await.unwrap();
    append(&client, &by_count, 1).await;
    let metastream = format!("$${by_count}");
    let options = ReadStreamOptions::default().backwards().position(StreamPosition::End).max_count(1);
    let mut read = client.read_stream(metastream.as_str(), &options).await.unwrap();
    let metadata = read.next().await.unwrap().unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.get_original_event().data).unwrap();
    assert_eq!(metadata["owner"], "tally");
    assert_eq!(metadata["$maxCount"], 3);
    assert_eq!(metadata["$tb"], 10);
}
