//! `read.viewers` and `read.persons`, event by event, and watch time against the plain sum.

use schemas::events::{InteractionEvent, LeaveReason, ReactionsCounted};

use super::bench::Bench;
use super::events::{
    at_ms, counts, created, ended, joined, left, of_show, person, posted, show, started, tip_captured,
    tip_requested, usd,
};
use super::history::History;

const SESSIONS: &str = "session_id, join_time, leave_time, leave_reason";

async fn given(name: &str, events: &[(String, platform::event_log::NewEvent)]) -> Bench {
    let bench = Bench::new(name).await;
    bench.append(&[of_show(1, 0, created(1)), of_show(2, 0, started(1))]);
    bench.append(events);
    bench.project("viewers").await;
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_begins_a_session_and_names_a_person() {
    let bench = given("viewers_joined", &[of_show(3, 1_000, joined(31, 1, counts(1, 1, 1, 1)))]).await;
    let columns = "session_id, show_id, person, identity->>'keyId', event_id, device, device_type, country, \
        city, rtc_uid, basis, join_time, leave_time, leave_reason, sequence";
    assert_eq!(
        bench.rows(columns, "read.viewers").await,
        ["(00000000-0000-0000-0000-00000000001f,00000000-0000-0000-0000-000000005001,\
          00000000-0000-0000-0000-00000000a001,00000000-0000-0000-0000-000000000001,\
          00000000-0000-0000-0000-000000000003,00000000-0000-0000-0000-00000000101f,MOBILE,DE,Jena,7,\
          ENTITLED,\"2025-06-27 20:00:01+00\",,,2)"]
    );
    let columns = "show_id, person, identity->>'keyId', identity_field, event_id, sessions, first_joined_at, \
        last_left_at, device_type, country, city, watched_ms, open_since, messages_count, tips_count, \
        total_tipped, reacted, sequence";
    assert_eq!(
        bench.rows(columns, "read.persons").await,
        ["(00000000-0000-0000-0000-000000005001,00000000-0000-0000-0000-00000000a001,\
          00000000-0000-0000-0000-000000000001,viewer,00000000-0000-0000-0000-000000000003,1,\
          \"2025-06-27 20:00:01+00\",,MOBILE,DE,Jena,0,\"2025-06-27 20:00:01+00\",0,0,0,f,2)"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leave_closes_a_session_when_the_person_was_really_gone() {
    let events = [
        of_show(3, 1_000, joined(1, 1, counts(1, 1, 1, 1))),
        of_show(4, 90_000, left(1, 1, 30_000, LeaveReason::Unseen)),
    ];
    let bench = given("viewers_left", &events).await;
    let unseen = "(00000000-0000-0000-0000-000000000001,\"2025-06-27 20:00:01+00\",\
        \"2025-06-27 20:00:30+00\",UNSEEN)";
    assert_eq!(bench.rows(SESSIONS, "read.viewers").await, [unseen]);
    assert_eq!(
        bench.rows("watched_ms, open_since, last_left_at", "read.persons").await,
        ["(29000,,\"2025-06-27 20:00:30+00\")"]
    );
    // a session of an earlier batch, closed in a later one
    bench.append(&[of_show(5, 100_000, joined(2, 1, counts(1, 1, 2, 1)))]);
    bench.project("viewers").await;
    bench.append(&[of_show(6, 110_000, left(2, 1, 110_000, LeaveReason::Left))]);
    bench.project("viewers").await;
    assert_eq!(bench.rows("leave_reason", "read.viewers ORDER BY sequence").await, ["(UNSEEN)", "(LEFT)"]);
    assert_eq!(bench.rows("watched_ms, open_since, sessions", "read.persons").await, ["(39000,,2)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_show_closes_what_is_open_of_this_batch_and_of_earlier_ones() {
    let bench = given("viewers_ended", &[of_show(3, 0, joined(1, 1, counts(1, 1, 1, 1)))]).await;
    bench.append(&[of_show(4, 5_000, joined(2, 2, counts(2, 2, 2, 2))), of_show(5, 9_000, ended(1, 9))]);
    bench.project("viewers").await;
    assert_eq!(
        bench.rows("leave_time, leave_reason", "read.viewers").await,
        ["(\"2025-06-27 20:00:09+00\",SHOW_ENDED)"; 2]
    );
    assert_eq!(
        bench.rows("watched_ms, open_since", "read.persons ORDER BY person").await,
        ["(9000,)", "(4000,)"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_at_once_watch_once() {
    let events = [
        of_show(3, 0, joined(1, 1, counts(1, 1, 1, 1))),
        of_show(4, 10_000, joined(2, 1, counts(1, 1, 2, 1))),
        of_show(5, 20_000, left(2, 1, 20_000, LeaveReason::Left)),
        of_show(6, 30_000, joined(3, 1, counts(1, 1, 3, 1))),
        of_show(7, 40_000, left(3, 1, 40_000, LeaveReason::Left)),
    ];
    let bench = given("viewers_devices", &events).await;
    let watched = "watched_ms, EXTRACT(EPOCH FROM open_since - first_joined_at)";
    assert_eq!(bench.rows(watched, "read.persons").await, ["(0,0.000000)"]);
    // the first device turns out to have been gone since second 15: what the others saw counts then
    bench.append(&[of_show(8, 99_000, left(1, 1, 15_000, LeaveReason::Unseen))]);
    bench.project("viewers").await;
    assert_eq!(bench.rows(watched, "read.persons").await, ["(30000,)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn persons_count_what_they_write_tip_and_react_with_or_without_a_session() {
    let events = [
        of_show(3, 0, posted(41, 1, None)),
        of_show(4, 0, posted(42, 1, None)),
        of_show(5, 0, tip_requested(51, 2, usd(300))),
        of_show(6, 0, tip_captured(51, 2, usd(300), Some(super::events::sealed(6)))),
        of_show(7, 0, tip_requested(52, 2, usd(45))),
        of_show(8, 0, tip_captured(52, 2, usd(45), None)),
        of_show(
            9,
            0,
            InteractionEvent::Reactions(ReactionsCounted {
                counts: [("heart".to_owned(), 2)].into(),
                first_time: vec![person(3), person(1)],
                commands: Vec::new(),
            }),
        ),
        of_show(10, 1_000, joined(1, 1, counts(1, 1, 1, 1))),
    ];
    let bench = given("viewers_persons", &events).await;
    let columns = "sessions, messages_count, tips_count, total_tipped, reacted, identity_field, \
        right(event_id::text, 2), country, sequence";
    assert_eq!(
        bench.rows(columns, "read.persons ORDER BY person").await,
        ["(1,2,0,0,t,viewer,0a,DE,2)", "(0,0,2,3.45,f,tipper,06,,5)", "(0,0,0,0,t,,,,8)"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_time_equals_the_plain_sum_at_any_time() {
    let bench = Bench::new("viewers_watch_time").await;
    let mut history = History::new(11);
    let mut appended = 0;
    for _ in 0..8 {
        for _ in 0..60 {
            history.step();
        }
        bench.append(&history.events[appended..]);
        appended = history.events.len();
        bench.project("viewers").await;
        let now = at_ms(history.now_ms());
        for ((n, who), expected) in history.watched_ms() {
            let (show, person) = (show(n), person(who));
            let watched: i64 = sqlx::query_scalar(
                "SELECT watched_ms + COALESCE(EXTRACT(EPOCH FROM $3 - open_since) * 1000, 0)::bigint
                 FROM read.persons WHERE show_id = $1 AND person = $2",
            )
            .bind(show.0)
            .bind(person.0)
            .bind(now.to_chrono())
            .fetch_one(&bench.pool)
            .await
            .unwrap();
            assert_eq!(watched, expected, "show {n}, person {who}, after {appended} events");
        }
    }
}
