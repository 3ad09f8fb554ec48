//! Tips: a saga over the show's stream and the payment's.
//!
//! The show promises the tip (its payment is pending from then on), the payment's stream says so to itself, the
//! provider is asked for the charge under the payment's id, the payment's stream says how that ended, the show
//! settles the tip, and the payment's stream says that nothing is left to do. Each step has ids that derive from
//! the one command, so any step may be made again, by anyone, at any time: a repeat of the request drives the
//! saga on, and so does the settler of any node. A crash between any two steps ends in exactly one charge with
//! its effect, or in none.

mod drive;
mod payment;
mod promise;
mod reseal;
mod settler;
#[cfg(test)]
mod tests;

pub(crate) use reseal::MESSAGE_FIELD;
pub(crate) use settler::Settler;
pub use settler::SettlerSettings;

use std::sync::Arc;

use domain::command::{Action, RequestTip};
use domain::{Command, Rejection};
use platform::clock::Clock;
use platform::event_log::EventLog;
use platform::vault::Vault;
use schemas::events::{DeclineReason, TipRequested};
use schemas::{AttemptId, CommandId, Envelope, PaymentId, Position, Revision, ShowId, Timestamp, TipId};
use secrecy::SecretString;
use thiserror::Error;

use crate::actors::{CommandError, Shows};
use crate::ports::payments::Payments;
use payment::PaymentLog;
use promise::Promise;

/// Everything that drives tips.
#[derive(Clone)]
pub(crate) struct Tips {
    shows: Shows,
    payment_log: PaymentLog,
    payments: Arc<dyn Payments>,
    vault: Vault,
    clock: Clock,
}

/// How far a tip is.
#[derive(Debug)]
pub(crate) struct TipStanding {
    pub(crate) tip_id: TipId,
    pub(crate) payment_id: PaymentId,
    /// The position of the last event that the tip caused so far.
    pub(crate) position: Position,
    pub(crate) outcome: TipOutcome,
}

/// How a tip ended, if it did.
#[derive(Debug)]
pub(crate) enum TipOutcome {
    /// Paid, and counted in the show.
    Captured {
        /// The revision of the event that everybody sees.
        revision: Revision,
        at: Timestamp,
    },
    /// The payer must act with this secret, or (`None`) the provider is not done.
    Pending(Option<SecretString>),
    /// There is no money, and there will be none.
    Declined(DeclineReason),
}

/// Why it is not known how far a tip is. The same key again finds out.
#[derive(Debug, Error)]
pub(crate) enum TipError {
    /// The show refused the tip, or could not be asked.
    #[error("tip was not requested")]
    Command(#[from] CommandError),
    /// The log failed between two steps.
    #[error("the tip's next step is not known to be done")]
    Interrupted,
}

/// The ids that a tip's command determines.
pub(crate) fn ids_of(command: CommandId) -> (TipId, PaymentId) {
    (TipId(command.creates("tip")), PaymentId(command.creates("payment")))
}

impl Tips {
    pub(crate) fn new(
        shows: Shows,
        log: Arc<dyn EventLog>,
        payments: Arc<dyn Payments>,
        vault: Vault,
        clock: Clock,
    ) -> Self {
        Self { shows, payment_log: PaymentLog::new(log), payments, vault, clock }
    }

    /// Requests a tip and drives it as far as it goes now. A repeat drives it on, and gets the same answer:
    /// the payment's stream is named by the key, so that holds for ever.
    pub(crate) async fn give(
        &self,
        show: ShowId,
        command: Command,
        tip: RequestTip,
    ) -> Result<TipStanding, TipError> {
        let (root, body_hash, amount) = (command.id, command.body_hash, tip.amount);
        let (tip_id, payment_id) = (tip.tip_id, tip.payment_id);
        if let Some(payment) = self.payment_log.read(payment_id).await? {
            if payment.body_hash != body_hash {
                return Err(CommandError::Rejected(Rejection::KeyReused).into());
            }
            let promise = Promise::of_payment(&payment, None);
            return self.drive(promise, Some(payment)).await;
        }
        // the event is looked for by its id when the show has long forgotten the command
        let attempt = AttemptId::only(command.id);
        let command = Command { attempt, action: Action::RequestTip(Box::new(tip)), ..command };
        let read = move |show: &domain::Show| {
            (show.about().map(|about| about.creator), show.ledger().pending(tip_id).copied())
        };
        let done = self.shows.dispatch(show, command, read).await?;
        let requested = done.events.into_iter().find_map(promise::tip_requested);
        let (Some(payee), pending) = done.seen else { return Err(TipError::Interrupted) };
        let promise = match (requested, pending) {
            (Some(requested), _) => Promise::of_request(show, payee, root, body_hash, requested),
            // The show forgot the command, but not the tip: what it holds is what was promised.
            (None, Some(pending)) if pending.amount == amount => Promise {
                show,
                tip_id,
                payment_id,
                payer: pending.person,
                payee,
                amount,
                root,
                body_hash,
                requested: None,
            },
            (None, Some(_)) => return Err(CommandError::Rejected(Rejection::KeyReused).into()),
            (None, None) => return Err(TipError::Interrupted),
        };
        self.drive(promise, None).await
    }
    /// Drives a tip on that lost its driver.
    async fn resume(
        &self,
        payment_id: PaymentId,
        promised: Option<(ShowId, Envelope<TipRequested>)>,
    ) -> Result<TipOutcome, TipError> {
        let payment = self.payment_log.read(payment_id).await?;
        let promise = match (&payment, promised) {
            (Some(payment), promised) => {
                Promise::of_payment(payment, promised.map(|(_, requested)| requested))
            }
            // the driver was lost before the payment's first event
            (None, Some((show, requested))) => {
                let read = |show: &domain::Show| show.about().map(|about| about.creator);
                let payee = self.shows.look(show, read).await?.seen.ok_or(TipError::Interrupted)?;
                let (root, body_hash) = (requested.meta.causation, requested.meta.body_hash);
                Promise::of_request(show, payee, root, body_hash, requested)
            }
            (None, None) => return Err(TipError::Interrupted),
        };
        self.drive(promise, payment).await.map(|standing| standing.outcome)
    }
}
