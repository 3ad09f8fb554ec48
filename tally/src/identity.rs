//! The verifier of tokens, from the configuration.

use platform::config::Config;
use platform::http::auth::{Verifier, VerifierSettings, system_now};
use std::sync::Arc;

use crate::secrets::Secrets;

/// The verifier that the configuration describes.
pub(crate) fn verifier(config: &Config, secrets: &Secrets) -> anyhow::Result<Arc<Verifier>> {
    let auth = &config.auth;
    let settings = VerifierSettings {
        issuer: auth.issuer.clone(),
        audience: auth.audience.clone(),
        leeway_seconds: auth.leeway_seconds,
        hs256_secret: secrets.hs256.clone(),
        jwks_url: Some(auth.jwks_url.clone()).filter(|url| !url.is_empty()),
    };
    Ok(Arc::new(Verifier::new(settings, system_now())?))
}
