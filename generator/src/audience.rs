//! Who comes to a show, when, and for how long.

use std::collections::HashSet;

use schemas::{PersonId, Timestamp};

use crate::calendar::{History, ShowPlan};
use crate::dice::{Dice, ms};
use crate::edge::Edge;
use crate::people::{Person, PersonKey};
use crate::places::COUNTRIES;
use crate::rhythm::{ACTIVITY_MAX, LocalTime, activity};

/// Visitors from other communities.
const STRANGER_SHARE: f64 = 0.12;

/// How unevenly members of a community come: with 1 all are alike.
const LOYALTY: f64 = 1.7;

/// Even at the worst hour some watch.
const NIGHT_OWLS: f64 = 0.03;

/// Tries at visitors, for each that is wanted.
const TRIES: u64 = 12;

/// Sessions of a visitor at most.
const STAYS_MAX: usize = 4;

/// Those who look in for a moment, and those who stay to the end.
const BOUNCE_SHARE: f64 = 0.22;
const LOYAL_SHARE: f64 = 0.28;

/// Those whose client says nothing when they go: the sweeper finds out later.
const VANISH_SHARE: f64 = 0.18;

/// The sweeper ends a session that was not seen for so long, and looks every few seconds.
const GRACE_MS: i64 = 60_000;
const SWEEP_MS: i64 = 5_000;

/// Those who come back after having left.
const RETURN_SHARE: f64 = 0.22;

/// Those with two devices who use both at once.
const BOTH_DEVICES_SHARE: f64 = 0.15;

/// Nobody writes in the first seconds.
pub(crate) const SETTLING_MS: i64 = 3_000;

/// Somebody at a show.
pub(crate) struct Visitor {
    pub(crate) person: Person,
    pub(crate) id: PersonId,
    pub(crate) stays: Vec<Stay>,
}

/// One session, in milliseconds from the start of the show.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Stay {
    pub(crate) from_ms: i64,
    pub(crate) until: Until,
    /// Which of the person's devices.
    pub(crate) device: usize,
}

/// How a session ends.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Until {
    /// With the show.
    End,
    /// The client says so.
    Left(i64),
    /// Nobody says so; it is found at `found_ms`.
    Vanished { seen_ms: i64, found_ms: i64 },
}

impl Visitor {
    /// Whether they are there and have settled.
    pub(crate) fn is_there(&self, at_ms: i64) -> bool {
        self.stays.iter().any(|stay| {
            let from = stay.from_ms + SETTLING_MS;
            at_ms >= from
                && match stay.until {
                    Until::End => true,
                    Until::Left(until) | Until::Vanished { seen_ms: until, .. } => at_ms < until,
                }
        })
    }

    /// Some time while they are there, in a show of this length; `None` where they have hardly been.
    pub(crate) fn moment(&self, length_ms: i64, dice: &mut Dice) -> Option<i64> {
        let stay = *dice.pick(&self.stays);
        let until = match stay.until {
            Until::End => length_ms,
            Until::Left(until) | Until::Vanished { seen_ms: until, .. } => until,
        };
        let from = stay.from_ms + SETTLING_MS;
        (from < until).then(|| dice.between(from, until))
    }
}

/// The audience of a show. Its order means nothing.
pub(crate) fn visitors(history: &History, plan: &ShowPlan, edge: &dyn Edge, dice: &mut Dice) -> Vec<Visitor> {
    let creator = history.creator_of(plan);
    let middle = plan.started.plus_millis(plan.length_ms / 2);
    let wanted = usize::try_from(plan.viewers).unwrap_or(0);
    let mut known: HashSet<PersonKey> = HashSet::with_capacity(wanted);
    let mut visitors = Vec::with_capacity(wanted);
    for _ in 0..plan.viewers * TRIES {
        if visitors.len() == wanted {
            break;
        }
        let key = somebody(history, plan, dice);
        let is_known = known.contains(&key);
        if is_known {
            continue;
        }
        let home = &history.creators[key.community as usize];
        let person = Person::of(&history.people, history.options.seed, key, home);
        let awake = activity(LocalTime::of(middle, COUNTRIES[person.country].offset_minutes)) / ACTIVITY_MAX;
        if !dice.chance(awake.max(NIGHT_OWLS)) || person.sub == creator.sub {
            continue;
        }
        known.insert(key);
        let id = edge.person(&person.sub);
        let stays = stays(&person, plan.length_ms, dice);
        visitors.push(Visitor { person, id, stays });
    }
    visitors
}

/// A member of the creator's community, as far as it has grown, or now and then of another one.
fn somebody(history: &History, plan: &ShowPlan, dice: &mut Dice) -> PersonKey {
    let community = if dice.chance(STRANGER_SHARE) {
        u32::try_from(dice.index(history.creators.len())).unwrap_or(0)
    } else {
        plan.creator
    };
    let size = history.creators[community as usize].community as f64;
    let grown = size * (0.4 + 0.6 * history.age(plan.started));
    let member = crate::dice::whole(grown * libm::pow(dice.unit(), LOYALTY));
    PersonKey { community, member }
}

impl History {
    /// Which part of its months has passed at a time.
    fn age(&self, at: Timestamp) -> f64 {
        let months_ms = i64::from(self.options.months) * 2_629_800_000;
        let left_ms = self.options.until.millis_since(at);
        (1.0 - left_ms as f64 / months_ms.max(1) as f64).clamp(0.0, 1.0)
    }
}

fn stays(person: &Person, length_ms: i64, dice: &mut Dice) -> Vec<Stay> {
    let mut stays = vec![stay(arrival(length_ms, dice), length_ms, 0, dice)];
    while stays.len() < STAYS_MAX && dice.chance(RETURN_SHARE) {
        let gone_ms = match stays.last().map(|stay| stay.until) {
            None | Some(Until::End) => break,
            Some(Until::Left(at) | Until::Vanished { found_ms: at, .. }) => at,
        };
        let back_ms = gone_ms + ms(dice.log_normal(240_000.0, 1.0)).max(1_500);
        if back_ms + GRACE_MS > length_ms {
            break;
        }
        let device = dice.index(person.devices.len());
        stays.push(stay(back_ms, length_ms, device, dice));
    }
    if person.devices.len() > 1 && dice.chance(BOTH_DEVICES_SHARE) {
        let from_ms = stays[0].from_ms + dice.between(5_000, 600_000);
        if from_ms + GRACE_MS < length_ms {
            stays.push(stay(from_ms, length_ms, 1, dice));
        }
    }
    stays
}

/// Most come at the start or soon after it; some find the show later.
fn arrival(length_ms: i64, dice: &mut Dice) -> i64 {
    let length = length_ms as f64;
    let at = match dice.unit() {
        share if share < 0.35 => dice.exponential(100_000.0),
        share if share < 0.80 => dice.exponential(length * 0.25),
        _ => dice.unit() * length,
    };
    ms(at).clamp(200, length_ms - 5_000)
}

/// The drop-off: many leave at once, the rest one by one, some never.
fn stay(from_ms: i64, length_ms: i64, device: usize, dice: &mut Dice) -> Stay {
    let fate = dice.unit();
    let long_ms = if fate < BOUNCE_SHARE {
        2_000 + ms(dice.exponential(35_000.0))
    } else {
        20_000 + ms(dice.log_normal(length_ms as f64 * 0.25, 0.9))
    };
    let until_ms = from_ms + long_ms;
    let is_loyal = fate >= 1.0 - LOYAL_SHARE;
    let found_ms = until_ms + GRACE_MS + dice.between(0, SWEEP_MS);
    let until = if is_loyal || until_ms >= length_ms {
        Until::End
    } else if dice.chance(VANISH_SHARE) {
        // the show's end may find them first
        if found_ms < length_ms { Until::Vanished { seen_ms: until_ms, found_ms } } else { Until::End }
    } else {
        Until::Left(until_ms)
    };
    Stay { from_ms, until, device }
}
