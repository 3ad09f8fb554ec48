//! Records that run ahead of the chain, of relays that do not know that they lead no more.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// What a relay says at this offset, and what becomes of it.
struct Said {
    lane: Lane,
    offset: i64,
}

impl Said {
    /// The warehouse is at this position, and reads on at this offset.
    fn after(position: u64, offset: i64) -> Self {
        Self { lane: Lane::new(3, progress(position, Some(offset))), offset }
    }

    fn next(&mut self, payload: &[u8]) -> Taken {
        self.offset += 1;
        take(&mut self.lane, self.offset - 1, payload)
    }

    #[track_caller]
    fn then(mut self, payload: &[u8], taken: Taken) -> Self {
        assert_eq!(self.next(payload), taken, "at offset {}", self.offset - 1);
        self
    }

    #[track_caller]
    fn event(self, position: u64, previous: u64, taken: Taken) -> Self {
        self.then(&event(position, Some(previous)), taken)
    }

    #[track_caller]
    fn misses(self, previous: u64) -> Self {
        let Some(Halt::Hole { previous: missing, .. }) = self.lane.halt() else {
            panic!("it misses nothing")
        };
        assert_eq!(*missing, Position(previous));
        self
    }

    #[track_caller]
    fn misses_nothing(self) -> Self {
        assert_eq!(self.lane.halt(), None);
        self
    }

    /// Position and offset that the next batch tells.
    #[track_caller]
    fn told(mut self, position: u64, offset: i64) -> Self {
        assert_eq!(told(&mut self.lane), (position, offset));
        self
    }
}

use Taken::{Dropped, Gathered, Refused};

#[test]
fn what_a_relay_without_the_lead_said_ahead_is_passed_over_until_the_chain_comes() {
    Said::after(20, 5)
        .event(30, 20, Gathered)
        .event(50, 40, Refused)
        .event(60, 50, Refused)
        .misses(40)
        // what was gathered before the hole is told, and not one offset further
        .told(30, 6)
        // the new leader begins at its checkpoint
        .event(30, 20, Dropped)
        .event(40, 30, Gathered)
        .misses_nothing()
        .event(50, 40, Gathered)
        .event(60, 50, Gathered)
        .told(60, 12);
}

#[test]
fn what_a_relay_without_the_lead_says_again_is_dropped() {
    Said::after(20, 5)
        .event(30, 20, Gathered)
        .event(40, 30, Gathered)
        .event(30, 20, Dropped)
        .event(50, 40, Gathered)
        .event(40, 30, Dropped)
        // it was at another place of the log when it told how far that is
        .then(&watermark(45, Some(40), 9_000), Dropped)
        .misses_nothing()
        .told(50, 11);
}

#[test]
fn two_that_run_ahead_at_once_are_passed_over() {
    Said::after(20, 5)
        .event(60, 50, Refused)
        .misses(50)
        .event(40, 30, Refused)
        .misses(30)
        .event(70, 60, Refused)
        .event(50, 40, Refused)
        // nearer than any other: what it says is of the log, whoever says it
        .misses(30)
        .event(30, 20, Gathered)
        .event(70, 60, Refused)
        .misses(60)
        .event(40, 30, Gathered)
        .event(50, 40, Gathered)
        .event(60, 50, Gathered)
        .misses_nothing()
        .told(60, 14);
}

#[test]
fn a_hole_that_nobody_fills_stays_and_says_what_is_missing() {
    let mut said = Said::after(20, 5).event(50, 40, Refused);
    for position in 6..1_000 {
        said = said.event(position * 10, (position - 1) * 10, Refused);
    }
    let said = said.misses(40).told(20, 5);
    assert!(said.lane.gathered().is_empty(), "nothing is kept of what is passed over");
    assert_eq!(said.lane.halt().unwrap().to_string(), {
        "the record before position 50, which is that of 40, never came"
    });
}

#[test]
fn who_begins_again_in_a_hole_reads_again_what_was_passed_over() {
    let said = Said::after(20, 5).event(30, 20, Gathered).event(50, 40, Refused).event(60, 50, Refused);
    let confirmed = { said }.lane.send().next;
    let mut again = Lane::new(3, confirmed);
    assert_eq!(again.read_to(), Some(6));
    assert_eq!(take(&mut again, 6, &event(50, Some(40))), Refused);
    // it goes back to the beginning once, for what may be missing there: the topic may be another
    again.restart(confirmed, true);
    assert_eq!(again.read_to(), None);
    assert_eq!(take(&mut again, 0, &event(20, Some(10))), Dropped);
    assert_eq!(take(&mut again, 1, &event(30, Some(20))), Dropped);
    assert_eq!(again.send().next.unwrap().offset, None, "whoever comes next begins at the beginning as well");
    assert_eq!(take(&mut again, 2, &event(40, Some(30))), Gathered);
    assert_eq!(told(&mut again), (40, 3));
}

#[test]
fn a_watermark_in_a_hole_moves_neither_place_nor_time() {
    let said = Said::after(20, 5)
        .event(50, 40, Refused)
        .then(&watermark(50, Some(50), 1_000), Refused)
        .then(&watermark(20, Some(20), 2_000), Dropped)
        .then(&watermark(60, Some(50), 3_000), Refused)
        .told(20, 5);
    assert_eq!(said.lane.time(), Some(Timestamp::from_millis(TIME_MS)));
    // one that follows says that nothing is missing up to there
    said.then(&watermark(45, Some(20), 4_000), Gathered).misses_nothing().told(45, 10);
}

#[test]
fn what_a_newer_version_says_ahead_of_the_chain_stops_nothing() {
    let newer = |position, previous| with(&event(position, Some(previous)), "Started.v1", "Started.v9");
    let said = Said::after(20, 5)
        .event(40, 30, Refused)
        .then(&newer(50, 40), Refused)
        .then(&newer(20, 10), Dropped)
        .told(20, 5)
        .event(30, 20, Gathered)
        .event(40, 30, Gathered)
        .told(40, 10);
    assert!(!said.lane.is_stopped());
    assert!(said.then(&newer(50, 40), Refused).lane.is_stopped(), "it is the next");
}

#[test]
fn what_nobody_can_read_is_set_aside_in_a_hole_as_well_but_not_again_in_search_of_what_is_missing() {
    let mut said = Said::after(20, 5).event(40, 30, Refused).then(b"garbage", Gathered);
    let parcel = said.lane.send();
    assert_eq!(parcel.batch.dead.len(), 1);
    assert_eq!(parcel.next.map(|next| (next.position.0, next.offset)), Some((20, Some(5))));
    said.lane.restart(parcel.next, true);
    said.offset = 3;
    let mut said = said.then(b"older garbage", Dropped).event(20, 10, Dropped).event(40, 30, Refused);
    assert_eq!(said.next(b"garbage"), Dropped);
    assert_eq!(said.next(b"more garbage"), Gathered);
    assert_eq!(said.lane.send().batch.dead.len(), 1);
}

#[test]
fn the_first_record_of_a_partition_follows_on_anything_but_what_is_missing() {
    // the log was filled in up to 40 where the partition had nothing yet
    Said::after(40, 0).then(&event(50, None), Gathered);
    // a relay that leads no more ran ahead, then the leader says all from the beginning
    Said::after(40, 0).event(60, 50, Refused).then(&event(50, None), Gathered).event(60, 50, Gathered);
    // one that would be the first, and stands behind what is missing, is not
    Said::after(40, 0)
        .event(60, 50, Refused)
        .then(&event(70, None), Refused)
        .misses(50)
        .event(50, 40, Gathered);
    // a warehouse that has nothing lacks what came before
    let mut lane = Lane::new(3, None);
    assert_eq!(take(&mut lane, 9, &event(60, Some(50))), Refused);
    assert_eq!(take(&mut lane, 10, &event(70, None)), Refused);
    assert_eq!(take(&mut lane, 11, &event(50, None)), Gathered);
}

/// The log of one partition: events, and watermarks between them.
const LOG: u64 = 14;

fn record(index: u64) -> Vec<u8> {
    let (position, previous) = (index * 10 + 10, (index > 0).then_some(index * 10));
    if index % 5 == 3 { watermark(position, previous, 7) } else { event(position, previous) }
}

/// A term of a relay: from which record on, and how many.
type Term = (u64, u64);

prop_compose! {
    /// The records of a partition: some terms, each in order, in each other's midst. The last one begins at a checkpoint, that is
    /// behind what a term before it had acknowledged, and goes on to the end.
    fn topics()(
        first in 0..LOG,
        others in vec((0..LOG, 0..LOG), 0..4),
        begin in any::<Index>(),
        order in vec(any::<Index>(), 100),
    ) -> Vec<u64> {
        // up to here the leader before it had acknowledgements, so it stands before all of the last term
        let mut topic: Vec<u64> = (0..first).collect();
        let last = begin.index(usize::try_from(first).unwrap() + 1) as u64;
        let terms: Vec<Term> = others.iter().map(|(from, count)| (*from, (from + count).min(LOG)))
            .chain([(first, LOG), (last, LOG)])
            .collect();
        let mut rest: Vec<Vec<u64>> = terms.iter().map(|(from, to)| (*from..*to).collect()).collect();
        for index in order {
            rest.retain(|term| !term.is_empty());
            if rest.is_empty() {
                break;
            }
            let term = index.index(rest.len());
            topic.push(rest[term].remove(0));
        }
        topic.extend(rest.into_iter().flatten());
        topic
    }
}

/// What is done after a record: a batch is written, or is lost with the loader that dies.
#[derive(Clone, Copy, Debug)]
enum Then {
    GoesOn,
    Writes,
    Dies,
    SearchesFromTheBeginning,
}

fn after_each() -> impl Strategy<Value = Vec<Then>> {
    let step = prop_oneof![
        6 => Just(Then::GoesOn),
        3 => Just(Then::Writes),
        1 => Just(Then::Dies),
        1 => Just(Then::SearchesFromTheBeginning),
    ];
    vec(step, 60)
}

proptest! {
    #[test]
    fn whatever_relays_say_in_each_others_midst_each_event_is_loaded_once_and_all_are(
        topic in topics(), then in after_each(),
    ) {
        let (mut lane, mut steps) = (Lane::new(3, None), then.into_iter());
        let mut loaded: BTreeMap<u64, usize> = BTreeMap::new();
        let mut confirmed: Option<Progress> = None;
        loop {
            let offset = lane.read_to().unwrap_or(0);
            let Some(said) = topic.get(usize::try_from(offset).unwrap()) else { break };
            take(&mut lane, offset, &record(*said));
            match steps.next().unwrap_or(Then::GoesOn) {
                Then::GoesOn => {}
                Then::Writes => write(&mut lane, &mut confirmed, &mut loaded),
                Then::Dies => lane = Lane::new(3, confirmed),
                Then::SearchesFromTheBeginning if lane.gathered().is_empty() => lane.restart(confirmed, true),
                Then::SearchesFromTheBeginning => {}
            }
            // progress promises all that stands before it
            let promised = confirmed.map_or(0, |confirmed| confirmed.position.0 / 10);
            prop_assert!(events(promised).all(|event| loaded.contains_key(&event)));
        }
        write(&mut lane, &mut confirmed, &mut loaded);
        prop_assert!(loaded.values().all(|times| *times == 1), "{loaded:?}");
        prop_assert!(loaded.into_keys().eq(events(LOG)));
        prop_assert_eq!(confirmed.map(|confirmed| confirmed.position), Some(Position(LOG * 10)));
        prop_assert_eq!(lane.halt(), None);
    }
}

/// The positions of the events among so many records.
fn events(records: u64) -> impl Iterator<Item = u64> {
    (0..records).filter(|index| index % 5 != 3).map(|index| index * 10 + 10)
}

fn write(lane: &mut Lane, confirmed: &mut Option<Progress>, loaded: &mut BTreeMap<u64, usize>) {
    let parcel = lane.send();
    for event in &parcel.batch.rows.events {
        *loaded.entry(event.revision).or_default() += 1;
    }
    *confirmed = parcel.next;
    assert!(lane.settle(parcel.next, parcel.next));
}
