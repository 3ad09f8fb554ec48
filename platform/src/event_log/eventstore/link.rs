//! A client that is replaced when it is dead.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use eventstore::{Client, ClientSettings, Error};
use parking_lot::Mutex;
use rand::Rng;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::classify;
use super::nodelay::Nodelay;
use crate::event_log::Cause;

/// One attempt to connect takes at most this long: a host that does not answer must not use up a deadline.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Pauses between attempts to connect grow from this …
const RETRY_MIN: Duration = Duration::from_millis(20);
/// … to this: a server that comes back is found at once, one that is gone is not hammered.
pub(super) const RETRY_MAX: Duration = Duration::from_millis(500);

/// A client that fails for so long without one success is replaced. It recovers by itself from a lost
/// connection, but not from a node of a cluster that went away.
const PATIENCE_MIN: Duration = Duration::from_secs(3);
/// While replacing does not help, it is done ever less often, at last only so often: a client that was once
/// connected leaves its connection behind.
const PATIENCE_MAX: Duration = Duration::from_secs(300);

/// More subscriptions than this in one process are a leak: there are a dozen readers at most.
const SUBSCRIPTIONS_MAX: usize = 64;

/// One client, connected on demand.
pub(super) struct Link {
    settings: ClientSettings,
    current: ArcSwapOption<Connected>,
    /// Held by the one that connects.
    connecting: tokio::sync::Mutex<()>,
    health: Mutex<Health>,
    nodelay: Nodelay,
}

/// A client that was connected once.
pub(super) struct Connected {
    client: Client,
}

impl Connected {
    pub(super) fn get(&self) -> &Client {
        &self.client
    }
}

struct Health {
    failing_since: Option<Instant>,
    patience: Duration,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub(super) enum ConnectError {
    #[error("no connection to the event log")]
    Failed(#[source] Cause),
    #[error("no connection to the event log in time")]
    Deadline,
    #[error("more subscriptions than {SUBSCRIPTIONS_MAX} at once")]
    TooManySubscriptions,
}

impl Link {
    pub(super) fn new(settings: ClientSettings) -> Self {
        Self {
            nodelay: Nodelay::to(&settings),
            settings,
            current: ArcSwapOption::empty(),
            connecting: tokio::sync::Mutex::new(()),
            health: Mutex::new(Health { failing_since: None, patience: PATIENCE_MIN }),
        }
    }

    /// A client that was connected when last heard of; connects, until the deadline, where there is none.
    pub(super) async fn client(&self, deadline: Instant) -> Result<Arc<Connected>, ConnectError> {
        if let Some(connected) = self.current.load_full() {
            return Ok(connected);
        }
        let _turn = timeout_at(deadline, self.connecting.lock()).await.map_err(|_| ConnectError::Deadline)?;
        let mut pause = RETRY_MIN;
        loop {
            if let Some(connected) = self.current.load_full() {
                return Ok(connected);
            }
            let failure = match timeout_at(deadline, self.connect()).await {
                Ok(Ok(connected)) => {
                    self.current.store(Some(Arc::clone(&connected)));
                    return Ok(connected);
                }
                Ok(Err(failure)) => failure,
                Err(_) => return Err(ConnectError::Deadline),
            };
            let jittered = pause.mul_f64(rand::rng().random_range(0.5..1.0));
            if Instant::now() + jittered >= deadline {
                return Err(failure);
            }
            sleep(jittered).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    async fn connect(&self) -> Result<Arc<Connected>, ConnectError> {
        let settings = self.settings.clone();
        // making a client reads the system's certificates from disk
        let client = tokio::task::spawn_blocking(move || Client::new(settings))
            .await
            .map_err(|error| ConnectError::Failed(error.into()))?
            .map_err(|error| ConnectError::Failed(error.into()))?;
        match timeout(CONNECT_TIMEOUT, client.server_info()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(ConnectError::Failed(error.into())),
            Err(_) => return Err(ConnectError::Deadline),
        }
        self.nodelay.set().await;
        Ok(Arc::new(Connected { client }))
    }

    /// An operation went well, and took so long.
    pub(super) fn succeeded(&self, took: Duration) {
        let mut health = self.health.lock();
        *health = Health { failing_since: None, patience: PATIENCE_MIN };
        drop(health);
        self.nodelay.suspect(took);
    }

    /// An operation failed; decides whether this client is still the one to use.
    pub(super) fn failed(&self, failed: &Arc<Connected>, error: &Error) {
        if classify::is_dead(error) || self.is_out_of_patience(error) {
            let current = self.current.load();
            if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, failed)) {
                tracing::warn!(error = error as &dyn std::error::Error, "the event log's client is replaced");
                metrics::counter!("event_log_clients_replaced_total").increment(1);
                self.current.compare_and_swap(&current, None);
            }
        }
    }

    fn is_out_of_patience(&self, error: &Error) -> bool {
        if !classify::is_connection(error) && !matches!(error, Error::DeadlineExceeded) {
            return false;
        }
        let mut health = self.health.lock();
        let since = *health.failing_since.get_or_insert_with(Instant::now);
        if since.elapsed() < health.patience {
            return false;
        }
        *health = Health { failing_since: None, patience: (health.patience * 2).min(PATIENCE_MAX) };
        true
    }
}

/// One link for each subscription there is. A client that is dropped leaves its task and connection behind,
/// so links are kept and used again.
pub(super) struct SubscriptionLinks {
    settings: ClientSettings,
    links: Mutex<Links>,
}

#[derive(Default)]
struct Links {
    made: usize,
    free: Vec<Arc<Link>>,
}

/// A link, until this is dropped.
pub(super) struct TakenLink {
    links: Arc<SubscriptionLinks>,
    link: Arc<Link>,
}

impl SubscriptionLinks {
    pub(super) fn new(settings: ClientSettings) -> Self {
        Self { settings, links: Mutex::new(Links::default()) }
    }

    pub(super) fn take(self: &Arc<Self>) -> Result<TakenLink, ConnectError> {
        let mut links = self.links.lock();
        let link = match links.free.pop() {
            Some(link) => link,
            None if links.made == SUBSCRIPTIONS_MAX => return Err(ConnectError::TooManySubscriptions),
            None => {
                links.made += 1;
                Arc::new(Link::new(self.settings.clone()))
            }
        };
        drop(links);
        Ok(TakenLink { links: Arc::clone(self), link })
    }
}

impl TakenLink {
    pub(super) fn link(&self) -> &Link {
        &self.link
    }
}

impl Drop for TakenLink {
    fn drop(&mut self) {
        self.links.links.lock().free.push(Arc::clone(&self.link));
    }
}
