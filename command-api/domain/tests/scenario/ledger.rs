use crate::kit::*;
use domain::command::ReviseShow;
use domain::{Action, Rejection, ShowStatus};
use schemas::{Currency, Money, TipId};
use uuid::Uuid;

#[test]
fn a_tip_counts_when_it_is_captured_and_not_before() {
    let mut scenario = Scenario::live();
    scenario.viewer(2, tip(1, usd("10"))).unwrap();
    assert_eq!(scenario.show.ledger().total_tips(), Some(usd("0")));
    assert_eq!(scenario.show.ledger().pending_count(), 1);
    scenario.system(settle(1, true)).unwrap();
    assert_eq!(scenario.show.ledger().total_tips(), Some(usd("10")));
    assert_eq!(scenario.show.ledger().pending_count(), 0);
}

#[test]
fn a_tip_is_settled_once_whatever_is_said_later() {
    let mut scenario = Scenario::live();
    scenario.viewer(2, tip(1, usd("10"))).unwrap();
    scenario.system(settle(1, true)).unwrap();
    assert_eq!(scenario.system(settle(1, true)).unwrap(), []);
    assert_eq!(scenario.system(settle(1, false)).unwrap(), []);
    assert_eq!(scenario.viewer(2, tip(1, usd("10"))).unwrap(), []);
    assert_eq!(scenario.show.ledger().total_tips(), Some(usd("10")));
}

#[test]
fn a_declined_tip_leaves_no_trace_in_the_total() {
    let mut scenario = Scenario::live();
    scenario.viewer(2, tip(1, usd("10"))).unwrap();
    scenario.system(settle(1, false)).unwrap();
    assert_eq!(scenario.show.ledger().total_tips(), Some(usd("0")));
    assert!(scenario.show.ledger().settled(TipId(Uuid::from_u128(1))).is_some());
}

#[test]
fn a_promise_made_while_live_is_kept_after_the_end() {
    let mut scenario = Scenario::live();
    scenario.viewer(2, tip(1, usd("10"))).unwrap();
    scenario.host(Action::End).unwrap();
    scenario.system(settle(1, true)).unwrap();
    assert_eq!(scenario.show.ledger().total_tips(), Some(usd("10")));
    let late = scenario.viewer(2, tip(2, usd("10")));
    assert_eq!(late, Err(Rejection::WrongStatus { status: ShowStatus::Ended }));
}

#[test]
fn tips_that_cannot_be_are_refused() {
    let mut scenario = Scenario::live();
    let euro: Currency = "EUR".parse().unwrap();
    let cases = [
        (tip(1, usd("0")), Rejection::AmountNotPositive),
        (tip(1, usd("-5")), Rejection::AmountNotPositive),
        (tip(1, usd("10000.01")), Rejection::AmountTooLarge),
        (
            tip(1, Money::from_minor(100, euro).unwrap()),
            Rejection::CurrencyMismatch { expected: Currency::USD },
        ),
    ];
    for (action, rejection) in cases {
        assert_eq!(scenario.viewer(2, action), Err(rejection));
    }
    assert_eq!(scenario.host(tip(1, usd("1"))), Err(Rejection::OwnShow));
    let off = ReviseShow { tips_enabled: Some(false), ..ReviseShow::default() };
    scenario.host(Action::Revise(Box::new(off))).unwrap();
    assert_eq!(scenario.viewer(2, tip(1, usd("1"))), Err(Rejection::TipsDisabled));
}

#[test]
fn ten_tips_a_minute_and_no_more() {
    let mut scenario = Scenario::live();
    for n in 0..10 {
        scenario.viewer(2, tip(n, usd("1"))).unwrap();
    }
    assert!(matches!(scenario.viewer(2, tip(10, usd("1"))), Err(Rejection::RateLimited { limit: 10, .. })));
    scenario.after(60_001).viewer(2, tip(10, usd("1"))).unwrap();
}

#[test]
fn only_the_system_settles_and_only_tips_that_exist() {
    let mut scenario = Scenario::live();
    scenario.viewer(2, tip(1, usd("10"))).unwrap();
    assert_eq!(scenario.host(settle(1, true)), Err(Rejection::SystemOnly));
    assert_eq!(scenario.system(settle(2, true)), Err(Rejection::TipUnknown));
}
