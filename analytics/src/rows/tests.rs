use super::*;
use schemas::events::ShowStarted;
use schemas::published::PublishedEvent;
use schemas::{EventId, Position, Timestamp};

fn started(stream: &str) -> Published {
    Published {
        event_id: EventId(Uuid::from_u128(5)),
        stream: stream.to_owned(),
        revision: 3,
        position: Position(9),
        previous: None,
        occurred_at: Timestamp::from_millis(1_000),
        event: PublishedEvent::ShowStarted(ShowStarted { show_id: ShowId(Uuid::from_u128(1)) }),
    }
}

#[test]
fn an_event_makes_the_same_rows_every_time() {
    let event = started(&streams::show(ShowId(Uuid::from_u128(1))));
    let (mut once, mut again) = (Rows::default(), Rows::default());
    once.add(&event).unwrap();
    again.add(&event).unwrap();
    assert_eq!(once, again);
    assert_eq!(once.show_changes[0].kind, "STARTED");
    assert_eq!((once.show_changes[0].revision, once.show_changes[0].position), (3, 9));
    assert_eq!(once.events.len(), 1);
}

#[test]
fn an_event_in_a_stream_that_is_not_its_own_makes_no_rows() {
    for stream in ["payment-00000000-0000-0000-0000-000000000001", "account-1", "show-x", ""] {
        let mut rows = Rows::default();
        assert!(matches!(rows.add(&started(stream)), Err(RowError::Stream { .. })), "{stream}");
        assert_eq!(rows, Rows::default(), "all of an event's rows or none");
    }
}

#[test]
fn amounts_keep_every_digit_of_their_currency() {
    let decimal =
        |minor, code: &str| decimal(Money::from_minor(minor, code.parse().unwrap()).unwrap()).unwrap();
    assert_eq!(decimal(1_050, "USD"), 105_000);
    assert_eq!(decimal(1_050, "JPY"), 10_500_000);
    assert_eq!(decimal(-1_050, "KWD"), -10_500);
}
