//! What a subscription to the log in memory yields.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::{Stream, stream};
use schemas::Position;
use tokio::sync::watch;

use super::{InjectedFault, Shared};
use crate::event_log::{LogItem, Prefixes, ReadError};

/// So many events are looked at in one go; a checkpoint stands after each go that ends on unwanted ones.
const WINDOW: usize = 100;

struct Tail {
    shared: Arc<Shared>,
    wanted: Prefixes,
    /// The place of the first event not looked at.
    next: usize,
    live: bool,
    ready: VecDeque<LogItem>,
    length: watch::Receiver<usize>,
    connection: watch::Receiver<u64>,
    stalled: watch::Receiver<bool>,
}

pub(super) fn items(
    shared: Arc<Shared>,
    after: Option<Position>,
    wanted: Prefixes,
) -> impl Stream<Item = Result<LogItem, ReadError>> + Send {
    let next = shared.state.lock().first_after(after);
    let tail = Tail {
        next,
        wanted,
        live: false,
        ready: VecDeque::new(),
        length: shared.length.subscribe(),
        connection: shared.faults.connection.subscribe(),
        stalled: shared.faults.stalled.subscribe(),
        shared,
    };
    stream::unfold(Some(tail), |tail| async {
        let mut tail = tail?;
        match tail.next_item().await {
            Some(item) => Some((Ok(item), Some(tail))),
            None => Some((Err(ReadError(InjectedFault::Disconnected.into())), None)),
        }
    })
}

impl Tail {
    /// The next item; none if the subscription was disconnected.
    async fn next_item(&mut self) -> Option<LogItem> {
        loop {
            if self.connection.has_changed().unwrap_or(true) {
                return None;
            }
            if !*self.stalled.borrow_and_update() {
                self.look();
                if let Some(item) = self.ready.pop_front() {
                    return Some(item);
                }
            }
            tokio::select! {
                _ = self.length.changed() => {}
                _ = self.connection.changed() => return None,
                _ = self.stalled.changed() => {}
            }
        }
    }

    /// Looks at the next window of events, if nothing is ready.
    fn look(&mut self) {
        if !self.ready.is_empty() {
            return;
        }
        let state = self.shared.state.lock();
        let mut unwanted = None;
        for event in state.events.iter().skip(self.next).take(WINDOW) {
            self.next += 1;
            if !self.wanted.iter().any(|prefix| event.stream.starts_with(prefix)) {
                unwanted = Some(event.position);
            } else if !self.shared.faults.take_hidden(event.id) {
                unwanted = None;
                self.ready.push_back(LogItem::Event(event.clone()));
            }
        }
        self.ready.extend(unwanted.map(LogItem::Checkpoint));
        if !self.live && self.next == state.events.len() {
            self.live = true;
            self.ready.push_back(LogItem::CaughtUp);
        }
    }
}
