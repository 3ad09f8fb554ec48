use std::time::Duration;

use super::kit::*;
use crate::ports::payments::IntentStatus;
use crate::tips::TipOutcome;

/// More calls to the outside than a tip makes; the test says so if that is not true any more.
const POINTS_MAX: i64 = 100;

/// Lets a node die at each point; then `after` goes on, and the world must be consistent.
async fn crash_at_every_point(first: Option<IntentStatus>, after: impl AsyncFn(&World)) {
    for point in 0..POINTS_MAX {
        let world = World::with(Provider::that(first)).await;
        let crash = Crash::after(point);
        let node = world.node(&crash);
        let (command, tip) = world.tip(10).await;
        let giving = tokio::spawn({
            let tips = node.tips.clone();
            async move { tips.give(crate::test_kit::show_id(), command, tip).await }
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        giving.abort();
        let was_whole = !crash.happened();
        after(&world).await;
        check(&world, point);
        if was_whole {
            return;
        }
    }
    panic!("a tip makes more calls than are tested");
}

/// One charge with its effect, or none.
fn check(world: &World, point: i64) {
    let (captured, counted) = (world.provider.captured(), world.count("TipCaptured"));
    assert_eq!(captured, counted, "crash at {point}");
    assert!(captured <= 1, "crash at {point}");
    let requested = world.count("TipRequested");
    assert_eq!(requested, counted + world.count("TipDeclined"), "crash at {point}: nothing stays pending");
    assert_eq!(requested, world.count("PaymentApplied"), "crash at {point}");
    assert_eq!(requested, world.count("PaymentRequested"), "crash at {point}");
}

#[tokio::test(start_paused = true)]
async fn a_repeat_finishes_what_a_crash_left() {
    crash_at_every_point(Some(IntentStatus::Succeeded), async |world| {
        let node = world.node(&Crash::never());
        let standing = world.give(&node, 10).await.unwrap();
        assert!(matches!(standing.outcome, TipOutcome::Captured { .. }));
        assert_eq!(world.provider.captured(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_settler_finishes_what_a_crash_left() {
    crash_at_every_point(Some(IntentStatus::Succeeded), async |world| {
        world.settle(Duration::from_secs(30)).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_settler_finishes_what_a_crash_left_of_a_declined_tip() {
    for first in [None, Some(IntentStatus::RequiresPaymentMethod)] {
        crash_at_every_point(first, async |world| {
            world.settle(Duration::from_secs(30)).await;
            assert_eq!(world.provider.captured(), 0);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn settlers_of_two_nodes_and_a_repeat_meet_without_harm() {
    crash_at_every_point(Some(IntentStatus::Succeeded), async |world| {
        let node = world.node(&Crash::never());
        let settle = Duration::from_secs(30);
        let (_, _, repeat) = tokio::join!(world.settle(settle), world.settle(settle), world.give(&node, 10));
        repeat.unwrap();
        assert_eq!(world.provider.captured(), 1);
    })
    .await;
}
