//! Creators: how large they are, what they do and when.

use schemas::Currency;

use crate::dice::{Dice, Seed, whole};
use crate::places::{COUNTRIES, Country, CountryIndex};
use crate::rhythm::{LocalTime, activity};
use crate::texts::{self, CATEGORIES};

/// The largest creator is at most so many times the smallest.
const SIZE_MAX: f64 = 300.0;

/// Creators who stream at hours when few do.
const ODD_HOURS_SHARE: f64 = 0.15;

/// A creator.
#[derive(Clone, Debug)]
pub(crate) struct Creator {
    pub(crate) number: u32,
    pub(crate) sub: String,
    pub(crate) name: String,
    pub(crate) country: CountryIndex,
    pub(crate) language: &'static str,
    /// A place in [`CATEGORIES`].
    pub(crate) category: usize,
    pub(crate) currency: Currency,
    /// Against others.
    pub(crate) size: f64,
    /// How many persons belong to the community in the end; known when all shows are.
    pub(crate) community: u64,
    pub(crate) slots: Vec<Slot>,
    /// The typical length of a show.
    pub(crate) minutes: f64,
    /// How lively the chat is, against others.
    pub(crate) chat: f64,
    /// How much is tipped, against others.
    pub(crate) tips: f64,
    /// After which part of the months the first show is.
    pub(crate) begins: f64,
    /// How many times as large the audience is at the end as at the beginning.
    pub(crate) growth: f64,
}

/// A time of the week at which a creator streams, by the clock of their country.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Slot {
    pub(crate) weekday: u8,
    pub(crate) minute_of_day: u16,
}

impl Creator {
    /// The creator of this number. Who they are follows from the seed alone.
    pub(crate) fn of(people: &Seed, seed: u64, number: u32) -> Self {
        let mut dice = people.dice("creator", &[number.into()]);
        let country = Country::any(&mut dice);
        let place = &COUNTRIES[country];
        Self {
            number,
            sub: format!("gen-{seed}-creator-{number}"),
            name: texts::creator_name(&mut dice),
            country,
            language: place.language(&mut dice),
            category: dice.index(CATEGORIES.len()),
            // every country's is one; a test says so
            currency: place.currency.parse().unwrap_or(Currency::USD),
            size: dice.pareto(1.0, SIZE_MAX, 1.0),
            community: 0,
            slots: slots(&mut dice),
            minutes: dice.log_normal(85.0, 0.4).clamp(20.0, 300.0),
            chat: dice.log_normal(1.0, 0.35),
            tips: dice.log_normal(1.0, 0.7),
            // most are there from the beginning
            begins: if dice.chance(0.65) { 0.0 } else { dice.unit() * 0.7 },
            growth: dice.log_normal(1.6, 0.5).clamp(0.4, 6.0),
        }
    }

    pub(crate) fn offset_minutes(&self) -> i64 {
        COUNTRIES[self.country].offset_minutes
    }
}

fn slots(dice: &mut Dice) -> Vec<Slot> {
    let is_odd = dice.chance(ODD_HOURS_SHARE);
    let wanted = 1 + whole(dice.exponential(1.6)).min(5);
    let mut slots = Vec::new();
    for _ in 0..wanted {
        let weekday = dice.weighted([0.7, 0.7, 0.8, 0.9, 1.0, 1.2, 1.1].into_iter());
        let good = |hour| activity(LocalTime { weekday, hour });
        // an hour or so before most people are there
        let hour = dice.weighted((0..24).map(|hour| {
            let soon = good((hour + 1) % 24);
            if is_odd { 1.1 - soon.min(1.0) } else { soon * soon }
        }));
        // both are small
        let weekday = u8::try_from(weekday).unwrap_or(0);
        let minute_of_day = u16::try_from(hour * 60 + dice.index(2) * 30).unwrap_or(0);
        slots.push(Slot { weekday, minute_of_day });
    }
    slots.sort_unstable();
    // two shows on one day are too many
    slots.dedup_by_key(|slot| slot.weekday);
    slots
}
