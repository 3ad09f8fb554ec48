//! The sandbox, spoken to as Stripe is.

use super::{FaultPlan, JournalError, Sandbox, SandboxConfig, SandboxError, magic};
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const SHAPES: &str = include_str!("../../../tests/vectors/stripe_object_shapes.json");

/// What takes its course does so well within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often two requests are sent together until they meet.
const ATTEMPTS_MAX: u32 = 50;

struct Caller {
    sandbox: Sandbox,
    client: Client,
}

impl Caller {
    async fn start(config: SandboxConfig) -> Self {
        Self { sandbox: Sandbox::start(config).await.unwrap(), client: Client::new() }
    }

    async fn send(
        &self,
        path: &str,
        key: &str,
        form: &[(&str, &str)],
    ) -> reqwest::Result<(StatusCode, Value)> {
        let request = self.client.post(format!("{}{path}", self.sandbox.url()));
        let request = request.bearer_auth(self.sandbox.secret_key().expose_secret());
        let response = request.header("idempotency-key", key).form(form).send().await?;
        Ok((response.status(), response.json().await?))
    }

    async fn pay(&self, key: &str, amount: i64) -> reqwest::Result<(StatusCode, Value)> {
        let amount = amount.to_string();
        let form = [
            ("amount", amount.as_str()),
            ("currency", "usd"),
            ("confirm", "true"),
            ("payment_method", "pm_card_visa"),
            ("metadata[tip_id]", "tip_1"),
            ("expand[]", "latest_charge"),
        ];
        self.send("/v1/payment_intents", key, &form).await
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.sandbox.url()));
        let request = request.bearer_auth(self.sandbox.secret_key().expose_secret());
        request.send().await.unwrap().json().await.unwrap()
    }

    /// The status once it is no longer this.
    async fn once_not(&self, status: &str, path: &str) -> Value {
        let begun = Instant::now();
        loop {
            let now = self.get(path).await["status"].clone();
            if now != status {
                return now;
            }
            assert!(begun.elapsed() < PATIENCE, "{path} stays {status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn charges(&self) -> Value {
        self.get("/sandbox/charges").await["count"].clone()
    }
}

fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Every object has the fields that the real one has, all the way down where ours is an object too.
fn assert_shape(ours: &Value, theirs: &Value, at: &str) {
    let (Some(_), Some(expected)) = (ours.as_object(), theirs.as_object()) else { return };
    // maps with free keys
    if expected.is_empty() || at.ends_with(".last_payment_error") || at.ends_with(".next_action") {
        return;
    }
    assert_eq!(fields(ours), fields(theirs), "{at}");
    for (field, shape) in expected {
        assert_shape(&ours[field], shape, &format!("{at}.{field}"));
    }
}

#[tokio::test]
async fn objects_have_the_fields_of_the_real_ones() {
    let shapes: Value = serde_json::from_str(SHAPES).unwrap();
    let shapes = &shapes["objects"];
    let caller = Caller::start(SandboxConfig::default()).await;
    for (key, amount) in [
        ("paid", 1_000),
        ("acting", magic::REQUIRES_ACTION),
        ("processing", magic::PROCESSING_THEN_SUCCEEDED),
        ("declined", magic::DECLINED),
    ] {
        let (status, body) = caller.pay(key, amount).await.unwrap();
        let intent = if status.is_success() { &body } else { &body["error"]["payment_intent"] };
        assert_shape(intent, &shapes["payment_intent"], key);
        if intent["latest_charge"].is_object() {
            assert_shape(&intent["latest_charge"], &shapes["charge"], key);
        }
    }
    let (_, paid) = caller.pay("paid", 1_000).await.unwrap();
    assert_eq!(paid["latest_charge"]["status"], "succeeded");
}

#[tokio::test]
async fn a_key_stands_for_one_request() {
    let caller = Caller::start(SandboxConfig::default()).await;
    let first = caller.pay("k", 1_000).await.unwrap();
    assert_eq!(first.0, StatusCode::OK);
    assert_eq!(caller.pay("k", 1_000).await.unwrap(), first);
    let (status, other) = caller.pay("k", 1_001).await.unwrap();
    assert_eq!((status, &other["error"]["type"]), (StatusCode::BAD_REQUEST, &json!("idempotency_error")));
    let cancel = format!("/v1/payment_intents/{}/cancel", first.1["id"].as_str().unwrap());
    assert_eq!(caller.send(&cancel, "k", &[]).await.unwrap().0, StatusCode::BAD_REQUEST);
    assert_eq!(caller.charges().await, 1);
}

#[tokio::test]
async fn a_second_request_beside_a_running_one_conflicts() {
    let config = SandboxConfig { work: Duration::from_millis(300), ..SandboxConfig::default() };
    let caller = Caller::start(config).await;
    for attempt in 1..=ATTEMPTS_MAX {
        let key = format!("k{attempt}");
        let (one, two) = tokio::join!(caller.pay(&key, 1_000), caller.pay(&key, 1_000));
        let mut statuses = [one.unwrap().0, two.unwrap().0];
        statuses.sort_unstable();
        assert_eq!(caller.charges().await, attempt);
        if statuses == [StatusCode::OK, StatusCode::CONFLICT] {
            return;
        }
        assert_eq!(statuses, [StatusCode::OK; 2], "one may come after the other on a busy machine");
    }
    panic!("no request conflicts with one beside it");
}

#[tokio::test]
async fn charges_and_keys_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let config = SandboxConfig { data_dir: Some(directory.path().to_owned()), ..SandboxConfig::default() };
    let caller = Caller::start(config.clone()).await;
    let second = Sandbox::start(config.clone()).await;
    assert!(matches!(second, Err(SandboxError::Journal(JournalError::InUse(_)))));
    let first = caller.pay("k", 1_000).await.unwrap();
    assert!(caller.pay("cut", magic::CHARGED_THEN_CUT).await.is_err());
    caller.sandbox.shutdown().await;

    // a torn last line was never answered
    let journal = directory.path().join("charges.jsonl");
    let mut bytes = std::fs::read(&journal).unwrap();
    bytes.extend_from_slice(b"{\"intent\":");
    std::fs::write(&journal, bytes).unwrap();

    let caller = Caller::start(config.clone()).await;
    assert_eq!(caller.pay("k", 1_000).await.unwrap(), first);
    assert_eq!(caller.pay("cut", magic::CHARGED_THEN_CUT).await.unwrap().0, StatusCode::OK);
    assert_eq!(caller.charges().await, 2);
    caller.sandbox.shutdown().await;

    std::fs::write(&journal, "{}\nno entry\n").unwrap();
    let corrupt = Sandbox::start(config).await;
    assert!(matches!(corrupt, Err(SandboxError::Journal(JournalError::Corrupt { line: 2, .. }))));
}

#[tokio::test]
async fn magic_amounts_take_their_course() {
    let config = SandboxConfig {
        processing: Duration::from_secs(2),
        action: Some(Duration::from_secs(2)),
        ..SandboxConfig::default()
    };
    let caller = Caller::start(config).await;
    let mut waiting = Vec::new();
    for (amount, at_once, later) in [
        (magic::PROCESSING_THEN_FAILED, "processing", "requires_payment_method"),
        (magic::PROCESSING_THEN_SUCCEEDED, "processing", "succeeded"),
        (magic::REQUIRES_ACTION, "requires_action", "succeeded"),
    ] {
        let (_, intent) = caller.pay(&amount.to_string(), amount).await.unwrap();
        assert_eq!(intent["status"], at_once, "{amount}");
        waiting.push((format!("/v1/payment_intents/{}", intent["id"].as_str().unwrap()), at_once, later));
    }
    for (path, at_once, later) in waiting {
        assert_eq!(caller.once_not(at_once, &path).await, later, "{path}");
    }
    assert_eq!(caller.pay("d", magic::DECLINED).await.unwrap().0, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(caller.pay("f", magic::FAILS_ONCE).await.unwrap().0, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(caller.pay("f", magic::FAILS_ONCE).await.unwrap().0, StatusCode::OK);
    assert_eq!(caller.pay("f", magic::FAILS_ONCE).await.unwrap().0, StatusCode::OK);
}

#[tokio::test]
async fn a_payer_confirms_with_the_client_secret() {
    let caller = Caller::start(SandboxConfig { action: None, ..SandboxConfig::default() }).await;
    let (_, intent) = caller.pay("k", magic::REQUIRES_ACTION).await.unwrap();
    let path =
        format!("{}/v1/payment_intents/{}/confirm", caller.sandbox.url(), intent["id"].as_str().unwrap());
    let confirm = |secret: &str| {
        let form = [("client_secret", secret.to_owned())];
        caller.client.post(&path).bearer_auth("pk_test_browser").form(&form).send()
    };
    assert_eq!(confirm("wrong").await.unwrap().status(), StatusCode::NOT_FOUND);
    let confirmed = confirm(intent["client_secret"].as_str().unwrap()).await.unwrap();
    assert_eq!(confirmed.json::<Value>().await.unwrap()["status"], "succeeded");
    let no_key = caller.client.post(&path).bearer_auth("sk_test_wrong").send().await.unwrap();
    assert_eq!(no_key.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_is_paid_cannot_be_cancelled_and_what_waits_can() {
    let caller = Caller::start(SandboxConfig { action: None, ..SandboxConfig::default() }).await;
    for (amount, status) in [(1_000, StatusCode::BAD_REQUEST), (magic::REQUIRES_ACTION, StatusCode::OK)] {
        let (_, intent) = caller.pay(&amount.to_string(), amount).await.unwrap();
        let cancel = format!("/v1/payment_intents/{}/cancel", intent["id"].as_str().unwrap());
        assert_eq!(caller.send(&cancel, &format!("c{amount}"), &[]).await.unwrap().0, status);
    }
}

#[tokio::test]
async fn bad_requests_are_named() {
    let caller = Caller::start(SandboxConfig::default()).await;
    let good = [("amount", "1000"), ("currency", "usd")];
    for (change, param) in [
        (("amount", "10.00"), "amount"),
        (("amount", "0"), "amount"),
        (("amount", "100000000"), "amount"),
        (("currency", "us"), "currency"),
        (("colour", "red"), "colour"),
        (("confirm", "true"), "payment_method"),
        (("expand[]", "customer"), "expand[]"),
    ] {
        let mut form = good.to_vec();
        form.retain(|(name, _)| *name != change.0);
        form.push(change);
        let (status, body) = caller.send("/v1/payment_intents", param, &form).await.unwrap();
        assert_eq!((status, &body["error"]["param"]), (StatusCode::BAD_REQUEST, &json!(param)), "{change:?}");
    }
}

#[test]
fn faults_repeat_by_their_seed() {
    let plan = FaultPlan {
        seed: 7,
        drop_before_per_mille: 100,
        drop_after_per_mille: 100,
        server_error_per_mille: 100,
        rate_limit_per_mille: 50,
        rate_limit_burst: 3,
        ..FaultPlan::default()
    };
    let run = |plan: &FaultPlan| {
        let faults = super::faults::Faults::new(plan.clone());
        (0..1_000).map(|_| faults.next().1).collect::<Vec<_>>()
    };
    assert_eq!(run(&plan), run(&plan));
    assert_ne!(run(&plan), run(&FaultPlan { seed: 8, ..plan.clone() }));
    assert!(run(&FaultPlan::default()).iter().all(|fault| *fault == super::faults::Fault::None));
}
