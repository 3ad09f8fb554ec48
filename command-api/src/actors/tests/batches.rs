use super::*;
use domain::Rejection;
use schemas::BodyHash;

#[tokio::test(start_paused = true)]
async fn what_gathers_during_an_append_goes_in_one_append() {
    let (log, node) = live().await;
    let before = log.events().len();
    let held = log.faults().hold_appends();
    let sending: Vec<_> = (10..60)
        .map(|id| {
            let node = node.clone();
            tokio::spawn(async move { run(&node, by(id, id, post(id))).await })
        })
        .collect();
    soon().await;
    assert_eq!(log.events().len(), before);
    drop(held);
    let mut positions = Vec::new();
    for answer in sending {
        let done = answer.await.unwrap().unwrap();
        assert_eq!(done.events.len(), 1);
        assert_eq!(done.revision, done.events[0].revision);
        positions.push(done.position);
    }
    positions.dedup();
    assert!(positions.len() <= 2, "the first alone, then all others together");
    assert_eq!(log.events().len(), before + 50);
    assert_eq!(folded(&log).messages_count(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_moment_s_wait_is_no_reason_to_refuse() {
    let (log, node) = live().await;
    let held = log.faults().hold_appends();
    let sending: Vec<_> = (10..60)
        .map(|id| {
            let node = node.clone();
            tokio::spawn(async move { run(&node, by(id, id, post(id))).await })
        })
        .collect();
    soon().await;
    tokio::time::advance(Duration::from_secs(1)).await;
    let late = {
        let node = node.clone();
        tokio::spawn(async move { run(&node, by(60, 60, post(60))).await })
    };
    soon().await;
    drop(held);
    for one in sending.into_iter().chain([late]) {
        one.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_would_only_wait_for_a_log_that_is_away_is_refused_at_once() {
    let (log, node) = live().await;
    let held = log.faults().hold_appends();
    let send = |id| {
        let node = node.clone();
        tokio::spawn(async move { run(&node, by(id, id, post(id))).await })
    };
    let mut taken = vec![send(10)];
    soon().await;
    tokio::time::advance(Duration::from_secs(2)).await;
    taken.extend((11..27).map(send));
    soon().await;
    assert!(taken.iter().all(|one| !one.is_finished()), "some may wait, to be done first");
    let refused = run(&node, by(40, 40, post(40))).await;
    assert_eq!(refused.unwrap_err(), CommandError::Overloaded);
    assert_eq!(times_in_log(&log, 40), 0);
    drop(held);
    for one in taken {
        one.await.unwrap().unwrap();
    }
    run(&node, by(41, 41, post(41))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_and_loses_nothing_that_it_took() {
    let log = MemoryLog::new(1);
    let node = node_with(&log, ActorSettings { queue_length: 4, ..ActorSettings::default() });
    run(&node, by(HOST, 1, create(None))).await.unwrap();
    run(&node, by(HOST, 2, Action::Start)).await.unwrap();
    let held = log.faults().hold_appends();
    let mut sending = Vec::new();
    for id in 10..30 {
        let node = node.clone();
        sending.push((id, tokio::spawn(async move { run(&node, by(id, id, post(id))).await })));
        soon().await;
    }
    drop(held);
    let (mut done, mut refused) = (0, 0);
    for (id, answer) in sending {
        match answer.await.unwrap() {
            Ok(_) => done += times_in_log(&log, id),
            Err(error) => {
                assert_eq!(error, CommandError::Overloaded);
                assert_eq!(times_in_log(&log, id), 0);
                refused += 1;
            }
        }
    }
    assert_eq!((done, refused), (5, 15), "one in flight and four that wait");
}

#[tokio::test(start_paused = true)]
async fn a_repeat_gets_the_first_answer_and_another_body_is_refused() {
    let (log, node) = live().await;
    let first = run(&node, by(9, 10, post(1))).await.unwrap();
    run(&node, by(9, 11, post(2))).await.unwrap();
    let mut again = by(9, 10, post(1));
    let repeat = run(&node, again.clone()).await.unwrap();
    assert!(repeat.is_repeat && !first.is_repeat);
    assert_eq!(repeat.revision, first.revision);
    assert_eq!(repeat.position, first.position);
    assert_eq!(repeat.events[0].event, first.events[0].event);
    again.body_hash = BodyHash([9; 16]);
    let reused = run(&node, again).await;
    assert_eq!(reused.unwrap_err(), CommandError::Rejected(Rejection::KeyReused));
    assert_eq!(times_in_log(&log, 10), 1);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_beside_a_running_first_waits_for_it() {
    let (log, node) = live().await;
    let held = log.faults().hold_appends();
    let sending: Vec<_> = (0..5)
        .map(|_| {
            let node = node.clone();
            tokio::spawn(async move { run(&node, by(9, 10, post(1))).await })
        })
        .collect();
    soon().await;
    drop(held);
    let mut firsts = 0;
    for answer in sending {
        let done = answer.await.unwrap().unwrap();
        assert_eq!(names(&done.events), ["MessagePosted"]);
        firsts += usize::from(!done.is_repeat);
    }
    assert_eq!(firsts, 1);
    assert_eq!(times_in_log(&log, 10), 1);
}

#[tokio::test(start_paused = true)]
async fn idle_actors_leave_and_the_next_command_finds_the_show_again() {
    let (_log, node) = live().await;
    assert_eq!(node.active(), 1);
    tokio::time::sleep(Duration::from_secs(301)).await;
    assert_eq!(node.active(), 0);
    run(&node, by(9, 10, post(1))).await.unwrap();
    assert_eq!(node.active(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_show_that_does_not_exist_takes_no_place() {
    let log = MemoryLog::new(1);
    let node = node(&log);
    let refused = run(&node, by(9, 10, post(1))).await.unwrap_err();
    assert_eq!(refused, CommandError::Rejected(Rejection::ShowNotFound));
    soon().await;
    assert_eq!(node.active(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_what_it_took_and_takes_no_more() {
    let (log, node) = live().await;
    let held = log.faults().hold_appends();
    let sending: Vec<_> = (10..20)
        .map(|id| {
            let node = node.clone();
            tokio::spawn(async move { run(&node, by(id, id, post(id))).await })
        })
        .collect();
    soon().await;
    let ending = tokio::spawn({
        let node = node.clone();
        async move { node.shutdown().await }
    });
    soon().await;
    assert_eq!(run(&node, by(9, 99, post(1))).await.unwrap_err(), CommandError::ShuttingDown);
    drop(held);
    ending.await.unwrap();
    for answer in sending {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(folded(&log).messages_count(), 10);
}

#[tokio::test(start_paused = true)]
async fn large_batches_are_split_by_bytes_and_by_number() {
    let log = MemoryLog::new(1);
    let node = node_with(&log, ActorSettings { batch_max: 3, ..ActorSettings::default() });
    run(&node, by(HOST, 1, create(None))).await.unwrap();
    run(&node, by(HOST, 2, Action::Start)).await.unwrap();
    let sending: Vec<_> = (0..600u128)
        .map(|n| {
            let node = node.clone();
            let mut command = by(9, 100 + n, post(n));
            // 4 KiB each: far more than one append takes
            command.correlation = Some("x".repeat(4_096));
            tokio::spawn(async move { run(&node, command).await })
        })
        .collect();
    for answer in sending {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(folded(&log).messages_count(), 600);
}
