//! Opening sealed fields, so that people read what people wrote. What was erased stays closed, for ever.

use platform::http::problem::Chain;
use platform::vault::{OpenRequest, Vault, VaultError};
use schemas::Identity;

/// The name of each sealed field, as its event's documentation gives it.
pub(crate) mod field {
    /// Who made the show.
    pub(crate) const CREATOR: &str = "creator";
    /// Who joined.
    pub(crate) const VIEWER: &str = "viewer";
    /// Who wrote.
    pub(crate) const AUTHOR: &str = "author";
    /// What they wrote.
    pub(crate) const TEXT: &str = "text";
    /// Who tipped.
    pub(crate) const TIPPER: &str = "tipper";
    /// With which words.
    pub(crate) const MESSAGE: &str = "message";
}

/// Opens fields, in order, with one question to the vault. `None`: the person was erased, or the value can never
/// be opened again; that is logged, and must not make a whole show unreadable.
///
/// # Errors
/// Where the vault cannot be asked, which is never a reason to pretend that somebody was erased.
pub(crate) async fn open(
    vault: &Vault,
    requests: &[OpenRequest<'_>],
) -> Result<Vec<Option<Vec<u8>>>, VaultError> {
    vault.open_batch(requests).await.into_iter().map(readable).collect()
}

fn readable(opened: Result<Option<Vec<u8>>, VaultError>) -> Result<Option<Vec<u8>>, VaultError> {
    match opened {
        Ok(plain) => Ok(plain),
        Err(error @ (VaultError::Unavailable(_) | VaultError::WrongMasterKey(_))) => Err(error),
        Err(VaultError::Erased) => Ok(None),
        Err(error @ (VaultError::UnknownKey(_) | VaultError::Forged(_) | VaultError::Malformed(_))) => {
            metrics::counter!("tally_sealed_unreadable_total").increment(1);
            tracing::error!(error.chain = %Chain(&error), "sealed field cannot be opened");
            Ok(None)
        }
    }
}

/// Who it was, by an opened field.
pub(crate) fn identity(plain: Option<Vec<u8>>) -> Option<Identity> {
    serde_json::from_slice(&plain?).ok()
}

/// What was written, by an opened field.
pub(crate) fn text(plain: Option<Vec<u8>>) -> Option<String> {
    String::from_utf8(plain?).ok()
}

/// Subject and name; both unknown for an erased person.
pub(crate) fn names(identity: Option<Identity>) -> (Option<String>, Option<String>) {
    identity.map_or((None, None), |identity| (Some(identity.sub), Some(identity.name)))
}
