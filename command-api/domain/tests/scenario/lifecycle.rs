use crate::kit::*;
use domain::command::{ReviseShow, *};
use domain::{Action, PlatformRole, Rejection, ShowStatus};
use schemas::Currency;
use schemas::events::*;

fn wrong(status: ShowStatus) -> Rejection {
    Rejection::WrongStatus { status }
}

fn revise(change: ReviseShow) -> Action {
    Action::Revise(Box::new(change))
}

#[test]
fn a_show_is_created_scheduled_by_its_creator() {
    let scenario = Scenario::scheduled();
    assert_eq!(scenario.show.status(), Some(ShowStatus::Scheduled));
    assert_eq!(scenario.show.about().unwrap().creator, person(HOST));
}

#[test]
fn viewers_create_no_shows() {
    let refused = Scenario::empty().viewer(2, Action::Create(Box::new(create())));
    assert_eq!(refused, Err(Rejection::CreatorRoleRequired));
}

#[test]
fn an_id_names_one_show() {
    let refused = Scenario::scheduled().host(Action::Create(Box::new(create())));
    assert_eq!(refused, Err(Rejection::ShowExists));
}

#[test]
fn a_price_of_zero_is_no_ticket_and_less_is_refused() {
    let free = CreateShow { ticket_price: Some(usd("0")), ..create() };
    assert_eq!(Scenario::scheduled_with(free).show.about().unwrap().access, AccessPolicy::default());
    let negative = CreateShow { ticket_price: Some(usd("-1")), ..create() };
    let refused = Scenario::empty().host(Action::Create(Box::new(negative)));
    assert_eq!(refused, Err(Rejection::AmountNotPositive));
}

#[test]
fn only_the_creator_or_an_admin_starts_ends_cancels_revises() {
    for action in [Action::Start, Action::End, Action::Cancel, revise(ReviseShow::default())] {
        for role in [PlatformRole::Viewer, PlatformRole::Creator, PlatformRole::Moderator] {
            let refused = Scenario::scheduled().by(7, role, action.clone());
            assert_eq!(refused, Err(Rejection::NotTheCreator));
        }
    }
    assert!(Scenario::scheduled().by(7, PlatformRole::Admin, Action::Start).is_ok());
}

#[test]
fn nothing_happens_to_a_show_that_does_not_exist() {
    for action in [Action::Start, Action::End, Action::Cancel, join(None), post(1), tip(1, usd("1"))] {
        assert_eq!(Scenario::empty().host(action), Err(Rejection::ShowNotFound));
    }
}

#[test]
fn the_states_follow_one_another() {
    let mut scenario = Scenario::scheduled();
    assert_eq!(scenario.host(Action::End), Err(wrong(ShowStatus::Scheduled)));
    scenario.host(Action::Start).unwrap();
    assert_eq!(scenario.host(Action::Start), Err(wrong(ShowStatus::Live)));
    assert_eq!(scenario.host(Action::Cancel), Err(wrong(ShowStatus::Live)));
    scenario.host(Action::End).unwrap();
    for action in [Action::Start, Action::End, Action::Cancel, join(None), post(1)] {
        assert_eq!(scenario.viewer_or_host(action), Err(wrong(ShowStatus::Ended)));
    }
    let mut cancelled = Scenario::scheduled();
    cancelled.host(Action::Cancel).unwrap();
    assert_eq!(cancelled.host(Action::Start), Err(wrong(ShowStatus::Cancelled)));
}

impl Scenario {
    fn viewer_or_host(&mut self, action: Action) -> Result<Vec<ShowEvent>, Rejection> {
        self.host(action)
    }
}

#[test]
fn the_answer_to_end_is_the_totals() {
    let mut scenario = Scenario::live();
    scenario.join(2);
    scenario.join(3);
    scenario.viewer(2, post(1)).unwrap();
    scenario.viewer(2, tip(1, usd("5"))).unwrap();
    scenario.viewer(3, tip(2, usd("7.50"))).unwrap();
    scenario.system(settle(1, true)).unwrap();
    scenario.viewer(3, Action::Leave(LeaveShow { session_id: None })).unwrap();
    let events = scenario.after(3_600_900).host(Action::End).unwrap();
    let [ShowEvent::Lifecycle(LifecycleEvent::Ended(ended))] = events.as_slice() else {
        panic!("{events:?}")
    };
    let expected = ClosingTotals {
        duration_seconds: 3_600,
        viewer_count: 1,
        peak_viewers: 2,
        total_views: 2,
        unique_viewers: 2,
        messages_count: 1,
        total_tips: usd("5"),
        pending_tips: 1,
    };
    assert_eq!(ended.totals, expected);
    assert_eq!(scenario.show.counts().viewer_count, 0);
}

#[test]
fn while_scheduled_everything_may_change_and_only_changes_are_events() {
    let mut scenario = Scenario::scheduled();
    let change = ReviseShow {
        title: Some("New".into()),
        ticket_price: Some(Some(usd("5"))),
        max_viewers: Some(Some(10)),
        ..ReviseShow::default()
    };
    assert_eq!(scenario.host(revise(change.clone())).unwrap().len(), 2);
    assert_eq!(scenario.host(revise(change)).unwrap(), []);
    let about = scenario.show.about().unwrap();
    assert_eq!((about.details.title.as_str(), about.settings.max_viewers), ("New", Some(10)));
    assert_eq!(about.access.ticket_price, Some(usd("5")));
}

#[test]
fn while_live_only_settings_change() {
    let mut scenario = Scenario::live();
    let title = ReviseShow { title: Some("New".into()), ..ReviseShow::default() };
    assert_eq!(scenario.host(revise(title)), Err(wrong(ShowStatus::Live)));
    let chat = ReviseShow { chat_enabled: Some(false), ..ReviseShow::default() };
    assert_eq!(scenario.host(revise(chat)).unwrap().len(), 1);
    assert_eq!(scenario.viewer(2, post(1)), Err(Rejection::ChatDisabled));
}

#[test]
fn a_stale_version_is_refused() {
    let mut scenario = Scenario::scheduled();
    let change = |version| ReviseShow {
        expected_version: Some(version),
        tips_enabled: Some(false),
        ..ReviseShow::default()
    };
    assert_eq!(scenario.host(revise(change(4))), Err(Rejection::StaleVersion { current: 0 }));
    scenario.host(revise(change(0))).unwrap();
    assert_eq!(scenario.host(revise(change(0))), Err(Rejection::StaleVersion { current: 1 }));
}

#[test]
fn a_price_in_another_currency_is_refused() {
    let euros: Currency = "EUR".parse().unwrap();
    let priced = CreateShow { ticket_price: Some(usd("5")), ..create() };
    let change = ReviseShow { currency: Some(euros), ..ReviseShow::default() };
    let refused = Scenario::scheduled_with(priced).host(revise(change));
    assert_eq!(refused, Err(Rejection::CurrencyMismatch { expected: euros }));
}
