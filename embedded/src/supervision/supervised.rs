//! The handle of a supervised server.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::ServerError;
use super::supervisor::{self, Shared};
use super::{Server, ServerState};

/// Dropping must not hang: the orderly shutdown gets this long before harder ones.
const DROP_TIMEOUT: Duration = Duration::from_secs(3);

/// A running server. Dropping it stops the server too, but blocks for it.
pub(crate) struct Supervised<S: Server> {
    shared: Arc<Shared<S>>,
}

impl<S: Server> Supervised<S> {
    /// Starts a prepared server, whose directory is locked, and returns when it is ready. From then on it is started
    /// again whenever it dies, within bounds.
    pub(crate) async fn start(server: S, wanted_port: u16, lock: File) -> Result<Self, ServerError> {
        // from here on dropping the handle stops the server, also when this future is dropped
        let this = Self {
            shared: Arc::new(Shared {
                server,
                wanted_port,
                port: AtomicU16::new(supervisor::choose_port(wanted_port)?),
                state: watch::Sender::new(ServerState::Running),
                stopping: CancellationToken::new(),
                child: Mutex::new(None),
                lock: Mutex::new(Some(lock)),
            }),
        };
        this.shared.first_start().await?;
        tokio::spawn(Arc::clone(&this.shared).supervise());
        Ok(this)
    }

    pub(crate) fn server(&self) -> &S {
        &self.shared.server
    }

    /// The TCP port on the loopback address. It stays the same as long as this handle lives.
    pub(crate) fn port(&self) -> u16 {
        self.shared.port.load(Ordering::Relaxed)
    }

    pub(crate) fn state(&self) -> watch::Receiver<ServerState> {
        self.shared.state.subscribe()
    }

    /// Waits until the server is given up, and says why. Never returns if it runs or is stopped.
    pub(crate) async fn failed(&self) -> String {
        let mut state = self.state();
        loop {
            if let ServerState::Failed { reason } = &*state.borrow_and_update() {
                return reason.clone();
            }
            if state.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Stops the server in order, or by harder ways where that takes too long. Stopping a stopped one does nothing.
    pub(crate) async fn stop(&self) -> Result<(), ServerError> {
        self.shared.stopping.cancel();
        let child = self.shared.child.lock().take();
        if let Some(child) = child
            && !child.stop(&self.shared.server.stop_escalation()).await
        {
            return Err(ServerError::WillNotStop { server: S::NAME, pid: child.pid() });
        }
        self.shared.state.send_replace(ServerState::Stopped);
        self.shared.lock.lock().take();
        Ok(())
    }
}

impl<S: Server> Drop for Supervised<S> {
    fn drop(&mut self) {
        self.shared.stopping.cancel();
        let Some(child) = self.shared.child.lock().take() else {
            return;
        };
        let mut escalation = self.shared.server.stop_escalation();
        if let Some((_, patience)) = escalation.first_mut() {
            *patience = DROP_TIMEOUT.min(*patience);
        }
        if !child.stop_blocking(&escalation) {
            tracing::error!(server = S::NAME, server.pid = child.pid(), "{} does not end", S::NAME);
        }
        self.shared.state.send_replace(ServerState::Stopped);
        self.shared.lock.lock().take();
    }
}
