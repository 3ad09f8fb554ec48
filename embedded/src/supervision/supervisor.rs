//! Starts the server, waits until it is ready, and starts it again when it dies.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::child::Child;
use super::error::ServerError;
use super::{EarlyEnd, LISTEN, Server, ServerState};

/// How often a starting server is asked whether it is ready.
const READY_POLL: Duration = Duration::from_millis(20);

/// Restarts within [`RESTARTS_WINDOW`], after which we give up: what kills a server six times in ten
/// minutes is not cured by a seventh start, and people should look.
const RESTARTS_MAX: usize = 5;

/// See [`RESTARTS_MAX`].
const RESTARTS_WINDOW: Duration = Duration::from_secs(600);

/// Wait before the first restart; it doubles with each further one.
const BACK_OFF_FIRST: Duration = Duration::from_millis(250);

/// Longest wait before a restart.
const BACK_OFF_MAX: Duration = Duration::from_secs(10);

/// Tries of the first start: the processes of a killed server may still hold its memory, and another
/// program may take the free port that we found.
const FIRST_START_TRIES: u32 = 20;

/// Wait between these tries.
const FIRST_START_PAUSE: Duration = Duration::from_millis(500);

/// What the handle and the supervising task share.
pub(crate) struct Shared<S> {
    pub(crate) server: S,
    /// The port that was asked for; 0 is any.
    pub(crate) wanted_port: u16,
    pub(crate) port: AtomicU16,
    pub(crate) state: watch::Sender<ServerState>,
    pub(crate) stopping: CancellationToken,
    pub(crate) child: Mutex<Option<Arc<Child>>>,
    /// Held as long as the directory is ours: until the server is stopped.
    pub(crate) lock: Mutex<Option<File>>,
}

/// The port wanted, or a free one; the server itself finds out if somebody else is faster.
pub(crate) fn choose_port(wanted: u16) -> Result<u16, ServerError> {
    match TcpListener::bind((LISTEN, wanted)).and_then(|listener| listener.local_addr()) {
        Ok(address) => Ok(address.port()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(ServerError::PortTaken { port: wanted })
        }
        Err(error) => Err(ServerError::io(format!("listen on {LISTEN}:{wanted}"))(error)),
    }
}

/// A port of the loopback address that is free at this moment, for who must name it before a server takes it.
///
/// # Errors
/// Where there is none.
pub fn free_port() -> Result<u16, ServerError> {
    choose_port(0)
}

impl<S: Server> Shared<S> {
    /// The first start: patient with the remains of a killed server, and with nothing else.
    pub(crate) async fn first_start(&self) -> Result<(), ServerError> {
        for _ in 1..FIRST_START_TRIES {
            match self.launch().await {
                Err(ServerError::EndedEarly { log, .. }) if S::early_end(&log) == EarlyEnd::NotYet => {
                    tracing::info!(server = S::NAME, "waiting for the remains of a killed {}", S::NAME);
                    tokio::time::sleep(FIRST_START_PAUSE).await;
                }
                Err(ServerError::PortTaken { .. }) if self.wanted_port == 0 => {
                    self.port.store(free_port()?, Ordering::Relaxed);
                }
                other => return other,
            }
        }
        self.launch().await
    }

    /// Starts the server and waits until it accepts connections.
    async fn launch(&self) -> Result<(), ServerError> {
        let port = choose_port(self.port.load(Ordering::Relaxed))?;
        let child = {
            let mut slot = self.child.lock();
            if self.stopping.is_cancelled() {
                return Err(ServerError::Abandoned { server: S::NAME });
            }
            let child = Child::spawn(S::NAME, S::is_alarm, self.server.command(port)?)
                .map_err(ServerError::io(format!("start {}", S::NAME)))?;
            let child = Arc::new(child);
            *slot = Some(Arc::clone(&child));
            child
        };
        if let Err(error) = self.server.spawned(child.pid(), port) {
            child.stop(&self.server.stop_escalation()).await;
            return Err(error);
        }
        let deadline = Instant::now() + self.server.start_timeout();
        loop {
            if let Some(status) = child.exit_status() {
                let log = child.log_tail();
                if S::early_end(&log) == EarlyEnd::PortTaken {
                    return Err(ServerError::PortTaken { port });
                }
                return Err(ServerError::EndedEarly { server: S::NAME, status, log });
            }
            if self.server.is_ready(child.pid(), port).await {
                tracing::info!(
                    server = S::NAME,
                    server.pid = child.pid(),
                    server.port = port,
                    "{} is ready",
                    S::NAME
                );
                return Ok(());
            }
            if Instant::now() > deadline {
                child.stop(&self.server.stop_escalation()).await;
                let after = self.server.start_timeout();
                return Err(ServerError::StartTimeout { server: S::NAME, after, log: child.log_tail() });
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }

    /// Watches the server until it is stopped, or until it has died too often.
    pub(crate) async fn supervise(self: Arc<Self>) {
        let mut deaths = VecDeque::new();
        loop {
            let Some(child) = self.child.lock().clone() else {
                return;
            };
            let status = tokio::select! {
                () = self.stopping.cancelled() => return,
                status = child.ended() => status,
            };
            if self.stopping.is_cancelled() {
                return;
            }
            tracing::error!(server = S::NAME, server.status = %status, "{} died", S::NAME);
            let reason = format!("{} ended ({status}): {}", S::NAME, child.log_tail());
            if !self.revive(&mut deaths, reason).await {
                return;
            }
        }
    }

    /// Starts the dead server again, waiting longer each time; false if that is hopeless or unwanted.
    async fn revive(&self, deaths: &mut VecDeque<Instant>, mut reason: String) -> bool {
        loop {
            deaths.push_back(Instant::now());
            while deaths.front().is_some_and(|death| death.elapsed() > RESTARTS_WINDOW) {
                deaths.pop_front();
            }
            let attempt = deaths.len();
            if attempt > RESTARTS_MAX {
                tracing::error!(server = S::NAME, server.reason = %reason, "{} is given up", S::NAME);
                self.state.send_replace(ServerState::Failed { reason });
                return false;
            }
            self.state.send_replace(ServerState::Restarting { attempt });
            let doublings = u32::try_from(attempt - 1).unwrap_or(u32::MAX);
            let pause = BACK_OFF_FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(BACK_OFF_MAX);
            tokio::select! {
                () = self.stopping.cancelled() => return false,
                () = tokio::time::sleep(pause) => {}
            }
            match self.launch().await {
                Ok(()) => {
                    self.state.send_replace(ServerState::Running);
                    return true;
                }
                Err(_) if self.stopping.is_cancelled() => return false,
                Err(error) => {
                    tracing::warn!(server = S::NAME, server.error = %error, "{} did not come back", S::NAME);
                    reason = error.to_string();
                }
            }
        }
    }
}
