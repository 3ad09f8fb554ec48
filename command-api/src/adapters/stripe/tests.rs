//! The adapter against the sandbox, which speaks the same wire format over a real socket.

use super::webhook::{WebhookError, check_signature};
use super::{Stripe, StripeConfig, StripeConfigError};
use crate::ports::payments::{
    Capture, Intent, IntentMetadata, IntentRequest, IntentStatus, PaymentError, Payments, Progress,
};
use embedded::payments::{FaultPlan, Sandbox, SandboxConfig, magic};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use schemas::events::PaymentPurpose;
use schemas::{Money, PaymentId, PersonId, ShowId, Timestamp, TipId};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A caller gives up after so many retryable outcomes; with the rates below that is out of reach.
const TRIES_MAX: usize = 50;

/// Long enough for a machine that is busy to see that a payment waits.
const PROCESSING: Duration = Duration::from_secs(4);

/// A bank has decided well within this.
const PATIENCE: Duration = Duration::from_secs(60);

fn config(url: String, secret_key: SecretString) -> StripeConfig {
    StripeConfig {
        base_url: url,
        secret_key,
        payment_method: "pm_card_visa".into(),
        webhook_secrets: vec!["whsec_test_secret".into()],
        attempt_timeout: Duration::from_secs(5),
    }
}

fn adapter(sandbox: &Sandbox) -> Stripe {
    Stripe::new(config(sandbox.url(), sandbox.secret_key().clone())).unwrap()
}

async fn started(config: SandboxConfig) -> (Sandbox, Stripe) {
    let sandbox = Sandbox::start(config).await.unwrap();
    let stripe = adapter(&sandbox);
    (sandbox, stripe)
}

fn quick() -> SandboxConfig {
    SandboxConfig { processing: PROCESSING, action: None, ..SandboxConfig::default() }
}

async fn pay_in(stripe: &Stripe, key: &str, amount: i64, currency: &str) -> Result<Intent, PaymentError> {
    let purpose =
        PaymentPurpose::Tip { show_id: ShowId(Uuid::from_u128(1)), tip_id: TipId(Uuid::from_u128(2)) };
    let request = IntentRequest {
        idempotency_key: key,
        amount: Money::from_minor(amount, currency.parse().unwrap()).unwrap(),
        payer: PersonId(Uuid::from_u128(3)),
        payee: PersonId(Uuid::from_u128(4)),
        capture: Capture::Auto,
        metadata: IntentMetadata { payment_id: PaymentId(Uuid::from_u128(5)), purpose: &purpose },
    };
    stripe.create_intent(request).await
}

async fn pay(stripe: &Stripe, key: &str, amount: i64) -> Result<Intent, PaymentError> {
    pay_in(stripe, key, amount, "USD").await
}

async fn charges(sandbox: &Sandbox, key: &str) -> Vec<Value> {
    let url = format!("{}/sandbox/charges?idempotency_key={key}", sandbox.url());
    let request = reqwest::Client::new().get(url).bearer_auth(sandbox.secret_key().expose_secret());
    let listing: Value = request.send().await.unwrap().json().await.unwrap();
    listing["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_tip_is_charged_once_and_leads_back_to_us() {
    let (sandbox, stripe) = started(quick()).await;
    let first = pay(&stripe, "k", 1_000).await.unwrap();
    assert_eq!((first.status, first.progress()), (IntentStatus::Succeeded, Progress::Captured));
    assert_eq!(first.amount.to_string(), "10.00 USD");
    assert!(first.client_secret.is_none());
    assert_eq!(pay(&stripe, "k", 1_000).await.unwrap().provider_ref, first.provider_ref);
    let charges = charges(&sandbox, "k").await;
    assert_eq!(charges.len(), 1);
    assert_eq!(charges[0]["metadata"]["payment_id"], Uuid::from_u128(5).to_string());
    assert_eq!(charges[0]["metadata"]["purpose"], "tip");
    assert_eq!(stripe.get(&first.provider_ref).await.unwrap().status, IntentStatus::Succeeded);
    assert_eq!(stripe.cancel(&first.provider_ref).await.unwrap().status, IntentStatus::Succeeded);
}

#[tokio::test]
async fn a_yen_is_a_yen() {
    let (sandbox, stripe) = started(quick()).await;
    assert_eq!(pay_in(&stripe, "k", 500, "JPY").await.unwrap().amount.to_string(), "500 JPY");
    assert_eq!(charges(&sandbox, "k").await[0]["amount"], 500);
}

#[tokio::test]
async fn refusals_are_final_and_named() {
    let (sandbox, stripe) = started(quick()).await;
    for _ in 0..2 {
        let declined = pay(&stripe, "d", magic::DECLINED).await.unwrap_err();
        assert!(
            matches!(&declined, PaymentError::Declined { reason } if reason == "card_declined"),
            "{declined}"
        );
    }
    assert_eq!(charges(&sandbox, "d").await.len(), 1);
    pay(&stripe, "k", 1_000).await.unwrap();
    assert!(matches!(pay(&stripe, "k", 1_001).await, Err(PaymentError::IdempotencyConflict)));
    for (key, amount) in [("", 1_000), ("with space", 1_000), ("zero", 0), ("large", 100_000_000)] {
        assert!(matches!(pay(&stripe, key, amount).await, Err(PaymentError::Refused(_))), "{key}");
    }
    for reference in ["pi_unknown", "pi_../v1/refunds", "ch_1", ""] {
        assert!(matches!(stripe.get(reference).await, Err(PaymentError::Refused(_))), "{reference}");
    }
    let stranger = Stripe::new(config(sandbox.url(), "sk_test_wrong".into())).unwrap();
    assert!(matches!(pay(&stranger, "s", 1_000).await, Err(PaymentError::Refused(_))));
}

#[tokio::test]
async fn slow_banks_agree_or_refuse_later() {
    let (_sandbox, stripe) = started(quick()).await;
    let mut waiting = Vec::new();
    for (amount, later, failure) in [
        (magic::PROCESSING_THEN_SUCCEEDED, Progress::Captured, None),
        (magic::PROCESSING_THEN_FAILED, Progress::Declined, Some("card_declined")),
    ] {
        let intent = pay(&stripe, &amount.to_string(), amount).await.unwrap();
        assert_eq!(intent.progress(), Progress::Pending);
        // too late to cancel, not ended either
        assert_eq!(stripe.cancel(&intent.provider_ref).await.unwrap().status, IntentStatus::Processing);
        waiting.push((intent.provider_ref, later, failure));
    }
    for (reference, later, failure) in waiting {
        let ended = ended(&stripe, &reference).await;
        assert_eq!((ended.progress(), ended.failure.as_deref()), (later, failure), "{reference}");
    }
}

/// The intent once it waits no longer.
async fn ended(stripe: &Stripe, reference: &str) -> Intent {
    let begun = Instant::now();
    loop {
        let intent = stripe.get(reference).await.unwrap();
        if intent.progress() != Progress::Pending {
            return intent;
        }
        assert!(begun.elapsed() < PATIENCE, "the bank does not decide");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_payer_who_must_act_gets_the_secret_and_can_be_given_up() {
    let (sandbox, stripe) = started(quick()).await;
    let intent = pay(&stripe, "a", magic::REQUIRES_ACTION).await.unwrap();
    assert_eq!(intent.progress(), Progress::NeedsPayer);
    let secret = intent.client_secret.unwrap();
    let url = format!("{}/v1/payment_intents/{}/confirm", sandbox.url(), intent.provider_ref);
    let form = [("client_secret", secret.expose_secret())];
    reqwest::Client::new().post(url).bearer_auth("pk_test_x").form(&form).send().await.unwrap();
    let ended = stripe.get(&intent.provider_ref).await.unwrap();
    assert_eq!((ended.progress(), ended.client_secret.is_none()), (Progress::Captured, true));

    let other = pay(&stripe, "b", magic::REQUIRES_ACTION).await.unwrap();
    for _ in 0..2 {
        assert_eq!(stripe.cancel(&other.provider_ref).await.unwrap().progress(), Progress::Cancelled);
    }
}

#[tokio::test]
async fn unknown_outcomes_are_resolved_by_the_key() {
    let (sandbox, stripe) = started(quick()).await;
    for (key, amount) in [("cut", magic::CHARGED_THEN_CUT), ("once", magic::FAILS_ONCE)] {
        assert_eq!(pay(&stripe, key, amount).await.unwrap().progress(), Progress::Captured, "{key}");
        assert_eq!(charges(&sandbox, key).await.len(), 1, "{key}");
    }
}

#[tokio::test]
async fn attempts_are_bounded_and_then_the_saga_is_asked() {
    let always = |faults: FaultPlan| SandboxConfig { faults, ..quick() };
    for (faults, happened) in [
        (FaultPlan { drop_before_per_mille: 1_000, ..FaultPlan::default() }, 0),
        (FaultPlan { drop_after_per_mille: 1_000, ..FaultPlan::default() }, 1),
        (FaultPlan { server_error_per_mille: 1_000, ..FaultPlan::default() }, 0),
        (FaultPlan { rate_limit_per_mille: 1_000, ..FaultPlan::default() }, 0),
    ] {
        let (sandbox, stripe) = started(always(faults.clone())).await;
        assert!(matches!(pay(&stripe, "k", 1_000).await, Err(PaymentError::Retryable(_))), "{faults:?}");
        assert_eq!(charges(&sandbox, "k").await.len(), happened, "{faults:?}");
    }
    let nowhere = Stripe::new(config("http://127.0.0.1:1".into(), "sk".into())).unwrap();
    assert!(matches!(pay(&nowhere, "k", 1_000).await, Err(PaymentError::Retryable(_))));
}

#[tokio::test]
async fn a_restarted_provider_still_charges_once() {
    let directory = tempfile::tempdir().unwrap();
    let faults = FaultPlan { drop_after_per_mille: 1_000, ..FaultPlan::default() };
    let config = SandboxConfig { data_dir: Some(directory.path().into()), ..quick() };
    let (sandbox, stripe) = started(SandboxConfig { faults, ..config.clone() }).await;
    assert!(matches!(pay(&stripe, "k", 1_000).await, Err(PaymentError::Retryable(_))));
    sandbox.shutdown().await;
    let (sandbox, stripe) = started(config).await;
    assert_eq!(pay(&stripe, "k", 1_000).await.unwrap().progress(), Progress::Captured);
    assert_eq!(charges(&sandbox, "k").await.len(), 1);
}

/// One caller who repeats with the key until the outcome is known: the intent, or the refusal's reason.
async fn insist(stripe: Arc<Stripe>, amount: i64) -> Result<String, String> {
    for _ in 0..TRIES_MAX {
        match pay(&stripe, "k", amount).await {
            Ok(intent) => return Ok(intent.provider_ref),
            Err(PaymentError::Declined { reason }) => return Err(reason),
            Err(PaymentError::Retryable(_)) => {}
            Err(error @ (PaymentError::IdempotencyConflict | PaymentError::Refused(_))) => {
                panic!("{error:?}")
            }
        }
    }
    panic!("no outcome after {TRIES_MAX} tries")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever fails and however many callers repeat beside each other: one key, one charge, one outcome.
    #[test]
    fn one_key_is_one_charge(
        seed in any::<u64>(),
        callers in 1usize..6,
        amount in prop::sample::select(vec![
            1_000, magic::DECLINED, magic::CHARGED_THEN_CUT, magic::FAILS_ONCE, magic::PROCESSING_THEN_SUCCEEDED,
        ]),
    ) {
        let faults = FaultPlan {
            seed,
            latency_max: Duration::from_millis(10),
            drop_before_per_mille: 150,
            drop_after_per_mille: 250,
            server_error_per_mille: 100,
            rate_limit_per_mille: 50,
            rate_limit_burst: 2,
        };
        let work = Duration::from_millis(5);
        let processing = Duration::ZERO;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (outcomes, charged) = runtime.block_on(async {
            let (sandbox, stripe) = started(SandboxConfig { faults, work, processing, ..quick() }).await;
            let stripe = Arc::new(stripe);
            let callers = (0..callers).map(|_| tokio::spawn(insist(stripe.clone(), amount)));
            let mut outcomes = Vec::new();
            for caller in callers.collect::<Vec<_>>() {
                outcomes.push(caller.await.unwrap());
            }
            (outcomes, charges(&sandbox, "k").await)
        });
        prop_assert_eq!(charged.len(), 1);
        prop_assert!(outcomes.iter().all(|outcome| outcome == &outcomes[0]));
        prop_assert_eq!(outcomes[0].is_err(), amount == magic::DECLINED);
    }
}

#[test]
fn signatures_agree_with_the_official_library() {
    let file: Value =
        serde_json::from_str(include_str!("../../../../tests/vectors/signatures.json")).unwrap();
    let vectors = file["stripe"].as_array().unwrap();
    assert!(vectors.len() >= 8);
    for vector in vectors {
        let text = |field: &str| vector[field].as_str().unwrap();
        let now = Timestamp::from_millis(vector["now"].as_i64().unwrap() * 1_000);
        let secret = SecretString::from(text("secret"));
        let checked = check_signature(text("Stripe-Signature"), text("body").as_bytes(), &[secret], now);
        assert_eq!(checked.is_ok(), text("expect") == "accept", "{}: {checked:?}", text("name"));
    }
}

const BODY: &[u8] =
    br#"{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1","object":"payment_intent"}}}"#;
const SIGNED_AT_S: i64 = 1_751_054_400;

fn signed(secret: &str, body: &[u8]) -> HeaderMap {
    use hmac::Mac;
    let parts: [&[u8]; 3] = [b"1751054400", b".", body];
    let mac = crate::adapters::hmac_sha256(secret.as_bytes(), &parts).finalize().into_bytes();
    let hex = mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut headers = HeaderMap::new();
    let value = format!("t={SIGNED_AT_S},v1={hex}");
    headers.insert("stripe-signature", HeaderValue::from_str(&value).unwrap());
    headers
}

#[test]
fn callbacks_name_their_intent() {
    let stripe = Stripe::new(config("http://127.0.0.1:1".into(), "sk".into())).unwrap();
    let at = |offset_s: i64| Timestamp::from_millis((SIGNED_AT_S + offset_s) * 1_000);
    let headers = signed("whsec_test_secret", BODY);
    let event = stripe.verify_webhook(&headers, BODY, at(0)).unwrap();
    assert_eq!((event.id.as_str(), event.kind.as_str()), ("evt_1", "payment_intent.succeeded"));
    assert_eq!(event.provider_ref.as_deref(), Some("pi_1"));
    let charge = br#"{"id":"evt_2","type":"charge.refunded","data":{"object":{"object":"charge","payment_intent":"pi_2"}}}"#;
    let event = stripe.verify_webhook(&signed("whsec_test_secret", charge), charge, at(0)).unwrap();
    assert_eq!(event.provider_ref.as_deref(), Some("pi_2"));

    for edge in [-300, 300] {
        assert!(stripe.verify_webhook(&headers, BODY, at(edge)).is_ok(), "{edge}");
    }
    for outside in [-301, 301] {
        let refused = stripe.verify_webhook(&headers, BODY, at(outside));
        assert!(matches!(refused, Err(WebhookError::Stale)), "{outside}");
    }
    let other = stripe.verify_webhook(&signed("whsec_other", BODY), BODY, at(0));
    assert!(matches!(other, Err(WebhookError::Signature)));
    assert!(matches!(stripe.verify_webhook(&HeaderMap::new(), BODY, at(0)), Err(WebhookError::Header)));
    let mut twice = headers.clone();
    twice.append("stripe-signature", headers["stripe-signature"].clone());
    assert!(matches!(stripe.verify_webhook(&twice, BODY, at(0)), Err(WebhookError::Header)));
    let nonsense = stripe.verify_webhook(&signed("whsec_test_secret", b"[]"), b"[]", at(0));
    assert!(matches!(nonsense, Err(WebhookError::Body(_))));
}

#[test]
fn a_bad_configuration_fails_at_start() {
    let no_url = Stripe::new(config("api.stripe.com".into(), "sk".into())).err();
    assert!(matches!(no_url, Some(StripeConfigError::BaseUrl)));
    let no_key = Stripe::new(config("https://example.com".into(), "".into())).err();
    assert!(matches!(no_key, Some(StripeConfigError::SecretKey)));
}

proptest! {
    /// Hostile headers are refused, never a panic.
    #[test]
    fn any_header_is_safe_to_check(header in "[tv01=,0-9a-f]{0,100}", extra in any::<String>()) {
        let secrets = ["whsec_x".into()];
        for header in [header, extra] {
            let refused = check_signature(&header, b"body", &secrets, Timestamp::default()).is_err();
            prop_assert!(refused);
        }
    }
}
