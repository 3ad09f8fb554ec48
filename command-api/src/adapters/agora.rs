//! Live video by Agora. Tokens are made here, without asking anybody.
//!
//! A viewer's token says that they may only join, but Agora enforces that only where co-host authentication is
//! enabled for the project; elsewhere a viewer who publishes is seen in its notifications and removed.

/// The token format.
pub mod access_token;
/// What a token is good for.
pub mod service;
#[cfg(test)]
mod vectors_test;
mod wire;

use crate::adapters::hmac_sha256;
use crate::ports::video::{RtcAccess, Video, VideoError};
use access_token::{AccessToken, TokenError, is_hex_id};
use hmac::Mac;
use rand::Rng;
use schemas::{ShowId, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use service::{Service, rtc};
use thiserror::Error;

/// How long a token lasts where nothing else is configured: an hour, renewed by `/rtc-token`.
pub const TOKEN_SECONDS_DEFAULT: u32 = 3_600;
/// Agora ends privileges after a day whatever a token says.
pub const TOKEN_SECONDS_MAX: u32 = 24 * 3_600;
/// A shorter secret could be guessed from one stream key.
pub const STREAM_KEY_SECRET_BYTES_MIN: usize = 32;
/// The salts of Agora's own builders; the upper end is included.
const SALTS: std::ops::RangeInclusive<u32> = 1..=99_999_999;
/// A stream key has so many bytes (160 bits), in hex: short enough to be copied into an encoder.
const STREAM_KEY_BYTES: usize = 20;
/// What the stream key's MAC covers besides the show, so that the secret can serve other purposes.
const STREAM_KEY_PURPOSE: &[u8] = b"tally/stream-key/v1/";
const PUBLISHER: &[u16] = &[rtc::JOIN, rtc::PUBLISH_AUDIO, rtc::PUBLISH_VIDEO, rtc::PUBLISH_DATA];
const SUBSCRIBER: &[u16] = &[rtc::JOIN];

/// What Agora knows us by, and where our shows are found.
#[derive(Clone, Debug)]
pub struct AgoraConfig {
    /// The project's app id: 32 hex digits.
    pub app_id: String,
    /// The project's primary certificate: 32 hex digits.
    pub app_certificate: SecretString,
    /// How long a token lasts, 1 to [`TOKEN_SECONDS_MAX`].
    pub token_seconds: u32,
    /// Where encoders send to, for example `rtmp://stream.example.com/live`.
    pub ingest_base_url: String,
    /// Where recordings are played from, for example `https://tally.example.com/api/v1/recordings`.
    pub recording_base_url: String,
    /// What stream keys are derived from: at least [`STREAM_KEY_SECRET_BYTES_MIN`] bytes. A new secret voids all keys.
    pub stream_key_secret: SecretString,
}

/// Why the configuration was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AgoraConfigError {
    /// The app id or the certificate.
    #[error("agora app id and certificate must be 32 hex digits each")]
    Ids,
    /// The token's life.
    #[error("token seconds must be 1 to {TOKEN_SECONDS_MAX}")]
    TokenSeconds,
    /// The stream keys' secret.
    #[error("stream key secret must have at least {STREAM_KEY_SECRET_BYTES_MIN} bytes")]
    StreamKeySecret,
}

/// The video provider.
pub struct Agora(AgoraConfig);

impl Agora {
    /// # Errors
    /// [`AgoraConfigError`], so that a bad configuration fails at start and not at the first show.
    pub fn new(config: AgoraConfig) -> Result<Self, AgoraConfigError> {
        if !is_hex_id(&config.app_id) || !is_hex_id(config.app_certificate.expose_secret()) {
            return Err(AgoraConfigError::Ids);
        }
        if !(1..=TOKEN_SECONDS_MAX).contains(&config.token_seconds) {
            return Err(AgoraConfigError::TokenSeconds);
        }
        if config.stream_key_secret.expose_secret().len() < STREAM_KEY_SECRET_BYTES_MIN {
            return Err(AgoraConfigError::StreamKeySecret);
        }
        Ok(Self(config))
    }

    fn access(
        &self,
        channel: &str,
        uid: u32,
        privileges: &[u16],
        now: Timestamp,
    ) -> Result<RtcAccess, VideoError> {
        if uid == 0 {
            return Err(VideoError::WildcardUid);
        }
        let seconds = self.0.token_seconds;
        let issued_at_s =
            u32::try_from(now.millis().div_euclid(1_000)).map_err(|_| VideoError::TimeOutOfRange)?;
        let token = AccessToken {
            app_id: self.0.app_id.clone(),
            issued_at_s,
            expire_s: seconds,
            salt: rand::rng().random_range(SALTS),
            services: vec![Service::rtc(channel, uid, privileges, seconds).map_err(video_error)?],
        };
        Ok(RtcAccess {
            app_id: self.0.app_id.clone(),
            channel: channel.to_owned(),
            uid,
            token: token.build(&self.0.app_certificate).map_err(video_error)?,
            expires_at: Timestamp::from_millis((i64::from(issued_at_s) + i64::from(seconds)) * 1_000),
        })
    }
}

/// The ids were checked at start and the content has one short service, so only the channel is left to refuse.
fn video_error(error: TokenError) -> VideoError {
    debug_assert_eq!(error, TokenError::InvalidChannel);
    VideoError::InvalidChannel
}

impl Video for Agora {
    fn host_access(&self, channel: &str, uid: u32, now: Timestamp) -> Result<RtcAccess, VideoError> {
        self.access(channel, uid, PUBLISHER, now)
    }

    fn viewer_access(&self, channel: &str, uid: u32, now: Timestamp) -> Result<RtcAccess, VideoError> {
        self.access(channel, uid, SUBSCRIBER, now)
    }

    fn ingest_url(&self, show: ShowId) -> String {
        format!("{}/{show}", self.0.ingest_base_url.trim_end_matches('/'))
    }

    fn stream_key(&self, show: ShowId) -> SecretString {
        let secret = self.0.stream_key_secret.expose_secret().as_bytes();
        let mac = hmac_sha256(secret, &[STREAM_KEY_PURPOSE, show.0.as_bytes()]).finalize().into_bytes();
        mac[..STREAM_KEY_BYTES].iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
    }

    fn recording_url(&self, show: ShowId) -> String {
        format!("{}/{show}", self.0.recording_base_url.trim_end_matches('/'))
    }
}
