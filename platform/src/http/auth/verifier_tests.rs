use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::Value;

use super::*;
use crate::http::auth::{DevToken, Role, mint_dev_token};

const VECTORS: &str = include_str!("../../../../tests/vectors/jwt.json");
const SECRET: &str = "a secret of at least thirty-two bytes";

fn vectors() -> Value {
    serde_json::from_str(VECTORS).expect("vectors")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

/// An issuer on a port of its own, whose key set can be changed.
struct Issuer {
    address: SocketAddr,
    document: Arc<Mutex<Option<String>>>,
    fetches: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start(set: &Value) -> Self {
        let document = Arc::new(Mutex::new(Some(set.to_string())));
        let fetches = Arc::new(AtomicUsize::new(0));
        let (served, counted) = (Arc::clone(&document), Arc::clone(&fetches));
        let answer = move || async move {
            counted.fetch_add(1, Ordering::SeqCst);
            served.lock().clone().ok_or(axum::http::StatusCode::BAD_GATEWAY)
        };
        let app = axum::Router::new().route("/jwks", axum::routing::get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
        let address = listener.local_addr().expect("address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, document, fetches }
    }

    fn verifier(&self, now: Now, leeway_seconds: u32, interval: Duration) -> Verifier {
        let settings = VerifierSettings {
            issuer: "https://auth.example.test".into(),
            audience: "livestream-api".into(),
            leeway_seconds,
            hs256_secret: None,
            jwks_url: Some(format!("http://{}/jwks", self.address)),
        };
        Verifier::with_refresh_interval(settings, now, interval).expect("verifier")
    }
}

fn at(now: i64) -> Now {
    Arc::new(move || now)
}

#[tokio::test]
async fn every_token_is_judged_as_the_vectors_say() {
    let vectors = vectors();
    let issuer = Issuer::start(&vectors["jwks"]).await;
    let verifier = issuer.verifier(system_now(), 30, REFRESH_INTERVAL);
    let mut wrong = Vec::new();
    for vector in vectors["tokens"].as_array().expect("tokens") {
        // twice: what the cache says must be the same
        for _ in 0..2 {
            let verified = verifier.verify(text(vector, "token")).await;
            if verified.is_ok() != (text(vector, "expect") == "accept") {
                wrong.push(format!("{}: {verified:?}", text(vector, "name")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // a token that names an unknown key makes us look for it once, not each time
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn clock_edges_are_exact() {
    let vectors = vectors();
    let issuer = Issuer::start(&vectors["jwks"]).await;
    for vector in vectors["clock_edges"].as_array().expect("edges") {
        let now = vector["now"].as_i64().expect("now");
        let leeway = u32::try_from(vector["leeway_s"].as_u64().expect("leeway")).expect("small");
        let verifier = issuer.verifier(at(now), leeway, REFRESH_INTERVAL);
        let verified = verifier.verify(text(vector, "token")).await;
        assert_eq!(verified.is_ok(), text(vector, "expect") == "accept", "{vector}: {verified:?}");
    }
}

#[tokio::test]
async fn keys_rotate() {
    let rotation = &vectors()["rotation"];
    let issuer = Issuer::start(&rotation["step1_jwks"]).await;
    let verifier = issuer.verifier(system_now(), 30, Duration::ZERO);
    for step in rotation["expect"].as_array().expect("steps") {
        let (step, which, expected) = (&step[0], &step[1], &step[2]);
        let set = match step.as_str() {
            Some("step1") => "step1_jwks",
            Some("step2") => "step2_jwks_both",
            _ => "step3_jwks_new_only",
        };
        *issuer.document.lock() = Some(rotation[set].to_string());
        if set == "step3_jwks_new_only" {
            // what the end of the set's lifetime does
            verifier.warm_up().await;
        }
        let token = text(rotation, if which == "old" { "token_old" } else { "token_new" });
        let verified = verifier.verify(token).await;
        assert_eq!(verified.is_ok(), expected == "accept", "{step} {which}: {verified:?}");
    }
}

#[tokio::test]
async fn odd_entries_do_not_harm_the_others() {
    let vectors = vectors();
    let set = &vectors["jwks_with_odd_entries"]["set"];
    let parsed = super::super::jwks::KeySet::parse(set.to_string().as_bytes()).expect("parses");
    assert_eq!(parsed.len(), 1);
    assert!(parsed.find(Some("es-1"), Algorithm::ES256).is_some());
    assert!(parsed.find(None, Algorithm::ES256).is_some());
    assert!(parsed.find(Some("es-1"), Algorithm::RS256).is_none());
}

#[tokio::test]
async fn the_last_good_set_outlives_a_failing_issuer() {
    let vectors = vectors();
    let token = text(&vectors["tokens"][0], "token");
    let issuer = Issuer::start(&vectors["jwks"]).await;
    let verifier = issuer.verifier(system_now(), 30, Duration::ZERO);
    assert!(verifier.verify(token).await.is_ok());
    for broken in [None, Some("{}".into()), Some("x".repeat(300_000)), Some(r#"{"keys":[]}"#.into())] {
        *issuer.document.lock() = broken;
        verifier.warm_up().await;
        assert!(verifier.verify(token).await.is_ok());
    }
}

#[tokio::test]
async fn without_keys_a_token_is_not_called_bad() {
    let vectors = vectors();
    let issuer = Issuer::start(&vectors["jwks"]).await;
    *issuer.document.lock() = None;
    let verifier = issuer.verifier(system_now(), 30, Duration::ZERO);
    let token = text(&vectors["tokens"][0], "token");
    assert_eq!(verifier.verify(token).await.expect_err("no keys"), TokenError::KeysUnavailable);
}

#[tokio::test]
async fn many_unknown_keys_at_once_are_one_fetch() {
    let vectors = vectors();
    let issuer = Issuer::start(&vectors["rotation"]["step1_jwks"]).await;
    let verifier = Arc::new(issuer.verifier(system_now(), 30, REFRESH_INTERVAL));
    let token = text(&vectors["rotation"], "token_new").to_owned();
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let (verifier, token) = (Arc::clone(&verifier), token.clone());
            tokio::spawn(async move { verifier.verify(&token).await.is_ok() })
        })
        .collect();
    for task in tasks {
        assert!(!task.await.expect("task"));
    }
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 1);
}

fn dev_settings() -> VerifierSettings {
    VerifierSettings {
        issuer: "tally".into(),
        audience: "tally".into(),
        leeway_seconds: 60,
        hs256_secret: Some(SecretString::from(SECRET)),
        jwks_url: None,
    }
}

fn dev_token(secret: &str, name: Option<&str>, now: i64) -> String {
    let roles = [Role::Creator, Role::Viewer];
    let token = DevToken {
        sub: "alice",
        roles: &roles,
        name,
        issuer: "tally",
        audience: "tally",
        lifetime_seconds: 3_600,
    };
    mint_dev_token(&SecretString::from(secret), &token, now).expect("signs")
}

#[tokio::test]
async fn a_development_token_is_good_until_it_ends() {
    let clock = Arc::new(AtomicI64::new(1_000));
    let read = Arc::clone(&clock);
    let verifier =
        Verifier::new(dev_settings(), Arc::new(move || read.load(Ordering::SeqCst))).expect("verifier");
    let token = dev_token(SECRET, Some("Alice"), 1_000);
    let caller = verifier.verify(&token).await.expect("good");
    assert_eq!((&*caller.sub, caller.name.as_deref()), ("alice", Some("Alice")));
    assert!(caller.has(Role::Creator) && caller.has(Role::Viewer) && !caller.has(Role::Admin));
    assert!(caller.require(Role::Moderator).is_err());
    assert_eq!(caller.token.expose(), token);
    assert!(!format!("{caller:?}").contains("alice"));

    clock.store(4_659, Ordering::SeqCst);
    assert!(verifier.verify(&token).await.is_ok());
    clock.store(4_660, Ordering::SeqCst);
    assert_eq!(verifier.verify(&token).await.expect_err("cached, and over"), TokenError::Expired);

    let long = "é".repeat(200);
    let cut = verifier.verify(&dev_token(SECRET, Some(&long), 4_660)).await.expect("good");
    assert_eq!(cut.name.as_deref().map(|name| name.chars().count()), Some(100));
    let other = dev_token("another secret of at least thirty-two bytes", None, 4_660);
    assert_eq!(verifier.verify(&other).await.expect_err("other"), TokenError::Invalid("signature"));
}

#[test]
fn settings_without_a_key_or_with_a_short_secret_are_refused() {
    let build = |secret: Option<&str>| {
        let settings = VerifierSettings { hs256_secret: secret.map(SecretString::from), ..dev_settings() };
        Verifier::new(settings, at(0)).err().map(|error| error.to_string())
    };
    assert!(build(None).is_some_and(|error| error.contains("auth.jwks_url")));
    assert!(build(Some("short")).is_some_and(|error| error.contains("32")));
    assert!(build(Some(SECRET)).is_none());
}

#[test]
fn the_crypto_provider_is_installed_once_and_works() {
    install_crypto();
    install_crypto();
    assert_eq!(dev_token(SECRET, None, 0).split('.').count(), 3);
}
