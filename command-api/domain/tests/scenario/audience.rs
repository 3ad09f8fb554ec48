use crate::kit::*;
use domain::command::*;
use domain::{AccessReason, Action, PlatformRole, Rejection, ShowStatus, rules};
use schemas::events::*;
use schemas::{SessionId, Timestamp};
use uuid::Uuid;

fn denied(reason: AccessReason) -> Rejection {
    Rejection::AccessDenied(reason)
}

fn leave(session_id: Option<SessionId>) -> Action {
    Action::Leave(LeaveShow { session_id })
}

fn expire(session_id: SessionId, who: u128, last_seen_ms: i64) -> Action {
    Action::Expire(ExpireSession {
        session_id,
        person: person(who),
        last_seen: Timestamp::from_millis(last_seen_ms),
    })
}

#[test]
fn a_join_begins_a_session_and_counts() {
    let mut scenario = Scenario::live();
    let events = scenario.viewer(2, join(None)).unwrap();
    let joined = joined(&events);
    assert_eq!(joined.basis, AccessBasis::Public);
    assert_eq!(
        joined.audience,
        AudienceCounts { viewer_count: 1, peak_viewers: 1, total_views: 1, unique_viewers: 1 }
    );
}

#[test]
fn a_join_on_the_same_device_continues_the_session() {
    let mut scenario = Scenario::live();
    scenario.viewer(2, join(Some(5))).unwrap();
    assert_eq!(scenario.viewer(2, join(Some(5))).unwrap(), []);
    let second = scenario.viewer(2, join(None)).unwrap();
    assert_eq!(joined(&second).audience.viewer_count, 1);
    assert_eq!(joined(&second).audience.total_views, 2);
}

#[test]
fn the_host_is_no_viewer() {
    let mut scenario = Scenario::live();
    assert_eq!(scenario.host(join(None)).unwrap(), []);
    assert_eq!(scenario.show.counts(), AudienceCounts::default());
}

#[test]
fn sessions_begin_only_while_live() {
    let refused = Scenario::scheduled().viewer(2, join(None));
    assert_eq!(refused, Err(Rejection::WrongStatus { status: ShowStatus::Scheduled }));
}

#[test]
fn every_viewer_has_a_uid_of_its_own_and_none_is_the_hosts() {
    let mut scenario = Scenario::live();
    let uids: Vec<u32> =
        (2..6).map(|who| joined(&scenario.viewer(who, join(None)).unwrap()).rtc_uid).collect();
    assert_eq!(uids, [2, 3, 4, 5]);
}

#[test]
fn protected_shows_ask_for_what_they_need() {
    let cases = [
        (true, None, AccessReason::SubscriptionRequired),
        (false, Some(usd("5")), AccessReason::TicketRequired),
        (true, Some(usd("5")), AccessReason::SubscriptionAndTicketRequired),
    ];
    for (subscriber_only, ticket_price, reason) in cases {
        let mut scenario = Scenario::live_with(CreateShow { subscriber_only, ticket_price, ..create() });
        assert_eq!(scenario.viewer(2, join(None)), Err(denied(reason)));
        assert_eq!(scenario.by(2, PlatformRole::Creator, join(None)), Err(denied(reason)));
        assert_eq!(scenario.viewer(2, post(1)), Err(denied(reason)));
        assert_eq!(scenario.viewer(2, tip(1, usd("1"))), Err(denied(reason)));
        let events = scenario.by(3, PlatformRole::Moderator, join(None)).unwrap();
        assert_eq!(joined(&events).basis, AccessBasis::Staff);
        let entitlements = Entitlements { subscribes: true, holds_ticket: true };
        let Action::Join(entitled) = join(None) else { unreachable!() };
        let entitled = Action::Join(Box::new(JoinShow { entitlements, ..*entitled }));
        assert_eq!(joined(&scenario.viewer(2, entitled).unwrap()).basis, AccessBasis::Entitled);
        assert!(scenario.viewer(2, post(1)).is_ok());
    }
}

#[test]
fn the_cap_counts_persons_and_frees_seats() {
    let settings = StreamSettings { max_viewers: Some(1), ..StreamSettings::default() };
    let mut scenario = Scenario::live_with(CreateShow { settings, ..create() });
    let session = scenario.join(2);
    assert_eq!(scenario.viewer(3, join(None)), Err(denied(AccessReason::ShowFull)));
    scenario.viewer(2, join(Some(9))).expect("a second device of a seated person needs no seat");
    scenario.viewer(2, leave(Some(session))).unwrap();
    assert_eq!(scenario.viewer(3, join(None)), Err(denied(AccessReason::ShowFull)));
    scenario.viewer(2, leave(None)).unwrap();
    scenario.viewer(3, join(None)).unwrap();
}

#[test]
fn one_person_has_so_many_sessions_and_no_more() {
    let mut scenario = Scenario::live();
    for device in 0..u128::from(rules::MAX_SESSIONS_A_PERSON) {
        scenario.viewer(2, join(Some(device))).unwrap();
    }
    let refused = scenario.viewer(2, join(Some(1_000)));
    assert_eq!(refused, Err(Rejection::TooManySessions { limit: rules::MAX_SESSIONS_A_PERSON }));
}

#[test]
fn leaving_without_a_session_means_all_of_them() {
    let mut scenario = Scenario::live();
    scenario.viewer(2, join(Some(1))).unwrap();
    scenario.viewer(2, join(Some(2))).unwrap();
    let events = scenario.viewer(2, leave(None)).unwrap();
    let counts: Vec<u32> = left(&events).iter().map(|left| left.audience.viewer_count).collect();
    assert_eq!(counts, [1, 0]);
    assert_eq!(scenario.viewer(2, leave(None)).unwrap(), [], "a second leave changes nothing");
    assert_eq!(scenario.viewer(3, leave(None)).unwrap(), [], "who is not here is gone already");
    let stranger = SessionId(Uuid::from_u128(77));
    assert_eq!(scenario.viewer(3, leave(Some(stranger))), Err(Rejection::SessionUnknown));
}

#[test]
fn nobody_ends_the_session_of_another() {
    let mut scenario = Scenario::live();
    let session = scenario.join(2);
    scenario.join(3);
    assert_eq!(scenario.viewer(3, leave(Some(session))).unwrap(), []);
    assert_eq!(scenario.show.counts().viewer_count, 2);
}

#[test]
fn an_unseen_session_ends_at_its_last_sign_of_life() {
    for (last_seen, expected) in [(20_000, 20_000), (-5_000, 0), (900_000, 60_000)] {
        let mut scenario = Scenario::live();
        let session = scenario.join(2);
        let events = scenario.after(60_000).system(expire(session, 2, START_MS + last_seen)).unwrap();
        assert_eq!(left(&events)[0].left_at.millis(), START_MS + expected);
        assert_eq!(left(&events)[0].reason, LeaveReason::Unseen);
        assert_eq!(scenario.system(expire(session, 2, START_MS)).unwrap(), []);
    }
}

#[test]
fn callers_do_not_expire_sessions() {
    let mut scenario = Scenario::live();
    let session = scenario.join(2);
    let refused = scenario.by(3, PlatformRole::Admin, expire(session, 2, START_MS));
    assert_eq!(refused, Err(Rejection::SystemOnly));
}
