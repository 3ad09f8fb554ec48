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
