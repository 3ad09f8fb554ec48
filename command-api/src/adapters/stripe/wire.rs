//! Stripe's answers: what they look like and what they mean.

use super::currency::{CurrencyError, from_stripe};
use crate::ports::payments::{Cause, Intent, IntentStatus, PaymentError};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use thiserror::Error;

/// The code of a request that the intent's state does not allow.
const UNEXPECTED_STATE: &str = "payment_intent_unexpected_state";
/// Codes go into events and logs; Stripe's are far shorter.
const CODE_BYTES_MAX: usize = 64;

/// What an attempt came to, if not to an intent.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// No answer, or none that can be read: anything may have happened.
    #[error("no readable answer from stripe")]
    NoAnswer(#[source] Cause),
    /// An error answer.
    #[error("stripe answered {status} (type {kind}, code {code}, request {request_id})")]
    Answered {
        status: StatusCode,
        kind: String,
        code: String,
        request_id: String,
        should_retry: Option<bool>,
    },
}

impl Failure {
    /// Whether another attempt with the same key makes sense at once.
    pub(super) fn is_worth_repeating(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Answered { status, should_retry, .. } => {
                should_retry.unwrap_or_else(|| is_passing(*status))
            }
        }
    }

    pub(super) fn is_unexpected_state(&self) -> bool {
        matches!(self, Self::Answered { code, .. } if code == UNEXPECTED_STATE)
    }
}

/// Statuses that say nothing about the request itself.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT
                | StatusCode::CONFLICT
                | StatusCode::FAILED_DEPENDENCY
                | StatusCode::TOO_MANY_REQUESTS
        )
}

impl From<Failure> for PaymentError {
    fn from(failure: Failure) -> Self {
        let Failure::Answered { status, kind, code, should_retry, .. } = &failure else {
            return Self::Retryable(Cause::new(failure));
        };
        // the status first: a key in use by a request under way is an idempotency error too, but passes
        if is_passing(*status) || *should_retry == Some(true) {
            return Self::Retryable(Cause::new(failure));
        }
        if kind == "idempotency_error" {
            return Self::IdempotencyConflict;
        }
        if *status == StatusCode::PAYMENT_REQUIRED {
            return Self::Declined { reason: code.clone() };
        }
        Self::Refused(Cause::new(failure))
    }
}

/// Why a body was not understood.
#[derive(Debug, Error)]
enum Unreadable {
    #[error("answer is not the json of an intent")]
    Json(#[source] serde_json::Error),
    #[error("answer has an amount that is not understood")]
    Amount(#[source] CurrencyError),
}

#[derive(Deserialize)]
struct WireIntent {
    id: String,
    status: WireStatus,
    amount: i64,
    currency: String,
    client_secret: Option<String>,
    last_payment_error: Option<WireError>,
    latest_charge: Option<LatestCharge>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    RequiresCapture,
    Succeeded,
    Canceled,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum LatestCharge {
    Expanded { failure_code: Option<String> },
    Id(#[expect(dead_code, reason = "only the expanded form says something")] String),
}

#[derive(Default, Deserialize)]
struct WireError {
    #[serde(default, rename = "type")]
    kind: String,
    code: Option<String>,
    decline_code: Option<String>,
}

#[derive(Default, Deserialize)]
struct WireErrorBody {
    #[serde(default)]
    error: WireError,
}

/// Reads an answer.
pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Intent, Failure> {
    if status.is_success() {
        return read_intent(body).map_err(|error| Failure::NoAnswer(Cause::new(error)));
    }
    let error = serde_json::from_slice::<WireErrorBody>(body).unwrap_or_default().error;
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Err(Failure::Answered {
        status,
        kind: plain(&error.kind),
        code: plain(error.code.or(error.decline_code).as_deref().unwrap_or("unknown")),
        request_id: plain(header("request-id").unwrap_or_default()),
        should_retry: header("stripe-should-retry").and_then(|value| value.parse().ok()),
    })
}

/// A code from outside, fit for logs and events.
fn plain(code: &str) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    code.chars().filter(allowed).take(CODE_BYTES_MAX).collect()
}

fn read_intent(body: &[u8]) -> Result<Intent, Unreadable> {
    let intent: WireIntent = serde_json::from_slice(body).map_err(Unreadable::Json)?;
    let status = match intent.status {
        WireStatus::RequiresPaymentMethod => IntentStatus::RequiresPaymentMethod,
        WireStatus::RequiresConfirmation => IntentStatus::RequiresConfirmation,
        WireStatus::RequiresAction => IntentStatus::RequiresAction,
        WireStatus::Processing => IntentStatus::Processing,
        WireStatus::RequiresCapture => IntentStatus::RequiresCapture,
        WireStatus::Succeeded => IntentStatus::Succeeded,
        WireStatus::Canceled => IntentStatus::Canceled,
    };
    let charge_failure = match intent.latest_charge {
        Some(LatestCharge::Expanded { failure_code }) => failure_code,
        Some(LatestCharge::Id(_)) | None => None,
    };
    let failure = intent.last_payment_error.and_then(|error| error.code).or(charge_failure);
    let acts = status == IntentStatus::RequiresAction;
    Ok(Intent {
        provider_ref: intent.id,
        status,
        amount: from_stripe(intent.amount, &intent.currency).map_err(Unreadable::Amount)?,
        client_secret: intent.client_secret.filter(|_| acts).map(Into::into),
        failure: failure.as_deref().map(plain),
    })
}
