//! What must never be skipped stops a view, loudly.

use platform::event_log::{Expected, NewEvent};
use projections::{Projections, ViewState};
use schemas::streams;

use super::bench::{Bench, until};
use super::events::{created, of_show, posted, show, started};

async fn halted(bench: &Bench, projections: &Projections) -> String {
    until("the view halts", async || {
        matches!(projections.health()["messages"].state, ViewState::Halted { .. })
    })
    .await;
    assert_eq!((projections.check())(), Err("messages is halted".to_owned()));
    let mut word = bench.rows("status, detail", "read.positions WHERE view = 'messages'").await;
    word.pop().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_event_stops_the_view_after_what_came_before_it() {
    let bench = Bench::new("halting_unknown").await;
    bench.append(&[of_show(1, 0, created(1)), of_show(2, 0, started(1)), of_show(3, 0, posted(41, 1, None))]);
    let before = bench.head();
    let (stream, known) = of_show(4, 0, posted(42, 1, None));
    let unknown = NewEvent { kind: "FromTheFuture".to_owned(), ..known };
    bench.log.append_elsewhere(&stream, Expected::Any, vec![unknown]).unwrap();
    bench.append(&[of_show(5, 0, posted(43, 1, None))]);

    let projections = Projections::start_views(&bench.deps(), &["messages"]);
    let word = halted(&bench, &projections).await;
    assert!(word.starts_with("(HALTED,") && word.contains("FromTheFuture"), "{word}");
    assert!(word.contains("upgrade this node"), "{word}");
    assert_eq!(bench.position("messages").await, Some(before));
    assert_eq!(bench.rows("type", "read.messages ORDER BY sequence").await, ["(SYSTEM)", "(MESSAGE)"]);
    projections.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_stops_the_view_within_a_batch_and_between_batches() {
    for (name, is_split) in [("halting_gap_inside", false), ("halting_gap_between", true)] {
        let bench = Bench::new(name).await;
        bench.append(&[of_show(1, 0, created(1)), of_show(2, 0, started(1))]);
        if is_split {
            bench.project("messages").await;
        }
        let (stream, lost) = of_show(3, 0, posted(41, 1, None));
        let next = of_show(4, 0, posted(42, 1, None)).1;
        // without the creation the stream begins with its second event
        let hidden = if is_split { lost.id } else { bench.log.events()[0].id };
        bench.log.faults().hide(hidden);
        bench.log.append_elsewhere(&stream, Expected::Any, vec![lost, next]).unwrap();
        let projections = Projections::start_views(&bench.deps(), &["messages"]);
        let word = halted(&bench, &projections).await;
        let stream = streams::show(show(1));
        let expected = if is_split { "event 3 instead of 2" } else { "event 1 instead of 0" };
        assert!(word.contains(&stream) && word.contains(expected), "{word}");
        projections.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgraded_node_goes_on_where_the_view_halted() {
    let bench = Bench::new("halting_upgrade").await;
    bench.append(&[of_show(1, 0, created(1)), of_show(2, 0, started(1))]);
    bench.project("messages").await;
    let (lost, next) = (of_show(3, 0, posted(41, 1, None)), of_show(4, 0, posted(42, 1, None)));
    bench.log.faults().hide(lost.1.id);
    bench.append(&[lost, next]);
    let projections = Projections::start_views(&bench.deps(), &["messages"]);
    halted(&bench, &projections).await;
    projections.shutdown().await;
    // now the same events are seen as they should be
    bench.log.faults().hide_nothing();
    bench.project("messages").await;
    assert_eq!(bench.rows("status, detail", "read.positions WHERE view = 'messages'").await, ["(RUNNING,)"]);
    assert_eq!(bench.rows("1", "read.messages").await.len(), 3);
}
