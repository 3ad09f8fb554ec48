//! The payment provider, seen from the sagas: ask for one charge under a key of ours, see how it stands, give
//! it up. A charge under one key happens at most once, however often it is asked for.

use async_trait::async_trait;
use schemas::events::PaymentPurpose;
use schemas::{Money, PaymentId, PersonId};
use secrecy::SecretString;
use std::{error::Error, fmt};
use thiserror::Error;

/// A payment provider.
#[async_trait]
pub trait Payments: Send + Sync {
    /// The provider's name as events store it (`PaymentCaptured.provider`).
    fn provider(&self) -> &'static str;

    /// Asks for a charge. A repeat with the same key and request gives the first answer and no second charge.
    ///
    /// # Errors
    /// See [`PaymentError`]. After [`PaymentError::Retryable`] the outcome is unknown: repeat with the same key.
    async fn create_intent(&self, request: IntentRequest<'_>) -> Result<Intent, PaymentError>;

    /// How a charge stands now.
    ///
    /// # Errors
    /// See [`PaymentError`]; a reference that the provider does not know is [`PaymentError::Refused`].
    async fn get(&self, provider_ref: &str) -> Result<Intent, PaymentError>;

    /// Gives a charge up if that is still possible, and answers how it stands then: the caller must look at
    /// the status, which is [`IntentStatus::Succeeded`] or [`IntentStatus::Processing`] where it was too late.
    ///
    /// # Errors
    /// See [`PaymentError`].
    async fn cancel(&self, provider_ref: &str) -> Result<Intent, PaymentError>;
}

/// A charge to ask for.
#[derive(Clone, Copy, Debug)]
pub struct IntentRequest<'a> {
    /// Ours, at most [`MAX_IDEMPOTENCY_KEY_BYTES`] bytes of printable ASCII, persisted before the first call.
    pub idempotency_key: &'a str,
    /// How much.
    pub amount: Money,
    /// Who pays.
    pub payer: PersonId,
    /// Who is paid.
    pub payee: PersonId,
    /// When the money is taken.
    pub capture: Capture,
    /// What the provider keeps beside the charge, so that its callbacks and reports lead back to us.
    pub metadata: IntentMetadata<'a>,
}

/// The longest idempotency key that every provider takes.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;

/// When the money is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capture {
    /// At once, when the payer's bank agrees.
    Auto,
}

/// What a charge belongs to.
#[derive(Clone, Copy, Debug)]
pub struct IntentMetadata<'a> {
    /// Our payment.
    pub payment_id: PaymentId,
    /// What it is for.
    pub purpose: &'a PaymentPurpose,
}

/// A charge as the provider has it.
#[derive(Clone, Debug)]
pub struct Intent {
    /// What the provider calls it.
    pub provider_ref: String,
    /// How it stands.
    pub status: IntentStatus,
    /// How much was asked for.
    pub amount: Money,
    /// What the payer's client needs to act, where [`IntentStatus::RequiresAction`] asks for that.
    pub client_secret: Option<SecretString>,
    /// The provider's stable code for the last refusal, where there was one.
    pub failure: Option<String>,
}

impl Intent {
    /// What the status means for a charge that was confirmed when it was created.
    #[must_use]
    pub fn progress(&self) -> Progress {
        match self.status {
            IntentStatus::Succeeded => Progress::Captured,
            IntentStatus::RequiresAction => Progress::NeedsPayer,
            IntentStatus::Processing | IntentStatus::RequiresConfirmation | IntentStatus::RequiresCapture => {
                Progress::Pending
            }
            IntentStatus::RequiresPaymentMethod => Progress::Declined,
            IntentStatus::Canceled => Progress::Cancelled,
        }
    }
}

/// Where a charge is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntentStatus {
    /// No means of payment, or the last one was refused.
    RequiresPaymentMethod,
    /// Nobody has confirmed it yet.
    RequiresConfirmation,
    /// The payer must act, for example prove who they are.
    RequiresAction,
    /// The provider waits for the bank.
    Processing,
    /// Authorised, not taken.
    RequiresCapture,
    /// The money is here.
    Succeeded,
    /// Given up.
    Canceled,
}

/// What a saga does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// The money is here. Final.
    Captured,
    /// The payer must act.
    NeedsPayer,
    /// Ask again later.
    Pending,
    /// The bank or the provider refused. A payer could still try other means: cancel it, so that it is final.
    Declined,
    /// Given up. Final.
    Cancelled,
}

/// Why the provider gave no charge to look at.
#[derive(Debug, Error)]
pub enum PaymentError {
    /// The payer's bank or the provider refused. Final for this key.
    #[error("payment declined ({reason})")]
    Declined {
        /// The provider's stable code, such as `card_declined`.
        reason: String,
    },
    /// The key was used for another request. A fault of ours: never retried.
    #[error("idempotency key was used for another request")]
    IdempotencyConflict,
    /// Nothing or something unknown happened: repeat with the same key.
    #[error("payment provider did not answer conclusively")]
    Retryable(#[source] Cause),
    /// It cannot work as asked: configuration, or an invalid request.
    #[error("payment provider refused the request")]
    Refused(#[source] Cause),
}

/// What lies under a [`PaymentError`], for the log.
pub struct Cause(Box<dyn Error + Send + Sync>);

impl Cause {
    /// Wraps what an adapter ran into.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
