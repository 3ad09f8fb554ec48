//! A payment provider for one machine and for tests: the part of Stripe's interface that a tip needs, with
//! state that survives a restart, Stripe's idempotency, and faults on demand.
//!
//! An amount in [`magic`] makes a charge take an unusual course; every other amount is charged at once.

mod errors;
mod faults;
mod form;
mod intent;
mod journal;
mod ledger;
mod objects;
mod routes;
mod server;
#[cfg(test)]
mod tests;

pub use faults::FaultPlan;
pub use journal::JournalError;

use secrecy::SecretString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Amounts that take an unusual course, in minor units of any currency. Odd enough for ordinary tests never to hit one.
pub mod magic {
    /// 44.04: the bank thinks it over for [`super::SandboxConfig::processing`], then refuses.
    pub const PROCESSING_THEN_FAILED: i64 = 44_04;
    /// 55.05: the bank thinks it over for [`super::SandboxConfig::processing`], then agrees.
    pub const PROCESSING_THEN_SUCCEEDED: i64 = 55_05;
    /// 66.06: refused at once, `card_declined`.
    pub const DECLINED: i64 = 66_06;
    /// 77.07: the payer must act. Succeeds when confirmed, or by itself after [`super::SandboxConfig::action`].
    pub const REQUIRES_ACTION: i64 = 77_07;
    /// 88.08: charged, but the connection is cut before the answer. A repeat with the same key gets the answer.
    pub const CHARGED_THEN_CUT: i64 = 88_08;
    /// 99.09: status 500 the first time under a key, without a charge; then charged.
    pub const FAILS_ONCE: i64 = 99_09;
}

/// How long shutting down waits for requests that are under way.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// How the sandbox runs.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Where to listen; port 0 takes any free one.
    pub address: SocketAddr,
    /// What callers must present; none makes a fresh one at each start.
    pub secret_key: Option<SecretString>,
    /// Where charges and idempotency keys are kept; none keeps them in memory only.
    pub data_dir: Option<PathBuf>,
    /// How long a charge that the bank thinks over stays in `processing`.
    pub processing: Duration,
    /// After how long a payer who must act does so by themselves; none waits for the confirmation.
    pub action: Option<Duration>,
    /// How long executing a request takes: the time in which another request with its key gets 409.
    pub work: Duration,
    /// What goes wrong.
    pub faults: FaultPlan,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            secret_key: None,
            data_dir: None,
            processing: Duration::from_secs(2),
            action: Some(Duration::from_secs(5)),
            work: Duration::ZERO,
            faults: FaultPlan::default(),
        }
    }
}

/// Why the sandbox did not start.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// The address.
    #[error("payment sandbox cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data.
    #[error("payment sandbox cannot use its journal")]
    Journal(#[from] JournalError),
}

/// A running sandbox. Dropping it stops it without waiting.
pub struct Sandbox {
    address: SocketAddr,
    secret_key: SecretString,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl Sandbox {
    /// Reads what was kept and starts to listen.
    ///
    /// # Errors
    /// [`SandboxError`].
    pub async fn start(config: SandboxConfig) -> Result<Self, SandboxError> {
        let ledger = match config.data_dir.clone() {
            Some(directory) => journal::open(&directory)?,
            None => ledger::Ledger::in_memory(),
        };
        let listen = |source| SandboxError::Listen { address: config.address, source };
        let listener = TcpListener::bind(config.address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let secret_key = config
            .secret_key
            .clone()
            .unwrap_or_else(|| format!("sk_test_{}", Uuid::new_v4().simple()).into());
        let router = routes::router(Arc::new(routes::App::new(ledger, secret_key.clone(), config)));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(server::serve(listener, router, tasks.clone(), stop.clone()));
        tasks.close();
        tracing::info!(payments.sandbox.address = %address, "payment sandbox listens on {address}");
        Ok(Self { address, secret_key, tasks, stop: stop.drop_guard() })
    }

    /// What the provider's base URL is set to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the provider's secret key is set to.
    #[must_use]
    pub fn secret_key(&self) -> &SecretString {
        &self.secret_key
    }

    /// Stops, and waits (bounded) for the requests under way. What was answered is on disk either way.
    pub async fn shutdown(self) {
        drop(self.stop);
        if tokio::time::timeout(SHUTDOWN_GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!("payment sandbox stopped with requests under way");
        }
    }
}
