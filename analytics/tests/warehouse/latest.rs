//! A show as of now, by its roll-up.

use super::checks::check_agreement;
use super::recorded::Show;
use analytics::figures::{AsOf, Figures, Latest};

/// What the roll-up of a show says as of now, where all roll-ups are that far, is what its facts say as of then.
pub async fn check_latest(figures: &Figures, show: &Show, rolled_up: AsOf) {
    let Some(latest) = figures.latest(show.id, rolled_up).await.unwrap() else {
        assert_eq!(figures.show(show.id, rolled_up).await.unwrap(), None);
        return;
    };
    let Latest { figures: found, standing, as_of } = latest;
    assert!(as_of.position >= rolled_up.position && as_of.time.millis_since(rolled_up.time) >= 0);
    assert_eq!(Some(&found), figures.show(show.id, as_of).await.unwrap().as_ref());
    check_agreement(&standing, &found);
    let computed = figures.standing(show.id, as_of).await.unwrap().unwrap();
    check_agreement(&computed, &found);
    assert_eq!(figures.timeline(&standing).await.unwrap(), figures.timeline(&computed).await.unwrap());
    assert_eq!(figures.survival(&standing).await.unwrap(), figures.survival(&computed).await.unwrap());
}
