//! Where a long show's state begins: a row of the read model that names its own revision.

use async_trait::async_trait;
use platform::event_log::Cause;
use schemas::ShowId;
use thiserror::Error;

use super::state::ShowState;

/// The read model cannot be asked now.
#[derive(Debug, Error)]
#[error("the read model cannot be asked")]
pub struct SeedError(#[source] pub Cause);

/// States to begin with.
#[async_trait]
pub trait Seeds: Send + Sync + 'static {
    /// The show at whatever revision the read model has reached, all of it at that one revision; `last_frame`
    /// need not be known. `None`: not there yet.
    ///
    /// # Errors
    /// Where the read model cannot be asked.
    async fn seed(&self, show: ShowId) -> Result<Option<ShowState>, SeedError>;
}

/// No read model: every show is folded from its first event.
pub struct NoSeeds;

#[async_trait]
impl Seeds for NoSeeds {
    async fn seed(&self, _show: ShowId) -> Result<Option<ShowState>, SeedError> {
        Ok(None)
    }
}
