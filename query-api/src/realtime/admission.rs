//! Who may come into a room: everybody where the show is public, else its host, staff, and who has entered.

use async_trait::async_trait;
use platform::event_log::Cause;
use platform::http::auth::{Caller, Role, TokenError};
use platform::http::problem::{Chain, Problem};
use platform::pseudonym::Pseudonyms;
use schemas::{PersonId, ShowId};
use std::sync::Arc;
use thiserror::Error;

use super::room::Room;
use crate::read_model::{not_entered, unknown_show};

/// When to try again while the read model cannot be asked.
const RETRY_SECONDS: u64 = 2;

/// The read model cannot be asked now.
#[derive(Debug, Error)]
#[error("the read model of viewers cannot be asked")]
pub struct EntriesError(#[source] pub Cause);

/// Who has entered which show.
#[async_trait]
pub trait Entries: Send + Sync + 'static {
    /// Whether the person has entered the show, by everything that is in the log when this is called: who
    /// joined a moment ago over REST is already in.
    ///
    /// # Errors
    /// Where that cannot be told now.
    async fn has_entered(&self, show: ShowId, person: PersonId) -> Result<bool, EntriesError>;
}

/// The rules of the door.
pub(crate) struct Admission {
    pub(crate) entries: Arc<dyn Entries>,
    pub(crate) pseudonyms: Arc<Pseudonyms>,
    pub(crate) is_anonymous_reading: bool,
}

impl Admission {
    /// Lets somebody into a room, or says why not.
    pub(crate) async fn may_enter(&self, room: &Room, caller: Option<&Caller>) -> Result<(), Problem> {
        let Some(audience) = room.audience() else { return Err(unknown_show()) };
        let Some(caller) = caller else {
            let is_open = self.is_anonymous_reading && !audience.is_protected;
            return if is_open { Ok(()) } else { Err(TokenError::Missing.into()) };
        };
        if !audience.is_protected || caller.has(Role::Moderator) || caller.has(Role::Admin) {
            return Ok(());
        }
        let person = self.pseudonyms.person(&caller.sub);
        if person == audience.creator {
            return Ok(());
        }
        match self.entries.has_entered(room.show(), person).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(not_entered()),
            Err(error) => {
                tracing::warn!(show.id = %room.show(), error.chain = %Chain(&error), "access cannot be checked");
                Err(Problem::unavailable(
                    "access_unknown",
                    "access cannot be checked now; try again",
                    RETRY_SECONDS,
                ))
            }
        }
    }
}
