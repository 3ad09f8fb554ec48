//! Appending: expected revisions, repeats, batches, sizes, deletes.

use eventstore::{
    AppendToStreamOptions, Client, DeleteStreamOptions, Error, EventData, StreamState,
    TombstoneStreamOptions, WriteResult,
};

use super::support::{TestNode, client, event, events, fresh, read_numbers};
use crate::delay::are_held_back;
use crate::relay::Relay;

async fn append(
    client: &Client,
    stream: &str,
    state: StreamState,
    events: Vec<EventData>,
) -> eventstore::Result<WriteResult> {
    let options = AppendToStreamOptions::default().stream_state(state);
    client.append_to_stream(stream, &options, events).await
}

fn assert_wrong(result: eventstore::Result<WriteResult>, current: &str) {
    match result {
        Err(Error::WrongExpectedVersion { current: found, .. }) => {
            assert_eq!(format!("{found:?}"), current);
        }
        other => panic!("expected a wrong version, got {other:?}"),
    }
}

#[tokio::test]
async fn every_expected_revision_holds_or_is_refused() {
    let node = TestNode::start().await;
    let client = node.client();
    let stream = fresh("expect");

    assert_wrong(append(&client, &stream, StreamState::StreamExists, events("a", 1)).await, "NoStream");
    assert_wrong(append(&client, &stream, StreamState::StreamRevision(0), events("a", 1)).await, "NoStream");
    let first = append(&client, &stream, StreamState::NoStream, events("a", 2)).await.unwrap();
    assert_eq!(first.next_expected_version, 1);
    assert_eq!(first.position.commit, first.position.prepare);
    assert_wrong(append(&client, &stream, StreamState::NoStream, events("a", 1)).await, "Current(1)");
    assert_wrong(
        append(&client, &stream, StreamState::StreamRevision(0), events("a", 1)).await,
        "Current(1)",
    );
    assert_wrong(
        append(&client, &stream, StreamState::StreamRevision(7), events("a", 1)).await,
        "Current(1)",
    );
    for state in [StreamState::StreamRevision(1), StreamState::StreamExists, StreamState::Any] {
        append(&client, &stream, state, events("a", 1)).await.unwrap();
    }
    assert_eq!(read_numbers(&client, &stream).await, [0, 1, 0, 0, 0]);
}

#[tokio::test]
async fn a_repeat_is_recognised_also_after_a_restart() {
    let mut node = TestNode::start().await;
    let stream = fresh("repeat");
    let first = events("a", 2);
    let second = events("a", 2);
    let (first_result, second_result) = {
        let client = node.client();
        let first_result = append(&client, &stream, StreamState::NoStream, first.clone()).await.unwrap();
        let second_result = append(&client, &stream, StreamState::Any, second.clone()).await.unwrap();
        (first_result, second_result)
    };
    for restart in [false, true] {
        if restart {
            node.restart().await;
        }
        let client = node.client();
        let cases = [
            (StreamState::NoStream, first.clone(), &first_result),
            (StreamState::Any, first.clone(), &first_result),
            (StreamState::StreamExists, second.clone(), &second_result),
            (StreamState::StreamRevision(1), second.clone(), &second_result),
            (StreamState::Any, vec![first[1].clone()], &first_result),
        ];
        for (state, events, result) in cases {
            let repeated = append(&client, &stream, state, events).await.unwrap();
            assert_eq!(
                (repeated.position, repeated.next_expected_version),
                (result.position, result.next_expected_version)
            );
        }
        let partly_new = vec![first[1].clone(), event("a", 9)];
        assert_wrong(append(&client, &stream, StreamState::Any, partly_new.clone()).await, "Current(3)");
        assert_wrong(
            append(&client, &stream, StreamState::StreamRevision(0), partly_new).await,
            "Current(3)",
        );
        assert_eq!(read_numbers(&client, &stream).await, [0, 1, 0, 1]);
    }
}

#[tokio::test]
async fn batches_are_appended_in_order() {
    let node = TestNode::start().await;
    let client = node.client();
    let stream = fresh("batch");
    let session = client.batch_append(&Default::default()).await.unwrap();
    let appends =
        (0..100).map(|number| session.append_to_stream(&stream, StreamState::Any, vec![event("a", number)]));
    for result in futures::future::join_all(appends).await {
        result.unwrap();
    }
    assert_eq!(read_numbers(&client, &stream).await, (0..100).collect::<Vec<_>>());

    let refused = session.append_to_stream(&stream, StreamState::NoStream, vec![event("a", 0)]).await;
    assert!(matches!(refused, Err(Error::Grpc { .. })), "{refused:?}");
}

/// The node lets no client wait that leaves Nagle's algorithm on, as the official one does.
#[tokio::test]
async fn single_appends_take_no_40_ms() {
    let node = TestNode::start().await;
    let prompt = Relay::prompt(node.address).await;
    let stream = fresh("latency");
    let append = async |client: &Client| {
        append(client, &stream, StreamState::Any, vec![event("a", 1)]).await.unwrap();
    };
    let (direct, undelayed) = (node.client(), client(prompt.address));
    assert!(!are_held_back(async || append(&direct).await, async || append(&undelayed).await).await);
}

#[tokio::test]
async fn sizes_are_limited() {
    let node = TestNode::start_with(|mut config| {
        config.append_bytes_max = 3 * 1024 * 1024;
        config.event_bytes_max = 2 * 1024 * 1024;
        config
    })
    .await;
    let client = node.client();
    let stream = fresh("size");
    let sized = |bytes: usize| EventData::binary("big", vec![7; bytes].into());
    append(&client, &stream, StreamState::Any, vec![sized(1_500_000), sized(1_500_000)]).await.unwrap();
    for too_large in [vec![sized(2_200_000)], vec![sized(1_200_000), sized(1_200_000), sized(1_200_000)]] {
        let refused = append(&client, &stream, StreamState::Any, too_large).await;
        let Err(Error::Grpc { message, .. }) = &refused else { panic!("{refused:?}") };
        assert!(message.contains("Maximum Append Size"), "{message}");
    }
    let mut read = client.read_stream(stream.as_str(), &super::support::from_start()).await.unwrap();
    let mut sizes = Vec::new();
    while let Some(event) = read.next().await.unwrap() {
        sizes.push(event.get_original_event().data.len());
    }
    assert_eq!(sizes, [1_500_000, 1_500_000]);
}

#[tokio::test]
async fn a_deleted_stream_is_gone_until_it_is_revived() {
    let mut node = TestNode::start().await;
    let stream = fresh("delete");
    {
        let client = node.client();
        append(&client, &stream, StreamState::NoStream, events("a", 3)).await.unwrap();
        let wrong = DeleteStreamOptions::default().stream_state(StreamState::StreamRevision(1));
        assert!(client.delete_stream(stream.as_str(), &wrong).await.is_err());
        client.delete_stream(stream.as_str(), &Default::default()).await.unwrap();
    }
    node.restart().await;
    let client = node.client();
    let mut read = client.read_stream(stream.as_str(), &Default::default()).await.unwrap();
    assert!(matches!(read.next().await, Err(Error::ResourceNotFound)));
    assert_wrong(append(&client, &stream, StreamState::StreamExists, events("a", 1)).await, "Current(2)");
    let revived = append(&client, &stream, StreamState::NoStream, vec![event("a", 7)]).await.unwrap();
    assert_eq!(revived.next_expected_version, 3);
    assert_eq!(read_numbers(&client, &stream).await, [7]);
    let never = client.delete_stream(fresh("never").as_str(), &Default::default()).await;
    assert!(matches!(never, Err(Error::Grpc { .. })), "{never:?}");
}

#[tokio::test]
async fn a_tombstone_closes_a_stream_for_ever() {
    let node = TestNode::start().await;
    let client = node.client();
    let stream = fresh("tombstone");
    append(&client, &stream, StreamState::NoStream, events("a", 1)).await.unwrap();
    client.tombstone_stream(stream.as_str(), &TombstoneStreamOptions::default()).await.unwrap();
    for name in [stream.clone(), format!("$${stream}")] {
        let refused = append(&client, &name, StreamState::Any, events("a", 1)).await;
        assert!(matches!(refused, Err(Error::ResourceDeleted)), "{refused:?}");
        let read = client.read_stream(name.as_str(), &Default::default()).await;
        assert!(matches!(read, Err(Error::ResourceDeleted)));
    }
    let again = client.tombstone_stream(stream.as_str(), &TombstoneStreamOptions::default()).await;
    assert!(matches!(again, Err(Error::ResourceDeleted)), "{again:?}");
}

#[tokio::test]
async fn a_second_node_on_the_directory_is_refused() {
    let node = TestNode::start().await;
    let second = embedded::event_log::Node::start(super::support::config(node.directory.path(), 0)).await;
    let error = second.err().unwrap();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("in use by another process"), "{cause}");
}
