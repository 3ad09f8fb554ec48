//! Starts the server, waits until it is ready, and starts it again when it dies.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::child::Child;
use super::cluster::Cluster;
use super::error::PostgresError;
use super::orphan::PidFile;
use super::settings::{self, LISTEN};
use super::{PostgresConfig, PostgresState, tool};

/// How often a starting server is asked whether it is ready.
const READY_POLL: Duration = Duration::from_millis(20);

/// Restarts within [`RESTARTS_WINDOW`], after which we give up: what kills a database six times in ten
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
pub(crate) struct Shared {
    pub(crate) config: PostgresConfig,
    pub(crate) port: AtomicU16,
    pub(crate) cluster: Cluster,
    pub(crate) state: watch::Sender<PostgresState>,
    pub(crate) stopping: CancellationToken,
    pub(crate) child: Mutex<Option<Arc<Child>>>,
}

/// The port wanted, or a free one; the server itself finds out if somebody else is faster.
pub(crate) fn choose_port(wanted: u16) -> Result<u16, PostgresError> {
    match TcpListener::bind((LISTEN, wanted)).and_then(|listener| listener.local_addr()) {
        Ok(address) => Ok(address.port()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(PostgresError::PortTaken { port: wanted })
        }
        Err(error) => Err(PostgresError::io(format!("listen on {LISTEN}:{wanted}"))(error)),
    }
}

impl Shared {
    /// The first start: patient with the remains of a killed server, and with nothing else.
    pub(crate) async fn first_start(&self) -> Result<(), PostgresError> {
        for _ in 1..FIRST_START_TRIES {
            match self.launch().await {
                Err(PostgresError::EndedEarly { log, .. }) if log.contains("still in use") => {
                    tracing::info!("waiting for the processes of a killed database server to end");
                    tokio::time::sleep(FIRST_START_PAUSE).await;
                }
                Err(PostgresError::PortTaken { .. }) if self.config.port == 0 => {
                    self.port.store(choose_port(0)?, Ordering::Relaxed);
                }
                other => return other,
            }
        }
        self.launch().await
    }

    /// Starts the server and waits until it accepts connections.
    async fn launch(&self) -> Result<(), PostgresError> {
        let port = choose_port(self.port.load(Ordering::Relaxed))?;
        let child = {
            let mut slot = self.child.lock();
            if self.stopping.is_cancelled() {
                return Err(PostgresError::Abandoned);
            }
            let child = Arc::new(self.spawn(port)?);
            *slot = Some(Arc::clone(&child));
            child
        };
        let deadline = Instant::now() + self.config.start_timeout;
        loop {
            if let Some(status) = child.exit_status() {
                let log = child.log_tail();
                if log.contains("could not bind") {
                    return Err(PostgresError::PortTaken { port });
                }
                return Err(PostgresError::EndedEarly { status, log });
            }
            let file = PidFile::read(&self.cluster.dir);
            if file.is_some_and(|file| file.ready && file.pid == child.pid()) {
                tracing::info!(postgres.pid = child.pid(), postgres.port = port, "database server ready");
                return Ok(());
            }
            if Instant::now() > deadline {
                child.stop(&self.config.stop_escalation()).await;
                let after = self.config.start_timeout;
                return Err(PostgresError::StartTimeout { after, log: child.log_tail() });
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }

    fn spawn(&self, port: u16) -> Result<Child, PostgresError> {
        let mut command = tool::tied_to_us(&self.cluster.binaries.program("postgres"));
        command.arg("-D").arg(&self.cluster.dir);
        for (name, value) in settings::all(&self.config, port) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        self.cluster.account.apply(command.current_dir("/"));
        Child::spawn(command).map_err(PostgresError::io("start the database server"))
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
            tracing::error!(postgres.status = %status, "database server died");
            let reason = format!("the server ended ({status}): {}", child.log_tail());
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
                tracing::error!(postgres.reason = %reason, "database server given up");
                self.state.send_replace(PostgresState::Failed { reason });
                return false;
            }
            self.state.send_replace(PostgresState::Restarting { attempt });
            let doublings = u32::try_from(attempt - 1).unwrap_or(u32::MAX);
            let pause = BACK_OFF_FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(BACK_OFF_MAX);
            tokio::select! {
                () = self.stopping.cancelled() => return false,
                () = tokio::time::sleep(pause) => {}
            }
            match self.launch().await {
                Ok(()) => {
                    self.state.send_replace(PostgresState::Running);
                    return true;
                }
                Err(_) if self.stopping.is_cancelled() => return false,
                Err(error) => {
                    tracing::warn!(postgres.error = %error, "database server did not come back");
                    reason = error.to_string();
                }
            }
        }
    }
}
