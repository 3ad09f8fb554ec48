//! The sockets of a room, in parts: each part has one task that writes what the room says to one socket after the other.
//!
//! To wake a task for each socket and frame would cost half as much again as the writes themselves.

use parking_lot::Mutex;
use std::sync::Arc;
use tokio_util::task::AbortOnDropHandle;

use super::room::Room;
use super::socket::Outlet;

/// Sockets of one part: some milliseconds of writes. Larger rooms use as many cores as they have parts.
const PART_SOCKETS: usize = 512;

/// Writes between two chances for other tasks: less than half a millisecond.
const WRITES_AT_ONCE: usize = 64;

type Members = Arc<Mutex<Vec<Arc<Outlet>>>>;

/// The sockets of a room.
#[derive(Default)]
pub(super) struct Crowd(Mutex<Vec<Part>>);

struct Part {
    members: Members,
    _writer: AbortOnDropHandle<()>,
}

/// A place in the crowd, given back when dropped.
pub(crate) struct Membership {
    room: Arc<Room>,
    members: Members,
    outlet: Arc<Outlet>,
}

impl Membership {
    /// From here on the outlet is offered what the room says.
    pub(crate) fn new(room: &Arc<Room>, outlet: &Arc<Outlet>) -> Self {
        let mut parts = room.crowd.0.lock();
        let free = parts.iter().find(|part| part.members.lock().len() < PART_SOCKETS);
        let members = free.map(|part| Arc::clone(&part.members));
        let members = members.unwrap_or_else(|| {
            let members = Members::default();
            let writer = tokio::spawn(pass_on(Arc::clone(room), Arc::clone(&members)));
            let writer = AbortOnDropHandle::new(writer);
            parts.push(Part { members: Arc::clone(&members), _writer: writer });
            members
        });
        members.lock().push(Arc::clone(outlet));
        Self { room: Arc::clone(room), members, outlet: Arc::clone(outlet) }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut parts = self.room.crowd.0.lock();
        let mut members = self.members.lock();
        if let Some(place) = members.iter().position(|member| Arc::ptr_eq(member, &self.outlet)) {
            members.swap_remove(place);
        }
        if members.is_empty() {
            parts.retain(|part| !Arc::ptr_eq(&part.members, &self.members));
        }
    }
}

/// Writes for as long as the part has members.
async fn pass_on(room: Arc<Room>, members: Members) {
    let (mut wake, mut cursor) = (room.watch(), room.told());
    loop {
        let burst = room.burst(&mut cursor);
        let present = members.lock().clone();
        for some in present.chunks(WRITES_AT_ONCE) {
            some.iter().for_each(|outlet| outlet.offer(&burst));
            tokio::task::yield_now().await;
        }
        // who has left meanwhile must not wait for the next burst to be closed
        drop(present);
        if wake.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::ShowId;
    use tokio::sync::mpsc;
    use uuid::Uuid;

    #[tokio::test]
    async fn parts_are_filled_up_and_end_with_their_last_member() {
        let (events, _kept) = mpsc::channel(1);
        let room = Arc::new(Room::new(ShowId(Uuid::from_u128(1)), events));
        let enter = || Membership::new(&room, &Arc::new(Outlet::new(None, &room)));
        let sizes = || room.crowd.0.lock().iter().map(|part| part.members.lock().len()).collect::<Vec<_>>();
        let mut members: Vec<_> = (0..2 * PART_SOCKETS + 1).map(|_| enter()).collect();
        assert_eq!(sizes(), [PART_SOCKETS, PART_SOCKETS, 1]);
        members.remove(0);
        members.push(enter());
        assert_eq!(sizes(), [PART_SOCKETS, PART_SOCKETS, 1], "free places are taken first");
        members.truncate(1);
        assert_eq!(sizes(), [1]);
        drop(members);
        assert_eq!(sizes(), [0; 0]);
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&room), 1, "no writer is left");
    }
}
