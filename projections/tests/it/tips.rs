//! `read.tips` and `read.tip_totals`, event by event.

use schemas::events::{DeclineReason, LedgerEvent, TipDeclined};
use schemas::{PaymentId, TipId};

use super::bench::Bench;
use super::events::{created, id, of_show, person, sealed, started, tip_captured, tip_requested, usd};

const TIP: &str = "right(tip_id::text, 2), right(payment_id::text, 4), right(person::text, 2), \
    right(identity->>'keyId', 1), right(message->>'keyId', 1), right(event_id::text, 2), amount, currency, \
    status, decline_reason, to_char(requested_at, 'SS'), to_char(captured_at, 'SS'), \
    to_char(declined_at, 'SS'), sequence";
const TOTAL: &str = "right(person::text, 2), right(identity->>'keyId', 1), right(event_id::text, 2), total, \
    currency, tips_count, to_char(last_tip_at, 'SS'), sequence";

#[tokio::test(flavor = "multi_thread")]
async fn a_tip_is_pending_then_captured_or_declined_and_only_captured_ones_count() {
    let bench = Bench::new("tips_all").await;
    bench.append(&[
        of_show(1, 0, created(1)),
        of_show(2, 0, started(1)),
        of_show(3, 1_000, tip_requested(0x51, 1, usd(500))),
        of_show(4, 2_000, tip_requested(0x52, 2, usd(700))),
    ]);
    bench.project("tips").await;
    assert_eq!(
        bench.rows(TIP, "read.tips ORDER BY sequence").await,
        ["(51,1051,01,4,5,03,5.00,USD,PENDING,,01,,,2)", "(52,1052,02,4,5,04,7.00,USD,PENDING,,02,,,3)"]
    );
    assert!(bench.rows("1", "read.tip_totals").await.is_empty());

    let declined = LedgerEvent::TipDeclined(TipDeclined {
        tip_id: TipId(id(0x52)),
        payment_id: PaymentId(id(0x1052)),
        person: person(2),
        reason: DeclineReason::Expired,
    });
    bench.append(&[
        of_show(5, 3_000, tip_captured(0x51, 1, usd(500), Some(sealed(6)))),
        of_show(6, 4_000, declined),
        of_show(7, 5_000, tip_requested(0x53, 1, usd(250))),
        of_show(8, 6_000, tip_captured(0x53, 1, usd(250), Some(sealed(8)))),
    ]);
    bench.project("tips").await;
    assert_eq!(
        bench.rows(TIP, "read.tips ORDER BY sequence").await,
        [
            "(51,1051,01,6,7,05,5.00,USD,CAPTURED,,01,03,,4)",
            "(52,1052,02,4,5,04,7.00,USD,DECLINED,EXPIRED,02,,04,5)",
            "(53,1053,01,8,7,08,2.50,USD,CAPTURED,,05,06,,7)",
        ]
    );
    assert_eq!(bench.rows(TOTAL, "read.tip_totals").await, ["(01,8,08,7.50,USD,2,06,7)"]);

    // erased before the capture: the words and the name are gone, the money is not
    bench.append(&[
        of_show(9, 7_000, tip_requested(0x54, 1, usd(1))),
        of_show(10, 8_000, tip_captured(0x54, 1, usd(1), None)),
    ]);
    bench.project("tips").await;
    assert_eq!(bench.rows(TOTAL, "read.tip_totals").await, ["(01,,0a,7.51,USD,3,08,9)"]);
}
