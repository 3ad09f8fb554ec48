use super::*;
use schemas::EventId;
use schemas::events::ShowStarted;
use schemas::published::{PublishedEvent, Watermark};
use uuid::Uuid;

const TIME_MS: i64 = 1_750_000_000_000;

fn watermark(position: u64, previous: Option<u64>, time: i64) -> Vec<u8> {
    let time = Timestamp::from_millis(TIME_MS + time);
    let (position, previous) = (Position(position), previous.map(Position));
    Record::Watermark(Watermark { partition: 3, position, previous, time }).encode().unwrap()
}

fn event(position: u64, previous: Option<u64>) -> Vec<u8> {
    let show_id = schemas::ShowId(Uuid::from_u128(1));
    Record::Event(Published {
        event_id: EventId(Uuid::from_u128(u128::from(position))),
        stream: schemas::streams::show(show_id),
        revision: position,
        position: Position(position),
        previous: previous.map(Position),
        occurred_at: Timestamp::from_millis(TIME_MS),
        event: PublishedEvent::ShowStarted(ShowStarted { show_id }),
    })
    .encode()
    .unwrap()
}

/// Another type, or data of another shape.
fn with(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.contains(from), "{text}");
    text.replace(from, to).into_bytes()
}

fn progress(position: u64, offset: Option<i64>) -> Option<Progress> {
    Some(Progress {
        position: Position(position),
        time: Timestamp::from_millis(TIME_MS),
        offset,
        told_at: Some(Timestamp::from_millis(TIME_MS)),
    })
}

fn take(lane: &mut Lane, offset: i64, payload: &[u8]) -> Taken {
    lane.take(Message { offset, time_ms: None, key: None, payload })
}

/// Position and offset that a batch would tell.
fn told(lane: &mut Lane) -> (u64, i64) {
    let next = lane.send().next.unwrap();
    (next.position.0, next.offset.unwrap())
}

mod holes;

#[test]
fn records_that_follow_are_gathered_and_repeats_dropped() {
    let mut lane = Lane::new(3, None);
    assert_eq!(lane.read_to(), None, "a new partition is read from its beginning");
    assert_eq!(take(&mut lane, 0, &event(10, None)), Taken::Gathered);
    assert_eq!(take(&mut lane, 1, &event(20, Some(10))), Taken::Gathered);
    assert_eq!(take(&mut lane, 2, &event(10, None)), Taken::Dropped);
    assert_eq!(take(&mut lane, 3, &event(20, Some(10))), Taken::Dropped);
    assert_eq!(take(&mut lane, 4, &watermark(25, Some(20), 7)), Taken::Gathered);
    let parcel = lane.send();
    assert_eq!(parcel.batch.rows.events.len(), 2);
    assert_eq!(parcel.batch.span, Some((Position(10), Position(25))));
    assert_eq!(parcel.believed, None);
    let next = parcel.next.unwrap();
    assert_eq!((next.position, next.offset), (Position(25), Some(5)));
    assert_eq!(next.time, Timestamp::from_millis(TIME_MS + 7));
}

#[test]
fn a_later_watermark_at_the_same_place_moves_the_time_and_an_earlier_does_not() {
    let mut lane = Lane::new(3, progress(20, Some(5)));
    assert_eq!(take(&mut lane, 5, &watermark(20, Some(10), 1_000)), Taken::Gathered);
    assert_eq!(take(&mut lane, 6, &watermark(20, Some(10), 900)), Taken::Dropped);
    // it knew less of the log than is here, so its time means less
    assert_eq!(take(&mut lane, 7, &watermark(15, Some(10), 9_000)), Taken::Dropped);
    let next = lane.send().next.unwrap();
    assert_eq!(
        (next.position, next.time, next.offset),
        (Position(20), Timestamp::from_millis(TIME_MS + 1_000), Some(8))
    );
}

#[test]
fn a_newer_version_stops_the_partition_until_it_begins_again() {
    let newer = with(&event(30, Some(20)), "tally.ShowStarted.v1", "tally.ShowDreamt.v1");
    let mut lane = Lane::new(3, progress(20, Some(5)));
    assert_eq!(take(&mut lane, 5, &newer), Taken::Refused);
    assert!(lane.is_stopped());
    assert_eq!(take(&mut lane, 6, &event(40, Some(30))), Taken::Refused);
    assert_eq!(lane.read_to(), Some(5), "it begins again with this one");
    lane.restart(progress(20, Some(5)), false);
    assert_eq!(take(&mut lane, 5, &event(30, Some(20))), Taken::Gathered, "as an upgraded process reads it");
    assert_eq!(lane.halt(), None);
    assert_eq!(take(&mut lane, 6, &with(&event(40, Some(30)), ".v1", ".v9")), Taken::Refused);
    // a repeat of what is here needs no reader
    let mut lane = Lane::new(3, progress(30, Some(5)));
    assert_eq!(take(&mut lane, 5, &newer), Taken::Dropped);
}

#[test]
fn what_nobody_can_read_is_set_aside_and_the_chain_holds() {
    let mut lane = Lane::new(3, progress(20, Some(5)));
    let damaged = with(&event(30, Some(20)), "\"showId\"", "\"show\"");
    assert_eq!(take(&mut lane, 5, &damaged), Taken::Gathered);
    assert_eq!(take(&mut lane, 6, b"garbage"), Taken::Gathered);
    assert_eq!(take(&mut lane, 7, &event(40, Some(30))), Taken::Gathered);
    assert_eq!(take(&mut lane, 8, &damaged), Taken::Dropped, "it was set aside already");
    let misplaced = with(&event(50, Some(40)), "show-0", "payment-0");
    assert_eq!(take(&mut lane, 9, &misplaced), Taken::Gathered);
    let parcel = lane.send();
    let dead: Vec<_> = parcel.batch.dead.iter().map(|letter| letter.reason.as_str()).collect();
    assert_eq!(dead.len(), 3, "{dead:?}");
    assert_eq!(parcel.batch.rows.events.len(), 1);
    assert_eq!(parcel.next.unwrap().position, Position(50));
}

#[test]
fn a_partition_with_dead_letters_only_has_no_position() {
    let mut lane = Lane::new(3, None);
    assert_eq!(take(&mut lane, 0, b"garbage"), Taken::Gathered);
    let parcel = lane.send();
    assert!(parcel.claim().is_none());
    assert!(lane.settle(parcel.next, None));
}

#[test]
fn who_was_overtaken_begins_again_where_the_warehouse_is() {
    let mut lane = Lane::new(3, progress(20, Some(5)));
    take(&mut lane, 5, &event(30, Some(20)));
    let parcel = lane.send();
    take(&mut lane, 6, &event(40, Some(30)));
    // the tables were exchanged for older ones
    assert!(!lane.settle(parcel.next, progress(10, Some(2))));
    lane.restart(progress(10, Some(2)), false);
    assert_eq!(lane.read_to(), Some(2));
    assert!(lane.gathered().is_empty());
    // for ones of a back-fill that is behind
    take(&mut lane, 2, &event(20, Some(10)));
    lane.restart(progress(15, None), false);
    assert_eq!(lane.read_to(), None);
    // of a back-fill that is ahead of all that was read: it goes on where it is
    take(&mut lane, 0, &event(20, Some(10)));
    lane.restart(progress(70, None), false);
    assert_eq!(lane.read_to(), Some(1));
    // but what is to be set aside is read again
    take(&mut lane, 1, b"garbage");
    lane.restart(progress(90, None), false);
    assert_eq!(lane.read_to(), None);
}
