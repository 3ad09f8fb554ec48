//! From the log to the figures: a generated history and a show of now go through the relay, Kafka, the loader and ClickHouse to the API,
//! and every figure is what brute force over the log says.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::type_complexity,
    clippy::redundant_closure_for_method_calls,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::float_cmp,
    reason = "what is not as expected fails the test"
)]

#[path = "../../analytics/tests/warehouse/checks.rs"]
mod checks;
#[path = "../../analytics/tests/warehouse/many.rs"]
mod many;
#[path = "../../analytics/tests/warehouse/oracle.rs"]
mod oracle;
#[path = "../../analytics/tests/warehouse/recorded.rs"]
mod recorded;

use analytics::figures::{AsOf, Figures};
use checks::check_show;
use embedded::clickhouse::{ClickHouse, DATABASE};
use futures::StreamExt;
use many::{Frame, check_many};
use oracle::Seen;
use platform::event_log::eventstore::EventStoreLog;
use platform::event_log::{EventLog, LogItem, codec};
use platform::http::auth::Role;
use recorded::{Recorded, Show};
use schemas::events::{ChatEvent, LifecycleEvent, ShowEvent};
use schemas::{Event, Position, ShowId, Timestamp};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tally_tests::server::{Settings, binary, data_dir, settings};
use tally_tests::{Answer, Api, Server};
use tokio::time::{Instant, sleep};

/// 2025-05-31, 2025-06-16 and 2025-07-02, midnight in UTC.
const TIMES: [i64; 3] = [1_748_649_600_000, 1_750_032_000_000, 1_751_414_400_000];
/// Three weeks of June.
const USAGE: [i64; 2] = [1_748_995_200_000, 1_748_995_200_000 + 21 * 86_400_000];
/// The first answer waits for a broker and a server to start, and for all events to pass.
const PATIENCE: Duration = Duration::from_secs(180);
const STREAMS: &[&str] = &["show-"];

fn with_warehouse(data: &Path) -> Settings {
    let mut settings = settings(data);
    settings.insert("TALLY_DATA__WAREHOUSE".into(), "true".into());
    settings
}

fn generate(data: &Path) {
    let options = ["--events", "2000", "--months", "1", "--until", "2025-07-01", "--creators", "3"];
    let made = Command::new(binary()).arg("generate").args(options).envs(settings(data)).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_figure_is_what_brute_force_over_the_log_says() -> anyhow::Result<()> {
    let data = data_dir();
    generate(data.path());
    let server = Server::start("up", &with_warehouse(data.path())).await?;
    let (show, last) = a_show_of_now(&server).await?;
    let admin = server.client("root", &[Role::Admin]);
    admin.get_figures(&format!("/streams/{show}/analytics"), &last).await?.expect(200);

    let shows = read_log(data.path()).await?;
    let figures = Figures::new(client(data.path()));
    of_each_show(&figures, &shows).await;
    of_the_api(&admin, &shows).await?;
    rolled_up(&figures, &shows).await;
    let (all, now): (Vec<Show>, Vec<Show>) = shows.into_iter().partition(|made| made.id.to_string() != show);
    assert_eq!(now.len(), 1);
    let mut creators: Vec<_> = all.iter().map(|show| show.creator).collect();
    creators.sort_unstable();
    creators.dedup();
    check_many(&figures, &all, &Frame { creators, times: TIMES, usage: USAGE }).await;
    rebuilt(data.path(), &server, &figures, &all).await?;
    server.stop().await
}

/// Its figures are there while it runs, each command's in its place.
async fn a_show_of_now(server: &Server) -> anyhow::Result<(String, Answer)> {
    let alice = server.client("alice", &[Role::Creator]);
    let created = alice.post("/streams", json!({ "title": "now", "category": "music" })).await?.expect(201);
    let show = created.text_of("streamId");
    let path = |tail: &str| format!("/streams/{show}{tail}");
    // the warehouse takes its time with the history
    alice.get_figures(&path("/analytics"), &created).await?.expect(200);
    let mut last = alice.post(&path("/start"), Value::Null).await?.expect(200);
    for name in ["bob", "ann", "joe"] {
        let viewer = server.client(name, &[Role::Viewer]);
        viewer.post(&path("/join"), json!({ "deviceType": "MOBILE" })).await?.expect(200);
        let said = json!({ "message": format!("hello from {name}") });
        last = viewer.post(&path("/chat"), said).await?.expect(201);
    }
    let bob = server.client("bob", &[Role::Viewer]);
    let tip = json!({ "amount": 12.34, "currency": "USD" });
    let tipped = bob.post_with_key(&path("/tip"), "tip-1", tip).await?.expect(201);
    if tipped.position().parse::<u64>()? > last.position().parse::<u64>()? {
        last = tipped;
    }
    let live = alice.get_figures(&path("/analytics"), &last).await?.expect(200).body;
    assert_eq!((&live["status"], &live["final"]), (&json!("LIVE"), &json!(false)), "{live}");
    assert_eq!((&live["viewerCount"], &live["messagesCount"]), (&json!(3), &json!(3)), "{live}");
    let left = bob.post(&path("/leave"), Value::Null).await?.expect(200);
    let live = alice.get_figures(&path("/analytics"), &left).await?.expect(200).body;
    assert_eq!((&live["viewerCount"], &live["peakViewers"]), (&json!(2), &json!(3)), "{live}");
    alice.post(&path("/end"), Value::Null).await?.expect(200);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ended = alice.get(&path("/analytics")).await?;
        if ended.body["final"] == json!(true) {
            assert_eq!(ended.body["totalTips"].to_string(), "12.34", "{}", ended.text);
            // whatever was written last is no older than this
            return Ok((show.clone(), alice.post("/streams", json!({ "title": "next" })).await?.expect(201)));
        }
        assert!(Instant::now() < deadline, "{}", ended.text);
        sleep(Duration::from_millis(200)).await;
    }
}

fn client(data: &Path) -> clickhouse::Client {
    let running = ClickHouse::running(&data.join("clickhouse")).unwrap();
    clickhouse::Client::default()
        .with_url(running.url)
        .with_database(DATABASE)
        .with_user(running.users.writer.user)
        .with_password(running.users.writer.password.expose_secret())
}

/// All shows of the log, whole.
async fn read_log(data: &Path) -> anyhow::Result<Vec<Show>> {
    let address = std::fs::read_to_string(data.join("event-log.address"))?;
    let log = EventStoreLog::new(&format!("kurrentdb://{address}?tls=false"), "oracle")?;
    let mut shows: BTreeMap<String, Show> = BTreeMap::new();
    let mut items = log.subscribe(None, STREAMS).await?;
    while let Some(item) = items.next().await {
        let event = match item? {
            LogItem::Event(stored) => stored,
            LogItem::Checkpoint(_) => continue,
            LogItem::CaughtUp => break,
        };
        let envelope = codec::decode(&event)?;
        let Event::Show(of_show) = envelope.event else { continue };
        if let ShowEvent::Lifecycle(LifecycleEvent::Created(created)) = &of_show {
            let id: ShowId = event.stream.strip_prefix("show-").unwrap().parse()?;
            shows.insert(event.stream.clone(), Show { id, creator: created.creator, events: vec![] });
        }
        shows.get_mut(&event.stream).unwrap().events.push(Recorded {
            position: event.position.0,
            revision: event.revision,
            at: envelope.meta.occurred_at.millis(),
            event: of_show,
        });
    }
    Ok(shows.into_values().collect())
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// As of now, and as of the middle of the log.
async fn of_each_show(figures: &Figures, shows: &[Show]) {
    let mut positions: Vec<u64> =
        shows.iter().flat_map(|show| &show.events).map(|event| event.position).collect();
    positions.sort_unstable();
    assert!(positions.len() > 1_500, "{}", positions.len());
    for (position, time) in [(*positions.last().unwrap(), now()), (positions[positions.len() / 2], 0)] {
        for show in shows {
            let time = Timestamp::from_millis(time);
            check_show(figures, show, AsOf { position: Position(position), time }).await;
        }
    }
}

/// What was lost is there again, and what happens afterwards too.
async fn rebuilt(data: &Path, server: &Server, figures: &Figures, shows: &[Show]) -> anyhow::Result<()> {
    for table in ["fact_messages", "rollup_show_viewers"] {
        client(data).query(&format!("TRUNCATE TABLE {table}")).execute().await?;
    }
    let (binary, settings) = (binary(), settings(data));
    let rebuild = move || Command::new(binary).args(["rebuild", "warehouse"]).envs(settings).output();
    let rebuilt = tokio::task::spawn_blocking(rebuild).await??;
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    assert!(String::from_utf8_lossy(&rebuilt.stdout).contains("warehouse: rebuilt and swapped in"));
    let creator = server.client("zoe", &[Role::Creator]);
    let written = creator.post("/streams", json!({ "title": "afterwards" })).await?.expect(201);
    let path = format!("/streams/{}/analytics", written.text_of("streamId"));
    let answer = creator.get_figures(&path, &written).await?.expect(200);
    assert_eq!(answer.body["status"], "SCHEDULED", "{}", answer.text);
    for show in shows {
        let as_of =
            AsOf { position: Position(written.position().parse()?), time: Timestamp::from_millis(now()) };
        check_show(figures, show, as_of).await;
    }
    Ok(())
}

/// The roll-ups follow the facts.
async fn rolled_up(figures: &Figures, shows: &[Show]) {
    let last = shows.iter().flat_map(|show| &show.events).map(|event| event.position).max().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reached =
            figures.rolled_up_as_of(schemas::published::TOPIC, schemas::published::PARTITIONS).await.unwrap();
        if reached.is_some_and(|reached| reached.position.0 >= last) {
            return;
        }
        assert!(Instant::now() < deadline, "{reached:?} {last}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// What the specification asks for of each show, as clients read it.
async fn of_the_api(admin: &Api, shows: &[Show]) -> anyhow::Result<()> {
    for show in shows {
        let answer = admin.get(&format!("/streams/{}/analytics", show.id)).await?.expect(200).body;
        let seen = Seen::new(show, u64::MAX, now()).unwrap();
        let (persons, watched) = (seen.persons().len() as u64, seen.watch_ms());
        let share = |part: i64, whole: i64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        for (field, expected) in [
            ("totalViews", seen.stays().len() as u64),
            ("peakViewers", seen.peak()),
            ("uniqueViewers", persons),
            (
                "messagesCount",
                seen.count(|event| u64::from(matches!(event, ShowEvent::Chat(ChatEvent::Posted(_))))),
            ),
            ("tipsCount", seen.tips().len() as u64),
            ("pendingTips", 0),
            ("duration", seen.started.map_or(0, |start| (seen.until - start) / 1_000).cast_unsigned()),
            ("watchTime", (watched / 1_000).cast_unsigned()),
        ] {
            assert_eq!(answer[field], expected, "{field} of {answer}");
        }
        for (field, expected) in [
            ("averageViewTime", share(watched, persons as i64 * 1_000).round()),
            ("viewerRetention", share(watched, seen.possible_ms())),
            ("averageConcurrent", seen.started.map_or(0.0, |start| share(watched, seen.until - start))),
        ] {
            assert!((answer[field].as_f64().unwrap() - expected).abs() < 1e-6, "{field} of {answer}");
        }
        let tips: i64 = seen.tips().iter().map(|(_, _, tip)| tip.minor_units()).sum();
        let digits = i32::try_from(checks::currency_of(show).minor_digits())?;
        let told = answer["totalTips"].as_f64().unwrap() * 10_f64.powi(digits);
        assert!((told - tips as f64).abs() < 1e-6, "{tips} {answer}");
    }
    Ok(())
}
