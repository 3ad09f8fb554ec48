//! A payment intent: what was asked for, and the phase that it is in. Phases that end by themselves say when, so
//! that the state at any time follows from what is kept.

use super::{SandboxConfig, magic};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Milliseconds since the Unix epoch.
pub(super) type Millis = i64;

/// A payment intent as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) client_secret: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) created_ms: Millis,
    pub(super) payment_method: Option<String>,
    pub(super) description: Option<String>,
    pub(super) transfer_group: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) idempotency_key: Option<String>,
    pub(super) phase: Phase,
}

/// Where an intent stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Phase {
    /// No means of payment.
    RequiresPaymentMethod,
    /// Nobody has confirmed it.
    RequiresConfirmation,
    /// The payer must act, and may do so by themselves at a time.
    RequiresAction { until_ms: Option<Millis> },
    /// The bank thinks it over until a time.
    Processing { until_ms: Millis, agrees: bool },
    /// Charged.
    Succeeded { at_ms: Millis },
    /// The bank refused; another means of payment may be tried.
    Failed { at_ms: Millis },
    /// Given up.
    Canceled { at_ms: Millis, reason: Option<String> },
}

/// What the phase does not allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct UnexpectedState;

impl Intent {
    /// The id and the client secret of a new intent.
    pub(super) fn new_ids() -> (String, String) {
        let id = format!("pi_{}", short_id());
        let client_secret = format!("{id}_secret_{}", short_id());
        (id, client_secret)
    }

    /// Moves on what ends by itself.
    pub(super) fn settle(&mut self, now_ms: Millis) {
        match self.phase {
            Phase::RequiresAction { until_ms: Some(until_ms) } if until_ms <= now_ms => {
                self.phase = Phase::Succeeded { at_ms: until_ms };
            }
            Phase::Processing { until_ms, agrees: true } if until_ms <= now_ms => {
                self.phase = Phase::Succeeded { at_ms: until_ms };
            }
            Phase::Processing { until_ms, agrees: false } if until_ms <= now_ms => {
                self.phase = Phase::Failed { at_ms: until_ms };
            }
            Phase::RequiresAction { .. }
            | Phase::Processing { .. }
            | Phase::RequiresPaymentMethod
            | Phase::RequiresConfirmation
            | Phase::Succeeded { .. }
            | Phase::Failed { .. }
            | Phase::Canceled { .. } => {}
        }
    }

    /// Tries to charge, or ends the payer's action.
    pub(super) fn confirm(&mut self, config: &SandboxConfig, now_ms: Millis) -> Result<(), UnexpectedState> {
        match self.phase {
            Phase::RequiresConfirmation | Phase::RequiresPaymentMethod | Phase::Failed { .. } => {
                self.phase = self.attempt(config, now_ms);
                Ok(())
            }
            Phase::RequiresAction { .. } => {
                self.phase = Phase::Succeeded { at_ms: now_ms };
                Ok(())
            }
            Phase::Processing { .. } | Phase::Succeeded { .. } | Phase::Canceled { .. } => {
                Err(UnexpectedState)
            }
        }
    }

    fn attempt(&self, config: &SandboxConfig, now_ms: Millis) -> Phase {
        if self.payment_method.is_none() {
            return Phase::RequiresPaymentMethod;
        }
        let after = |wait: std::time::Duration| {
            now_ms.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
        };
        match self.amount {
            magic::DECLINED => Phase::Failed { at_ms: now_ms },
            magic::REQUIRES_ACTION => Phase::RequiresAction { until_ms: config.action.map(after) },
            magic::PROCESSING_THEN_SUCCEEDED => {
                Phase::Processing { until_ms: after(config.processing), agrees: true }
            }
            magic::PROCESSING_THEN_FAILED => {
                Phase::Processing { until_ms: after(config.processing), agrees: false }
            }
            _ => Phase::Succeeded { at_ms: now_ms },
        }
    }

    pub(super) fn cancel(&mut self, reason: Option<&str>, now_ms: Millis) -> Result<(), UnexpectedState> {
        match self.phase {
            Phase::RequiresPaymentMethod
            | Phase::RequiresConfirmation
            | Phase::RequiresAction { .. }
            | Phase::Failed { .. } => {
                self.phase = Phase::Canceled { at_ms: now_ms, reason: reason.map(str::to_owned) };
                Ok(())
            }
            Phase::Processing { .. } | Phase::Succeeded { .. } | Phase::Canceled { .. } => {
                Err(UnexpectedState)
            }
        }
    }

    /// The charge that was made or refused, and when; its id follows from the intent's.
    pub(super) fn charge(&self) -> Option<(String, Millis)> {
        match self.phase {
            Phase::Succeeded { at_ms } | Phase::Failed { at_ms } => {
                Some((self.id.replacen("pi_", "ch_", 1), at_ms))
            }
            Phase::RequiresPaymentMethod
            | Phase::RequiresConfirmation
            | Phase::RequiresAction { .. }
            | Phase::Processing { .. }
            | Phase::Canceled { .. } => None,
        }
    }

    pub(super) fn is_paid(&self) -> bool {
        matches!(self.phase, Phase::Succeeded { .. })
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.phase, Phase::Failed { .. })
    }
}

/// As long as Stripe's ids.
pub(super) fn short_id() -> String {
    let mut id = Uuid::new_v4().simple().to_string();
    id.truncate(24);
    id
}
