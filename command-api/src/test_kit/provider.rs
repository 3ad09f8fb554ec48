//! A payment provider that can be told what to do, and when the world ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use schemas::{Currency, Money};

use crate::ports::payments::{Cause, Intent, IntentRequest, IntentStatus, PaymentError, Payments};

/// Counts calls to the outside; when the count is used up the world stands still.
#[derive(Clone)]
pub(crate) struct Crash(Arc<AtomicI64>);

impl Crash {
    pub(crate) fn after(points: i64) -> Self {
        Self(Arc::new(AtomicI64::new(points)))
    }

    pub(crate) fn never() -> Self {
        Self::after(i64::MAX)
    }

    pub(crate) fn happened(&self) -> bool {
        self.0.load(Ordering::SeqCst) < 0
    }

    pub(crate) async fn point(&self) {
        if self.0.fetch_sub(1, Ordering::SeqCst) <= 0 {
            std::future::pending::<()>().await;
        }
    }
}

/// A provider: one charge a key, whose status the test sets.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) charges: Arc<Mutex<HashMap<String, IntentStatus>>>,
    /// The status of a new charge; `None`: the bank refuses.
    pub(crate) first: Arc<Mutex<Option<IntentStatus>>>,
    /// So many calls get no answer, though they have their effect.
    pub(crate) lost: Arc<AtomicI64>,
    pub(crate) crash: Crash,
}

impl Provider {
    pub(crate) fn that(first: Option<IntentStatus>) -> Self {
        Self {
            charges: Arc::default(),
            first: Arc::new(Mutex::new(first)),
            lost: Arc::default(),
            crash: Crash::never(),
        }
    }

    pub(crate) fn captured(&self) -> usize {
        self.charges.lock().values().filter(|status| **status == IntentStatus::Succeeded).count()
    }

    pub(crate) fn set_all(&self, status: IntentStatus) {
        self.charges.lock().values_mut().for_each(|charge| *charge = status);
    }

    fn answer(&self, key: &str) -> Result<Intent, PaymentError> {
        if self.lost.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Err(PaymentError::Retryable(Cause::new("lost")));
        }
        Ok(Intent {
            provider_ref: key.to_owned(),
            status: self.charges.lock()[key],
            amount: amount(),
            client_secret: Some("secret".to_owned().into()),
            failure: None,
        })
    }
}

#[async_trait]
impl Payments for Provider {
    fn provider(&self) -> &'static str {
        "fake"
    }

    async fn create_intent(&self, request: IntentRequest<'_>) -> Result<Intent, PaymentError> {
        self.crash.point().await;
        let key = request.idempotency_key.to_owned();
        let Some(first) = *self.first.lock() else {
            return Err(PaymentError::Declined { reason: "card_declined".to_owned() });
        };
        self.charges.lock().entry(key.clone()).or_insert(first);
        self.crash.point().await;
        self.answer(&key)
    }

    async fn get(&self, provider_ref: &str) -> Result<Intent, PaymentError> {
        self.crash.point().await;
        self.answer(provider_ref)
    }

    async fn cancel(&self, provider_ref: &str) -> Result<Intent, PaymentError> {
        self.crash.point().await;
        if let Some(charge) = self.charges.lock().get_mut(provider_ref)
            && *charge != IntentStatus::Succeeded
        {
            *charge = IntentStatus::Canceled;
        }
        self.crash.point().await;
        self.answer(provider_ref)
    }
}

pub(crate) fn amount() -> Money {
    Money::from_minor(1_000, Currency::USD).unwrap()
}
