//! Opening sealed fields, so that people read what people wrote. What was erased stays closed, for ever.

use platform::http::problem::Chain;
use platform::vault::{OpenRequest, Vault, VaultError};
use schemas::{EventId, Identity, Sealed};

/// The names of sealed texts, as their events' documentation gives them. Identities have one name of their own,
/// which the vault knows.
pub(crate) mod field {
    /// What somebody wrote.
    pub(crate) const TEXT: &str = "text";
    /// The words with a tip.
    pub(crate) const MESSAGE: &str = "message";
}

/// What is to be opened, gathered so that the vault is asked once for all.
#[derive(Default)]
pub(crate) struct Opening<'a> {
    identities: Vec<(&'a Sealed, EventId)>,
    texts: Vec<OpenRequest<'a>>,
}

/// Where an identity will be found; nowhere, if there was nothing to open.
#[derive(Clone, Copy)]
pub(crate) struct IdentitySlot(Option<usize>);

/// Where a text will be found.
#[derive(Clone, Copy)]
pub(crate) struct TextSlot(Option<usize>);

/// What was opened.
pub(crate) struct Opened {
    identities: Vec<Option<Identity>>,
    texts: Vec<Option<String>>,
}

impl<'a> Opening<'a> {
    /// Who somebody is.
    pub(crate) fn identity(&mut self, sealed: Option<&'a Sealed>, event_id: EventId) -> IdentitySlot {
        IdentitySlot(sealed.map(|sealed| {
            self.identities.push((sealed, event_id));
            self.identities.len() - 1
        }))
    }

    /// What somebody wrote.
    pub(crate) fn text(
        &mut self,
        sealed: Option<&'a Sealed>,
        event_id: EventId,
        field: &'static str,
    ) -> TextSlot {
        TextSlot(sealed.map(|sealed| {
            self.texts.push(OpenRequest { sealed, event_id, field });
            self.texts.len() - 1
        }))
    }

    /// Opens all of it.
    ///
    /// # Errors
    /// Where the vault cannot be asked, which is never a reason to pretend that somebody was erased.
    pub(crate) async fn open(self, vault: &Vault) -> Result<Opened, VaultError> {
        let identities = vault.open_identities(&self.identities);
        let texts = vault.open_batch(&self.texts);
        let (identities, texts) = futures::join!(identities, texts);
        let identities = identities.into_iter().map(readable).collect::<Result<_, _>>()?;
        let text =
            |opened| readable(opened).map(|plain| plain.and_then(|plain| String::from_utf8(plain).ok()));
        let texts = texts.into_iter().map(text).collect::<Result<_, _>>()?;
        Ok(Opened { identities, texts })
    }
}

impl Opened {
    /// Subject and name; both unknown for an erased person.
    pub(crate) fn names(&mut self, slot: IdentitySlot) -> (Option<String>, Option<String>) {
        let identity = slot.0.and_then(|index| self.identities.get_mut(index)).and_then(Option::take);
        identity.map_or((None, None), |identity| (Some(identity.sub), Some(identity.name)))
    }

    /// What was written; `None` where its author was erased.
    pub(crate) fn text(&mut self, slot: TextSlot) -> Option<String> {
        slot.0.and_then(|index| self.texts.get_mut(index)).and_then(Option::take)
    }
}

/// Nothing for the erased, and for what can never be opened again: that is logged, and must not make a whole show
/// unreadable.
fn readable<T>(opened: Result<Option<T>, VaultError>) -> Result<Option<T>, VaultError> {
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
