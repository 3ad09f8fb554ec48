use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::Rejection;
use schemas::Event;
use schemas::events::{DeclineReason, LedgerEvent, ShowEvent};

use super::kit::*;
use crate::actors::CommandError;
use crate::ports::payments::IntentStatus;
use crate::test_kit::*;
use crate::tips::{TipError, TipOutcome};

#[tokio::test(start_paused = true)]
async fn a_paid_tip_counts_once_however_often_it_is_asked_for() {
    let world = World::with(Provider::that(Some(IntentStatus::Succeeded))).await;
    let node = world.node(&Crash::never());
    let first = world.give(&node, 10).await.unwrap();
    let TipOutcome::Captured { revision, at } = first.outcome else { panic!("not captured") };
    for again in [&node, &world.node(&Crash::never())] {
        let repeat = world.give(again, 10).await.unwrap();
        assert_eq!(repeat.position, first.position);
        assert!(
            matches!(repeat.outcome, TipOutcome::Captured { revision: r, at: a } if (r, a) == (revision, at))
        );
    }
    assert_eq!(world.provider.captured(), 1);
    assert_eq!(world.count("TipCaptured"), 1);
    assert_eq!(world.count("PaymentApplied"), 1);
}

#[tokio::test(start_paused = true)]
async fn name_and_words_are_sealed_for_the_event_that_everybody_sees() {
    let world = World::with(Provider::that(Some(IntentStatus::Succeeded))).await;
    world.give(&world.node(&Crash::never()), 10).await.unwrap();
    let event = world.events("TipCaptured").pop().unwrap();
    let Event::Show(ShowEvent::Ledger(LedgerEvent::TipCaptured(tip))) = event.event else { panic!() };
    let identity = world.vault.open_identity(&tip.identity.unwrap(), event.event_id).await.unwrap();
    assert_eq!(identity.unwrap().name, "Anna");
    let text = world.vault.open_text(&tip.message.unwrap(), event.event_id, "message").await.unwrap();
    assert_eq!(text.as_deref(), Some("well done"));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_kept_for_ever_and_for_one_body() {
    let world = World::with(Provider::that(Some(IntentStatus::Succeeded))).await;
    let node = world.node(&Crash::never());
    let first = world.give(&node, 10).await.unwrap();
    // two days later the show forgot the command
    world.clock.advance(48 * 60 * 60 * 1_000);
    let late = crate::test_kit::by(HOST, 3, post(1));
    let late = domain::Command { at: world.clock.now(), ..late };
    node.shows.dispatch(show_id(), late, |_| ()).await.unwrap();
    let repeat = world.give(&node, 10).await.unwrap();
    assert_eq!(repeat.position, first.position);
    let reused = world.give_with_body(&node, 10, 7).await.unwrap_err();
    assert!(matches!(reused, TipError::Command(CommandError::Rejected(Rejection::KeyReused))));
    assert_eq!((world.provider.captured(), world.count("TipCaptured")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refused_charge_is_declined_for_good() {
    for first in [None, Some(IntentStatus::RequiresPaymentMethod)] {
        let world = World::with(Provider::that(first)).await;
        let node = world.node(&Crash::never());
        for _ in 0..2 {
            let standing = world.give(&node, 10).await.unwrap();
            assert!(matches!(standing.outcome, TipOutcome::Declined(DeclineReason::Declined)));
        }
        assert_eq!((world.provider.captured(), world.count("TipDeclined")), (0, 1));
        assert_eq!(world.count("PaymentApplied"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_payer_who_acts_is_served_by_the_settler() {
    let world = World::with(Provider::that(Some(IntentStatus::RequiresAction))).await;
    let node = world.node(&Crash::never());
    let waiting = world.give(&node, 10).await.unwrap();
    assert!(matches!(waiting.outcome, TipOutcome::Pending(Some(_))));
    world.settle(Duration::from_secs(30)).await;
    assert_eq!(world.count("PaymentApplied"), 0);
    world.provider.set_all(IntentStatus::Succeeded);
    world.settle(Duration::from_secs(30)).await;
    assert_eq!((world.count("TipCaptured"), world.count("PaymentApplied")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_payer_who_does_not_act_in_time_is_not_charged() {
    let world = World::with(Provider::that(Some(IntentStatus::RequiresAction))).await;
    world.give(&world.node(&Crash::never()), 10).await.unwrap();
    world.clock.advance(15 * 60 * 1_000 + 1);
    world.settle(Duration::from_secs(30)).await;
    assert_eq!((world.count("TipDeclined"), world.provider.captured()), (1, 0));
    world.provider.charges.lock().values().for_each(|status| assert_eq!(*status, IntentStatus::Canceled));
}

#[tokio::test(start_paused = true)]
async fn lost_answers_of_the_provider_end_in_one_charge() {
    let world = World::with(Provider::that(Some(IntentStatus::Succeeded))).await;
    world.provider.lost.store(1, Ordering::SeqCst);
    let waiting = world.give(&world.node(&Crash::never()), 10).await.unwrap();
    assert!(matches!(waiting.outcome, TipOutcome::Pending(None)));
    world.settle(Duration::from_secs(30)).await;
    assert_eq!((world.provider.captured(), world.count("TipCaptured")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_tip_of_an_erased_person_is_paid_without_their_name() {
    let world = World::with(Provider::that(Some(IntentStatus::Processing))).await;
    world.give(&world.node(&Crash::never()), 10).await.unwrap();
    world.vault.erase(person(9)).await.unwrap();
    world.provider.set_all(IntentStatus::Succeeded);
    world.settle(Duration::from_secs(60)).await;
    let event = world.events("TipCaptured").pop().unwrap();
    let Event::Show(ShowEvent::Ledger(LedgerEvent::TipCaptured(tip))) = event.event else { panic!() };
    assert_eq!((tip.identity, tip.message), (None, None));
}
