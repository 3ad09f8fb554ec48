//! Queries over a real database, as clients ask them.

mod figures;
mod resources;
mod waits;

use ::analytics::figures::Figures;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use platform::clock::Clock;
use platform::event_log::memory::MemoryLog;
use platform::health::Health;
use platform::http::auth::Role;
use platform::http::edge::edge;
use platform::vault::Vault;
use projections::Projections;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

use crate::read_model::view;
use crate::realtime::RealtimeSettings;
use crate::realtime::commands::CommandClient;
use crate::testkit::{Database, Happening, Show, edge_config, person, pseudonyms, token, vault};
use crate::{Deps, QueryApi};

/// How long a query waits for the views, as the API promises.
const PROMISED_WAIT: Duration = Duration::from_secs(5);

/// Views are made, and follow, well within this; within a query's own wait on a machine that is not busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(10);

struct Service {
    log: MemoryLog,
    vault: Vault,
    api: QueryApi,
    app: Router,
    projections: Projections,
    database: Database,
}

struct Answer {
    status: u16,
    position: Option<u64>,
    etag: Option<String>,
    body: Value,
}

impl Service {
    /// Without a warehouse.
    async fn start() -> Self {
        Self::with(Figures::new(clickhouse::Client::default().with_url("http://127.0.0.1:1"))).await
    }

    async fn with(figures: Figures) -> Self {
        let (log, vault, database) = (MemoryLog::new(1), vault(), Database::start().await);
        let projections = database.project(&log);
        made(&projections).await;
        let api = QueryApi::start(Deps {
            log: Arc::new(log.clone()),
            pool: database.pool.clone(),
            figures: Some(figures),
            vault: vault.clone(),
            pseudonyms: Arc::new(pseudonyms()),
            commands: CommandClient::in_process(Router::new()),
            clock: Clock::system(),
            agora_app_id: "app".to_owned(),
            recordings_base: "https://recordings.example.com/".to_owned(),
            realtime: RealtimeSettings::default(),
            health: Health::new(),
        });
        let (router, _) = api.router().split_for_parts();
        let app = edge(router.merge(api.sockets()), edge_config());
        Self { log, vault, api, app, projections, database }
    }

    async fn stop(self) {
        self.api.shutdown().await;
        self.projections.shutdown().await;
        self.database.stop().await;
    }

    /// The position of the last event.
    fn head(&self) -> u64 {
        self.log.events().last().map_or(0, |event| event.position.0)
    }

    /// Asks as a person, for everything that is in the log; again, where views were not that far when it was asked.
    async fn get(&self, sub: &str, path: &str) -> Answer {
        let (head, begun) = (self.head(), Instant::now());
        loop {
            let (were_there, asked) = (self.have_views_reached(head).await, Instant::now());
            let min = head.to_string();
            let answer = self.ask(sub, &[Role::Viewer], path, &[("tally-min-position", &min)]).await;
            if were_there || answer.body["code"] != "position_not_reached" {
                return answer;
            }
            assert!(asked.elapsed() >= PROMISED_WAIT, "refused before its time: {}", answer.body);
            assert!(begun.elapsed() < PATIENCE, "the views do not follow: {}", answer.body);
        }
    }

    async fn have_views_reached(&self, position: u64) -> bool {
        let views = [view::STREAMS, view::VIEWERS, view::MESSAGES, view::TIPS];
        let sql = "SELECT count(*) FROM read.positions WHERE view = ANY($1) AND position >= $2";
        let there = sqlx::query_scalar(sql).bind(views).bind(i64::try_from(position).unwrap());
        let there: i64 = there.fetch_one(&self.database.pool).await.unwrap();
        there == 4
    }

    async fn ask(&self, sub: &str, roles: &[Role], path: &str, headers: &[(&str, &str)]) -> Answer {
        let authorization = format!("Bearer {}", token(sub, roles, 60));
        let mut request = Request::get(path).header("authorization", authorization);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(self.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await
    }

    async fn live(&self) -> Show {
        Show::live(&self.log, &self.vault).await
    }
}

/// Waits until the views are there to be read.
async fn made(projections: &Projections) {
    let (check, begun) = (projections.check(), Instant::now());
    while let Err(trouble) = check() {
        assert!(begun.elapsed() < PATIENCE, "{trouble}");
        sleep(LOOK).await;
    }
}

async fn answer(response: Response<Body>) -> Answer {
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, position, etag) = (
        response.status().as_u16(),
        header("tally-position").map(|position| position.parse().unwrap()),
        header("etag"),
    );
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Answer { status, position, etag, body }
}

/// All of it in one cluster: starting one takes longer than everything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_answer_what_the_log_says() {
    let service = Service::start().await;
    resources::streams_are_documents(&service).await;
    resources::discovery_is_ordered_filtered_and_paged(&service).await;
    resources::chat_is_read_both_ways(&service).await;
    resources::tips_make_a_leaderboard(&service).await;
    resources::viewers_are_for_staff(&service).await;
    waits::protected_shows_are_for_those_who_entered(&service).await;
    waits::positions_are_waited_for(&service).await;
    waits::bad_queries_are_refused(&service).await;
    waits::long_shows_begin_with_their_row(&service).await;
    figures::nothing_else_needs_the_warehouse(&service).await;
    service.stop().await;
}

async fn answer_status(service: &Service, request: Request<Body>) -> u16 {
    service.app.clone().oneshot(request).await.unwrap().status().as_u16()
}

/// A tip that is asked for and paid.
async fn tip(show: &Show, sub: &'static str, cents: i64) {
    show.let_happen(Happening::TipRequested(sub, cents)).await;
    show.let_happen(Happening::TipCaptured(sub, cents)).await;
}
