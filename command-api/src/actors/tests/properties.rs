//! Any interleaving of two nodes, with lost requests and answers.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

/// Seats of the show: few, so that they are fought for.
const CAP: u32 = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Join(u128),
    Leave(u128),
    Post(u128),
    /// The same command again, on the other node.
    Again,
}

fn step() -> impl Strategy<Value = (bool, bool, Step)> {
    let what = prop_oneof![
        (10u128..16).prop_map(Step::Join),
        (10u128..16).prop_map(Step::Leave),
        (10u128..16).prop_map(Step::Post),
        Just(Step::Again),
    ];
    (any::<bool>(), any::<bool>(), what)
}

fn command_of(id: u128, step: Step) -> Option<Command> {
    match step {
        Step::Join(who) => Some(by(who, id, join())),
        Step::Leave(who) => Some(by(who, id, leave(None))),
        Step::Post(who) => Some(by(who, id, post(id))),
        Step::Again => None,
    }
}

async fn play(seed: u64, chaos: u32, steps: Vec<(bool, bool, Step)>) {
    let log = MemoryLog::new(seed);
    let nodes = [node(&log), node(&log)];
    run(&nodes[0], by(HOST, 1, create(Some(CAP)))).await.unwrap();
    run(&nodes[0], by(HOST, 2, Action::Start)).await.unwrap();
    log.faults().chaos(chaos);
    let mut running = Vec::new();
    let mut last: Option<Command> = None;
    for (id, (on_second, pause, step)) in (1_000u128..).zip(steps) {
        let Some(command) = command_of(id, step).or_else(|| last.clone()) else { continue };
        last = Some(command.clone());
        let node = nodes[usize::from(on_second)].clone();
        let id = command.id.0.as_u128();
        running.push((id, tokio::spawn(async move { run(&node, command).await })));
        if pause {
            soon().await;
        }
    }
    let mut answers = Vec::new();
    for (id, answer) in running {
        answers.push((id, answer.await.unwrap()));
    }
    log.faults().chaos(0);
    check(&log, &answers);
}

fn check(log: &MemoryLog, answers: &[(u128, Result<Done<()>, CommandError>)]) {
    let revisions: Vec<u64> = stored(log).iter().map(|event| event.revision).collect();
    assert_eq!(revisions, (0..revisions.len() as u64).collect::<Vec<_>>());
    let ids: HashSet<_> = stored(log).iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), revisions.len());
    let mut show = Show::default();
    for event in stored(log) {
        show.evolve(&crate::actors::load::decode(&event).unwrap());
        assert!(show.counts().viewer_count <= CAP);
    }
    for (id, answer) in answers {
        match answer {
            // what had nothing to do is not remembered: a repeat of it may find something to do
            Ok(done) if done.events.is_empty() => {}
            Ok(done) => assert_eq!(times_in_log(log, *id), done.events.len(), "command {id}"),
            Err(CommandError::Rejected(_)) => {}
            Err(error) => assert_eq!(*error, CommandError::OutcomeUnknown),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn two_nodes_never_break_a_rule(
        seed: u64,
        chaos in 0u32..40,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(play(seed, chaos, steps));
    }
}
