//! `read.messages`, event by event.

use schemas::events::{InteractionEvent, LifecycleEvent, ReactionsCounted, ShowCancelled};

use super::bench::Bench;
use super::events::{
    counts, created, ended, joined, of_show, posted, sealed, show, started, tip_captured, tip_requested, usd,
};

const ROW: &str = "sequence, right(message_id::text, 2), right(event_id::text, 2), type, \
    right(author::text, 2), right(identity->>'keyId', 1), right(text->>'keyId', 1), tip_amount, tip_currency, \
    reactions, reaction_type, status, is_moderated, moderated_by, right(reply_to::text, 2), \
    client_message_id, role, is_subscriber";

async fn given(name: &str, events: &[(String, platform::event_log::NewEvent)]) -> Bench {
    let bench = Bench::new(name).await;
    bench.append(&[of_show(1, 0, created(1))]);
    bench.append(events);
    bench.project("messages").await;
    bench
}

fn reactions(counts: &[(&str, u32)]) -> InteractionEvent {
    InteractionEvent::Reactions(ReactionsCounted {
        counts: counts.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect(),
        first_time: Vec::new(),
        commands: Vec::new(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_that_shows_in_the_chat_is_one_row() {
    let events = [
        of_show(2, 0, started(1)),
        of_show(3, 1_000, joined(31, 1, counts(1, 1, 1, 1))),
        of_show(4, 1_000, posted(0x41, 1, None)),
        of_show(5, 2_500, posted(0x42, 2, Some(0x41))),
        of_show(6, 3_000, reactions(&[("heart", 5)])),
        of_show(7, 4_000, reactions(&[("fire", 1), ("heart", 2)])),
        of_show(8, 4_000, tip_requested(0x51, 1, usd(500))),
        of_show(9, 5_000, tip_captured(0x51, 1, usd(500), Some(sealed(6)))),
        of_show(10, 5_000, tip_requested(0x52, 2, usd(5))),
        of_show(11, 6_000, tip_captured(0x52, 2, usd(5), None)),
        of_show(12, 7_000, ended(1, 7)),
    ];
    let bench = given("messages_all", &events).await;
    assert_eq!(
        bench.rows(ROW, "read.messages ORDER BY sequence").await,
        [
            "(1,02,02,SYSTEM,,,,,,,,LIVE,f,,,,,)",
            "(3,41,04,MESSAGE,01,2,3,,,,,,f,,,c-1,MODERATOR,t)",
            "(4,42,05,MESSAGE,02,2,3,,,,,,f,,41,c-1,MODERATOR,t)",
            "(5,06,06,REACTION,,,,,,\"{\"\"heart\"\": 5}\",heart,,f,,,,,)",
            "(6,07,07,REACTION,,,,,,\"{\"\"fire\"\": 1, \"\"heart\"\": 2}\",,,f,,,,,)",
            "(8,51,09,TIP,01,6,7,5.00,USD,,,,f,,,,,)",
            "(10,52,0b,TIP,02,,,0.05,USD,,,,f,,,,,)",
            "(11,0c,0c,SYSTEM,,,,,,,,ENDED,f,,,,,)",
        ]
    );
    let sent = bench.rows("sent_at", "read.messages WHERE sequence = 4").await;
    assert_eq!(sent, ["(\"2025-06-27 20:00:02.5+00\")"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_is_told_in_the_chat_too() {
    let cancelled = LifecycleEvent::Cancelled(ShowCancelled { show_id: show(1) });
    let bench = given("messages_cancelled", &[of_show(2, 0, cancelled)]).await;
    assert_eq!(bench.rows("type, status", "read.messages").await, ["(SYSTEM,CANCELLED)"]);
}
