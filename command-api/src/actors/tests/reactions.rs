use super::*;
use domain::Rejection;
use schemas::BodyHash;
use schemas::events::{InteractionEvent, ShowEvent};

fn counts(log: &MemoryLog) -> Vec<(u32, usize)> {
    let read = |event: &StoredEvent| match crate::actors::load::decode(event).unwrap().event {
        ShowEvent::Interaction(InteractionEvent::Reactions(counted)) => {
            Some((counted.counts.values().sum(), counted.commands.len()))
        }
        ShowEvent::Lifecycle(_)
        | ShowEvent::Settings(_)
        | ShowEvent::Audience(_)
        | ShowEvent::Chat(_)
        | ShowEvent::Ledger(_) => None,
    };
    stored(log).iter().filter_map(read).collect()
}

#[tokio::test(start_paused = true)]
async fn reactions_of_one_second_are_one_event_and_each_waits_for_it() {
    let (log, node) = live().await;
    let reacting: Vec<_> = (10..60)
        .map(|who| {
            let node = node.clone();
            tokio::spawn(async move { node.react(show_id(), reaction(who, who), NOW).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(counts(&log).is_empty());
    for answer in reacting {
        let done = answer.await.unwrap().unwrap();
        assert_eq!((done.revision, done.is_repeat), (2, false));
    }
    assert_eq!(counts(&log), [(50, 50)]);
}

#[tokio::test(start_paused = true)]
async fn a_reaction_counts_once_however_often_it_comes() {
    let (log, node) = live().await;
    let both = tokio::join!(
        node.react(show_id(), reaction(9, 10), NOW),
        node.react(show_id(), reaction(9, 10), NOW),
    );
    assert_eq!(both.0.unwrap().revision, both.1.unwrap().revision);
    let again = node.react(show_id(), reaction(9, 10), NOW).await.unwrap();
    assert!(again.is_repeat);
    let mut other = reaction(9, 10);
    other.body_hash = BodyHash([1; 16]);
    let reused = node.react(show_id(), other, NOW).await.unwrap_err();
    assert_eq!(reused, CommandError::Rejected(Rejection::KeyReused));
    assert_eq!(counts(&log), [(1, 1)]);
}

#[tokio::test(start_paused = true)]
async fn each_reaction_is_refused_for_its_own_reason_and_at_once() {
    let (log, node) = live().await;
    let mut unknown = reaction(9, 10);
    unknown.kind = "NO_SUCH".to_owned();
    let started = tokio::time::Instant::now();
    let refused = node.react(show_id(), unknown, NOW).await.unwrap_err();
    assert_eq!(refused, CommandError::Rejected(Rejection::ReactionUnknown));
    assert!(started.elapsed() < Duration::from_millis(100));

    // accepted while live, but the show ends before the second is over
    let reacting = tokio::spawn({
        let node = node.clone();
        async move { node.react(show_id(), reaction(9, 11), NOW).await }
    });
    soon().await;
    run(&node, by(HOST, 3, Action::End)).await.unwrap();
    let late = reacting.await.unwrap().unwrap_err();
    assert!(matches!(late, CommandError::Rejected(Rejection::WrongStatus { .. })));
    assert!(counts(&log).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_ending_node_counts_what_it_gathered() {
    let (log, node) = live().await;
    let reacting = tokio::spawn({
        let node = node.clone();
        async move { node.react(show_id(), reaction(9, 11), NOW).await }
    });
    soon().await;
    node.shutdown().await;
    reacting.await.unwrap().unwrap();
    assert_eq!(counts(&log), [(1, 1)]);
}
