//! The providers behind the ports, and the settings of the parts, from the configuration.

use command_api::actors::ActorSettings;
use command_api::adapters::agora::{Agora, AgoraConfig};
use command_api::adapters::audience_facts::AudienceFacts;
use command_api::adapters::stripe::{ATTEMPT_TIMEOUT_DEFAULT, Stripe, StripeConfig};
use command_api::ports::payments::Payments;
use command_api::ports::video::Video;
use domain::Rules;
use domain::rules::Rate;
use embedded::payments::{Sandbox, SandboxConfig};
use platform::config::Config;
use query_api::realtime::RealtimeSettings;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;

use crate::foundation::data_dir;
use crate::secrets::Secrets;

/// Where the sandbox keeps its charges within the data directory.
const PAYMENTS_DIR: &str = "payments-sandbox";

/// The sandbox's card that always pays.
const SANDBOX_PAYMENT_METHOD: &str = "pm_card_visa";

/// The providers, and the sandbox where one is used.
pub(crate) struct Providers {
    pub(crate) payments: Arc<dyn Payments>,
    pub(crate) video: Arc<dyn Video>,
    pub(crate) audience_facts: AudienceFacts,
    sandbox: Option<Sandbox>,
}

impl Providers {
    pub(crate) async fn start(config: &Config, secrets: &Secrets) -> anyhow::Result<Self> {
        let sandbox = match config.payments.url.as_str() {
            "" => Some(sandbox(config).await?),
            _ => None,
        };
        let (base_url, secret_key) = match &sandbox {
            Some(sandbox) => (sandbox.url(), sandbox.secret_key().clone()),
            None => {
                (config.payments.url.clone(), config.payments.secret_key.get().cloned().unwrap_or_default())
            }
        };
        let payments = Stripe::new(StripeConfig {
            base_url,
            secret_key,
            payment_method: SANDBOX_PAYMENT_METHOD.to_owned(),
            webhook_secrets: config.payments.webhook_secret.get().cloned().into_iter().collect(),
            attempt_timeout: ATTEMPT_TIMEOUT_DEFAULT,
        })?;
        let geo = Some(config.shows.geo_database.clone()).filter(|path| !path.is_empty());
        Ok(Self {
            payments: Arc::new(payments),
            video: Arc::new(agora(config, secrets)?),
            audience_facts: AudienceFacts::open(geo.map(Into::into)),
            sandbox,
        })
    }

    pub(crate) async fn stop(self) {
        if let Some(sandbox) = self.sandbox {
            sandbox.shutdown().await;
        }
    }
}

/// The sandbox keeps its charges: a repeat after a restart must not be a second charge.
async fn sandbox(config: &Config) -> anyhow::Result<Sandbox> {
    let data_dir = Some(data_dir(config)?.join(PAYMENTS_DIR));
    Ok(Sandbox::start(SandboxConfig { data_dir, ..SandboxConfig::default() }).await?)
}

fn agora(config: &Config, secrets: &Secrets) -> anyhow::Result<Agora> {
    Ok(Agora::new(AgoraConfig {
        app_id: secrets.agora_app_id.clone(),
        app_certificate: secrets.agora_certificate.clone(),
        token_seconds: config.agora.token_seconds,
        ingest_base_url: config.public.rtmp_ingest_base.clone(),
        recording_base_url: config.public.recordings_base.clone(),
        stream_key_secret: SecretString::clone(&secrets.stream_key_secret),
    })?)
}

/// The limits that decisions know.
pub(crate) fn rules(config: &Config) -> Rules {
    let limits = &config.limits;
    let window_ms = i64::from(limits.chat_window_seconds) * 1_000;
    Rules {
        chat: Rate { count: limits.chat_messages, window_ms },
        chat_staff: Rate { count: limits.chat_messages_moderator, window_ms },
        duplicate_window_ms: window_ms,
        tips: Rate { count: limits.tips_per_minute, window_ms: 60_000 },
        ..Rules::default()
    }
}

/// How actors run.
pub(crate) fn actor_settings(config: &Config) -> ActorSettings {
    let shows = &config.shows;
    ActorSettings {
        queue_length: shows.queue_length,
        batch_max: shows.batch_max,
        idle: Duration::from_secs(shows.actor_idle_seconds),
        snapshot_every: shows.snapshot_every,
        ..ActorSettings::default()
    }
}

/// How sockets run.
pub(crate) fn realtime_settings(config: &Config) -> RealtimeSettings {
    RealtimeSettings {
        is_anonymous_reading: config.auth.anonymous_reading,
        message_bytes_max: config.limits.socket_frame_bytes,
        sockets_per_person_show: config.limits.sockets_per_person_show,
        sockets_max: config.http.connections_max,
        ..RealtimeSettings::default()
    }
}
