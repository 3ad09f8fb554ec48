//! Persons with tokens, and shows that they are in.

use anyhow::{Context, ensure};
use platform::http::auth::{DevToken, Role, mint_dev_token};
use rand::distr::{Alphanumeric, SampleString};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Longer than any run.
const TOKEN_SECONDS: u32 = 24 * 3_600;

/// Characters of the secret that all servers of a run share.
const SECRET_LENGTH: usize = 48;

/// The token subject of whoever makes the shows.
pub(super) const HOST: &str = "bench-host";

/// Limits high enough that nobody meets them, and still counted for everybody.
const MESSAGES_A_WINDOW: &str = "10000";
const REQUESTS_A_SECOND: &str = "1000000";

/// Who makes tokens for a run.
pub(super) struct People {
    secret: SecretString,
}

impl People {
    pub(super) fn new() -> Self {
        Self { secret: Alphanumeric.sample_string(&mut rand::rng(), SECRET_LENGTH).into() }
    }

    /// What a server has to be told to take part.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let plain = [
            ("TALLY_EVENT_LOG__LISTEN", "127.0.0.1:0"),
            ("TALLY_DATA__WAREHOUSE", "false"),
            ("TALLY_LIMITS__CHAT_MESSAGES", MESSAGES_A_WINDOW),
            ("TALLY_LIMITS__REQUESTS_PER_PERSON_SECOND", REQUESTS_A_SECOND),
            ("TALLY_LIMITS__REQUESTS_PER_ADDRESS_SECOND", REQUESTS_A_SECOND),
        ];
        let mut environment: Vec<_> = plain.map(|(name, value)| (name, value.to_owned())).into();
        environment.push(("TALLY_AUTH__HS256_SECRET", self.secret.expose_secret().to_owned()));
        environment
    }

    pub(super) fn viewer(&self, number: usize) -> anyhow::Result<String> {
        self.token(&format!("bench-viewer-{number}"), &format!("viewer_{number}"), Role::Viewer)
    }

    /// Who makes the shows, and may see their figures.
    pub(super) fn host(&self) -> anyhow::Result<String> {
        self.token(HOST, "host", Role::Creator)
    }

    fn token(&self, sub: &str, name: &str, role: Role) -> anyhow::Result<String> {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
        let token = DevToken {
            sub,
            roles: &[role],
            name: Some(name),
            issuer: "tally",
            audience: "tally",
            lifetime_seconds: TOKEN_SECONDS,
        };
        Ok(mint_dev_token(&self.secret, &token, now)?)
    }

    /// A show that is live.
    pub(super) async fn show(&self, server: SocketAddr) -> anyhow::Result<String> {
        let token = self.host()?;
        let settings =
            json!({"quality": "HD", "recordingEnabled": false, "chatEnabled": true, "tipsEnabled": true});
        let show = json!({"title": "Measured", "currency": "USD", "settings": settings});
        let base = format!("http://{server}/api/v1/streams");
        let created = post(&base, &token, &show).await?;
        let id = created["streamId"].as_str().context("the new show has no streamId")?.to_owned();
        post(&format!("{base}/{id}/start"), &token, &json!({})).await?;
        Ok(id)
    }
}

async fn post(url: &str, token: &str, body: &Value) -> anyhow::Result<Value> {
    let request = reqwest::Client::new().post(url).bearer_auth(token).json(body);
    let response = request.header("idempotency-key", Uuid::new_v4().to_string()).send().await?;
    let (status, text) = (response.status(), response.text().await?);
    ensure!(status.is_success(), "POST {url} is refused: {status} {text}");
    Ok(serde_json::from_str(&text)?)
}
