//! Secrets that development makes for itself, once, and keeps in the data directory. Production is given its own.

use anyhow::{Context, bail};
use platform::config::{Config, Mode};
use rand::RngCore;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const FILE: &str = "secrets.toml";
const HEAD: &str = "# Made by tally for development. Whoever can read this file can be anyone: keep it to yourself.\n\
                    # Losing it loses the personal data of this data directory for ever.\n";

/// The secrets in force: configured, or made for development.
pub(crate) struct Secrets {
    pub(crate) hs256: Option<SecretString>,
    pub(crate) master_key: SecretBox<[u8; 32]>,
    pub(crate) pseudonym_key: SecretBox<[u8; 32]>,
    pub(crate) agora_app_id: String,
    pub(crate) agora_certificate: SecretString,
    pub(crate) stream_key_secret: SecretString,
}

/// What the file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    hs256_secret: String,
    master_key: String,
    pseudonym_key: String,
    agora_app_id: String,
    agora_app_certificate: String,
    stream_key_secret: String,
}

impl Secrets {
    /// Reads what is configured and, in development, makes what is missing.
    pub(crate) fn load(config: &Config, data: &Path) -> anyhow::Result<Self> {
        let made = match config.mode {
            Mode::Development => Some(Made::read_or_make(data)?),
            Mode::Production => None,
        };
        let agora_certificate = config.agora.app_certificate.get().cloned();
        let (Some(master_key), Some(pseudonym_key)) = (
            config.secrets.master_key.key().or(made.as_ref().and_then(|made| key(&made.master_key))),
            config.secrets.pseudonym_key.key().or(made.as_ref().and_then(|made| key(&made.pseudonym_key))),
        ) else {
            bail!("{FILE} in the data directory holds no usable keys; restore it from a copy");
        };
        Ok(Self {
            hs256: config
                .auth
                .hs256_secret
                .get()
                .cloned()
                .or(made.as_ref().map(|made| text(&made.hs256_secret))),
            // stream keys must be the same on every node: without a secret of their own they come from the certificate
            stream_key_secret: made
                .as_ref()
                .map(|made| text(&made.stream_key_secret))
                .or(agora_certificate.clone())
                .context("agora.app_certificate is not set")?,
            agora_app_id: Some(config.agora.app_id.clone())
                .filter(|id| !id.is_empty())
                .or(made.as_ref().map(|made| made.agora_app_id.clone()))
                .context("agora.app_id is not set")?,
            agora_certificate: agora_certificate
                .or(made.as_ref().map(|made| text(&made.agora_app_certificate)))
                .context("agora.app_certificate is not set")?,
            master_key: SecretBox::new(Box::new(master_key)),
            pseudonym_key: SecretBox::new(Box::new(pseudonym_key)),
        })
    }
}

impl Made {
    fn read_or_make(data: &Path) -> anyhow::Result<Self> {
        let file = data.join(FILE);
        if !file.exists() {
            fs::create_dir_all(data).with_context(|| format!("cannot create {}", data.display()))?;
            Self::fresh().keep(&file)?;
        }
        let stored = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        toml::from_str(&stored)
            .with_context(|| format!("{} is damaged; restore it from a copy", file.display()))
    }

    fn fresh() -> Self {
        Self {
            hs256_secret: base64(&random::<48>()),
            master_key: base64(&random::<32>()),
            pseudonym_key: base64(&random::<32>()),
            agora_app_id: hex(&random::<16>()),
            agora_app_certificate: hex(&random::<16>()),
            stream_key_secret: base64(&random::<32>()),
        }
    }

    /// Of two processes that start at once one wins, and both read what it made.
    fn keep(&self, file: &Path) -> anyhow::Result<()> {
        let draft = PathBuf::from(format!("{}.{}", file.display(), std::process::id()));
        let write = || -> std::io::Result<()> {
            let mut out = File::options().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            out.write_all(HEAD.as_bytes())?;
            out.write_all(toml::to_string(self).unwrap_or_default().as_bytes())?;
            out.sync_all()?;
            match fs::hard_link(&draft, file) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
                Ok(()) | Err(_) => fs::remove_file(&draft),
            }
        };
        write().with_context(|| format!("cannot write {}", file.display()))
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

fn key(text: &str) -> Option<[u8; 32]> {
    platform::config::Secret::new(SecretString::from(text)).key()
}

fn text(text: &str) -> SecretString {
    SecretString::from(text)
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The secret that development tokens are signed with.
pub(crate) fn signing_secret(config: &Config, data: &Path) -> anyhow::Result<SecretString> {
    let secrets = Secrets::load(config, data)?;
    let secret = secrets.hs256.context("auth.hs256_secret is not set")?;
    Ok(SecretString::from(secret.expose_secret()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn development_makes_its_secrets_once() {
        let data = tempfile::tempdir().unwrap();
        let config = Config::default();
        let first = Secrets::load(&config, data.path()).unwrap();
        let second = Secrets::load(&config, data.path()).unwrap();
        assert_eq!(first.master_key.expose_secret(), second.master_key.expose_secret());
        assert_eq!(first.agora_app_id, second.agora_app_id);
        assert_ne!(first.master_key.expose_secret(), first.pseudonym_key.expose_secret());
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(data.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
