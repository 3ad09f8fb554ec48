//! Live video, seen from the commands: tokens to enter a channel, and the addresses of a show. Synchronous:
//! nothing here asks the provider.

use schemas::{ShowId, Timestamp};
use secrecy::SecretString;
use thiserror::Error;

/// A video provider.
pub trait Video: Send + Sync {
    /// Lets a host enter a channel, publish and subscribe. Each call mints a token anew.
    ///
    /// # Errors
    /// See [`VideoError`].
    fn host_access(&self, channel: &str, uid: u32, now: Timestamp) -> Result<RtcAccess, VideoError>;

    /// Lets a viewer enter a channel and subscribe. Each call mints a token anew.
    ///
    /// # Errors
    /// See [`VideoError`].
    fn viewer_access(&self, channel: &str, uid: u32, now: Timestamp) -> Result<RtcAccess, VideoError>;

    /// Where the host's encoder sends the show to, without the key.
    fn ingest_url(&self, show: ShowId) -> String;

    /// What the host's encoder proves itself with: the same on every repeat.
    fn stream_key(&self, show: ShowId) -> SecretString;

    /// Where the show's recording is or will be found: the same on every repeat.
    fn recording_url(&self, show: ShowId) -> String;
}

/// A way into a video channel.
#[derive(Clone, Debug)]
pub struct RtcAccess {
    /// The provider's id of our project. No secret.
    pub app_id: String,
    /// The channel.
    pub channel: String,
    /// Who the bearer is in the channel.
    pub uid: u32,
    /// What lets them in.
    pub token: SecretString,
    /// When the token stops working.
    pub expires_at: Timestamp,
}

/// Why no token was made.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum VideoError {
    /// The provider takes no channel of that name.
    #[error("channel name is empty, too long or has characters that the video provider does not take")]
    InvalidChannel,
    /// Uid 0 means "anyone" to providers: a token for it could be passed on.
    #[error("uid 0 is a wildcard and never given to a person")]
    WildcardUid,
    /// The time is not one that a token can carry (seconds in 32 bits).
    #[error("time is out of the range of a token")]
    TimeOutOfRange,
}
