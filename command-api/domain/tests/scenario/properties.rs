//! What holds for any commands in any order, with clocks that jump and commands that repeat.

use crate::kit::*;
use analytics::fold::Fold;
use domain::command::*;
use domain::{Action, Caller, Command, PlatformRole, Rules, Show};
use proptest::prelude::*;
use schemas::events::*;
use schemas::{BodyHash, CommandId, SessionId, Timestamp};
use uuid::Uuid;

const CAP: u32 = 3;

#[derive(Clone, Debug)]
enum Step {
    Do { who: u128, what: u8, arg: u128, clock_ms: i64 },
    Repeat(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        9 => (1u128..7, 0u8..40, 0u128..4, -3_000i64..9_000)
            .prop_map(|(who, what, arg, clock_ms)| Step::Do { who, what, arg, clock_ms }),
        1 => any::<prop::sample::Index>().prop_map(Step::Repeat),
    ]
}

/// Turns a step into a command: joins and messages are frequent, ends are rare.
fn action(scenario: &Scenario, who: u128, what: u8, arg: u128, n: u128) -> (Caller, Action) {
    let by = |role| Caller::Person { person: person(who), role };
    let viewer = by(PlatformRole::Viewer);
    let host = Caller::Person { person: person(HOST), role: PlatformRole::Creator };
    match what {
        0..12 => (viewer, join((arg > 0).then_some(arg))),
        12..16 => (viewer, Action::Leave(LeaveShow { session_id: None })),
        16..19 => {
            let open = scenario.show.audience().sessions(person(who)).first().map(|open| open.session_id);
            let session_id = open.unwrap_or(SessionId(Uuid::nil()));
            let last_seen = Timestamp::from_millis(scenario.now_ms - 20_000);
            (Caller::System, Action::Expire(ExpireSession { session_id, person: person(who), last_seen }))
        }
        19..27 => (viewer, post(arg + n % 5)),
        27..30 => (viewer, react(vec![reaction(n + 1_000_000, who, "FIRE", 1)])),
        30..33 => (viewer, tip(arg, usd("2.50"))),
        33..36 => (Caller::System, settle(arg, n.is_multiple_of(2))),
        36 => {
            (host, Action::Revise(Box::new(ReviseShow { chat_enabled: Some(arg > 0), ..Default::default() })))
        }
        37 => (by(PlatformRole::Admin), Action::Cancel),
        38 if arg == 0 => (host, Action::End),
        _ => (by(PlatformRole::Moderator), join(None)),
    }
}

fn play(steps: &[Step]) -> Scenario {
    let settings = StreamSettings { max_viewers: Some(CAP), ..StreamSettings::default() };
    let mut scenario = Scenario::live_with(CreateShow { settings, ..create() });
    let mut sent: Vec<Command> = Vec::new();
    for (n, step) in (0u128..).zip(steps) {
        let command = match step {
            Step::Repeat(index) if !sent.is_empty() => index.get(&sent).clone(),
            Step::Repeat(_) => continue,
            Step::Do { who, what, arg, clock_ms } => {
                scenario.now_ms += clock_ms;
                let (caller, action) = action(&scenario, *who, *what, *arg, n);
                Command { body_hash: BodyHash(n.to_be_bytes()), ..scenario.command(caller, action) }
            }
        };
        if scenario.show.remembers(command.id).is_none() {
            drop(scenario.run(&command));
            sent.push(command);
        }
    }
    scenario
}

fn fold(events: &[schemas::Envelope<ShowEvent>]) -> Show {
    let mut show = Show::default();
    events.iter().for_each(|event| show.evolve(event));
    show
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_identities_of_the_figures_hold_at_every_event(steps in prop::collection::vec(step(), 1..120)) {
        let scenario = play(&steps);
        let (mut plain, mut show) = (Fold::default(), Show::default());
        for event in &scenario.events {
            plain.apply(event);
            show.evolve(event);
            let summary = plain.summary(event.meta.occurred_at);
            let figures = &summary.figures;
            prop_assert_eq!(summary.broken_identities(), Vec::<&str>::new());
            let counts = show.counts();
            prop_assert_eq!(
                [counts.viewer_count, counts.peak_viewers, counts.unique_viewers].map(u64::from),
                [figures.viewer_count, figures.peak_viewers, figures.unique_viewers]
            );
            prop_assert_eq!(counts.total_views, figures.total_views);
            prop_assert!(counts.viewer_count <= CAP);
            prop_assert_eq!(show.ledger().total_tips().unwrap(), figures.total_tips);
            prop_assert_eq!(u64::from(show.ledger().pending_count()), figures.pending_tips);
            prop_assert_eq!(show.messages_count(), figures.messages);
        }
    }

    #[test]
    fn revisions_have_no_gap_time_no_way_back_and_ids_no_double(steps in prop::collection::vec(step(), 1..120)) {
        let events = play(&steps).events;
        let ids: std::collections::HashSet<_> = events.iter().map(|event| event.event_id).collect();
        prop_assert_eq!(ids.len(), events.len());
        for (revision, event) in (0..).zip(&events) {
            prop_assert_eq!(event.revision, revision);
        }
        for pair in events.windows(2) {
            prop_assert!(pair[0].meta.occurred_at <= pair[1].meta.occurred_at);
        }
    }

    #[test]
    fn a_snapshot_and_the_tail_equal_the_whole(
        steps in prop::collection::vec(step(), 1..120),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        weight in 1_usize..20,
    ) {
        let scenario = play(&steps);
        prop_assert_eq!(&fold(&scenario.events), &scenario.show);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(scenario.events.len())).collect();
        cuts.sort_unstable();
        // all pieces of the first state, then what changed until each of the next
        let (mut before, mut pieces) = (Show::default(), Vec::new());
        for cut in &cuts {
            let state = fold(&scenario.events[..*cut]);
            pieces.extend(state.pieces_since(&before, weight).map(|piece| serde_json::to_vec(&piece).unwrap()));
            before = state;
        }
        let core = serde_json::to_vec(&before).unwrap();
        let mut show: Show = serde_json::from_slice(&core).unwrap();
        for piece in &pieces {
            show.take_in(serde_json::from_slice(piece).unwrap());
        }
        prop_assert_eq!(&show, &before);
        scenario.events[cuts[cuts.len() - 1]..].iter().for_each(|event| show.evolve(event));
        prop_assert_eq!(&show, &scenario.show);
    }

    #[test]
    fn the_same_commands_decide_the_same(steps in prop::collection::vec(step(), 1..60)) {
        prop_assert_eq!(play(&steps).events, play(&steps).events);
    }

    #[test]
    fn an_end_by_any_command_is_final(steps in prop::collection::vec(step(), 1..60)) {
        let mut scenario = play(&steps);
        drop(scenario.host(Action::End));
        let rules = Rules::default();
        for what in 0..40 {
            let (caller, action) = action(&scenario, 3, what, 1, 5);
            let command = Command { id: CommandId(Uuid::from_u128(5)), ..scenario.command(caller, action) };
            let mut copy = scenario.show.clone();
            for event in copy.handle(&command, &rules).unwrap_or_default() {
                let about_money = matches!(event.event, ShowEvent::Ledger(LedgerEvent::TipCaptured(_) | LedgerEvent::TipDeclined(_)));
                prop_assert!(about_money, "after the end only money moves: {:?}", event.event);
            }
        }
    }
}
