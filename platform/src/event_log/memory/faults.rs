//! What is to go wrong, as a script or by chance.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use schemas::EventId;
use tokio::sync::watch;

use super::InjectedFault;
use crate::event_log::{NewEvent, ReadError};

/// What befalls one append.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AppendFault {
    /// The log says no; nothing is written.
    Refuse,
    /// Nothing is written, but the caller cannot know.
    LoseRequest,
    /// It is written, but the caller cannot know.
    LoseAnswer,
    /// The caller cannot know, and it is written so much later.
    Late(Duration),
    /// It takes so long, and then goes well.
    Delay(Duration),
    /// Another node appends these first, to this stream or another.
    Overtaken {
        /// The stream that the other node appends to.
        stream: String,
        /// What it appends.
        events: Vec<NewEvent>,
    },
}

/// A script of faults. Appends are counted from the moment of the call: 0 is the next.
pub struct Faults {
    script: Mutex<Script>,
    /// While true, appends wait before they reach the log.
    held: watch::Sender<bool>,
    /// Subscriptions end when this number is not the one that they began with.
    pub(super) connection: watch::Sender<u64>,
    /// While true, subscriptions yield nothing.
    pub(super) stalled: watch::Sender<bool>,
}

struct Script {
    appends_seen: u64,
    appends: BTreeMap<u64, AppendFault>,
    reads_seen: u64,
    reads_to_fail: u32,
    reads_planned: BTreeSet<u64>,
    hidden_events: u32,
    hidden: BTreeSet<EventId>,
    chaos_percent: u32,
    chance: StdRng,
}

/// Appends wait as long as this lives.
#[must_use = "appends go on when this is dropped"]
pub struct HeldAppends<'a> {
    held: &'a watch::Sender<bool>,
}

impl Drop for HeldAppends<'_> {
    fn drop(&mut self) {
        self.held.send_replace(false);
    }
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        let script = Script {
            appends_seen: 0,
            appends: BTreeMap::new(),
            reads_seen: 0,
            reads_to_fail: 0,
            reads_planned: BTreeSet::new(),
            hidden_events: 0,
            hidden: BTreeSet::new(),
            chaos_percent: 0,
            // not the sequence that positions come from: faults must not move them
            chance: StdRng::seed_from_u64(!seed),
        };
        Self {
            script: Mutex::new(script),
            held: watch::Sender::new(false),
            connection: watch::Sender::new(0),
            stalled: watch::Sender::new(false),
        }
    }

    /// Lets a fault befall the `nth` append from now on; 0 is the next.
    pub fn on_append(&self, nth: u64, fault: AppendFault) {
        let mut script = self.script.lock();
        let at = script.appends_seen + nth;
        script.appends.insert(at, fault);
    }

    /// Lets so many percent of all appends that the script leaves alone lose their request or their answer.
    pub fn chaos(&self, percent: u32) {
        self.script.lock().chaos_percent = percent;
    }

    /// Fails the next so many reads and new subscriptions, and no more; 0 makes them all well again.
    pub fn fail_reads(&self, count: u32) {
        self.script.lock().reads_to_fail = count;
    }

    /// Fails the `nth` read or new subscription from now on; 0 is the next.
    pub fn fail_read(&self, nth: u64) {
        let mut script = self.script.lock();
        let at = script.reads_seen + nth;
        script.reads_planned.insert(at);
    }

    /// Makes appends wait, to see what gathers meanwhile.
    pub fn hold_appends(&self) -> HeldAppends<'_> {
        self.held.send_replace(true);
        HeldAppends { held: &self.held }
    }

    /// Ends every subscription there is with an error. New ones are well.
    pub fn disconnect(&self) {
        self.connection.send_modify(|connection| *connection += 1);
    }

    /// Makes subscriptions silent, without an error, or talk again.
    pub fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    /// Leaves the next so many wanted events out of a subscription: what must never happen.
    pub fn hide_events(&self, count: u32) {
        self.script.lock().hidden_events = count;
    }

    /// The same for one event, in every subscription.
    pub fn hide(&self, id: EventId) {
        self.script.lock().hidden.insert(id);
    }

    /// Hides nothing any more.
    pub fn hide_nothing(&self) {
        let mut script = self.script.lock();
        script.hidden_events = 0;
        script.hidden.clear();
    }

    pub(super) async fn until_released(&self) {
        let mut held = self.held.subscribe();
        // the sender is ours: the wait ends in no other way
        drop(held.wait_for(|held| !held).await);
    }

    pub(super) fn take_append_fault(&self) -> Option<AppendFault> {
        let mut script = self.script.lock();
        let this = script.appends_seen;
        script.appends_seen += 1;
        if let Some(fault) = script.appends.remove(&this) {
            return Some(fault);
        }
        let percent = script.chaos_percent;
        if script.chance.random_range(0..100) >= percent {
            return None;
        }
        let lost = if script.chance.random() { AppendFault::LoseRequest } else { AppendFault::LoseAnswer };
        Some(lost)
    }

    pub(super) fn take_read_fault(&self) -> Result<(), ReadError> {
        let mut script = self.script.lock();
        let this = script.reads_seen;
        script.reads_seen += 1;
        let planned = script.reads_planned.remove(&this);
        if take_one(&mut script.reads_to_fail) || planned {
            return Err(ReadError(InjectedFault::Read.into()));
        }
        Ok(())
    }

    pub(super) fn take_hidden(&self, id: EventId) -> bool {
        let mut script = self.script.lock();
        script.hidden.contains(&id) || take_one(&mut script.hidden_events)
    }
}

fn take_one(count: &mut u32) -> bool {
    let some = *count > 0;
    *count = count.saturating_sub(1);
    some
}
