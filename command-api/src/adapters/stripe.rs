//! Payments by Stripe, in its own wire format. No client library: a tip needs three calls.
//!
//! A charge is created and confirmed in one request, under the caller's idempotency key. A refused charge leaves
//! an intent behind that a holder of its client secret could still pay; the secret never leaves this adapter
//! unless the payer must act, so nobody can.

mod currency;
#[cfg(test)]
mod tests;
mod transport;
/// Stripe's callbacks.
pub mod webhook;
mod wire;

use crate::ports::payments::{
    Capture, Cause, Intent, IntentRequest, MAX_IDEMPOTENCY_KEY_BYTES, PaymentError, Payments,
};
use async_trait::async_trait;
use http::HeaderMap;
use schemas::Timestamp;
use schemas::events::PaymentPurpose;
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use thiserror::Error;
use transport::{Call, Transport};
use webhook::{WebhookError, WebhookEvent};

/// Where the real provider is.
pub const STRIPE_URL: &str = "https://api.stripe.com";
/// How long one attempt may take where nothing else is configured. Stripe answers in a second or two; banks are slow.
pub const ATTEMPT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Intent references have fewer characters than this.
const PROVIDER_REF_BYTES_MAX: usize = 255;

/// How to reach Stripe.
#[derive(Clone, Debug)]
pub struct StripeConfig {
    /// [`STRIPE_URL`], or where a sandbox listens.
    pub base_url: String,
    /// `sk_…`.
    pub secret_key: SecretString,
    /// What charges are made to, for example `pm_card_visa` in a sandbox.
    pub payment_method: String,
    /// `whsec_…`, as Stripe shows them; two while one replaces the other.
    pub webhook_secrets: Vec<SecretString>,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
}

/// Why the configuration was refused.
#[derive(Debug, Error)]
pub enum StripeConfigError {
    /// Not `http://` or `https://`.
    #[error("payment provider's base url is no http url")]
    BaseUrl,
    /// Empty, or not fit for a header.
    #[error("payment provider's secret key is empty or has characters that no key has")]
    SecretKey,
    /// The HTTP client.
    #[error("http client for the payment provider cannot be built")]
    Client(#[source] reqwest::Error),
}

/// The payment provider.
pub struct Stripe {
    transport: Transport,
    payment_method: String,
    webhook_secrets: Vec<SecretString>,
}

impl Stripe {
    /// # Errors
    /// [`StripeConfigError`], so that a bad configuration fails at start.
    pub fn new(config: StripeConfig) -> Result<Self, StripeConfigError> {
        if !config.base_url.starts_with("https://") && !config.base_url.starts_with("http://") {
            return Err(StripeConfigError::BaseUrl);
        }
        let key = config.secret_key.expose_secret();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(StripeConfigError::SecretKey);
        }
        let transport = Transport::new(&config.base_url, config.secret_key, config.attempt_timeout)
            .map_err(StripeConfigError::Client)?;
        Ok(Self { transport, payment_method: config.payment_method, webhook_secrets: config.webhook_secrets })
    }

    /// Whether a callback is Stripe's, and what it says.
    ///
    /// # Errors
    /// [`WebhookError`]. A callback that is not Stripe's or not fresh is answered with 400 and not looked into.
    pub fn verify_webhook(
        &self,
        headers: &HeaderMap,
        raw: &[u8],
        now: Timestamp,
    ) -> Result<WebhookEvent, WebhookError> {
        webhook::verify(headers, raw, &self.webhook_secrets, now)
    }

    fn create_form(&self, request: &IntentRequest<'_>) -> Result<Vec<(&'static str, String)>, PaymentError> {
        if !request.amount.is_positive() {
            return Err(PaymentError::Refused(Cause::new(RequestError::Amount)));
        }
        let (amount, currency) =
            currency::to_stripe(request.amount).map_err(|error| PaymentError::Refused(Cause::new(error)))?;
        let capture_method = match request.capture {
            Capture::Auto => "automatic",
        };
        let PaymentPurpose::Tip { show_id, tip_id } = request.metadata.purpose;
        let payment_id = request.metadata.payment_id;
        Ok(vec![
            ("amount", amount.to_string()),
            ("currency", currency),
            ("capture_method", capture_method.to_owned()),
            ("confirm", "true".to_owned()),
            ("payment_method", self.payment_method.clone()),
            ("payment_method_types[]", "card".to_owned()),
            ("metadata[payment_id]", payment_id.to_string()),
            ("metadata[purpose]", "tip".to_owned()),
            ("metadata[show_id]", show_id.to_string()),
            ("metadata[tip_id]", tip_id.to_string()),
            ("metadata[payer]", request.payer.to_string()),
            ("metadata[payee]", request.payee.to_string()),
            ("expand[]", "latest_charge".to_owned()),
        ])
    }
}

/// What is wrong with a request of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
enum RequestError {
    #[error("amount is not positive")]
    Amount,
    #[error("idempotency key is empty, too long or not printable ascii")]
    Key,
    #[error("provider reference is not one of stripe's")]
    Reference,
}

fn refused(error: RequestError) -> PaymentError {
    PaymentError::Refused(Cause::new(error))
}

/// A reference becomes part of a path, so it must be nothing but a name.
fn check_reference(provider_ref: &str) -> Result<(), PaymentError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let sane = provider_ref.starts_with("pi_")
        && provider_ref.len() <= PROVIDER_REF_BYTES_MAX
        && provider_ref.bytes().all(plain);
    if sane { Ok(()) } else { Err(refused(RequestError::Reference)) }
}

#[async_trait]
impl Payments for Stripe {
    fn provider(&self) -> &'static str {
        "stripe"
    }

    async fn create_intent(&self, request: IntentRequest<'_>) -> Result<Intent, PaymentError> {
        let key = request.idempotency_key;
        if key.is_empty()
            || key.len() > MAX_IDEMPOTENCY_KEY_BYTES
            || !key.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(refused(RequestError::Key));
        }
        let form = self.create_form(&request)?;
        let call = Call::Post { path: "/v1/payment_intents", key: Some(key), form: &form };
        self.transport.call(&call).await.map_err(PaymentError::from)
    }

    async fn get(&self, provider_ref: &str) -> Result<Intent, PaymentError> {
        check_reference(provider_ref)?;
        let path = format!("/v1/payment_intents/{provider_ref}?expand%5B%5D=latest_charge");
        self.transport.call(&Call::Get { path: &path }).await.map_err(PaymentError::from)
    }

    async fn cancel(&self, provider_ref: &str) -> Result<Intent, PaymentError> {
        check_reference(provider_ref)?;
        let path = format!("/v1/payment_intents/{provider_ref}/cancel");
        let form = [("expand[]", "latest_charge".to_owned())];
        // without a key: a second cancel is refused by the state, and then the state is what we want to know
        match self.transport.call(&Call::Post { path: &path, key: None, form: &form }).await {
            Err(failure) if failure.is_unexpected_state() => self.get(provider_ref).await,
            outcome => outcome.map_err(PaymentError::from),
        }
    }
}
