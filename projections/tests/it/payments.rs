//! `read.payments`, event by event.

use schemas::events::{
    DeclineReason, PaymentApplied, PaymentCaptured, PaymentDeclined, PaymentEvent, PaymentPurpose,
    PaymentRequested,
};
use schemas::{PaymentId, TipId, streams};

use super::bench::Bench;
use super::events::{created, event, id, of_show, person, show, usd};

const ROW: &str = "right(payment_id::text, 2), purpose, right(show_id::text, 2), right(tip_id::text, 2), \
    right(payer::text, 2), right(payee::text, 2), amount, currency, status, is_applied, provider, \
    provider_ref, captured_amount, decline_reason, to_char(requested_at, 'SS'), to_char(captured_at, 'SS'), \
    to_char(declined_at, 'SS'), to_char(applied_at, 'SS'), sequence";

fn requested(payment: u128) -> PaymentEvent {
    PaymentEvent::Requested(PaymentRequested {
        payment_id: PaymentId(id(payment)),
        purpose: PaymentPurpose::Tip { show_id: show(1), tip_id: TipId(id(0x51)) },
        payer: person(1),
        payee: person(2),
        amount: usd(500),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_requested_then_captured_or_declined_then_applied() {
    let bench = Bench::new("payments_all").await;
    let (one, two) = (PaymentId(id(0x61)), PaymentId(id(0x62)));
    let on = |payment, n, ms, happened: PaymentEvent| event(streams::payment(payment), n, ms, happened);
    bench.append(&[on(one, 1, 1_000, requested(0x61)), on(two, 2, 2_000, requested(0x62))]);
    // what is not of payments moves the checkpoint and nothing else
    bench.append(&[of_show(3, 0, created(1))]);
    bench.project("payments").await;
    assert_eq!(
        bench.rows(ROW, "read.payments ORDER BY payment_id").await,
        [
            "(61,TIP,01,51,01,02,5.00,USD,REQUESTED,f,,,,,01,,,,0)",
            "(62,TIP,01,51,01,02,5.00,USD,REQUESTED,f,,,,,02,,,,0)",
        ]
    );

    let captured = PaymentEvent::Captured(PaymentCaptured {
        payment_id: one,
        provider: "sandbox".to_owned(),
        provider_ref: "ch_1".to_owned(),
        amount: usd(500),
    });
    let declined = PaymentDeclined { payment_id: two, reason: DeclineReason::Declined };
    bench.append(&[
        on(one, 4, 3_000, captured),
        on(two, 5, 4_000, PaymentEvent::Declined(declined)),
        on(one, 6, 5_000, PaymentEvent::Applied(PaymentApplied { payment_id: one })),
    ]);
    bench.project("payments").await;
    assert_eq!(
        bench.rows(ROW, "read.payments ORDER BY payment_id").await,
        [
            "(61,TIP,01,51,01,02,5.00,USD,CAPTURED,t,sandbox,ch_1,5.00,,01,03,,05,2)",
            "(62,TIP,01,51,01,02,5.00,USD,DECLINED,f,,,,DECLINED,02,,04,,1)",
        ]
    );
}
