//! Opening sealed fields, so that people read what people wrote. What was erased stays closed, for ever.

use async_trait::async_trait;
use platform::event_log::Cause;
use schemas::{EventId, Identity, Sealed};
use thiserror::Error;

/// The name of each sealed field, as its event's documentation gives it.
pub mod field {
    /// Who made the show.
    pub const CREATOR: &str = "creator";
    /// Who joined.
    pub const VIEWER: &str = "viewer";
    /// Who wrote.
    pub const AUTHOR: &str = "author";
    /// What they wrote.
    pub const TEXT: &str = "text";
    /// Who tipped.
    pub const TIPPER: &str = "tipper";
    /// With which words.
    pub const MESSAGE: &str = "message";
}

/// The vault cannot say just now. Never a reason to pretend that somebody was erased.
#[derive(Debug, Error)]
#[error("sealed fields cannot be opened now")]
pub struct OpenError(#[source] pub Cause);

/// Opens sealed fields.
#[async_trait]
pub trait Opener: Send + Sync + 'static {
    /// The plain bytes; `None`: the person was erased.
    ///
    /// # Errors
    /// Where the vault cannot be asked, or the bytes are not what was sealed there.
    async fn open(
        &self,
        event: EventId,
        field: &'static str,
        sealed: &Sealed,
    ) -> Result<Option<Vec<u8>>, OpenError>;
}

/// Who it was; `None`: erased.
pub(crate) async fn identity(
    opener: &dyn Opener,
    event: EventId,
    field: &'static str,
    sealed: &Sealed,
) -> Result<Option<Identity>, OpenError> {
    let plain = opener.open(event, field, sealed).await?;
    plain.map(|plain| serde_json::from_slice(&plain).map_err(|error| OpenError(error.into()))).transpose()
}

/// What they wrote; `None`: erased.
pub(crate) async fn text(
    opener: &dyn Opener,
    event: EventId,
    field: &'static str,
    sealed: &Sealed,
) -> Result<Option<String>, OpenError> {
    let plain = opener.open(event, field, sealed).await?;
    plain.map(|plain| String::from_utf8(plain).map_err(|error| OpenError(error.into()))).transpose()
}
