//! Driving one tip, step by step, as far as it goes.

use std::time::Duration;

use domain::command::{Action, SettleTip, TipOutcome as Settlement};
use domain::{Caller, Command};
use platform::http::problem::Chain;
use schemas::events::{DeclineReason, LedgerEvent, ShowEvent};
use schemas::{AttemptId, BodyHash, Envelope, Position, Revision, Timestamp};
use secrecy::SecretString;

use super::payment::{Ending, Payment};
use super::promise::Promise;
use super::{TipError, TipOutcome, TipStanding, Tips};
use crate::ports::payments::{Capture, Intent, IntentMetadata, IntentRequest, PaymentError, Progress};

/// Steps of one drive: three events and some conflicts with other drivers. What is not done then is the settler's.
const STEPS_MAX: u32 = 12;

/// Pause before a step is looked at again that changed nothing: a conflict, or a log that did not answer.
const STEP_PAUSE: Duration = Duration::from_millis(20);

/// How long a payer may take to act. Then the charge is given up.
pub(super) const PAYER_TIME_MAX_MS: i64 = 15 * 60 * 1_000;

/// How long the provider is asked for a charge under a payment's id. Providers forget keys after 24 h, and a
/// forgotten key is a second charge: what is still open then is a matter for people, who are alarmed.
pub(super) const KEY_LIFE_MS: i64 = 23 * 60 * 60 * 1_000;

/// What the provider says of a charge.
enum Charge {
    Captured { provider_ref: String },
    Declined(DeclineReason),
    Waits(Option<SecretString>),
}

/// How the show took a settlement.
struct Settled {
    revision: Revision,
    at: Timestamp,
    position: Position,
}

impl Tips {
    /// Goes on from wherever the tip is.
    pub(super) async fn drive(
        &self,
        mut promise: Promise,
        mut payment: Option<Payment>,
    ) -> Result<TipStanding, TipError> {
        for _ in 0..STEPS_MAX {
            let Some(known) = payment.take() else {
                self.payment_log.request(&promise, self.clock.now()).await?;
                payment = self.look_again(&promise).await;
                continue;
            };
            if known.body_hash != promise.body_hash {
                // the stream is named by the key: another body came first
                let rejection = domain::Rejection::KeyReused;
                return Err(crate::actors::CommandError::Rejected(rejection).into());
            }
            match known.ending {
                Ending::Open => match self.charge(&promise, &known).await {
                    Charge::Captured { provider_ref } => {
                        let provider = self.payments.provider();
                        self.payment_log.capture(&promise, provider, provider_ref, self.clock.now()).await?;
                    }
                    Charge::Declined(reason) => {
                        self.payment_log.decline(&promise, reason, self.clock.now()).await?;
                    }
                    Charge::Waits(secret) => {
                        return Ok(standing(&promise, known.position, TipOutcome::Pending(secret)));
                    }
                },
                Ending::Captured | Ending::Declined(_) => {
                    let settled = self.settle(&mut promise, &known).await?;
                    if !known.is_applied {
                        self.payment_log.applied(&promise, self.clock.now()).await?;
                    }
                    let outcome = match known.ending {
                        Ending::Declined(reason) => TipOutcome::Declined(reason),
                        Ending::Captured | Ending::Open => {
                            TipOutcome::Captured { revision: settled.revision, at: settled.at }
                        }
                    };
                    return Ok(standing(&promise, settled.position, outcome));
                }
            }
            payment = self.look_again(&promise).await;
        }
        Err(TipError::Interrupted)
    }

    /// The payment as it is now. That it cannot be read, or is not there yet, costs a step.
    async fn look_again(&self, promise: &Promise) -> Option<Payment> {
        match self.payment_log.read(promise.payment_id).await {
            Ok(Some(payment)) => Some(payment),
            Ok(None) | Err(_) => {
                tokio::time::sleep(STEP_PAUSE).await;
                None
            }
        }
    }

    /// Asks the provider for the charge, or how it stands: under one key both are the same question.
    async fn charge(&self, promise: &Promise, payment: &Payment) -> Charge {
        let age_ms = self.clock.now().millis_since(payment.requested_at);
        if age_ms > KEY_LIFE_MS {
            metrics::counter!("tally_payments_stuck_total").increment(1);
            tracing::error!(payment.id = %promise.payment_id, "payment is too old to be asked for again: resolve it with the provider");
            return Charge::Waits(None);
        }
        let key = promise.payment_id.to_string();
        let request = IntentRequest {
            idempotency_key: &key,
            amount: promise.amount,
            payer: promise.payer,
            payee: promise.payee,
            capture: Capture::Auto,
            metadata: IntentMetadata { payment_id: promise.payment_id, purpose: &payment.requested.purpose },
        };
        let intent = match self.payments.create_intent(request).await {
            Ok(intent) => intent,
            Err(error) => return failed(promise, &error),
        };
        // a repeat of the request is answered as the first time: how it stands now is another question
        let intent = match intent.progress() {
            Progress::Captured | Progress::Cancelled => intent,
            Progress::NeedsPayer | Progress::Pending | Progress::Declined => {
                match self.payments.get(&intent.provider_ref).await {
                    Ok(now) => Intent { client_secret: now.client_secret.or(intent.client_secret), ..now },
                    Err(_) => intent,
                }
            }
        };
        self.judge(promise, intent, age_ms > PAYER_TIME_MAX_MS).await
    }

    async fn judge(&self, promise: &Promise, intent: Intent, is_late: bool) -> Charge {
        let reason = match intent.progress() {
            Progress::Captured => return Charge::Captured { provider_ref: intent.provider_ref },
            Progress::Cancelled => return Charge::Declined(cancelled(is_late)),
            Progress::Pending => return Charge::Waits(None),
            Progress::NeedsPayer if !is_late => return Charge::Waits(intent.client_secret),
            Progress::NeedsPayer => DeclineReason::Expired,
            // a payer could still try other means: given up, it is final
            Progress::Declined => DeclineReason::Declined,
        };
        match self.payments.cancel(&intent.provider_ref).await {
            // it may have been paid in the last moment
            Ok(given_up) => match given_up.progress() {
                Progress::Captured => Charge::Captured { provider_ref: given_up.provider_ref },
                Progress::Cancelled => Charge::Declined(reason),
                Progress::Pending | Progress::NeedsPayer | Progress::Declined => Charge::Waits(None),
            },
            Err(error) => {
                tracing::warn!(payment.id = %promise.payment_id, error.chain = %Chain(&error), "charge could not be given up yet");
                Charge::Waits(None)
            }
        }
    }

    /// Tells the show how the payment ended.
    async fn settle(&self, promise: &mut Promise, payment: &Payment) -> Result<Settled, TipError> {
        let outcome = match payment.ending {
            Ending::Declined(reason) => Settlement::Declined(reason),
            Ending::Captured | Ending::Open => {
                let (identity, message) = self.resealed(promise).await?;
                Settlement::Captured { identity, message }
            }
        };
        let command = Command {
            id: promise.settle_id(),
            // the event is looked for by its id when the show has long forgotten the command
            attempt: AttemptId::only(promise.settle_id()),
            body_hash: BodyHash::default(),
            at: self.clock.now(),
            caller: Caller::System,
            correlation: None,
            traceparent: None,
            action: Action::SettleTip(Box::new(SettleTip { tip_id: promise.tip_id, outcome })),
        };
        let done = self.shows.dispatch(promise.show, command, |_| ()).await?;
        let settled = match done.events.into_iter().find(is_settlement) {
            Some(event) => event,
            // settled so long ago that the show forgot the command: the log has it
            None => self.find_in_show(promise.show, promise.settle_id().event(0)).await?,
        };
        Ok(Settled {
            revision: settled.revision,
            at: settled.meta.occurred_at,
            position: settled.position.unwrap_or(done.position),
        })
    }
}

fn cancelled(is_late: bool) -> DeclineReason {
    if is_late { DeclineReason::Expired } else { DeclineReason::Cancelled }
}

/// No charge to look at. Only a refusal by the payer's bank is final.
fn failed(promise: &Promise, error: &PaymentError) -> Charge {
    match error {
        PaymentError::Declined { .. } => Charge::Declined(DeclineReason::Declined),
        PaymentError::Retryable(_) => {
            metrics::counter!("tally_payment_calls_failed_total", "kind" => "retryable").increment(1);
            tracing::warn!(payment.id = %promise.payment_id, error.chain = %Chain(error), "payment provider did not answer");
            Charge::Waits(None)
        }
        // An earlier call may have made the charge, so nothing is declined on this: people are alarmed.
        PaymentError::IdempotencyConflict | PaymentError::Refused(_) => {
            metrics::counter!("tally_payment_calls_failed_total", "kind" => "refused").increment(1);
            tracing::error!(payment.id = %promise.payment_id, error.chain = %Chain(error), "payment provider refused our request");
            Charge::Waits(None)
        }
    }
}

fn standing(promise: &Promise, position: Position, outcome: TipOutcome) -> TipStanding {
    TipStanding { tip_id: promise.tip_id, payment_id: promise.payment_id, position, outcome }
}

fn is_settlement(envelope: &Envelope<ShowEvent>) -> bool {
    matches!(&envelope.event, ShowEvent::Ledger(LedgerEvent::TipCaptured(_) | LedgerEvent::TipDeclined(_)))
}
