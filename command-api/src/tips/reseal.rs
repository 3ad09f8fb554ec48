//! The tipper's name and words, for the event that everybody sees: sealed values belong to one event.

use std::time::Duration;

use platform::event_log::codec;
use platform::http::problem::Chain;
use platform::vault::VaultError;
use schemas::events::ShowEvent;
use schemas::{Envelope, Event, EventId, PersonId, Sealed, ShowId, streams};
use tokio::time::timeout;

use super::promise::{Promise, tip_requested};
use super::{TipError, Tips};

/// Events that are read at once when one is searched: some hundred kilobytes.
const PAGE: usize = 1_000;

/// How long one read may take.
const LOG_CALL_MAX: Duration = Duration::from_secs(5);

/// The name of the field that holds a message's text.
pub(crate) const MESSAGE_FIELD: &str = "message";

impl Tips {
    /// Name and words, sealed anew for the settlement; `None` where the person was erased meanwhile.
    pub(super) async fn resealed(
        &self,
        promise: &mut Promise,
    ) -> Result<(Option<Sealed>, Option<Sealed>), TipError> {
        let requested = match promise.requested.take() {
            Some(requested) => requested,
            None => {
                let found = self.find_in_show(promise.show, promise.root.event(0)).await?;
                tip_requested(found).ok_or(TipError::Interrupted)?
            }
        };
        let (from, to, person) = (requested.event_id, promise.settle_id().event(0), promise.payer);
        let identity = self.reseal_identity(&requested.event.identity, from, to, person).await;
        let message = match &requested.event.message {
            Some(sealed) => self.reseal_message(sealed, from, to, person).await,
            None => Ok(None),
        };
        promise.requested = Some(requested);
        Ok((identity.map_err(|error| told(&error))?, message.map_err(|error| told(&error))?))
    }

    async fn reseal_identity(
        &self,
        sealed: &Sealed,
        from: EventId,
        to: EventId,
        person: PersonId,
    ) -> Result<Option<Sealed>, VaultError> {
        let Some(identity) = self.vault.open_identity(sealed, from).await? else { return Ok(None) };
        none_if_erased(self.vault.seal_identity(person, to, &identity).await)
    }

    async fn reseal_message(
        &self,
        sealed: &Sealed,
        from: EventId,
        to: EventId,
        person: PersonId,
    ) -> Result<Option<Sealed>, VaultError> {
        let Some(text) = self.vault.open_text(sealed, from, MESSAGE_FIELD).await? else { return Ok(None) };
        none_if_erased(self.vault.seal_text(person, to, MESSAGE_FIELD, &text).await)
    }

    /// The event of a show with this id, newest first. For what is too old to be remembered: rare, and
    /// bounded by the show's length.
    pub(super) async fn find_in_show(
        &self,
        show: ShowId,
        id: EventId,
    ) -> Result<Envelope<ShowEvent>, TipError> {
        let stream = streams::show(show);
        let mut from = None;
        loop {
            let read = self.payment_log.log.read_stream_back(&stream, from, PAGE);
            let Ok(Ok(page)) = timeout(LOG_CALL_MAX, read).await else { return Err(TipError::Interrupted) };
            if let Some(stored) = page.iter().find(|stored| stored.id == id) {
                let envelope = codec::decode(stored).map_err(|_| TipError::Interrupted)?;
                let Envelope { event_id, revision, position, meta, event } = envelope;
                return match event {
                    Event::Show(event) => Ok(Envelope { event_id, revision, position, meta, event }),
                    Event::Payment(_) => Err(TipError::Interrupted),
                };
            }
            from = match page.last().and_then(|oldest| oldest.revision.checked_sub(1)) {
                Some(before) => Some(before),
                None => return Err(TipError::Interrupted),
            };
        }
    }
}

fn none_if_erased(sealed: Result<Sealed, VaultError>) -> Result<Option<Sealed>, VaultError> {
    match sealed {
        Ok(sealed) => Ok(Some(sealed)),
        Err(VaultError::Erased) => Ok(None),
        Err(error) => Err(error),
    }
}

fn told(error: &VaultError) -> TipError {
    tracing::warn!(error.chain = %Chain(error), "tip's name cannot be sealed anew yet");
    TipError::Interrupted
}
