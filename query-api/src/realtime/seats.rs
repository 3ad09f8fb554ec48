//! How many sockets a person has in a show, and how many the node has.

use dashmap::DashMap;
use schemas::{PersonId, ShowId};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// All seats of a node.
#[derive(Default)]
pub(crate) struct Seats {
    persons: DashMap<(ShowId, PersonId), u32>,
    all: AtomicUsize,
}

/// Why there is no seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoSeat {
    /// The person has enough sockets in this show.
    Person,
    /// The node is full.
    Node,
}

/// A socket's seat, given back when dropped.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    person: Option<(ShowId, PersonId)>,
}

impl Seats {
    /// Takes a seat; who bears no token is counted with the node only.
    pub(crate) fn take(
        self: &Arc<Self>,
        show: ShowId,
        person: Option<PersonId>,
        per_person: u32,
        all: usize,
    ) -> Result<Seat, NoSeat> {
        if self.all.fetch_add(1, Ordering::AcqRel) >= all {
            self.all.fetch_sub(1, Ordering::AcqRel);
            return Err(NoSeat::Node);
        }
        let mut seat = Seat { seats: Arc::clone(self), person: None };
        if let Some(person) = person {
            let mut taken = self.persons.entry((show, person)).or_insert(0);
            if *taken >= per_person {
                return Err(NoSeat::Person);
            }
            *taken += 1;
            seat.person = Some((show, person));
        }
        metrics::gauge!("tally_realtime_sockets").set(self.all.load(Ordering::Acquire) as f64);
        Ok(seat)
    }

    /// Sockets of this node.
    pub(crate) fn taken(&self) -> usize {
        self.all.load(Ordering::Acquire)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(key) = self.person {
            self.seats.persons.entry(key).and_modify(|taken| *taken -= 1);
            self.seats.persons.remove_if(&key, |_, taken| *taken == 0);
        }
        self.seats.all.fetch_sub(1, Ordering::AcqRel);
        metrics::gauge!("tally_realtime_sockets").set(self.seats.taken() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_seat_is_given_back_and_no_more_than_allowed_are_taken() {
        let seats = Arc::new(Seats::default());
        let (show, person) = (ShowId(Uuid::from_u128(1)), Some(PersonId(Uuid::from_u128(2))));
        let first = seats.take(show, person, 2, 4).ok().unwrap();
        let _second = seats.take(show, person, 2, 4).ok().unwrap();
        assert_eq!(seats.take(show, person, 2, 4).err(), Some(NoSeat::Person));
        assert_eq!(seats.taken(), 2);
        drop(first);
        let _third = seats.take(show, person, 2, 4).ok().unwrap();
        let _other = seats.take(ShowId(Uuid::from_u128(9)), person, 2, 4).ok().unwrap();
        let _nobody = seats.take(show, None, 2, 4).ok().unwrap();
        assert_eq!(seats.take(show, None, 2, 4).err(), Some(NoSeat::Node));
    }
}
