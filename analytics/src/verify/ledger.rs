//! Identity 4: what shows say of their tips, against what the payments' own streams say, to the cent.
//!
//! A payment is kept until its tip and its own stream both say how it ended, and then only counted. So what is kept is what is under way.

use std::collections::HashMap;
use std::fmt;

use rust_decimal::Decimal;
use schemas::events::{LedgerEvent, PaymentEvent, PaymentPurpose};
use schemas::{Money, PaymentId, Position, ShowId, streams};

use super::report::{Report, Sheet, plain, sheet};
use super::told::{LOG, Place};

/// The payments of a show.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Payments {
    requested: u64,
    amount: Decimal,
    captured: u64,
    captured_amount: Decimal,
    declined: u64,
    applied: u64,
}

impl Payments {
    pub(super) fn count(&mut self, event: &PaymentEvent) {
        match event {
            PaymentEvent::Requested(requested) => {
                self.requested += 1;
                self.amount += requested.amount.amount();
            }
            PaymentEvent::Captured(captured) => {
                self.captured += 1;
                self.captured_amount += captured.amount.amount();
            }
            PaymentEvent::Declined(_) => self.declined += 1,
            PaymentEvent::Applied(_) => self.applied += 1,
        }
    }

    pub(super) fn sheet(&self) -> Sheet {
        sheet([
            ("payments", self.requested.to_string()),
            ("payments requested", plain(self.amount)),
            ("payments captured", self.captured.to_string()),
            ("captured", plain(self.captured_amount)),
            ("payments declined", self.declined.to_string()),
            ("payments applied", self.applied.to_string()),
        ])
    }
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Captured(Money),
    Declined,
}

/// A payment whose end is not known everywhere.
#[derive(Default)]
struct Payment {
    /// Events of its own stream.
    events: u64,
    show: Option<ShowId>,
    amount: Option<Money>,
    end: Option<End>,
    is_applied: bool,
    /// The show that promised its tip, and how much.
    promised: Option<(ShowId, Money)>,
    tip_end: Option<End>,
}

/// Payments under way, and what is settled.
#[derive(Default)]
pub(super) struct Ledger {
    under_way: HashMap<PaymentId, Payment>,
    /// Captured for tips that count, by show.
    settled: HashMap<ShowId, Decimal>,
}

impl Ledger {
    /// A payment's own stream goes on. Says which show it is for.
    pub(super) fn paid(
        &mut self,
        id: PaymentId,
        event: &PaymentEvent,
        place: Place,
        report: &mut Report<'_>,
    ) -> Option<ShowId> {
        let payment = self.under_way.entry(id).or_default();
        if place.revision != payment.events {
            let (expected, found) = (payment.events.to_string(), place.revision.to_string());
            report.tell(LOG, &streams::payment(id), "revision", &expected, &found, place.position);
        }
        payment.events += 1;
        match event {
            PaymentEvent::Requested(requested) => {
                let PaymentPurpose::Tip { show_id, .. } = &requested.purpose;
                (payment.show, payment.amount) = (Some(*show_id), Some(requested.amount));
            }
            PaymentEvent::Captured(captured) => payment.end = Some(End::Captured(captured.amount)),
            PaymentEvent::Declined(_) => payment.end = Some(End::Declined),
            PaymentEvent::Applied(_) => payment.is_applied = true,
        }
        let show = payment.show;
        self.settle(id, place.position, report);
        show
    }

    /// A show's tip goes on.
    pub(super) fn promised(
        &mut self,
        show: ShowId,
        event: &LedgerEvent,
        place: Place,
        report: &mut Report<'_>,
    ) {
        let id = match event {
            LedgerEvent::TipRequested(tip) => {
                self.under_way.entry(tip.payment_id).or_default().promised = Some((show, tip.amount));
                tip.payment_id
            }
            LedgerEvent::TipCaptured(tip) => {
                self.under_way.entry(tip.payment_id).or_default().tip_end = Some(End::Captured(tip.amount));
                tip.payment_id
            }
            LedgerEvent::TipDeclined(tip) => {
                self.under_way.entry(tip.payment_id).or_default().tip_end = Some(End::Declined);
                tip.payment_id
            }
        };
        self.settle(id, place.position, report);
    }

    /// Counts a payment whose end is known everywhere.
    fn settle(&mut self, id: PaymentId, position: Position, report: &mut Report<'_>) {
        if self.under_way.get(&id).is_some_and(Payment::is_over)
            && let Some(payment) = self.under_way.remove(&id)
        {
            self.count(id, &payment, position, report);
        }
    }

    fn count(&mut self, id: PaymentId, payment: &Payment, position: Position, report: &mut Report<'_>) {
        let mut same = |figure: &str, tip: String, paid: String| {
            report.compared += 1;
            if tip != paid {
                report.tell(LOG, &streams::payment(id), figure, &tip, &paid, position);
            }
        };
        let (show, amount) = payment.promised.unzip();
        same("the show of its tip", told(show), told(payment.show));
        same("the amount of its tip", told(amount), told(payment.amount));
        same("the end of its tip", told(payment.tip_end), told(payment.end));
        if let (Some(show), Some(End::Captured(amount)), Some(_)) = (show, payment.end, payment.tip_end) {
            *self.settled.entry(show).or_default() += amount.amount();
        }
    }

    /// What was captured for tips of a show that count, by the payments.
    pub(super) fn settled(&self, show: ShowId) -> Decimal {
        self.settled.get(&show).copied().unwrap_or_default()
    }

    /// Nothing more is read: payments that are under way are well as long as no tip counts without its payment, and none is applied without its
    /// tip. Those that are well.
    pub(super) fn finish(&mut self, position: Position, report: &mut Report<'_>) -> Vec<PaymentId> {
        let mut under_way: Vec<_> = std::mem::take(&mut self.under_way).into_iter().collect();
        under_way.sort_unstable_by_key(|(id, _)| *id);
        for (id, payment) in &under_way {
            if matches!(payment.tip_end, Some(End::Captured(_))) {
                self.count(*id, payment, position, report);
            } else if payment.is_applied {
                let (tip, paid) = (told(payment.tip_end), told(payment.end));
                report.tell(LOG, &streams::payment(*id), "the end of its tip", &paid, &tip, position);
            }
        }
        let is_pending =
            |(_, payment): &(PaymentId, Payment)| payment.tip_end.is_none() && !payment.is_applied;
        under_way.into_iter().filter(is_pending).map(|(id, _)| id).collect()
    }
}

impl Payment {
    fn is_over(&self) -> bool {
        self.is_applied && self.tip_end.is_some() && self.promised.is_some()
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Captured(amount) => write!(f, "captured {amount}"),
            Self::Declined => f.write_str("declined"),
        }
    }
}

fn told(what: Option<impl fmt::Display>) -> String {
    what.map_or_else(|| "nothing".to_owned(), |what| what.to_string())
}
