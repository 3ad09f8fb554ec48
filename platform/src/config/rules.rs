//! Rules that one setting alone cannot break, and what production refuses.

use secrecy::ExposeSecret;
use tracing_subscriber::EnvFilter;

use super::{Config, Mode, PaymentProvider, Secret};

/// RFC 7518: a secret at least as long as the hash.
const HS256_SECRET_LENGTH_MIN: usize = 32;

/// Words of secrets that came from an example.
const EXAMPLE_WORDS: [&str; 6] = ["change-me", "changeme", "example", "development", "password", "secret"];

/// A secret with fewer different characters was typed, not made.
const DIFFERENT_BYTES_MIN: usize = 8;

pub(super) fn problems(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    let mut check = |is_right: bool, problem: &str| {
        if !is_right {
            problems.push(problem.to_owned());
        }
    };
    everywhere(config, &mut check);
    if config.mode == Mode::Production {
        in_production(config, &mut check);
    }
    problems
}

fn everywhere(config: &Config, check: &mut impl FnMut(bool, &str)) {
    let auth = &config.auth;
    check(
        auth.hs256_secret.get().is_none_or(|secret| secret.expose_secret().len() >= HS256_SECRET_LENGTH_MIN),
        "auth.hs256_secret is shorter than 32 bytes: make one with `openssl rand -base64 48`",
    );
    check(
        auth.jwks_url.is_empty() || is_safe_key_url(&auth.jwks_url),
        "auth.jwks_url is no https:// URL: keys that anyone on the way can replace protect nothing",
    );
    check(!auth.issuer.is_empty(), "auth.issuer is empty: set the `iss` of your tokens");
    check(!auth.audience.is_empty(), "auth.audience is empty: set the `aud` of your tokens");
    check(
        config.http.cors_allowed_origins.0.iter().all(|origin| is_origin(origin)),
        "http.cors_allowed_origins: an origin is scheme and host, such as https://console.example.com, without a path",
    );
    let schemes =
        ["esdb://", "esdb+discover://", "kurrentdb://", "kurrentdb+discover://", "kdb://", "kdb+discover://"];
    check(
        config.event_log.url.get().is_none_or(|url| schemes.iter().any(|scheme| url.starts_with(scheme))),
        "event_log.url begins with esdb:// or kurrentdb://, or is empty for the embedded node",
    );
    check(
        config
            .postgres
            .url
            .get()
            .is_none_or(|url| url.starts_with("postgres://") || url.starts_with("postgresql://")),
        "postgres.url begins with postgres://, or is empty for a private cluster",
    );
    for (name, secret) in key_settings(config) {
        check(
            !secret.is_set() || secret.key().is_some_and(is_random),
            &format!("{name} is not the base64 of 32 random bytes: make one with `openssl rand -base64 32`"),
        );
    }
    let secrets = &config.secrets;
    check(
        secrets.master_key.key().is_none_or(|key| secrets.pseudonym_key.key() != Some(key)),
        "secrets.pseudonym_key equals secrets.master_key: make another",
    );
    check(
        config.agora.app_id.is_empty() || is_agora_id(&config.agora.app_id),
        "agora.app_id is not 32 hexadecimal digits: copy it from the Agora console",
    );
    check(
        config.agora.app_certificate.get().is_none_or(|certificate| is_agora_id(certificate.expose_secret())),
        "agora.app_certificate is not 32 hexadecimal digits: copy it from the Agora console",
    );
    check(
        EnvFilter::try_new(&config.telemetry.log).is_ok(),
        "telemetry.log is no filter: use a level such as info, or levels by module",
    );
    for (name, base) in base_settings(config) {
        check(base.contains("://"), &format!("{name} is no URL: begin with its scheme"));
    }
}

fn in_production(config: &Config, check: &mut impl FnMut(bool, &str)) {
    let auth = &config.auth;
    for (name, secret) in key_settings(config) {
        check(
            secret.is_set(),
            &format!("{name} is not set: make it with `openssl rand -base64 32` and keep it"),
        );
    }
    check(
        !auth.jwks_url.is_empty() || auth.hs256_secret.is_set(),
        "auth.jwks_url is not set: name your issuer's key set",
    );
    check(
        !auth.hs256_secret.is_set() || auth.allow_hs256_in_production,
        "auth.hs256_secret is set in production: remove it, or set auth.allow_hs256_in_production if you mean it",
    );
    check(
        !is_from_an_example(&auth.hs256_secret),
        "auth.hs256_secret looks like an example's: make one with `openssl rand -base64 48`",
    );
    check(
        config.payments.provider != PaymentProvider::Sandbox || config.payments.allow_sandbox_payments,
        "payments.provider is the sandbox: choose a provider, or set payments.allow_sandbox_payments if you mean it",
    );
    check(!config.agora.app_id.is_empty(), "agora.app_id is not set: copy it from the Agora console");
    check(
        config.agora.app_certificate.is_set(),
        "agora.app_certificate is not set: copy it from the Agora console",
    );
    for (name, base) in base_settings(config) {
        check(
            !base.contains("://127.0.0.1"),
            &format!("{name} is this machine's own: set the public address"),
        );
    }
}

fn key_settings(config: &Config) -> [(&'static str, &Secret); 2] {
    [
        ("secrets.master_key", &config.secrets.master_key),
        ("secrets.pseudonym_key", &config.secrets.pseudonym_key),
    ]
}

fn base_settings(config: &Config) -> [(&'static str, &str); 2] {
    [
        ("public.rtmp_ingest_base", &config.public.rtmp_ingest_base),
        ("public.recordings_base", &config.public.recordings_base),
    ]
}

fn is_safe_key_url(url: &str) -> bool {
    let this_machine = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    let is_here = |base: &&str| {
        url.strip_prefix(*base).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    };
    url.len() > "https://".len() && (url.starts_with("https://") || this_machine.iter().any(is_here))
}

fn is_origin(origin: &str) -> bool {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    origin == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '*', ' ']))
}

fn is_agora_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_random(key: [u8; 32]) -> bool {
    different_bytes(&key) >= DIFFERENT_BYTES_MIN
}

fn is_from_an_example(secret: &Secret) -> bool {
    secret.get().is_some_and(|secret| {
        let text = secret.expose_secret().to_ascii_lowercase();
        different_bytes(text.as_bytes()) < DIFFERENT_BYTES_MIN
            || EXAMPLE_WORDS.iter().any(|word| text.contains(word))
    })
}

fn different_bytes(bytes: &[u8]) -> usize {
    bytes.iter().collect::<std::collections::BTreeSet<_>>().len()
}
