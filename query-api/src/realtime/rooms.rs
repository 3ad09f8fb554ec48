//! The rooms of this node: opened when somebody comes, closed when nobody is left.

use parking_lot::RwLock;
use platform::event_log::StoredEvent;
use schemas::{Revision, ShowId, streams};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::history::{History, HistoryError};
use super::room::Room;
use super::room_task::RoomTask;
use super::settings::RealtimeSettings;
use super::wire::CloseCode;

/// Events that may wait for a room. What does not fit is read from the log again, so this bounds memory only.
const EVENTS_WAITING_MAX: usize = 1_024;

/// How often a stopping node looks whether its sockets are gone.
const EMPTIED_POLL: Duration = Duration::from_millis(20);

/// All rooms of a node.
pub(crate) struct Rooms {
    open: RwLock<HashMap<ShowId, Slot>>,
    history: Arc<History>,
    settings: Arc<RealtimeSettings>,
}

struct Slot {
    room: Arc<Room>,
    occupants: usize,
    empty_since: Instant,
}

/// Somebody in a room: it stays open as long as this lives.
pub(crate) struct Occupant {
    rooms: Arc<Rooms>,
    room: Arc<Room>,
}

impl Occupant {
    pub(crate) fn room(&self) -> &Arc<Room> {
        &self.room
    }
}

impl Drop for Occupant {
    fn drop(&mut self) {
        if let Some(slot) = self.rooms.open.write().get_mut(&self.room.show)
            && Arc::ptr_eq(&slot.room, &self.room)
        {
            slot.occupants -= 1;
            slot.empty_since = Instant::now();
        }
    }
}

impl Rooms {
    pub(crate) fn new(history: Arc<History>, settings: Arc<RealtimeSettings>) -> Self {
        Self { open: RwLock::new(HashMap::new()), history, settings }
    }

    /// Goes into a show's room, and opens it where nobody is there yet.
    pub(crate) async fn enter(self: &Arc<Self>, show: ShowId) -> Result<Occupant, Arc<HistoryError>> {
        let occupant = self.occupy(show);
        occupant.room.ready().await?;
        Ok(occupant)
    }

    fn occupy(self: &Arc<Self>, show: ShowId) -> Occupant {
        let mut open = self.open.write();
        let slot = open.entry(show).or_insert_with(|| Slot {
            room: self.begin(show),
            occupants: 0,
            empty_since: Instant::now(),
        });
        slot.occupants += 1;
        Occupant { rooms: Arc::clone(self), room: Arc::clone(&slot.room) }
    }

    /// The room is known to the subscription before its history is read: no event can fall in between.
    fn begin(self: &Arc<Self>, show: ShowId) -> Arc<Room> {
        let (sender, receiver) = mpsc::channel(EVENTS_WAITING_MAX);
        let room = Arc::new(Room::new(show, sender));
        let (rooms, own) = (Arc::clone(self), Arc::clone(&room));
        let task = RoomTask {
            room: Arc::clone(&room),
            history: Arc::clone(&self.history),
            settings: Arc::clone(&self.settings),
            leave_if_empty: Box::new(move || rooms.remove_if_empty(&own)),
        };
        let (rooms, own) = (Arc::clone(self), Arc::clone(&room));
        tokio::spawn(async move {
            task.run(receiver).await;
            rooms.remove(&own);
        });
        room
    }

    fn remove(&self, room: &Arc<Room>) {
        let mut open = self.open.write();
        if open.get(&room.show).is_some_and(|slot| Arc::ptr_eq(&slot.room, room)) {
            open.remove(&room.show);
        }
    }

    fn remove_if_empty(&self, room: &Arc<Room>) -> bool {
        let mut open = self.open.write();
        let may_end = match open.get(&room.show) {
            // a room that is no longer in use may end too
            None => return true,
            Some(slot) if !Arc::ptr_eq(&slot.room, room) => return true,
            Some(slot) => slot.occupants == 0 && slot.empty_since.elapsed() >= self.settings.room_linger,
        };
        if may_end {
            open.remove(&room.show);
        }
        may_end
    }

    /// Brings an event to its room, if that is open here.
    pub(crate) fn dispatch(&self, event: StoredEvent) {
        let Some(show) = streams::parse_show(&event.stream) else { return };
        let room = self.open.read().get(&show).map(|slot| Arc::clone(&slot.room));
        if let Some(room) = room {
            room.offer(event);
        }
    }

    /// Tells a room that its show has come to a revision, so that it reads what it has not seen.
    pub(crate) fn announce(&self, stream: &str, revision: Revision) {
        let room = streams::parse_show(stream)
            .and_then(|show| self.open.read().get(&show).map(|slot| Arc::clone(&slot.room)));
        if let Some(room) = room {
            room.announce(revision);
        }
    }

    /// Ends all rooms, and so all sockets.
    pub(crate) fn close_all(&self, code: CloseCode) {
        for slot in self.open.read().values() {
            slot.room.close(code);
        }
    }

    /// How many rooms are open.
    pub(crate) fn count(&self) -> usize {
        self.open.read().len()
    }

    /// Waits until nobody is in any room, at most so long.
    pub(crate) async fn emptied(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while self.open.read().values().any(|slot| slot.occupants > 0) {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(EMPTIED_POLL).await;
        }
        true
    }
}
