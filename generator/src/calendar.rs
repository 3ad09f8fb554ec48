//! The plan: which shows there are, when, and how large.

use schemas::{CommandId, ShowId, Timestamp};

use crate::acts::{HOST_WRITES_EVERY_MS, MESSAGES_A_VIEWER};
use crate::creators::{Creator, Slot};
use crate::dice::{Dice, Seed, ms, whole};
use crate::places::COUNTRIES;
use crate::rhythm::{LocalTime, activity};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
const WEEK_MS: i64 = 7 * DAY_MS;

/// A month on average.
const MONTH_MS: i64 = 2_629_800_000;

/// 1970-01-05 was the first Monday.
const FIRST_MONDAY_MS: i64 = 4 * DAY_MS;

/// Events that a viewer causes on average besides messages: joins, leaves, a share of reactions and of tips. Measured.
const SILENT_EVENTS_A_VIEWER: f64 = 4.4;

/// Events of a show besides what its host and its viewers do.
const EVENTS_A_SHOW: f64 = 4.0;

/// With fewer events than these for each show there are fewer shows instead.
const EVENTS_A_SHOW_MIN: u64 = 60;

/// The largest audience of a show: with it a show stays below a million events, and its acts below 100 MB.
const VIEWERS_MAX: u64 = 60_000;

/// A creator for so many events, where nobody says how many there are.
const EVENTS_A_CREATOR: u64 = 5_000;
const CREATORS_LEAST: u64 = 3;
const CREATORS_MOST: u64 = 400;

/// A community is so many times the audience of one of its shows.
const COMMUNITY_TO_AUDIENCE: f64 = 8.0;

/// Shows are announced so long before at most, and those to come are there for as long.
const ANNOUNCED_MS_MAX: i64 = 9 * DAY_MS;

/// What a history is made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Another seed, another history, with other persons.
    pub seed: u64,
    /// About so many events.
    pub events: u64,
    /// So many months, up to `until`.
    pub months: u32,
    /// So many creators; `None`: as many as suit the events.
    pub creators: Option<u32>,
    /// Nothing happened after this.
    pub until: Timestamp,
}

impl Options {
    pub(crate) fn creators(&self) -> u32 {
        let suitable = (self.events / EVENTS_A_CREATOR).clamp(CREATORS_LEAST, CREATORS_MOST);
        self.creators.unwrap_or(u32::try_from(suitable).unwrap_or(u32::MAX)).max(1)
    }

    fn begin_ms(&self) -> i64 {
        self.until.millis() - i64::from(self.months) * MONTH_MS
    }
}

/// How a show went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It took place.
    Played,
    /// It was called off.
    Cancelled,
    /// It is still to come.
    Announced,
}

/// A show, in outline.
#[derive(Clone, Debug)]
pub struct ShowPlan {
    /// The show.
    pub id: ShowId,
    /// How it went.
    pub fate: Fate,
    /// When it was announced.
    pub created: Timestamp,
    /// When it should start.
    pub scheduled: Timestamp,
    /// When it did, or when it was called off.
    pub started: Timestamp,
    /// How long it was, in milliseconds.
    pub length_ms: i64,
    /// How many persons come, at most.
    pub viewers: u64,
    /// About how many events the show has.
    pub events: u64,
    pub(crate) creator: u32,
    /// The creator's how manieth.
    pub(crate) number: u64,
    pub(crate) create_command: CommandId,
    /// What all of the show follows from, with the history's own.
    pub(crate) salt: u64,
    weight: f64,
}

/// A history: its shows in the order of their time, and who takes part.
#[derive(Debug)]
pub struct History {
    pub(crate) options: Options,
    /// What persons and creators follow from: the seed alone.
    pub(crate) people: Seed,
    /// What shows follow from: all options.
    pub(crate) world: Seed,
    pub(crate) creators: Vec<Creator>,
    shows: Vec<ShowPlan>,
}

impl History {
    /// Plans a history. Takes some milliseconds for a thousand shows.
    #[must_use]
    pub fn plan(options: Options) -> Self {
        let people = Seed::of("tally/generator/people/v1", &[options.seed]);
        let count = options.creators();
        let world = Seed::of(
            "tally/generator/world/v1",
            &[
                options.seed,
                options.events,
                options.months.into(),
                count.into(),
                options.until.millis().cast_unsigned(),
            ],
        );
        let mut creators: Vec<Creator> =
            (0..count).map(|number| Creator::of(&people, options.seed, number)).collect();
        let mut shows: Vec<ShowPlan> =
            creators.iter().flat_map(|creator| shows_of(creator, &options, &world)).collect();
        thin_out(&mut shows, &options, &world);
        shows.sort_by_key(|show| (show.place_in_time(), show.creator, show.number));
        share_out(&mut shows, options.events, &creators);
        for creator in &mut creators {
            let mut audiences =
                shows.iter().filter(|show| show.creator == creator.number).map(|show| show.viewers);
            let largest = audiences.clone().max().unwrap_or(0);
            let count = audiences.clone().filter(|viewers| *viewers > 0).count().max(1);
            let mean = audiences.by_ref().sum::<u64>() as f64 / count as f64;
            creator.community = whole(mean * COMMUNITY_TO_AUDIENCE).max(largest * 2) + 20;
        }
        Self { options, people, world, creators, shows }
    }

    /// All shows, in the order of their time: a show that took place stands where it started, one that was announced where
    /// that was said.
    #[must_use]
    pub fn shows(&self) -> &[ShowPlan] {
        &self.shows
    }

    /// How many creators there are.
    #[must_use]
    pub fn creators(&self) -> usize {
        self.creators.len()
    }

    pub(crate) fn creator_of(&self, plan: &ShowPlan) -> &Creator {
        &self.creators[plan.creator as usize]
    }
}

impl ShowPlan {
    fn place_in_time(&self) -> Timestamp {
        match self.fate {
            Fate::Played => self.started,
            Fate::Cancelled | Fate::Announced => self.created,
        }
    }
}

/// A creator's shows, week by week.
fn shows_of(creator: &Creator, options: &Options, world: &Seed) -> Vec<ShowPlan> {
    let begin_ms = options.begin_ms();
    let months_ms = (options.until.millis() - begin_ms).max(1);
    let begins_ms = begin_ms + ms(months_ms as f64 * creator.begins);
    let first_week = (begins_ms - FIRST_MONDAY_MS).div_euclid(WEEK_MS);
    let last_week = (options.until.millis() + ANNOUNCED_MS_MAX - FIRST_MONDAY_MS).div_euclid(WEEK_MS);
    let mut shows = Vec::new();
    for week in first_week..=last_week {
        for (slot, turn) in creator.slots.iter().zip(0..) {
            let mut dice = world.dice("show", &[creator.number.into(), week.cast_unsigned(), turn]);
            let monday_ms = FIRST_MONDAY_MS + week * WEEK_MS - creator.offset_minutes() * MINUTE_MS;
            let scheduled_ms = monday_ms + slot_ms(*slot);
            let Some(mut show) = show(creator, scheduled_ms, begins_ms, options, &mut dice) else { continue };
            show.number = shows.len() as u64 + 1;
            let age = (show.started.millis() - begin_ms) as f64 / months_ms as f64;
            show.weight *= creator.size * (1.0 + (creator.growth - 1.0) * age.clamp(0.0, 1.0));
            shows.push(show);
        }
    }
    shows
}

fn slot_ms(slot: Slot) -> i64 {
    i64::from(slot.weekday) * DAY_MS + i64::from(slot.minute_of_day) * MINUTE_MS
}

/// A show at a time of a creator's schedule; `None` where there is none this week.
fn show(
    creator: &Creator,
    scheduled_ms: i64,
    begins_ms: i64,
    options: &Options,
    dice: &mut Dice,
) -> Option<ShowPlan> {
    let create_command = CommandId(dice.uuid());
    let is_on = !dice.chance(0.08);
    let is_cancelled = dice.chance(0.03);
    let late_ms = ms(dice.exponential(150_000.0)).min(20 * MINUTE_MS) + dice.between(0, 1_000);
    let length_ms = ms(creator.minutes * dice.log_normal(1.0, 0.25) * MINUTE_MS as f64).max(5 * MINUTE_MS);
    let before_ms = if dice.chance(0.3) {
        dice.between(5 * MINUTE_MS, 6 * 60 * MINUTE_MS)
    } else {
        dice.between(6 * 60 * MINUTE_MS, ANNOUNCED_MS_MAX)
    };
    let luck = dice.log_normal(1.0, 0.3);
    let salt = dice.below(u64::MAX);
    let created_ms = scheduled_ms - before_ms;
    let cancelled_ms = created_ms + before_ms / 2;
    let until_ms = options.until.millis();
    let started_ms = if is_cancelled { cancelled_ms } else { scheduled_ms + late_ms };
    let fate = match () {
        () if is_cancelled && cancelled_ms < until_ms => Fate::Cancelled,
        // the last payments may come a quarter of an hour after the end
        () if started_ms + length_ms + 20 * MINUTE_MS < until_ms => Fate::Played,
        () if scheduled_ms > until_ms => Fate::Announced,
        // it would be running: then it is not there at all
        () => return None,
    };
    if !is_on || created_ms < begins_ms || created_ms >= until_ms {
        return None;
    }
    let weight = match fate {
        Fate::Played => luck * interest(creator, Timestamp::from_millis(started_ms + length_ms / 2)),
        Fate::Cancelled | Fate::Announced => 0.0,
    };
    Some(ShowPlan {
        id: ShowId(create_command.creates("show")),
        fate,
        created: Timestamp::from_millis(created_ms),
        scheduled: Timestamp::from_millis(scheduled_ms),
        started: Timestamp::from_millis(started_ms),
        length_ms,
        viewers: 0,
        events: 0,
        creator: creator.number,
        number: 0,
        create_command,
        salt,
        weight: weight * libm::sqrt(length_ms as f64 / (90 * MINUTE_MS) as f64),
    })
}

/// How many of a community might watch at a time: half are where the creator is, half all over the world.
fn interest(creator: &Creator, at: Timestamp) -> f64 {
    let there = activity(LocalTime::of(at, creator.offset_minutes()));
    let all = COUNTRIES.iter().map(|country| activity(LocalTime::of(at, country.offset_minutes)));
    0.6 * there + 0.4 * all.sum::<f64>() / COUNTRIES.len() as f64
}

/// Leaves out shows where there would be too few events for each.
fn thin_out(shows: &mut Vec<ShowPlan>, options: &Options, world: &Seed) {
    let most = options.events / EVENTS_A_SHOW_MIN + 1;
    let share = most as f64 / (shows.len() as f64).max(1.0);
    if share < 1.0 {
        let mut dice = world.dice("thin out", &[]);
        shows.retain(|_| dice.chance(share));
    }
}

/// Gives each show its part of the events.
fn share_out(shows: &mut [ShowPlan], events: u64, creators: &[Creator]) {
    let total: f64 = shows.iter().map(|show| show.weight).sum();
    let left = (events as f64 - shows.iter().map(own_events).sum::<f64>()).max(0.0);
    for show in shows {
        let events = if total > 0.0 { left * show.weight / total } else { 0.0 };
        let events_a_viewer =
            SILENT_EVENTS_A_VIEWER + MESSAGES_A_VIEWER * creators[show.creator as usize].chat;
        show.viewers = whole(events / events_a_viewer).min(VIEWERS_MAX);
        show.events = whole(own_events(show) + show.viewers as f64 * events_a_viewer);
    }
}

/// Events of a show without its viewers.
fn own_events(show: &ShowPlan) -> f64 {
    match show.fate {
        Fate::Played => EVENTS_A_SHOW + show.length_ms as f64 / HOST_WRITES_EVERY_MS,
        Fate::Cancelled | Fate::Announced => 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        let until = "2025-07-01T00:00:00Z".parse().unwrap();
        Options { seed: 1, events: 200_000, months: 4, creators: None, until }
    }

    #[test]
    fn shows_stand_in_the_order_of_their_time_and_within_it() {
        let options = options();
        let history = History::plan(options);
        assert_eq!(history.creators(), 40);
        let shows = history.shows();
        assert!(shows.is_sorted_by_key(ShowPlan::place_in_time));
        for show in shows {
            assert!(show.created.millis() >= options.begin_ms() && show.created < options.until);
            assert!(show.created <= show.scheduled);
            match show.fate {
                Fate::Played => assert!(show.started.plus_millis(show.length_ms) < options.until),
                Fate::Cancelled => assert!(show.started < show.scheduled && show.started < options.until),
                Fate::Announced => assert!(show.scheduled > options.until),
            }
        }
        for fate in [Fate::Played, Fate::Cancelled, Fate::Announced] {
            assert!(shows.iter().any(|show| show.fate == fate), "{fate:?}");
        }
    }

    #[test]
    fn few_events_mean_few_shows() {
        let history = History::plan(Options { events: 600, ..options() });
        assert!(history.shows().len() < 30, "{}", history.shows().len());
    }

    #[test]
    fn sizes_have_a_heavy_tail() {
        let history = History::plan(Options { events: 2_000_000, ..options() });
        let mut sizes: Vec<u64> = history
            .creators
            .iter()
            .map(|creator| {
                history
                    .shows()
                    .iter()
                    .filter(|show| show.creator == creator.number)
                    .map(|show| show.viewers)
                    .sum()
            })
            .collect();
        sizes.sort_unstable();
        let top: u64 = sizes.iter().rev().take(sizes.len() / 10).sum();
        assert!(top * 10 > sizes.iter().sum::<u64>() * 4, "a tenth has more than 40 %");
        assert!(sizes[sizes.len() / 2] * 5 < sizes[sizes.len() - 1]);
    }
}
