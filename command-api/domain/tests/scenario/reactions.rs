use crate::kit::*;
use domain::{Rejection, ShowStatus};
use schemas::events::*;

fn counted(events: &[ShowEvent]) -> &ReactionsCounted {
    match events {
        [ShowEvent::Interaction(InteractionEvent::Reactions(counted))] => counted,
        other => panic!("expected one count, got {other:?}"),
    }
}

#[test]
fn reactions_are_summed_by_type_and_new_persons_are_named_once() {
    let mut scenario = Scenario::live();
    let batch = vec![reaction(1, 2, "FIRE", 3), reaction(2, 2, "LOVE", 1), reaction(3, 3, "FIRE", 2)];
    let events = scenario.system(react(batch)).unwrap();
    let first = counted(&events);
    assert_eq!((first.counts["FIRE"], first.counts["LOVE"]), (5, 1));
    assert_eq!(first.first_time, [person(2), person(3)]);
    let events = scenario.system(react(vec![reaction(4, 2, "FIRE", 1)])).unwrap();
    assert!(counted(&events).first_time.is_empty());
    assert_eq!(scenario.show.interaction().totals()["FIRE"], 6);
}

#[test]
fn a_repeat_is_counted_once() {
    let mut scenario = Scenario::live();
    let twice = vec![reaction(1, 2, "FIRE", 3), reaction(1, 2, "FIRE", 3)];
    assert_eq!(counted(&scenario.system(react(twice)).unwrap()).counts["FIRE"], 3);
    assert_eq!(scenario.system(react(vec![reaction(1, 2, "FIRE", 3)])).unwrap(), []);
    let known = scenario.show.remembers(reaction(1, 2, "FIRE", 3).command_id).unwrap();
    assert_eq!(known.body_hash, reaction(1, 2, "FIRE", 3).body_hash);
}

#[test]
fn what_is_not_allowed_is_left_out_and_alone_it_is_refused() {
    let mut scenario = Scenario::live();
    let cases = [
        (reaction(1, 2, "YAWN", 1), Rejection::ReactionUnknown),
        (reaction(2, 2, "FIRE", 0), Rejection::ReactionCount),
        (reaction(3, 2, "FIRE", 51), Rejection::ReactionCount),
    ];
    for (bad, rejection) in cases {
        assert_eq!(scenario.show.check_reaction(&bad), Err(rejection.clone()));
        assert_eq!(scenario.system(react(vec![bad.clone()])), Err(rejection));
        let mixed = react(vec![bad, reaction(9, 2, "WOW", 1)]);
        let mut copy = scenario.show.clone();
        let command = scenario.command(domain::Caller::System, mixed);
        let events = copy.handle(&command, &scenario.rules).unwrap();
        assert_eq!(events.len(), 1);
    }
}

#[test]
fn nobody_reacts_to_what_is_not_on_air() {
    let refused = Scenario::scheduled().system(react(vec![reaction(1, 2, "FIRE", 1)]));
    assert_eq!(refused, Err(Rejection::WrongStatus { status: ShowStatus::Scheduled }));
}
