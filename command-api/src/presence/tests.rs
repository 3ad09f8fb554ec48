//! Presence over a real database: one server, one story after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Action, Rules};
use embedded::postgres::{Postgres, PostgresConfig};
use platform::clock::Clock;
use platform::event_log::EventLog;
use platform::event_log::memory::MemoryLog;
use schemas::events::{AudienceEvent, LeaveReason, ShowEvent, ViewerLeft};
use schemas::{Event, SessionId, Timestamp};
use sqlx::PgPool;

use super::{Presence, PresenceDeps, PresenceSettings};
use crate::actors::{ActorSettings, Shows};
use crate::test_kit::*;
use platform::event_log::codec;

/// Short enough for a test that waits for its end; nothing has to happen before that.
const GRACE: Duration = Duration::from_secs(1);

/// After an outage signs of life have to come within this: long enough for a machine that is busy.
const LONG_GRACE: Duration = Duration::from_secs(10);

/// What must happen happens well within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(20);

struct Node {
    log: MemoryLog,
    pool: PgPool,
    shows: Shows,
    clock: Clock,
}

impl Node {
    fn presence(&self, grace: Duration) -> Presence {
        Presence::start(PresenceDeps {
            pool: self.pool.clone(),
            log: Arc::new(self.log.clone()),
            shows: self.shows.clone(),
            clock: self.clock.clone(),
            settings: PresenceSettings {
                flush_interval: Duration::from_millis(50),
                grace,
                sweep_interval: Duration::from_millis(50),
            },
        })
    }

    async fn join(&self, who: u128, id: u128) -> SessionId {
        let command = domain::Command { at: self.clock.now(), ..by(who, id, join()) };
        let read = move |show: &domain::Show| show.audience().session_on(person(who), None).copied();
        self.shows.dispatch(show_id(), command, read).await.unwrap().seen.unwrap().session_id
    }

    async fn rows(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM presence.sessions").fetch_one(&self.pool).await.unwrap()
    }

    async fn until_rows(&self, count: i64) {
        until("rows follow the log", async || self.rows().await == count).await;
    }

    /// Waits until a sign of life is in the database.
    async fn until_seen(&self, session: SessionId, at: Timestamp) {
        let sql = "SELECT count(*) FROM presence.sessions WHERE session_id = $1 AND last_seen = $2";
        let count = async || -> i64 {
            let found = sqlx::query_scalar(sql).bind(session.0).bind(at.to_chrono());
            found.fetch_one(&self.pool).await.unwrap()
        };
        until("signs of life are written", async || count().await == 1).await;
    }

    /// The clock is not the machine's: what is late is so by what is told here, however slow the machine is.
    fn pass(&self, time: Duration) {
        self.clock.advance(i64::try_from(time.as_millis()).unwrap() + 1);
    }

    fn left(&self) -> Vec<ViewerLeft> {
        let events = self.log.events();
        let left = |event: Event| match event {
            Event::Show(ShowEvent::Audience(AudienceEvent::Left(left))) => Some(left),
            Event::Show(_) | Event::Payment(_) => None,
        };
        let decoded = events.iter().filter_map(|event| codec::decode(event).ok());
        decoded.filter_map(|envelope| left(envelope.event)).collect()
    }

    async fn until_left(&self, count: usize) {
        until("those who are gone are found out", async || self.left().len() == count).await;
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "took too long: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_are_gone_are_found_out_and_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(PostgresConfig::new(directory.path())).await.unwrap();
    let pool = platform::postgres::connect(&postgres.url(), 10).await.unwrap();
    platform::postgres::migrate(&pool).await.unwrap();
    let log = MemoryLog::new(1);
    let port: Arc<dyn EventLog> = Arc::new(log.clone());
    let shows = Shows::new(port, Rules::default(), ActorSettings::default());
    let node = Node { log, pool, shows, clock: Clock::manual(by(HOST, 0, Action::Start).at) };
    node.shows.dispatch(show_id(), by(HOST, 1, create(None)), |_| ()).await.unwrap();
    node.shows.dispatch(show_id(), by(HOST, 2, Action::Start), |_| ()).await.unwrap();

    // one is seen and one is not
    let presence = node.presence(GRACE);
    let alive = node.join(9, 10).await;
    let gone = node.join(8, 11).await;
    let joined_at = node.clock.now();
    node.until_rows(2).await;
    let seen_at = joined_at.plus_millis(1_000);
    presence.seen(show_id(), alive, seen_at);
    node.until_seen(alive, seen_at).await;
    node.pass(GRACE);
    node.until_left(1).await;
    let left = node.left().remove(0);
    assert_eq!((left.session_id, left.reason), (gone, LeaveReason::Unseen));
    assert!(left.left_at <= joined_at, "gone since the last sign of life, not since it was noticed");
    node.until_rows(1).await;

    // the database loses everything while no node runs: the log tells again who is there
    presence.shutdown().await;
    let silent = node.join(7, 12).await;
    sqlx::query("TRUNCATE presence.sessions, presence.progress").execute(&node.pool).await.unwrap();
    node.pass(LONG_GRACE);
    let presence = node.presence(LONG_GRACE);
    node.until_rows(2).await;
    presence.seen(show_id(), alive, node.clock.now());
    node.until_left(2).await;
    assert_eq!(node.left().pop().unwrap().session_id, silent);
    node.until_rows(1).await;

    // an outage longer than the grace period ends nobody who comes back within it
    presence.shutdown().await;
    let silent = node.join(6, 13).await;
    node.pass(LONG_GRACE);
    let presence = node.presence(LONG_GRACE);
    // time enough for a sweep that does not wait
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(node.left().len(), 2, "one full grace period after an outage");
    presence.seen_person(show_id(), person(9), node.clock.now());
    node.until_seen(alive, node.clock.now()).await;
    assert_eq!(node.left().len(), 2);
    // whoever does not come back shows that the period is over
    node.until_left(3).await;
    assert_eq!(node.left().pop().unwrap().session_id, silent);
    node.until_rows(1).await;

    // the end of the show ends every session without another word
    let end = domain::Command { at: node.clock.now(), ..by(HOST, 3, Action::End) };
    node.shows.dispatch(show_id(), end, |_| ()).await.unwrap();
    node.until_rows(0).await;
    assert_eq!(node.left().len(), 3);
    presence.shutdown().await;
    node.shows.shutdown().await;
}
