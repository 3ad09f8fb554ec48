use crate::kit::*;
use domain::{PlatformRole, Rejection, rules};
use schemas::MessageId;
use schemas::events::*;
use uuid::Uuid;

fn posted(events: &[ShowEvent]) -> &MessagePosted {
    match events {
        [ShowEvent::Chat(ChatEvent::Posted(message))] => message,
        other => panic!("expected one message, got {other:?}"),
    }
}

#[test]
fn roles_are_told_by_what_the_author_is_here() {
    let mut scenario = Scenario::live();
    assert_eq!(posted(&scenario.host(post(1)).unwrap()).role, AuthorRole::Host);
    let cases = [
        (PlatformRole::Viewer, AuthorRole::Viewer),
        (PlatformRole::Creator, AuthorRole::Viewer),
        (PlatformRole::Moderator, AuthorRole::Moderator),
        (PlatformRole::Admin, AuthorRole::Admin),
    ];
    for (who, (role, expected)) in (2..).zip(cases) {
        assert_eq!(posted(&scenario.by(who, role, post(who)).unwrap()).role, expected);
    }
}

#[test]
fn the_rate_is_exact_and_its_own_for_each_person() {
    let mut scenario = Scenario::live();
    for text in 0..20 {
        scenario.after(100).viewer(2, post(text)).unwrap();
    }
    let refused = scenario.viewer(2, post(50)).unwrap_err();
    let Rejection::RateLimited { retry_after_ms, limit: 20, .. } = refused else { panic!("{refused}") };
    scenario.viewer(3, post(50)).expect("another person is free");
    assert!(scenario.after(retry_after_ms - 1).viewer(2, post(51)).is_err());
    scenario.after(1).viewer(2, post(51)).unwrap();
}

#[test]
fn staff_may_write_more() {
    let mut scenario = Scenario::live();
    for text in 0..100 {
        scenario.host(post(text)).unwrap();
    }
    assert!(scenario.host(post(500)).is_err());
}

#[test]
fn the_same_text_is_refused_for_a_while() {
    let mut scenario = Scenario::live();
    scenario.viewer(2, post(1)).unwrap();
    assert_eq!(
        scenario.after(10_000).viewer(2, post(1)),
        Err(Rejection::DuplicateMessage { retry_after_ms: 20_001 })
    );
    scenario.viewer(3, post(1)).expect("another person may say the same");
    scenario.after(20_001).viewer(2, post(1)).unwrap();
}

#[test]
fn replies_are_to_messages_of_this_show() {
    let mut scenario = Scenario::live();
    let first = posted(&scenario.viewer(2, post(0)).unwrap()).message_id;
    scenario.viewer(3, reply(1, Some(first))).unwrap();
    let unknown = MessageId(Uuid::from_u128(5));
    assert_eq!(scenario.viewer(3, reply(2, Some(unknown))), Err(Rejection::MessageUnknown));
    for text in 0..rules::REPLY_WINDOW as u128 {
        scenario.after(5_000).viewer(4, post(text)).unwrap();
    }
    assert_eq!(scenario.viewer(3, reply(3, Some(first))), Err(Rejection::MessageUnknown), "too long ago");
}
