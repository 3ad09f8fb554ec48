//! `read.streams`, event by event.

use schemas::Currency;
use schemas::events::{
    AccessPolicy, InteractionEvent, LeaveReason, LifecycleEvent, ReactionsCounted, SettingsEvent,
    ShowCancelled, ShowDetails, ShowRevised, StreamSettings, StreamSettingsChanged,
};

use super::bench::Bench;
use super::events::{
    at_ms, counts, created, ended, joined, left, of_show, posted, show, started, tip_captured, tip_requested,
    usd,
};

const STATE: &str = "status, discovery_rank, viewer_count, peak_viewers, total_views, unique_viewers, \
    messages_count, total_tips, started_at, ended_at, duration_seconds, recording_status, updated_at, \
    sequence, version";

async fn given(name: &str, events: &[(String, platform::event_log::NewEvent)]) -> Bench {
    let bench = Bench::new(name).await;
    bench.append(events);
    bench.project("streams").await;
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_announces_a_show() {
    let bench = given("streams_created", &[of_show(1, 0, created(1))]).await;
    let columns = "title, description, category, tags, language, thumbnail_url, is_subscriber_only, \
        ticket_price, currency, channel, host_uid, scheduled_start, created_at, creator_identity->>'keyId', \
        event_id, settings->>'quality', settings->>'maxViewers'";
    assert_eq!(
        bench.rows(columns, "read.streams").await,
        ["(\"Night jazz\",\"Slow tunes\",music,\"{jazz,\"\"live set\"\"}\",en,,f,5.00,USD,channel-1,1,\
          \"2025-06-27 20:01:00+00\",\"2025-06-27 20:00:00+00\",00000000-0000-0000-0000-000000000009,\
          00000000-0000-0000-0000-000000000001,HD,)"]
    );
    assert_eq!(
        bench.rows(STATE, "read.streams").await,
        ["(SCHEDULED,2,0,0,0,0,0,0,,,,,\"2025-06-27 20:00:00+00\",0,0)"]
    );
    for (query, found) in [("jazz", 1), ("\"live set\"", 1), ("slow -jazz", 0), ("opera", 0)] {
        let matching = format!("read.streams WHERE search @@ websearch_to_tsquery('simple', '{query}')");
        assert_eq!(bench.rows("1", &matching).await.len(), found, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_replaces_what_was_announced_and_moves_the_version() {
    let revised = SettingsEvent::Revised(ShowRevised {
        details: ShowDetails {
            title: "Morning\0 folk".to_owned(),
            description: String::new(),
            category: None,
            tags: Vec::new(),
            language: None,
            thumbnail_url: Some("https://images.example/folk.png".to_owned()),
        },
        access: AccessPolicy { subscriber_only: true, ticket_price: None },
        currency: "EUR".parse::<Currency>().unwrap(),
        scheduled_start: None,
    });
    let bench = given("streams_revised", &[of_show(1, 0, created(1)), of_show(2, 1_000, revised)]).await;
    let columns = "title, description, category, tags, language, thumbnail_url, is_subscriber_only, \
        ticket_price, currency, scheduled_start, updated_at, sequence, version";
    assert_eq!(
        bench.rows(columns, "read.streams").await,
        [
            "(\"Morning folk\",\"\",,{},,https://images.example/folk.png,t,,EUR,,\"2025-06-27 20:00:01+00\",1,1)"
        ]
    );
    let old = "read.streams WHERE search @@ websearch_to_tsquery('simple', 'jazz')";
    assert_eq!(bench.rows("1", old).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_change_while_live_and_decide_about_the_recording() {
    let settings = StreamSettings { recording_enabled: false, max_viewers: Some(9), ..Default::default() };
    let changed = SettingsEvent::StreamSettings(StreamSettingsChanged { settings });
    let events = [
        of_show(1, 0, created(1)),
        of_show(2, 1_000, started(1)),
        of_show(3, 2_000, changed),
        of_show(4, 9_500, ended(1, 8)),
    ];
    let bench = given("streams_settings", &events).await;
    assert_eq!(
        bench.rows(&format!("settings->>'maxViewers', {STATE}"), "read.streams").await,
        ["(9,ENDED,1,0,0,0,0,0,0,\"2025-06-27 20:00:01+00\",\"2025-06-27 20:00:09.5+00\",8,,\
          \"2025-06-27 20:00:09.5+00\",3,2)"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn audience_chat_and_tips_count_and_the_end_empties_the_room() {
    let events = [
        of_show(1, 0, created(1)),
        of_show(2, 1_000, started(1)),
        of_show(3, 2_000, joined(31, 1, counts(2, 4, 9, 5))),
        of_show(4, 3_000, posted(41, 1, None)),
        of_show(5, 3_000, tip_requested(51, 1, usd(1_050))),
        of_show(6, 4_000, tip_captured(51, 1, usd(1_050), None)),
        of_show(
            7,
            4_000,
            InteractionEvent::Reactions(ReactionsCounted {
                counts: [("heart".to_owned(), 2)].into(),
                first_time: Vec::new(),
                commands: Vec::new(),
            }),
        ),
    ];
    let bench = given("streams_counts", &events).await;
    assert_eq!(
        bench.rows(STATE, "read.streams").await,
        ["(LIVE,3,2,4,9,5,1,10.50,\"2025-06-27 20:00:01+00\",,,,\"2025-06-27 20:00:04+00\",6,0)"]
    );
    bench.append(&[of_show(8, 5_000, left(31, 1, 5_000, LeaveReason::Left))]);
    bench.project("streams").await;
    assert_eq!(bench.rows("viewer_count, peak_viewers", "read.streams").await, ["(0,1)"]);
    bench.append(&[
        of_show(9, 5_000, joined(32, 1, counts(3, 4, 10, 5))),
        of_show(10, 6_000, tip_requested(52, 1, usd(25))),
        of_show(11, 61_000, ended(1, 60)),
        of_show(12, 62_000, tip_captured(52, 1, usd(25), None)),
    ]);
    bench.project("streams").await;
    assert_eq!(
        bench.rows(STATE, "read.streams").await,
        ["(ENDED,1,0,4,10,5,1,10.75,\"2025-06-27 20:00:01+00\",\"2025-06-27 20:01:01+00\",60,PROCESSING,\
          \"2025-06-27 20:01:02+00\",11,0)"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_show_never_was_live() {
    let cancelled = LifecycleEvent::Cancelled(ShowCancelled { show_id: show(1) });
    let bench = given("streams_cancelled", &[of_show(1, 0, created(1)), of_show(2, 500, cancelled)]).await;
    let columns = "status, discovery_rank, started_at, ended_at, recording_status, scheduled_start, version";
    let scheduled = at_ms(60_000).to_chrono().format("%Y-%m-%d %H:%M:%S+00");
    assert_eq!(bench.rows(columns, "read.streams").await, [format!("(CANCELLED,0,,,,\"{scheduled}\",0)")]);
}
