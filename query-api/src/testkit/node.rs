//! A node over real TCP, with the platform's edge, and commands that are carried out by hand.

use async_trait::async_trait;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use parking_lot::Mutex;
use platform::clock::Clock;
use platform::event_log::memory::MemoryLog;
use platform::health::Health;
use platform::http::auth::{
    Authenticated, DevToken, Role, Verifier, VerifierSettings, mint_dev_token, system_now,
};
use platform::http::edge::{EdgeConfig, edge};
use platform::http::problem::Problem;
use platform::http::server::{ServerConfig, serve};
use platform::pseudonym::Pseudonyms;
use platform::shutdown::Shutdown;
use platform::vault::{MemoryKeys, Vault, VaultOptions};
use schemas::{PersonId, ShowId};
use secrecy::{SecretBox, SecretString};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};

use super::shows::{Happening, Show};
use crate::realtime::commands::CommandClient;
use crate::realtime::{Entries, EntriesError, NoSeeds, Realtime, RealtimeDeps, RealtimeSettings};

const SECRET: &str = "a-secret-for-tests-of-thirty-two-bytes-or-more";

pub(crate) fn pseudonyms() -> Pseudonyms {
    Pseudonyms::new(&SecretBox::new(Box::new([7; 32])))
}

/// A vault whose erasures do not take long.
pub(crate) fn vault() -> Vault {
    vault_over(&MemoryKeys::default())
}

/// How long such a vault may use a key without asking.
pub(crate) const KEY_LEASE: Duration = Duration::from_millis(200);

fn vault_over(keys: &MemoryKeys) -> Vault {
    Vault::over_memory(keys, 1, &VaultOptions { lease: KEY_LEASE, ..VaultOptions::default() })
}

/// A token of a person with roles, good for so long.
pub(crate) fn token(sub: &str, roles: &[Role], lifetime_seconds: u32) -> String {
    let claims = DevToken { sub, roles, name: None, issuer: "tally", audience: "tally", lifetime_seconds };
    mint_dev_token(&SecretString::from(SECRET), &claims, system_now()()).unwrap()
}

/// A command as the service saw it.
#[derive(Clone, Debug)]
pub(crate) struct SeenCommand {
    pub(crate) path: String,
    pub(crate) sub: String,
    pub(crate) key: Option<String>,
    pub(crate) body: String,
}

/// The command service of tests: carries out messages and joins, and remembers what it was asked.
#[derive(Clone, Default)]
pub(crate) struct CommandLog {
    pub(crate) seen: Arc<Mutex<Vec<SeenCommand>>>,
    pub(crate) shows: Arc<Mutex<Vec<Show>>>,
    pub(crate) refuses: Arc<Mutex<Option<Problem>>>,
}

impl CommandLog {
    fn router(self) -> Router {
        Router::new().route("/api/v1/streams/{id}/{command}", post(carry_out)).with_state(self)
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.seen.lock().iter().map(|seen| seen.path.clone()).collect()
    }
}

async fn carry_out(
    State(log): State<CommandLog>,
    Authenticated(caller): Authenticated,
    Path((id, command)): Path<(ShowId, String)>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
    let seen = SeenCommand { path: command.clone(), sub: caller.sub.to_string(), key, body: body.clone() };
    log.seen.lock().push(seen);
    if let Some(problem) = log.refuses.lock().clone() {
        return problem.into_response();
    }
    let show = log.shows.lock().iter().find(|show| show.id == id).cloned();
    let show = show.expect("the show is known to the test");
    match command.as_str() {
        "chat" => {
            let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
            let sequence = show.message(known(&caller.sub), sent["message"].as_str().unwrap()).await;
            (StatusCode::CREATED, Json(serde_json::json!({ "sequence": sequence }))).into_response()
        }
        "join" => {
            let sequence = show.let_happen(Happening::Joined(known(&caller.sub))).await;
            Json(serde_json::json!({ "accessGranted": true, "sessionId": "s-1", "sequence": sequence }))
                .into_response()
        }
        _ => Json(serde_json::json!({})).into_response(),
    }
}

/// The few persons of tests.
fn known(sub: &str) -> &'static str {
    ["anna", "ben", "host"].into_iter().find(|known| *known == sub).expect("a person of the tests")
}

/// Who has entered, by hand.
#[derive(Clone, Default)]
pub(crate) struct Entered(pub(crate) Arc<Mutex<HashSet<(ShowId, PersonId)>>>);

#[async_trait]
impl Entries for Entered {
    async fn has_entered(&self, show: ShowId, person: PersonId) -> Result<bool, EntriesError> {
        Ok(self.0.lock().contains(&(show, person)))
    }
}

/// What the kernel is asked to hold at each end of a narrow connection. It takes some times that.
pub(super) const NARROW_BYTES: u32 = 128 * 1024;

/// A running node.
pub(crate) struct Node {
    pub(crate) log: MemoryLog,
    pub(crate) keys: MemoryKeys,
    pub(crate) vault: Vault,
    pub(crate) commands: CommandLog,
    pub(crate) entered: Entered,
    pub(crate) realtime: Realtime,
    pub(crate) health: Health,
    pub(crate) address: SocketAddr,
    _shutdown: Shutdown,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::with(MemoryLog::new(1), RealtimeSettings::default()).await
    }

    pub(crate) async fn with(log: MemoryLog, settings: RealtimeSettings) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), log, settings)
    }

    /// One whose kernel holds little that a client does not read.
    pub(crate) fn narrow(settings: RealtimeSettings) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // accepted connections have it too
        socket.set_send_buffer_size(NARROW_BYTES).unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        Self::on(socket.listen(100).unwrap(), MemoryLog::new(1), settings)
    }

    fn on(listener: TcpListener, log: MemoryLog, settings: RealtimeSettings) -> Self {
        let (keys, commands, entered) = (MemoryKeys::default(), CommandLog::default(), Entered::default());
        let vault = vault_over(&keys);
        let config = edge_config();
        let health = Health::new();
        let deps = RealtimeDeps {
            log: Arc::new(log.clone()),
            vault: vault.clone(),
            seeds: Arc::new(NoSeeds),
            entries: Arc::new(entered.clone()),
            pseudonyms: Arc::new(pseudonyms()),
            commands: CommandClient::in_process(edge(commands.clone().router(), config.clone())),
            clock: Clock::system(),
            settings,
        };
        let realtime = Realtime::start(deps, &health);
        let app = edge(realtime.sockets(), config);
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let serving = shutdown.clone();
        let server = ServerConfig {
            header_read_timeout: Duration::from_secs(5),
            connections_max: 1_000,
            drain: Duration::from_secs(1),
        };
        tokio::spawn(async move { serve(listener, app, server, &serving).await });
        Self { log, keys, vault, commands, entered, realtime, health, address, _shutdown: shutdown }
    }

    /// A live show that commands can change.
    pub(crate) async fn live_show(&self) -> Show {
        let show = Show::live(&self.log, &self.vault).await;
        self.commands.shows.lock().push(show.clone());
        show
    }
}

/// The edge of tests: it knows tokens, and limits nobody.
pub(crate) fn edge_config() -> EdgeConfig {
    let settings = VerifierSettings {
        issuer: "tally".to_owned(),
        audience: "tally".to_owned(),
        leeway_seconds: 0,
        hs256_secret: Some(SecretString::from(SECRET)),
        jwks_url: None,
    };
    EdgeConfig {
        body_limit: 65_536,
        request_timeout: Duration::from_secs(30),
        compression: false,
        cors_allowed_origins: vec![],
        trusted_proxies: vec![],
        verifier: Some(Arc::new(Verifier::new(settings, system_now()).unwrap())),
        limits: None,
        keeps_fallback: false,
    }
}
