//! `read.payments`: one row a payment, as its own stream tells it. No sealed columns: a payment names pseudonyms only.
//!
//! | column | type | what |
//! | --- | --- | --- |
//! | payment_id | uuid, key | |
//! | purpose | text | TIP |
//! | show_id, tip_id | uuid? | what it is for |
//! | payer, payee | uuid | |
//! | amount, currency | numeric, text | requested |
//! | status | text | REQUESTED, CAPTURED, DECLINED |
//! | is_applied | boolean | what it was for knows how it ended |
//! | provider, provider_ref | text? | from the capture on |
//! | captured_amount | numeric? | in `currency` |
//! | decline_reason | text? | DECLINED, EXPIRED, CANCELLED |
//! | requested_at | timestamptz | (requested_at, payment_id) is the keyset |
//! | captured_at, declined_at, applied_at | timestamptz? | |
//! | sequence | bigint | revision of the payment's last event |

/// The tables of one generation.
const DDL: &str = "
CREATE TABLE payments (
    payment_id      uuid        PRIMARY KEY,
    purpose         text        NOT NULL CHECK (purpose IN ('TIP')),
    show_id         uuid,
    tip_id          uuid,
    payer           uuid        NOT NULL,
    payee           uuid        NOT NULL,
    amount          numeric     NOT NULL,
    currency        text        NOT NULL,
    status          text        NOT NULL CHECK (status IN ('REQUESTED', 'CAPTURED', 'DECLINED')),
    is_applied      boolean     NOT NULL,
    provider        text,
    provider_ref    text,
    captured_amount numeric,
    decline_reason  text        CHECK (decline_reason IN ('DECLINED', 'EXPIRED', 'CANCELLED')),
    requested_at    timestamptz NOT NULL,
    captured_at     timestamptz,
    declined_at     timestamptz,
    applied_at      timestamptz,
    sequence        bigint      NOT NULL
);
CREATE INDEX payments_by_payee ON payments (payee, requested_at, payment_id);
CREATE INDEX payments_by_payer ON payments (payer, requested_at, payment_id);
CREATE INDEX payments_of_show ON payments (show_id, requested_at, payment_id);
CREATE INDEX payments_unfinished ON payments (requested_at) WHERE NOT is_applied;
";

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use platform::event_log::Prefixes;
use rust_decimal::Decimal;
use schemas::events::{PaymentEvent, PaymentPurpose, PaymentRequested};
use schemas::{Envelope, PaymentId};
use uuid::Uuid;

use super::{PAYMENTS, plain};
use crate::framework::rows::{self, Bulk, rows};
use crate::framework::{Change, Failure, Read, View, ViewTable, Work, of_payments, signed};

/// The view `payments`.
pub(super) struct Payments;

rows! {
    /// A row of `payments`.
    Row of "payments" key "payment_id" {
        payment_id: Uuid = "uuid",
        purpose: String = "text",
        show_id: Option<Uuid> = "uuid",
        tip_id: Option<Uuid> = "uuid",
        payer: Uuid = "uuid",
        payee: Uuid = "uuid",
        amount: Decimal = "numeric",
        currency: String = "text",
        status: String = "text",
        is_applied: bool = "boolean",
        provider: Option<String> = "text",
        provider_ref: Option<String> = "text",
        captured_amount: Option<Decimal> = "numeric",
        decline_reason: Option<String> = "text",
        requested_at: DateTime<Utc> = "timestamptz",
        captured_at: Option<DateTime<Utc>> = "timestamptz",
        declined_at: Option<DateTime<Utc>> = "timestamptz",
        applied_at: Option<DateTime<Utc>> = "timestamptz",
        sequence: i64 = "bigint",
    }
}

impl View for Payments {
    fn name(&self) -> &'static str {
        "payments"
    }

    fn version(&self) -> i32 {
        1
    }

    fn wanted(&self) -> Prefixes {
        PAYMENTS
    }

    fn tables(&self) -> &'static [ViewTable] {
        &[ViewTable { name: "payments", key: "payment_id" }]
    }

    fn ddl(&self) -> &'static str {
        DDL
    }

    fn prepare(&self, batch: Vec<Arc<Read>>) -> Result<Box<dyn Change>, Failure> {
        Ok(Box::new(Fold(batch)))
    }
}

/// Events over rows that have to be read first.
struct Fold(Vec<Arc<Read>>);

#[async_trait]
impl Change for Fold {
    async fn apply(self: Box<Self>, work: &mut Work<'_>) -> Result<(), Failure> {
        // what begins in the batch is not in the table
        let mut begun = HashSet::new();
        let mut known = HashSet::new();
        for (payment, envelope) in of_payments(&self.0) {
            if matches!(envelope.event, PaymentEvent::Requested(_)) {
                begun.insert(payment.0);
            } else if !begun.contains(&payment.0) {
                known.insert(payment.0);
            }
        }
        let known = rows::load::<Row>(work, known.into_iter().collect()).await?;
        let mut rows: HashMap<Uuid, Row> = known.into_iter().map(|row| (row.payment_id, row)).collect();
        for (payment, envelope) in of_payments(&self.0) {
            apply_one(&mut rows, payment, envelope)?;
        }
        Bulk::upsert(rows.into_values().collect())?.run(work).await
    }
}

fn apply_one(
    rows: &mut HashMap<Uuid, Row>,
    payment: PaymentId,
    envelope: &Envelope<PaymentEvent>,
) -> Result<(), Failure> {
    if let PaymentEvent::Requested(requested) = &envelope.event {
        rows.insert(payment.0, begun(requested, envelope));
        return Ok(());
    }
    let (event, _) = envelope.event.stored();
    let row = rows.get_mut(&payment.0).ok_or(Failure::Unfounded { event, what: "payment", id: payment.0 })?;
    row.sequence = signed(envelope.revision);
    let at = Some(envelope.meta.occurred_at.to_chrono());
    match &envelope.event {
        // handled where rows begin
        PaymentEvent::Requested(_) => {}
        PaymentEvent::Captured(captured) => {
            "CAPTURED".clone_into(&mut row.status);
            row.provider = Some(plain(&captured.provider));
            row.provider_ref = Some(plain(&captured.provider_ref));
            row.captured_amount = Some(captured.amount.amount());
            row.captured_at = at;
        }
        PaymentEvent::Declined(declined) => {
            "DECLINED".clone_into(&mut row.status);
            row.decline_reason = Some(declined.reason.name().to_owned());
            row.declined_at = at;
        }
        PaymentEvent::Applied(_) => {
            row.is_applied = true;
            row.applied_at = at;
        }
    }
    Ok(())
}

fn begun(requested: &PaymentRequested, envelope: &Envelope<PaymentEvent>) -> Row {
    let PaymentPurpose::Tip { show_id, tip_id } = &requested.purpose;
    Row {
        payment_id: requested.payment_id.0,
        purpose: "TIP".to_owned(),
        show_id: Some(show_id.0),
        tip_id: Some(tip_id.0),
        payer: requested.payer.0,
        payee: requested.payee.0,
        amount: requested.amount.amount(),
        currency: requested.amount.currency().code().to_owned(),
        status: "REQUESTED".to_owned(),
        is_applied: false,
        provider: None,
        provider_ref: None,
        captured_amount: None,
        decline_reason: None,
        requested_at: envelope.meta.occurred_at.to_chrono(),
        captured_at: None,
        declined_at: None,
        applied_at: None,
        sequence: signed(envelope.revision),
    }
}
