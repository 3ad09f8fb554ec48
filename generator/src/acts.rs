//! Everything that is done in a show, in the order of time.

use schemas::{Currency, Money, Timestamp};

use crate::audience::{Until, Visitor};
use crate::calendar::{Fate, History, ShowPlan};
use crate::chat::{Casting, Moments};
use crate::dice::{Dice, ms, whole};
use crate::money::{self, Ending};

/// Messages of a viewer on average, and how much one show differs from another.
pub(crate) const MESSAGES_A_VIEWER: f64 = 5.6;
const MESSAGES_SIGMA: f64 = 0.25;

/// Reactions that viewers send, each.
const REACTIONS_A_VIEWER: f64 = 2.2;

/// Tips of a viewer.
const TIPS_A_VIEWER: f64 = 0.03;

/// Reactions of so long are one event, as in the product.
const COUNTED_TOGETHER_MS: i64 = 1_000;

/// The host writes about so often.
pub(crate) const HOST_WRITES_EVERY_MS: f64 = 200_000.0;

/// Shows of which something announced changes, and those of which a setting changes on the air.
const REVISED_SHARE: f64 = 0.12;
const CHANGED_SHARE: f64 = 0.05;

/// Something that is done.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) at: Timestamp,
    pub(crate) what: What,
}

/// What is done. Visitors by number, their stays by theirs.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Create,
    Revise,
    Cancel,
    Start,
    Change,
    End,
    Join { visitor: usize, stay: usize },
    Leave { visitor: usize, stay: usize },
    Expire { visitor: usize, stay: usize, seen: Timestamp },
    Say { visitor: usize },
    HostSays,
    Count(Vec<Thrown>),
    Tip { tip: usize },
    Settle { tip: usize },
}

/// A reaction that somebody sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thrown {
    pub(crate) visitor: usize,
    /// A place in [`domain::rules::REACTIONS`].
    pub(crate) kind: usize,
    pub(crate) count: u32,
}

/// A tip that somebody means to give.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MeantTip {
    pub(crate) visitor: usize,
    pub(crate) amount: Money,
    pub(crate) ending: Ending,
}

/// A show's acts.
pub(crate) struct Script {
    pub(crate) acts: Vec<Act>,
    pub(crate) tips: Vec<MeantTip>,
}

/// Writes the script of a show with these visitors.
pub(crate) fn script(history: &History, plan: &ShowPlan, visitors: &[Visitor], dice: &mut Dice) -> Script {
    let creator = history.creator_of(plan);
    let mut script = Script { acts: Vec::new(), tips: Vec::new() };
    script.add(plan.created, What::Create);
    match plan.fate {
        Fate::Announced => return script,
        Fate::Cancelled => {
            script.add(plan.started, What::Cancel);
            return script;
        }
        Fate::Played => {}
    }
    if dice.chance(REVISED_SHARE) {
        let ahead_ms = plan.started.millis_since(plan.created);
        script.add(plan.created.plus_millis(dice.between(0, ahead_ms)), What::Revise);
    }
    script.add(plan.started, What::Start);
    let moments = Moments::of(plan.length_ms, dice);
    script.audience(plan, visitors);
    script.host(plan, dice);
    script.messages(plan, visitors, &moments, creator.chat, dice);
    script.reactions(plan, visitors, &moments, dice);
    script.tips(plan, visitors, &moments, (creator.tips, creator.currency), dice);
    script.add(plan.started.plus_millis(plan.length_ms), What::End);
    // stable: what happens at one time stays in the order in which it was written
    script.acts.sort_by_key(|act| act.at);
    script
}

impl Script {
    fn add(&mut self, at: Timestamp, what: What) {
        self.acts.push(Act { at, what });
    }

    fn audience(&mut self, plan: &ShowPlan, visitors: &[Visitor]) {
        let at = |ms| plan.started.plus_millis(ms);
        for (visitor, person) in visitors.iter().enumerate() {
            for (stay, planned) in person.stays.iter().enumerate() {
                self.add(at(planned.from_ms), What::Join { visitor, stay });
                match planned.until {
                    Until::End => {}
                    Until::Left(until) => self.add(at(until), What::Leave { visitor, stay }),
                    Until::Vanished { seen_ms, found_ms } => {
                        self.add(at(found_ms), What::Expire { visitor, stay, seen: at(seen_ms) });
                    }
                }
            }
        }
    }

    fn host(&mut self, plan: &ShowPlan, dice: &mut Dice) {
        if plan.viewers > 0 {
            let mut at_ms = 4_000 + ms(dice.exponential(HOST_WRITES_EVERY_MS));
            while at_ms < plan.length_ms {
                self.add(plan.started.plus_millis(at_ms), What::HostSays);
                at_ms += 4_000 + ms(dice.exponential(HOST_WRITES_EVERY_MS));
            }
        }
        if dice.chance(CHANGED_SHARE) {
            self.add(plan.started.plus_millis(dice.between(0, plan.length_ms)), What::Change);
        }
    }

    fn messages(
        &mut self,
        plan: &ShowPlan,
        visitors: &[Visitor],
        moments: &Moments,
        lively: f64,
        dice: &mut Dice,
    ) {
        let casting = Casting::of(visitors, |visitor| visitor.person.talk);
        let each = MESSAGES_A_VIEWER * lively * dice.log_normal(1.0, MESSAGES_SIGMA);
        for _ in 0..dice.poisson(visitors.len() as f64 * each) {
            if let Some((visitor, at_ms)) = casting.cast(visitors, moments, dice) {
                self.add(plan.started.plus_millis(at_ms), What::Say { visitor });
            }
        }
    }

    fn reactions(&mut self, plan: &ShowPlan, visitors: &[Visitor], moments: &Moments, dice: &mut Dice) {
        // those who never write react all the same
        let casting = Casting::of(visitors, |visitor| 0.3 + visitor.person.talk.min(3.0));
        let mut thrown: Vec<(i64, Thrown)> = Vec::new();
        for _ in 0..dice.poisson(visitors.len() as f64 * REACTIONS_A_VIEWER) {
            if let Some((visitor, at_ms)) = casting.cast(visitors, moments, dice) {
                let weights = (0..domain::rules::REACTIONS.len()).map(|rank| 1.0 / (rank + 1) as f64);
                let kind = dice.weighted(weights);
                let count = 1 + u32::try_from(whole(dice.exponential(1.5)).min(40)).unwrap_or(0);
                thrown.push((at_ms, Thrown { visitor, kind, count }));
            }
        }
        thrown.sort_by_key(|(at_ms, _)| *at_ms);
        for together in
            thrown.chunk_by(|(one, _), (other, _)| one / COUNTED_TOGETHER_MS == other / COUNTED_TOGETHER_MS)
        {
            let second = together[0].0 / COUNTED_TOGETHER_MS;
            let at_ms = ((second + 1) * COUNTED_TOGETHER_MS).min(plan.length_ms - 1);
            let each = together.iter().map(|(_, thrown)| *thrown).collect();
            self.add(plan.started.plus_millis(at_ms), What::Count(each));
        }
    }

    fn tips(
        &mut self,
        plan: &ShowPlan,
        visitors: &[Visitor],
        moments: &Moments,
        (generous, currency): (f64, Currency),
        dice: &mut Dice,
    ) {
        let casting = Casting::of(visitors, |visitor| visitor.person.giving);
        for _ in 0..dice.poisson(visitors.len() as f64 * TIPS_A_VIEWER * generous) {
            if let Some((visitor, at_ms)) = casting.cast(visitors, moments, dice) {
                let (tip, amount) = (self.tips.len(), money::amount(currency, dice));
                let ending = money::ending(dice);
                self.tips.push(MeantTip { visitor, amount, ending });
                let at = plan.started.plus_millis(at_ms);
                self.add(at, What::Tip { tip });
                self.add(at.plus_millis(ending.after_ms), What::Settle { tip });
            }
        }
    }
}
