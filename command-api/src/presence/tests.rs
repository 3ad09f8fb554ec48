//! Presence over a real database: one server, one story after the other.

use std::sync::Arc;
use std::time::Duration;

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

/// Short enough for a test, long enough for a busy machine to give a sign of life within it.
const GRACE: Duration = Duration::from_secs(2);

struct Node {
    log: MemoryLog,
    pool: PgPool,
    shows: Shows,
    clock: Clock,
}

impl Node {
    fn presence(&self) -> Presence {
        Presence::start(PresenceDeps {
            pool: self.pool.clone(),
            log: Arc::new(self.log.clone()),
            shows: self.shows.clone(),
            clock: self.clock.clone(),
            settings: PresenceSettings {
                flush_interval: Duration::from_millis(50),
                grace: GRACE,
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
        let reached = async {
            while self.rows().await != count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reached).await.expect("rows follow the log");
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

    /// Beats for one session until another one is over.
    async fn beat_until_left(&self, presence: &Presence, alive: SessionId, count: usize) -> Timestamp {
        let mut last = self.clock.now();
        for _ in 0..200 {
            if self.left().len() == count {
                return last;
            }
            last = self.clock.now();
            presence.seen(show_id(), alive, last);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("nobody was found to be gone");
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
    let node = Node { log, pool, shows, clock: Clock::system() };
    node.shows.dispatch(show_id(), by(HOST, 1, create(None)), |_| ()).await.unwrap();
    node.shows.dispatch(show_id(), by(HOST, 2, Action::Start), |_| ()).await.unwrap();

    // one is seen and one is not
    let presence = node.presence();
    let alive = node.join(9, 10).await;
    let gone = node.join(8, 11).await;
    let joined_at = node.clock.now();
    node.until_rows(2).await;
    node.beat_until_left(&presence, alive, 1).await;
    let left = node.left().remove(0);
    assert_eq!((left.session_id, left.reason), (gone, LeaveReason::Unseen));
    assert!(left.left_at <= joined_at, "gone since the last sign of life, not since it was noticed");
    node.until_rows(1).await;

    // the database loses everything while no node runs: the log tells again who is there
    presence.shutdown().await;
    let silent = node.join(7, 12).await;
    sqlx::query("TRUNCATE presence.sessions, presence.progress").execute(&node.pool).await.unwrap();
    let presence = node.presence();
    node.until_rows(2).await;
    node.beat_until_left(&presence, alive, 2).await;
    assert_eq!(node.left().pop().unwrap().session_id, silent);

    // an outage longer than the grace period ends nobody who comes back within it
    presence.shutdown().await;
    tokio::time::sleep(GRACE + Duration::from_millis(200)).await;
    let presence = node.presence();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(node.left().len(), 2, "one full grace period after an outage");
    presence.seen_person(show_id(), person(9), node.clock.now());
    tokio::time::sleep(GRACE - Duration::from_millis(400)).await;
    assert_eq!(node.left().len(), 2);

    // the end of the show ends every session without another word
    let end = domain::Command { at: node.clock.now(), ..by(HOST, 3, Action::End) };
    node.shows.dispatch(show_id(), end, |_| ()).await.unwrap();
    node.until_rows(0).await;
    assert_eq!(node.left().len(), 2);
    presence.shutdown().await;
    node.shows.shutdown().await;
}
