//! Personal data, sealed at the edge: before a command is made, and for the event that it will cause.

use std::sync::Arc;

use platform::http::auth::Caller;
use platform::http::problem::{Chain, Problem};
use platform::pseudonym::Pseudonyms;
use platform::vault::{Vault, VaultError};
use schemas::{EventId, Identity, PersonId, Sealed};

/// After how many seconds to try again while the vault cannot be asked.
const RETRY_SECONDS: u64 = 2;

/// Seals what persons are called and what they write.
#[derive(Clone)]
pub(crate) struct Sealing {
    pub(crate) vault: Vault,
    pub(crate) pseudonyms: Arc<Pseudonyms>,
}

impl Sealing {
    /// Who the caller is, for an event.
    pub(crate) async fn identity(
        &self,
        person: PersonId,
        caller: &Caller,
        event: EventId,
    ) -> Result<Sealed, Problem> {
        let identity = Identity { sub: caller.sub.to_string(), name: shown_name(caller) };
        self.vault.seal_identity(person, event, &identity).await.map_err(|error| problem(&error))
    }

    /// A text of the caller's, for a field of an event.
    pub(crate) async fn text(
        &self,
        person: PersonId,
        event: EventId,
        field: &'static str,
        text: &str,
    ) -> Result<Sealed, Problem> {
        self.vault.seal_text(person, event, field, text).await.map_err(|error| problem(&error))
    }

    /// The subject of somebody else; `None` where they were erased.
    pub(crate) async fn subject(&self, sealed: &Sealed, event: EventId) -> Result<Option<String>, Problem> {
        let identity = self.vault.open_identity(sealed, event).await.map_err(|error| problem(&error))?;
        Ok(identity.map(|identity| identity.sub))
    }
}

/// The name to show: the token's, or the subject where it names nobody.
pub(crate) fn shown_name(caller: &Caller) -> String {
    caller.name.as_ref().unwrap_or(&caller.sub).to_string()
}

fn problem(error: &VaultError) -> Problem {
    match error {
        VaultError::Erased => {
            Problem::forbidden("person_erased", "this person was erased and cannot take part any more")
        }
        VaultError::Unavailable(_) => {
            tracing::warn!(error.chain = %Chain(error), "key vault is not available");
            Problem::unavailable("vault_unavailable", "try again in a moment", RETRY_SECONDS)
        }
        VaultError::UnknownKey(_)
        | VaultError::WrongMasterKey(_)
        | VaultError::Forged(_)
        | VaultError::Malformed(_) => Problem::internal(error),
    }
}
