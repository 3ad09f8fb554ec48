//! The log in memory: deterministic, and it fails when it is told to. For unit tests and simulations.
//!
//! It keeps the contract of the real one: appends are idempotent by ids, positions are sparse,
//! subscriptions see checkpoints. One seed gives one run.

mod faults;
mod state;
mod tail;

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use parking_lot::Mutex;
use schemas::{Position, Revision};
use thiserror::Error;
use tokio::sync::watch;

pub use self::faults::{AppendFault, Faults, HeldAppends};
use self::state::State;
use super::{
    AppendError, Appended, EventLog, Expected, LogItems, NewEvent, NoEvents, Prefixes, ReadError, StoredEvent,
};

/// A log in memory. Clones are the same log: give one to each "node".
#[derive(Clone)]
pub struct MemoryLog {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// How many events there are: wakes subscriptions.
    length: watch::Sender<usize>,
    faults: Faults,
}

/// The cause of a failure that a test asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum InjectedFault {
    /// Of an append.
    #[error("injected: the append failed")]
    Append,
    /// Of a read.
    #[error("injected: the read failed")]
    Read,
    /// Of a subscription.
    #[error("injected: the subscription was disconnected")]
    Disconnected,
}

impl MemoryLog {
    /// An empty log. The seed decides how sparse positions are, and what [`Faults::chaos`] does.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State::new(seed)),
                length: watch::Sender::new(0),
                faults: Faults::new(seed),
            }),
        }
    }

    /// What is to go wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Every event, in log order.
    #[must_use]
    pub fn events(&self) -> Vec<StoredEvent> {
        self.shared.state.lock().events.clone()
    }

    /// Appends at once and without faults: what another node did in the meantime.
    ///
    /// # Errors
    /// If the stream is not as expected.
    pub fn append_elsewhere(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        self.shared.write(stream, expected, events)
    }

    async fn append_with(
        &self,
        fault: Option<AppendFault>,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        let unknown = || AppendError::OutcomeUnknown(InjectedFault::Append.into());
        match fault {
            None => self.shared.write(stream, expected, events),
            Some(AppendFault::Refuse) => Err(AppendError::Refused(InjectedFault::Append.into())),
            Some(AppendFault::LoseRequest) => Err(unknown()),
            Some(AppendFault::LoseAnswer) => {
                // lost is whatever the answer was, a conflict as much as a success
                drop(self.shared.write(stream, expected, events));
                Err(unknown())
            }
            Some(AppendFault::Late(delay)) => {
                let (shared, stream) = (Arc::clone(&self.shared), stream.to_owned());
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    drop(shared.write(&stream, expected, events));
                });
                Err(unknown())
            }
            Some(AppendFault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                self.shared.write(stream, expected, events)
            }
            Some(AppendFault::Overtaken { stream: other, events: others }) => {
                self.shared.write(&other, Expected::Any, others)?;
                self.shared.write(stream, expected, events)
            }
        }
    }
}

impl Shared {
    fn write(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        let (appended, length) = {
            let mut state = self.state.lock();
            (state.append(stream, expected, events)?, state.events.len())
        };
        self.length.send_if_modified(|known| {
            let grown = length > *known;
            *known = length.max(*known);
            grown
        });
        Ok(appended)
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn append(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        if events.is_empty() {
            return Err(AppendError::Refused(NoEvents.into()));
        }
        self.shared.faults.until_released().await;
        let fault = self.shared.faults.take_append_fault();
        self.append_with(fault, stream, expected, events).await
    }

    async fn read_stream(
        &self,
        stream: &str,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        self.shared.faults.take_read_fault()?;
        Ok(self.shared.state.lock().read(stream, from, limit))
    }

    async fn read_stream_back(
        &self,
        stream: &str,
        from: Option<Revision>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        self.shared.faults.take_read_fault()?;
        Ok(self.shared.state.lock().read_back(stream, from, limit))
    }

    async fn head(&self) -> Result<Option<Position>, ReadError> {
        self.shared.faults.take_read_fault()?;
        Ok(self.shared.state.lock().events.last().map(|event| event.position))
    }

    async fn subscribe(&self, after: Option<Position>, wanted: Prefixes) -> Result<LogItems, ReadError> {
        self.shared.faults.take_read_fault()?;
        Ok(tail::items(Arc::clone(&self.shared), after, wanted).boxed())
    }
}

#[cfg(test)]
mod tests;
