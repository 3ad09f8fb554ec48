//! Appends of unknown outcome, written and not written, at every point.

use super::*;
use platform::event_log::memory::AppendFault;

#[tokio::test(start_paused = true)]
async fn lost_requests_and_answers_end_in_exactly_one_event() {
    for faults in [
        vec![AppendFault::LoseRequest],
        vec![AppendFault::LoseAnswer],
        vec![AppendFault::LoseRequest, AppendFault::LoseRequest, AppendFault::LoseAnswer],
        vec![AppendFault::Late(Duration::from_millis(10))],
        vec![AppendFault::Late(Duration::from_secs(3)), AppendFault::LoseRequest],
        vec![AppendFault::LoseRequest, AppendFault::Refuse],
    ] {
        let (log, node) = live().await;
        for (nth, fault) in faults.iter().enumerate() {
            log.faults().on_append(nth as u64, fault.clone());
        }
        let done = run(&node, by(9, 10, post(1))).await.unwrap();
        assert_eq!(done.revision, 2, "{faults:?}");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(times_in_log(&log, 10), 1, "{faults:?}");
        run(&node, by(9, 11, post(2))).await.unwrap();
        assert_eq!(stored(&log).len(), 4, "{faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn reads_that_fail_while_settling_are_made_again() {
    let (log, node) = live().await;
    log.faults().on_append(0, AppendFault::LoseAnswer);
    log.faults().fail_reads(3);
    run(&node, by(9, 10, post(1))).await.unwrap();
    assert_eq!(times_in_log(&log, 10), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unsettled_append_that_others_overtook_is_decided_again() {
    let (log, one) = live().await;
    let two = node(&log);
    two.look(show_id(), |_| ()).await.unwrap();
    // the request is lost, and before the next try another node appends
    log.faults().on_append(0, AppendFault::LoseRequest);
    log.faults().fail_reads(1);
    let lost = tokio::spawn({
        let one = one.clone();
        async move { run(&one, by(9, 10, post(1))).await }
    });
    soon().await;
    run(&two, by(8, 20, post(9))).await.unwrap();
    let done = lost.await.unwrap().unwrap();
    assert_eq!(done.revision, 3);
    assert_eq!((times_in_log(&log, 10), times_in_log(&log, 20)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn giving_up_says_so_and_the_same_key_finds_out_later() {
    for written in [false, true] {
        let (log, node) = live().await;
        if written {
            log.faults().on_append(0, AppendFault::LoseAnswer);
        }
        log.faults().chaos(100);
        log.faults().fail_reads(10_000);
        let unknown = run(&node, by(9, 10, post(1))).await.unwrap_err();
        assert_eq!(unknown, CommandError::OutcomeUnknown);
        log.faults().chaos(0);
        log.faults().fail_reads(0);
        let done = run(&node, by(9, 10, post(1))).await.unwrap();
        assert_eq!(names(&done.events), ["MessagePosted"]);
        assert_eq!(times_in_log(&log, 10), 1, "written: {written}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_append_and_answer_is_found_by_the_next_node() {
    let (log, node_that_dies) = live().await;
    log.faults().on_append(0, AppendFault::LoseAnswer);
    log.faults().fail_reads(1_000_000);
    let dying = tokio::spawn(async move { run(&node_that_dies, by(9, 10, post(1))).await });
    soon().await;
    dying.abort();
    log.faults().fail_reads(0);
    let next = node(&log);
    let repeat = run(&next, by(9, 10, post(1))).await.unwrap();
    assert!(repeat.is_repeat);
    assert_eq!(times_in_log(&log, 10), 1);
}
