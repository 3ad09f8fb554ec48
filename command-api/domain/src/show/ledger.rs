//! Tips as the show sees them: promised, then captured or declined. The payment has a stream of its own.

use schemas::events::{
    DeclineReason, LedgerEvent, LifecycleEvent, SettingsEvent, ShowEvent, TipCaptured, TipDeclined,
    TipRequested,
};
use schemas::{Money, PaymentId, PersonId, Timestamp, TipId};
use serde::{Deserialize, Serialize};

use super::recent::RecentActs;
use super::shared_map::SharedMap;
use super::{Show, access};
use crate::command::{Command, RequestTip, SettleTip, TipOutcome};
use crate::rejection::Rejection;
use crate::rules::Rules;

/// Tips so far.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    total: Option<Money>,
    /// Every tip that was promised. Stored in pieces.
    #[serde(skip)]
    pub(crate) tips: SharedMap<TipId, Tip>,
    /// How many of them are pending.
    pending_count: u32,
    pub(crate) recent: RecentActs,
}

/// A tip, as far as it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Tip {
    Pending(PendingTip),
    Settled(SettledTip),
}

/// A tip whose payment is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PendingTip {
    /// Its payment.
    pub payment_id: PaymentId,
    /// Who tips.
    pub person: PersonId,
    /// How much.
    pub amount: Money,
    /// Since when.
    pub requested_at: Timestamp,
}

/// How a tip ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SettledTip {
    /// Paid.
    Captured,
    /// Not paid.
    Declined(DeclineReason),
}

pub(crate) fn request(
    show: &Show,
    command: &Command,
    tip: &RequestTip,
    rules: &Rules,
) -> Result<Vec<ShowEvent>, Rejection> {
    let (person, role) = access::person_of(command)?;
    if show.ledger.knows(tip.tip_id) {
        return Ok(Vec::new());
    }
    let about = access::live(show)?;
    if !about.settings.tips_enabled {
        return Err(Rejection::TipsDisabled);
    }
    if about.creator == person {
        return Err(Rejection::OwnShow);
    }
    access::may_take_part(show, about, person, role)?;
    if tip.amount.currency() != about.currency {
        return Err(Rejection::CurrencyMismatch { expected: about.currency });
    }
    if !tip.amount.is_positive() {
        return Err(Rejection::AmountNotPositive);
    }
    if tip.amount.amount() > rules.max_tip_major.into() {
        return Err(Rejection::AmountTooLarge);
    }
    show.ledger.recent.check_rate(person, show.time_of(command), rules.tips, "tips")?;
    Ok(vec![
        LedgerEvent::TipRequested(TipRequested {
            tip_id: tip.tip_id,
            payment_id: tip.payment_id,
            person,
            identity: tip.identity.clone(),
            amount: tip.amount,
            message: tip.message.clone(),
        })
        .into(),
    ])
}

/// In any phase: a tip that was promised while LIVE may be paid after the end.
pub(crate) fn settle(show: &Show, command: &Command, tip: &SettleTip) -> Result<Vec<ShowEvent>, Rejection> {
    access::system_only(command)?;
    if show.ledger.settled(tip.tip_id).is_some() {
        return Ok(Vec::new());
    }
    let pending = show.ledger.pending(tip.tip_id).ok_or(Rejection::TipUnknown)?;
    let (tip_id, payment_id, person) = (tip.tip_id, pending.payment_id, pending.person);
    let event = match &tip.outcome {
        TipOutcome::Captured { identity, message } => LedgerEvent::TipCaptured(TipCaptured {
            tip_id,
            payment_id,
            person,
            identity: identity.clone(),
            amount: pending.amount,
            message: message.clone(),
        }),
        TipOutcome::Declined(reason) => {
            LedgerEvent::TipDeclined(TipDeclined { tip_id, payment_id, person, reason: *reason })
        }
    };
    Ok(vec![event.into()])
}

impl Ledger {
    /// Σ of tips captured; `None` where there is no show.
    #[must_use]
    pub fn total_tips(&self) -> Option<Money> {
        self.total
    }

    /// Tips whose payment is under way.
    #[must_use]
    pub fn pending_count(&self) -> u32 {
        self.pending_count
    }

    /// A tip whose payment is under way.
    #[must_use]
    pub fn pending(&self, tip: TipId) -> Option<&PendingTip> {
        match self.tips.get(&tip)? {
            Tip::Pending(pending) => Some(pending),
            Tip::Settled(_) => None,
        }
    }

    /// How a tip ended.
    #[must_use]
    pub fn settled(&self, tip: TipId) -> Option<SettledTip> {
        match self.tips.get(&tip)? {
            Tip::Pending(_) => None,
            Tip::Settled(settled) => Some(*settled),
        }
    }

    fn knows(&self, tip: TipId) -> bool {
        self.tips.contains_key(&tip)
    }

    fn set(&mut self, id: TipId, tip: Tip) {
        let is_pending = |tip: &Tip| u32::from(matches!(tip, Tip::Pending(_)));
        let is = is_pending(&tip);
        let was = self.tips.insert(id, tip).as_ref().map_or(0, is_pending);
        self.pending_count = self.pending_count + is - was;
    }

    pub(crate) fn evolve(&mut self, event: &LedgerEvent, at: Timestamp) {
        match event {
            LedgerEvent::TipRequested(requested) => {
                self.recent.record(requested.person, at, None);
                let pending = PendingTip {
                    payment_id: requested.payment_id,
                    person: requested.person,
                    amount: requested.amount,
                    requested_at: at,
                };
                self.set(requested.tip_id, Tip::Pending(pending));
            }
            LedgerEvent::TipCaptured(captured) => {
                self.set(captured.tip_id, Tip::Settled(SettledTip::Captured));
                let before = self.total.unwrap_or(Money::zero(captured.amount.currency()));
                // A sum beyond Money's range stays at the last exact value; no show can reach it.
                self.total = Some(before.checked_add(captured.amount).unwrap_or(before));
            }
            LedgerEvent::TipDeclined(declined) => {
                self.set(declined.tip_id, Tip::Settled(SettledTip::Declined(declined.reason)));
            }
        }
    }

    pub(crate) fn evolve_lifecycle(&mut self, event: &LifecycleEvent) {
        match event {
            LifecycleEvent::Created(created) => self.total = Some(Money::zero(created.currency)),
            LifecycleEvent::Started(_) | LifecycleEvent::Ended(_) | LifecycleEvent::Cancelled(_) => {}
        }
    }

    /// The currency changes only before the show starts, when nothing was tipped yet.
    pub(crate) fn evolve_settings(&mut self, event: &SettingsEvent) {
        match event {
            SettingsEvent::Revised(revised) => self.total = Some(Money::zero(revised.currency)),
            SettingsEvent::StreamSettings(_) => {}
        }
    }
}
