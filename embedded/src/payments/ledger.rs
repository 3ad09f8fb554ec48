//! The sandbox's state: intents, and the answers kept under idempotency keys.

use super::errors::ApiError;
use super::form::Form;
use super::intent::{Intent, Millis, Phase};
use super::journal::Journal;
use super::{SandboxConfig, magic};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// How long an answer is kept under its key: a day, the least that Stripe promises.
const KEY_RETENTION_MS: Millis = 24 * 3_600 * 1_000;
/// So many keys are kept; beyond, requests are turned away rather than keys forgotten early. About 200 MB.
const KEYS_MAX: usize = 200_000;
/// So many keys are remembered as having had their one failure.
const FAILED_KEYS_MAX: usize = 10_000;
/// Stripe's largest amount.
const AMOUNT_MAX: i64 = 99_999_999;

/// What a request does.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Create,
    Confirm(String),
    Cancel(String),
}

/// A successful or declined request's answer, as it was when it was given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) intent: Intent,
    pub(super) expand_charge: bool,
    pub(super) declined: bool,
}

/// An answer under a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    at_ms: Millis,
    fingerprint: Uuid,
    answer: Answer,
}

/// One change, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    intent: Option<Intent>,
    saved: Option<(String, Saved)>,
}

/// An idempotency key and the request that it stands for.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) key: String,
    pub(super) fingerprint: Uuid,
}

/// All state.
pub(super) struct Ledger {
    intents: HashMap<String, Intent>,
    saved: HashMap<String, Saved>,
    in_flight: HashSet<String>,
    failed_once: HashSet<String>,
    journal: Option<Journal>,
}

impl Ledger {
    pub(super) fn in_memory() -> Self {
        Self {
            intents: HashMap::new(),
            saved: HashMap::new(),
            in_flight: HashSet::new(),
            failed_once: HashSet::new(),
            journal: None,
        }
    }

    pub(super) fn keep_in(&mut self, journal: Journal) {
        self.journal = Some(journal);
    }

    pub(super) fn apply(&mut self, entry: Entry) {
        if let Some(intent) = entry.intent {
            self.intents.insert(intent.id.clone(), intent);
        }
        if let Some((key, saved)) = entry.saved {
            self.saved.insert(key, saved);
        }
    }

    /// All that is needed to start again from here.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        let intents = self.intents.values().map(|intent| Entry { intent: Some(intent.clone()), saved: None });
        let saved = self.saved.iter();
        intents.chain(
            saved.map(|(key, saved)| Entry { intent: None, saved: Some((key.clone(), saved.clone())) }),
        )
    }

    pub(super) fn forget_old_keys(&mut self, now_ms: Millis) {
        self.saved.retain(|_, saved| saved.at_ms + KEY_RETENTION_MS > now_ms);
    }

    /// Claims a key: the answer that it already has, or `None` and the key is in flight until released.
    pub(super) fn claim(&mut self, key: &Key, now_ms: Millis) -> Result<Option<Answer>, ApiError> {
        if self.in_flight.contains(&key.key) {
            return Err(ApiError::key_in_use());
        }
        match self.saved.get(&key.key) {
            Some(saved) if saved.at_ms + KEY_RETENTION_MS > now_ms => {
                if saved.fingerprint != key.fingerprint {
                    return Err(ApiError::key_reused());
                }
                return Ok(Some(saved.answer.clone()));
            }
            Some(_) | None => {}
        }
        if self.saved.len() >= KEYS_MAX {
            self.forget_old_keys(now_ms);
            if self.saved.len() >= KEYS_MAX {
                return Err(ApiError::rate_limited());
            }
        }
        self.in_flight.insert(key.key.clone());
        Ok(None)
    }

    pub(super) fn release(&mut self, key: &str) {
        self.in_flight.remove(key);
    }

    /// Does what is asked, and keeps the change and the answer under the key as one.
    pub(super) fn execute(
        &mut self,
        operation: &Operation,
        form: &Form,
        key: Option<Key>,
        config: &SandboxConfig,
        now_ms: Millis,
    ) -> Result<Answer, ApiError> {
        let expand_charge = form.expands_charge()?;
        let mut intent = match operation {
            Operation::Create => new_intent(form, key.as_ref().map(|key| key.key.as_str()), now_ms)?,
            Operation::Confirm(id) | Operation::Cancel(id) => self.get(id, now_ms)?,
        };
        let tried_to_pay = match operation {
            Operation::Create => form.flag("confirm")? && confirm(&mut intent, form, config, now_ms)?,
            Operation::Confirm(_) => confirm(&mut intent, form, config, now_ms)?,
            Operation::Cancel(_) => {
                let reason = form.get("cancellation_reason");
                let canceled = intent.cancel(reason, now_ms);
                canceled.map_err(|_| ApiError::unexpected_state(&intent))?;
                false
            }
        };
        if tried_to_pay && intent.amount == magic::FAILS_ONCE && self.fails_now(key.as_ref()) {
            return Err(ApiError::internal());
        }
        let declined = tried_to_pay && intent.has_failed();
        let answer = Answer { intent: intent.clone(), expand_charge, declined };
        let saved = key.map(|Key { key, fingerprint }| {
            (key, Saved { at_ms: now_ms, fingerprint, answer: answer.clone() })
        });
        let entry = Entry { intent: Some(intent), saved };
        if let Some(journal) = &mut self.journal
            && let Err(error) = journal.append(&entry)
        {
            tracing::error!(%error, "payment sandbox cannot write its journal");
            return Err(ApiError::internal());
        }
        self.apply(entry);
        Ok(answer)
    }

    /// Whether this is the first time for the key.
    fn fails_now(&mut self, key: Option<&Key>) -> bool {
        let Some(key) = key else { return false };
        if self.failed_once.len() >= FAILED_KEYS_MAX {
            self.failed_once.clear();
        }
        self.failed_once.insert(key.key.clone())
    }

    /// An intent as it stands at a time.
    pub(super) fn get(&self, id: &str, now_ms: Millis) -> Result<Intent, ApiError> {
        let mut intent = self.intents.get(id).cloned().ok_or_else(ApiError::not_found)?;
        intent.settle(now_ms);
        Ok(intent)
    }

    /// Every intent that led to a charge, paid or refused, in order of creation.
    pub(super) fn charged(&self, now_ms: Millis) -> Vec<Intent> {
        let mut intents = self.intents.values().cloned().collect::<Vec<_>>();
        for intent in &mut intents {
            intent.settle(now_ms);
        }
        intents.retain(|intent| intent.charge().is_some());
        intents.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
        intents
    }
}

/// Milliseconds since the Unix epoch, now.
pub(super) fn now_ms() -> Millis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

fn new_intent(form: &Form, key: Option<&str>, now_ms: Millis) -> Result<Intent, ApiError> {
    let amount = form.required("amount")?.parse::<i64>();
    let amount =
        amount.map_err(|_| ApiError::invalid("parameter_invalid_integer", "amount", "Invalid integer."))?;
    match amount {
        ..=0 => return Err(ApiError::invalid("amount_too_small", "amount", "Amount is too small.")),
        1..=AMOUNT_MAX => {}
        _ => return Err(ApiError::invalid("amount_too_large", "amount", "Amount is too large.")),
    }
    let currency = form.required("currency")?.to_ascii_lowercase();
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err(ApiError::invalid("parameter_invalid", "currency", "Invalid currency."));
    }
    if form.get("capture_method").is_some_and(|method| !method.starts_with("automatic")) {
        let message = "The sandbox captures automatically only.";
        return Err(ApiError::invalid("parameter_invalid", "capture_method", message));
    }
    let (id, client_secret) = Intent::new_ids();
    let payment_method = form.get("payment_method").map(str::to_owned);
    let phase =
        if payment_method.is_some() { Phase::RequiresConfirmation } else { Phase::RequiresPaymentMethod };
    Ok(Intent {
        id,
        client_secret,
        amount,
        currency,
        created_ms: now_ms,
        payment_method,
        description: form.get("description").map(str::to_owned),
        transfer_group: form.get("transfer_group").map(str::to_owned),
        metadata: form.metadata(),
        idempotency_key: key.map(str::to_owned),
        phase,
    })
}

/// Tries to pay; true once it was tried.
fn confirm(
    intent: &mut Intent,
    form: &Form,
    config: &SandboxConfig,
    now_ms: Millis,
) -> Result<bool, ApiError> {
    if let Some(method) = form.get("payment_method") {
        intent.payment_method = Some(method.to_owned());
    }
    if intent.payment_method.is_none() {
        return Err(ApiError::invalid("parameter_missing", "payment_method", "Missing required param."));
    }
    intent.confirm(config, now_ms).map_err(|_| ApiError::unexpected_state(intent))?;
    Ok(true)
}
