//! How many events a history really has. A plan only estimates it: some persons do not come, and some messages the domain refuses.

use std::sync::Arc;

use crate::calendar::{History, Options};
use crate::edge::{Edge, PlainEdge};
use crate::play::Happening;

/// With more shows than these, one of a sixteenth of them each stands for the others at first: a look that costs little.
const SHOWS_COUNTED: usize = 2_000;
const SHOWS_A_SAMPLE: usize = 16;

/// Plans that are tried. One or two raise the request to about what is needed, as a plan comes short by a sixth at most; beyond, it is bounded by something else.
const PLANS_MAX: u32 = 12;

/// Each plan asks for so much more than what was missing, in hundredths: it is another history, and may come out a little smaller.
const MORE_PERCENT: u128 = 101;

impl History {
    /// Plans a history of at least as many events as the options say, by asking [`History::plan`] for as many more as it takes. `None`: the creators cannot
    /// have as many in these months. Plays the whole history once: some seconds for a million events.
    #[must_use]
    pub fn plan_at_least(options: Options) -> Option<Arc<Self>> {
        let (wanted, mut asked) = (options.events, options.events);
        // those that suit what is wanted, so that naming them changes nothing
        let options = Options { creators: Some(options.creators()), ..options };
        for _ in 0..PLANS_MAX {
            let history = Arc::new(Self::plan(Options { events: asked, ..options }));
            if history.planned_events() < asked / 2 {
                // shows have a largest audience, and all of them have it
                return None;
            }
            let made = match history.likely_events() {
                Some(likely) if likely < wanted => likely,
                Some(_) | None => history.count_events(),
            };
            if made >= wanted {
                return Some(history);
            }
            let more =
                u128::from(asked) * u128::from(wanted) * MORE_PERCENT / (u128::from(made.max(1)) * 100);
            asked = u64::try_from(more).ok()?.max(asked + 1);
        }
        None
    }

    /// How many events its plan means to have.
    fn planned_events(&self) -> u64 {
        self.shows().iter().map(|show| show.events).sum()
    }

    /// How many events it has. Plays it.
    #[must_use]
    pub fn count_events(self: &Arc<Self>) -> u64 {
        self.count_of(0..self.shows().len())
    }

    /// About how many, by some of the shows; `None` where they are so few that all may be counted.
    fn likely_events(self: &Arc<Self>) -> Option<u64> {
        if self.shows().len() <= SHOWS_COUNTED {
            return None;
        }
        let planned = |place: &usize| self.shows()[*place].events;
        let mut places: Vec<usize> = (0..self.shows().len()).collect();
        // shows of every size, as many of each as there are
        places.sort_by_key(planned);
        let sample = places.into_iter().skip(SHOWS_A_SAMPLE / 2).step_by(SHOWS_A_SAMPLE);
        let planned: u64 = sample.clone().map(|place| planned(&place)).sum();
        let likely = u128::from(self.count_of(sample)) * u128::from(self.planned_events())
            / u128::from(planned.max(1));
        u64::try_from(likely).ok()
    }

    fn count_of(self: &Arc<Self>, places: impl Iterator<Item = usize>) -> u64 {
        let edge: Arc<dyn Edge> = Arc::new(PlainEdge);
        places.map(|place| self.play(place, &edge).map(|happening| happening.events()).sum::<u64>()).sum()
    }
}

impl Happening {
    /// How many events it is, those of payments among them.
    #[must_use]
    pub fn events(&self) -> u64 {
        let of_payments = self.before.iter().chain(&self.after).map(|step| step.events.len() as u64);
        1 + of_payments.sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(events: u64, months: u32) -> Options {
        let until = "2025-07-01T00:00:00Z".parse().unwrap();
        Options { seed: 1, events, months, creators: None, until }
    }

    #[test]
    fn there_are_as_many_events_as_were_asked_for_and_hardly_more() {
        for (events, months, percent) in [(100, 6, 40), (1_000, 6, 20), (20_000, 2, 5), (60_000, 12, 5)] {
            let options = options(events, months);
            let history = History::plan_at_least(options).unwrap();
            let made = history.count_events();
            assert!(made >= events && made * 100 <= events * (100 + percent), "{made} of {events}");
            // the same each time, whether its creators are counted or named
            let creators = u32::try_from(history.creators()).ok();
            let again = History::plan_at_least(Options { creators, ..options }).unwrap();
            assert_eq!(again.options, history.options);
        }
    }

    /// A history that was begun yesterday goes on tomorrow only if it is asked for by the same number.
    #[test]
    fn what_is_asked_for_is_frozen() {
        assert_eq!(History::plan_at_least(options(3_000, 2)).unwrap().options.events, 3_336);
    }

    #[test]
    fn a_sample_tells_about_how_many_there_are() {
        let history = Arc::new(History::plan(options(150_000, 12)));
        assert!(history.shows().len() > SHOWS_COUNTED, "{}", history.shows().len());
        let (likely, made) = (history.likely_events().unwrap(), history.count_events());
        assert!(likely.abs_diff(made) * 100 < made * 5, "{likely} of {made}");
    }

    #[test]
    fn what_so_few_creators_cannot_have_is_not_promised() {
        let few = Options { creators: Some(1), ..options(100_000_000, 1) };
        assert!(History::plan_at_least(few).is_none());
    }
}
